//! The scene of all controls: wallets that many clients charge and use. The rule: a balance is never below zero, and each
//! change has one ledger entry with the balance after it.
//!
//! A wallet with a balance of 30 and uses of 1 is also the last 30 places of a lecture, and one with a balance of 1 is
//! a seat: the question is the same, who gets a unit of something scarce.

use onsale_load_generator::Outcome;
use onsale_testing::postgres::driver::Client;

use super::controls::FUNCTION;
use super::partition::PARTITIONS;

/// A change of one wallet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    /// Unique, ascending in the order in which clients send.
    pub(crate) id: i64,
    /// The wallet, from 0.
    pub(crate) wallet: i32,
    /// Added to the balance; negative for a use.
    pub(crate) amount: i64,
}

/// The balance after a change, or `None` if the rule refuses it. Every control decides with this function or with its SQL
/// twin.
pub(crate) fn decide(balance: i64, amount: i64) -> Option<i64> {
    Some(balance + amount).filter(|after| *after >= 0)
}

/// Whether the schema has constraints that stop a wrong write whatever the control does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constraints {
    /// No balance below zero, one ledger entry per wallet and version.
    On,
    /// None: shows what the control alone guarantees.
    Off,
}

/// Creates the tables anew, with this many wallets of this balance.
pub(crate) async fn create(sql: &Client, wallets: u32, balance: i64, constraints: Constraints) -> Outcome<()> {
    let (check, unique) = match constraints {
        Constraints::On => (", CHECK (balance >= 0)", "PRIMARY KEY (wallet, version)"),
        Constraints::Off => ("", "CHECK (true)"),
    };
    sql.batch_execute(&format!(
        "DROP TABLE IF EXISTS wallets, ledger, positions;
         CREATE TABLE wallets (id integer PRIMARY KEY, balance bigint NOT NULL, version bigint NOT NULL DEFAULT 0,
             fence bigint NOT NULL DEFAULT 0{check}) WITH (fillfactor = 50);
         CREATE TABLE ledger (wallet integer NOT NULL, version bigint NOT NULL, op bigint NOT NULL,
             amount bigint NOT NULL, balance_after bigint NOT NULL, {unique});
         INSERT INTO wallets (id, balance) SELECT id, {balance} FROM generate_series(0, {wallets} - 1) id;
         CREATE TABLE positions (partition integer PRIMARY KEY, next bigint NOT NULL);
         INSERT INTO positions SELECT partition, 0 FROM generate_series(0, {PARTITIONS} - 1) partition;
         {FUNCTION}"
    ))
    .await?;
    if constraints == Constraints::Off {
        sql.batch_execute("CREATE INDEX ON ledger (wallet, version)").await?;
    }
    sql.batch_execute("VACUUM ANALYZE wallets").await?;
    Ok(())
}
