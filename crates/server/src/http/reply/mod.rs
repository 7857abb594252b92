//! What the server answers with: problem details, JSON shapes, the outcome of a command, metrics as text.

pub(crate) mod answer;
pub(crate) mod exposition;
pub(crate) mod problem;
pub(crate) mod wire;
