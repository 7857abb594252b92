//! The auditor: compares what clients were answered with what the database holds. It shares no code with the controls.

use std::collections::{HashMap, HashSet};
use std::fmt;

use onsale_load_generator::Outcome;
use onsale_testing::postgres::driver::Client;

use super::scene::Op;

/// What clients know at the end of a run.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Changes that the control acknowledged as made.
    pub(crate) won: Vec<Op>,
    /// Changes without an answer: they may or may not have happened.
    pub(crate) unknown: Vec<Op>,
}

/// A way in which the books are wrong, with the first example in words.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Empty if the books are right.
    pub(crate) wrong: Vec<String>,
    /// Ledger entries of one wallet that were sent earlier than the entry before them, in percent of all entries.
    pub(crate) inversions_percent: f64,
}

impl Verdict {
    /// Whether the books are right.
    pub(crate) fn holds(&self) -> bool {
        self.wrong.is_empty()
    }
}

impl Verdict {
    /// The verdict as a cell of a table: the first finding.
    pub(crate) fn cell(&self) -> String {
        self.wrong.first().map_or("holds".to_owned(), |first| format!("**wrong:** {first}"))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holds() { f.write_str("holds") } else { f.write_str(&self.wrong.join("; ")) }
    }
}

/// Audits all wallets, which started with this balance.
pub(crate) async fn audit(sql: &Client, initial: i64, answers: &Answers) -> Outcome<Verdict> {
    let mut verdict = Verdict::default();
    let mut promised: HashMap<i32, (i64, i64)> = HashMap::new();
    // A change without an answer counts if it is in the ledger.
    let unknown: Vec<i64> = answers.unknown.iter().map(|op| op.id).collect();
    let rows = sql.query("SELECT op FROM ledger WHERE op = ANY ($1)", &[&unknown]).await?;
    let happened: HashSet<i64> = rows.iter().map(|row| row.get(0)).collect();
    let made = answers.unknown.iter().filter(|op| happened.contains(&op.id));
    for op in answers.won.iter().chain(made) {
        let (sum, count) = promised.entry(op.wallet).or_default();
        (*sum, *count) = (*sum + op.amount, *count + 1);
    }
    let rows = sql.query("SELECT id, balance FROM wallets ORDER BY id", &[]).await?;
    let mut lost = Vec::new();
    for row in rows {
        let (id, balance): (i32, i64) = (row.get(0), row.get(1));
        let (sum, count) = promised.get(&id).copied().unwrap_or_default();
        if balance != initial + sum {
            lost.push(format!("{count} changes of {sum:+} together moved the balance by {:+}", balance - initial));
        }
        if balance < 0 {
            lost.push(format!("balance {balance}"));
        }
    }
    verdict.wrong.extend(shown(&lost, "wallets"));
    ledger(sql, initial, answers, &mut verdict).await?;
    Ok(verdict)
}

/// The first of some findings, and how many there are.
fn shown(findings: &[String], what: &str) -> Option<String> {
    match findings {
        [] => None,
        [only] => Some(only.clone()),
        [first, ..] => Some(format!("{first} ({} {what})", findings.len())),
    }
}

/// Each acknowledged change has one entry, no other entry is there, and each balance follows from the one before.
async fn ledger(sql: &Client, initial: i64, answers: &Answers, verdict: &mut Verdict) -> Outcome<()> {
    let rows = sql.query("SELECT op, count(*) FROM ledger GROUP BY op", &[]).await?;
    let mut entries: HashMap<i64, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let missing = answers.won.iter().filter(|op| entries.remove(&op.id) != Some(1)).count();
    if missing > 0 {
        verdict.wrong.push(format!("{missing} acknowledged changes are not in the ledger exactly once"));
    }
    for op in &answers.unknown {
        entries.remove(&op.id);
    }
    if !entries.is_empty() {
        verdict.wrong.push(format!("{} ledger entries without an acknowledgement", entries.len()));
    }
    let row = sql
        .query_one(
            "SELECT count(*) FILTER (WHERE balance_after <> before + amount),
                    count(*) FILTER (WHERE balance_after < 0),
                    count(*) FILTER (WHERE op < earlier),
                    count(*)
             FROM (SELECT amount, balance_after, op,
                       lag(balance_after, 1, $1) OVER wallet AS before, lag(op) OVER wallet AS earlier
                   FROM ledger WINDOW wallet AS (PARTITION BY wallet ORDER BY version, op)) entries",
            &[&initial],
        )
        .await?;
    let (broken, negative, inverted, all): (i64, i64, i64, i64) = (row.get(0), row.get(1), row.get(2), row.get(3));
    if broken > 0 {
        verdict.wrong.push(format!("{broken} of {all} ledger entries do not follow from the one before"));
    }
    if negative > 0 {
        verdict.wrong.push(format!("{negative} ledger entries below zero"));
    }
    verdict.inversions_percent = ratio(inverted, all) * 100.0;
    Ok(())
}

/// A quotient of counts; 0 if there is nothing to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts of a short run are exact in a float")]
pub(crate) fn ratio(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
