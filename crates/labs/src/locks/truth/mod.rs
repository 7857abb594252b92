//! The truth table: every interleaving of the steps of two sessions, run on the real server, and what came of each. The
//! form is that of Hermitage, by Martin Kleppmann.

mod anomalies;
mod session;

use std::collections::BTreeMap;

use onsale_load_generator::Outcome;
use onsale_testing::postgres::driver::Client;

use super::bed::Bed;
use session::{Ended, Session};

pub(crate) use anomalies::ANOMALIES;

/// One step of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A statement. A number that it returns is read, and replaces `:read` in later statements.
    Run(&'static str),
    /// Continues only if a number was read that is at least this; else the session gives up with a rollback.
    AtLeast(i64),
}

/// How both sessions protect themselves.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    /// What the schema needs for it.
    extra: &'static str,
    pub(crate) steps: [&'static [Step]; 2],
}

/// What can go wrong between two sessions.
pub(crate) struct Anomaly {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    setup: &'static str,
    /// True if the books are right; `:won` is the number of sessions that committed.
    judge: &'static str,
    pub(crate) scripts: &'static [Script],
}

/// What came of all interleavings of one script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) interleavings: u32,
    /// Those that left wrong books.
    pub(crate) wrong: u32,
    /// Those in which a session waited for the other.
    pub(crate) waited: u32,
    /// Sessions that the database aborted, by SQLSTATE: they have to retry.
    pub(crate) aborted: BTreeMap<String, u32>,
}

impl Tally {
    /// The cell of the table.
    pub(crate) fn verdict(&self) -> String {
        let aborted: Vec<String> = self.aborted.iter().map(|(class, times)| format!("{class} in {times}")).collect();
        let verdict = match self.wrong {
            0 => "right".to_owned(),
            wrong => format!("**wrong in {wrong} of {}**", self.interleavings),
        };
        let waits = (self.waited > 0).then(|| format!("waits in {}", self.waited));
        [Some(verdict), waits, (!aborted.is_empty()).then(|| aborted.join(", "))]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Runs all interleavings of a script.
pub(crate) async fn tally(bed: &Bed, anomaly: &Anomaly, script: &Script) -> Outcome<Tally> {
    let (observer, mut tally) = (bed.sql().await?, Tally::default());
    let mut sessions = [Session::open(bed).await?, Session::open(bed).await?];
    let units = script.steps.map(session::units);
    for order in interleavings(units[0].len(), units[1].len()) {
        let setup = "SET synchronous_commit = off; SET client_min_messages = error; DROP TABLE IF EXISTS child, t, users, clock";
        observer.batch_execute(&format!("{setup}; {}; {}", anomaly.setup, script.extra)).await?;
        for (session, units) in sessions.iter_mut().zip(&units) {
            session.begin(units.clone());
        }
        let waited = play(&observer, &mut sessions, &order).await?;
        tally.interleavings += 1;
        tally.waited += u32::from(waited);
        for session in &sessions {
            if let Some(Ended::Aborted(class)) = session.ended() {
                *tally.aborted.entry(class.clone()).or_default() += 1;
            }
        }
        let won = sessions.iter().filter(|session| session.ended() == Some(&Ended::Committed)).count();
        let judged = observer.query_one(&anomaly.judge.replace(":won", &won.to_string()), &[]).await?;
        tally.wrong += u32::from(!judged.get::<_, bool>(0));
    }
    Ok(tally)
}

/// What came of a script, by its name.
///
/// # Errors
/// If there is no such script, or the database fails.
pub(crate) async fn by_name(bed: &Bed, anomaly: &str, script: &str) -> Outcome<String> {
    let anomaly = ANOMALIES.iter().find(|known| known.name == anomaly).ok_or("no such anomaly")?;
    let script = anomaly.scripts.iter().find(|known| known.name == script).ok_or("no such script")?;
    Ok(tally(bed, anomaly, script).await?.verdict())
}

/// Runs one interleaving to the end of both sessions. Returns whether a session waited for the other.
async fn play(observer: &Client, sessions: &mut [Session; 2], order: &[usize]) -> Outcome<bool> {
    let mut waited = false;
    // After the order is used up, both go on to their end in turns: a session that waited is behind.
    let rest = (0..2 * order.len()).map(|index| index % 2);
    for turn in order.iter().copied().chain(rest) {
        if sessions.iter().all(Session::is_over) {
            break;
        }
        let (first, second) = sessions.split_at_mut(1);
        let (own, other) = if turn == 0 { (&mut first[0], &mut second[0]) } else { (&mut second[0], &mut first[0]) };
        // While this session waits, only the other can move.
        while own.settle(observer).await? {
            waited |= other.step(observer).await?;
        }
        waited |= own.step(observer).await?;
    }
    for session in sessions {
        session.finish().await?;
    }
    Ok(waited)
}

/// All orders in which two sequences of these lengths can be merged.
fn interleavings(first: usize, second: usize) -> Vec<Vec<usize>> {
    if first == 0 || second == 0 {
        let rest = std::iter::repeat_n(0, first).chain(std::iter::repeat_n(1, second));
        return vec![rest.collect()];
    }
    let begin = |turn: usize, rest: Vec<Vec<usize>>| {
        rest.into_iter().map(move |mut order| {
            order.insert(0, turn);
            order
        })
    };
    begin(0, interleavings(first - 1, second)).chain(begin(1, interleavings(first, second - 1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_there_once() {
        let mut orders = interleavings(3, 3);
        assert_eq!(orders.len(), 20, "3 of 6");
        orders.sort();
        orders.dedup();
        assert_eq!(orders.len(), 20);
        assert!(orders.iter().all(|order| order.iter().sum::<usize>() == 3));
    }
}
