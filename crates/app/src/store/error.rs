//! Why a database did not do what a caller wanted.

/// A failure of a store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was done, and the database cannot do it now: the disk is full, or it does not answer.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The commit was sent, and no answer came: it may or may not have counted.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
    /// Nothing was done, because another transaction was first or the connection was cut. The same work may succeed if it is
    /// tried again.
    #[error("another transaction committed first, or the connection was cut: {0}")]
    Conflict(String),
    /// Nothing was done, because another session holds a row or a table for longer than a batch waits for it.
    #[error("another session holds a lock: {0}")]
    Locked(String),
    /// Nothing was done. Each command of the work may succeed alone or in another batch.
    #[error("the database refused: {0}")]
    Rejected(String),
}
