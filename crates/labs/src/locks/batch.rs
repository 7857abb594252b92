//! Many commands decided together: on loaded rows, in order of arrival, saved by three statements in one round trip.

use std::collections::BTreeMap;

use onsale_testing::postgres::driver::{self, Client, Row, Statement};

use super::scene::{Op, decide};

const UPDATE: &str = "UPDATE wallets SET balance = new.balance, version = new.version
    FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS new (id, balance, version) WHERE wallets.id = new.id";
const INSERT: &str = "INSERT INTO ledger (wallet, version, op, amount, balance_after)
    SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])";

/// The wallets of some commands, each once, in the one order in which all batches lock them: in different orders two lanes
/// would deadlock.
pub(crate) fn wallets_of(ops: &[Op]) -> Vec<i32> {
    let mut ids: Vec<i32> = ops.iter().map(|op| op.wallet).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The decisions of a batch, and what they change.
#[derive(Default)]
pub(crate) struct Decided {
    /// For each command, whether it was made.
    pub(crate) won: Vec<bool>,
    wallets: BTreeMap<i32, (i64, i64)>,
    owners: Vec<i32>,
    /// Version, number of the command, amount and balance after it, of each ledger entry.
    entries: [Vec<i64>; 4],
}

/// Decides commands in order on rows of id, balance and version. Each decision sees the ones before it. A command on a wallet
/// without a row is refused.
pub(crate) fn decide_all(rows: &[Row], ops: &[Op]) -> Decided {
    let wallets = rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    let mut decided = Decided { wallets, ..Decided::default() };
    for op in ops {
        let wallet = decided.wallets.get_mut(&op.wallet);
        let after = wallet.and_then(|wallet| decide(wallet.0, op.amount).map(|after| (wallet, after)));
        decided.won.push(after.is_some());
        if let Some(((balance, version), after)) = after {
            (*balance, *version) = (after, *version + 1);
            decided.owners.push(op.wallet);
            let entry = [*version, op.id, op.amount, after];
            decided.entries.iter_mut().zip(entry).for_each(|(column, value)| column.push(value));
        }
    }
    decided
}

/// The statements that save a batch.
pub(crate) struct Writes {
    update: Statement,
    insert: Statement,
}

impl Writes {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, driver::Error> {
        Ok(Self { update: client.prepare(UPDATE).await?, insert: client.prepare(INSERT).await? })
    }

    /// Saves a batch. The statements are sent together: they need no answer of each other.
    pub(crate) async fn save(&self, client: &Client, decided: &Decided) -> Result<(), driver::Error> {
        let ids: Vec<i32> = decided.wallets.keys().copied().collect();
        let (balances, newest): (Vec<i64>, Vec<i64>) = decided.wallets.values().copied().unzip();
        let [versions, numbers, amounts, afters] = &decided.entries;
        let (updated, inserted) = futures_util::future::join(
            client.execute(&self.update, &[&ids, &balances, &newest]),
            client.execute(&self.insert, &[&decided.owners, versions, numbers, amounts, afters]),
        )
        .await;
        updated?;
        inserted?;
        Ok(())
    }
}
