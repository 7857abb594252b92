//! The failure table of the saga, message by message: each may be lost, come twice, late, or before the one before it.

use onsale_load_generator::Outcome;
use onsale_report::Table;

use super::audit;
use super::bed::{Bed, Books};
use super::teller::Way;
use super::{Part, Size};

#[derive(Clone, Copy)]
enum At {
    Sale,
    Wallet,
}

use At::{Sale, Wallet};

/// A statement for payment `$P`, and the word that must come back.
type Step = (At, &'static str, &'static str);

struct Case {
    name: &'static str,
    /// What an engineer remembers of it.
    outcome: &'static str,
    steps: &'static [Step],
}

const HOLD: Step = (Sale, "SELECT hold($P, 1, 1, ARRAY[$P], 100, 60000)", "HELD");
const BEGIN: &str = "SELECT (begin_all(ARRAY[$P]::bigint[], ARRAY[$P]::bigint[], ARRAY[1]))[1]";
const RESERVE: &str = "SELECT (reserve_all(ARRAY[$P]::bigint[], ARRAY[1], ARRAY[100]::bigint[]))[1]";
const PIVOT: &str = "SELECT (pivot_all(ARRAY[$P]::bigint[]))[1]";
const CAPTURE: &str = "SELECT (capture_all(ARRAY[$P]::bigint[], ARRAY[1]))[1]";
const RELEASE: &str = "SELECT (release_all(ARRAY[$P]::bigint[], ARRAY[1], ARRAY[100]::bigint[]))[1]";
const FINISH: Step = (Sale, "SELECT finish_all(ARRAY[$P]::bigint[])::text", "");
const OVER: Step =
    (Sale, "UPDATE reservations SET held_until = clock_timestamp() WHERE reservation = $P RETURNING 'OVER'", "OVER");
const GIVE_UP: Step = (Sale, "SELECT give_up_overdue()::text", "1");
const STATE: &str = "SELECT state FROM reservations WHERE reservation = $P";
const BALANCE: &str = "SELECT balance || ' of which set aside ' || reserved FROM wallets WHERE buyer = 1";

const CASES: [Case; 10] = [
    Case {
        name: "every answer is lost: each message comes twice",
        outcome: "paid once",
        steps: &[
            HOLD,
            (Sale, BEGIN, "PAYING"),
            (Sale, BEGIN, "PAYING"),
            (Wallet, RESERVE, "RESERVED"),
            (Wallet, RESERVE, "RESERVED"),
            (Wallet, BALANCE, "1000 of which set aside 100"),
            (Sale, PIVOT, "PAID"),
            (Sale, PIVOT, "PAID"),
            (Wallet, CAPTURE, "CAPTURED"),
            (Wallet, CAPTURE, "CAPTURED"),
            (Wallet, BALANCE, "900 of which set aside 0"),
            FINISH,
            FINISH,
        ],
    },
    Case {
        name: "a reserve that was already captured comes again",
        outcome: "no second debit",
        steps: &[
            HOLD,
            (Sale, BEGIN, "PAYING"),
            (Wallet, RESERVE, "RESERVED"),
            (Sale, PIVOT, "PAID"),
            (Wallet, CAPTURE, "CAPTURED"),
            (Wallet, RESERVE, "CAPTURED"),
            FINISH,
            (Sale, BEGIN, "PAID"),
            (Wallet, BALANCE, "800 of which set aside 0"),
        ],
    },
    Case {
        name: "the release comes before its reserve",
        outcome: "the tombstone refuses the reserve",
        steps: &[
            HOLD,
            (Sale, BEGIN, "PAYING"),
            OVER,
            GIVE_UP,
            (Wallet, RELEASE, "RELEASED"),
            (Wallet, RESERVE, "RELEASED"),
            (Sale, PIVOT, "GIVEN UP"),
            FINISH,
            (Wallet, BALANCE, "800 of which set aside 0"),
        ],
    },
    Case {
        name: "the release comes twice, then a capture",
        outcome: "released once, and the capture is refused",
        steps: &[
            HOLD,
            (Sale, BEGIN, "PAYING"),
            (Wallet, RESERVE, "RESERVED"),
            OVER,
            (Sale, PIVOT, "LATE"),
            (Wallet, RELEASE, "RELEASED"),
            (Wallet, RELEASE, "RELEASED"),
            (Wallet, CAPTURE, "RELEASED"),
            FINISH,
            (Wallet, BALANCE, "800 of which set aside 0"),
        ],
    },
    Case {
        name: "a release comes after the capture",
        outcome: "without effect",
        steps: &[
            HOLD,
            (Sale, BEGIN, "PAYING"),
            (Wallet, RESERVE, "RESERVED"),
            (Sale, PIVOT, "PAID"),
            (Wallet, CAPTURE, "CAPTURED"),
            (Wallet, RELEASE, "CAPTURED"),
            FINISH,
            (Wallet, BALANCE, "700 of which set aside 0"),
        ],
    },
    Case {
        name: "a second payment of the same reservation, and the sweeper, while it is being paid",
        outcome: "both are refused by the state PAYING",
        steps: &[
            HOLD,
            (Sale, BEGIN, "PAYING"),
            (Sale, "SELECT (begin_all(ARRAY[1000 + $P]::bigint[], ARRAY[$P]::bigint[], ARRAY[1]))[1]", "NOT HELD"),
            (Sale, "SELECT sweep()::text", "0"),
            (Wallet, RESERVE, "RESERVED"),
            (Sale, PIVOT, "PAID"),
            (Wallet, CAPTURE, "CAPTURED"),
            FINISH,
        ],
    },
    Case {
        name: "the hold ends between reserve and pivot",
        outcome: "late: the points are free again, and so is the seat for another buyer",
        steps: &[
            HOLD,
            (Sale, BEGIN, "PAYING"),
            (Wallet, RESERVE, "RESERVED"),
            OVER,
            (Sale, PIVOT, "LATE"),
            (Sale, PIVOT, "GIVEN UP"),
            (Wallet, RELEASE, "RELEASED"),
            FINISH,
            (Sale, STATE, "LAPSED"),
            (Sale, "SELECT hold(2000 + $P, 2, 1, ARRAY[$P], 100, 60000)", "HELD"),
        ],
    },
    Case {
        name: "the wallet is away until the hold ends",
        outcome: "the seat is free at once, and the release waits for the wallet",
        steps: &[
            HOLD,
            (Sale, BEGIN, "PAYING"),
            OVER,
            GIVE_UP,
            (Sale, STATE, "LAPSED"),
            (Sale, "SELECT hold(3000 + $P, 2, 1, ARRAY[$P], 100, 60000)", "HELD"),
            (Wallet, RELEASE, "RELEASED"),
            FINISH,
        ],
    },
    Case {
        name: "the pivot was decided, then the same saga is given up",
        outcome: "paid: after the pivot nothing gives up",
        steps: &[
            HOLD,
            (Sale, BEGIN, "PAYING"),
            (Wallet, RESERVE, "RESERVED"),
            (Sale, PIVOT, "PAID"),
            (Sale, "SELECT give_up_all(ARRAY[$P]::bigint[], false)::text", "0"),
            (Wallet, CAPTURE, "CAPTURED"),
            FINISH,
            (Sale, STATE, "PAID"),
        ],
    },
    Case {
        name: "the buyer is poor, then charges, then the reserve comes again",
        outcome: "refused both times: the first answer stays",
        steps: &[
            (Wallet, "SELECT charge(1, -balance)::text FROM wallets WHERE buyer = 1", ""),
            HOLD,
            (Sale, BEGIN, "PAYING"),
            (Wallet, RESERVE, "REFUSED"),
            (Sale, "SELECT give_up_all(ARRAY[$P]::bigint[], true)::text", "1"),
            (Sale, STATE, "HELD"),
            (Wallet, "SELECT charge(1, 1000)::text", ""),
            (Wallet, RESERVE, "REFUSED"),
            (Wallet, BALANCE, "1000 of which set aside 0"),
        ],
    },
];

/// Sends the messages of each case, checks each answer, and audits both databases after each case.
pub(crate) async fn table(bed: &Bed, _: Size) -> Outcome<Part> {
    let mut part = Part::default();
    let mut table = Table::new(["messages", "outcome", "answers and audit"]);
    let books = bed.reset(Way::Saga).await?;
    books.wallet.batch_execute("SELECT charge(1, 1000); SELECT charge(2, 1000)").await?;
    for (number, case) in CASES.iter().enumerate() {
        let wrong = play(&books, case, number + 1).await?;
        let verdict = audit::audit(&books, &[]).await?;
        let judged = match wrong {
            Some(wrong) => wrong,
            None => verdict.to_string(),
        };
        if judged != "holds" {
            part.alarms.push(format!("{}: {judged}", case.name));
        }
        let answers = case.steps.len();
        table.row([case.name, case.outcome, &format!("as expected ({answers} answers); the audit {judged}")]);
    }
    part.text = format!("### Messages of the saga, lost, repeated, late and out of order\n\n{table}\n");
    Ok(part)
}

/// The first answer that is not the expected one.
async fn play(books: &Books, case: &Case, number: usize) -> Outcome<Option<String>> {
    for (at, statement, expected) in case.steps {
        let client = match at {
            Sale => &books.sale,
            Wallet => &books.wallet,
        };
        let statement = statement.replace("$P", &number.to_string());
        let answer: String = client.query_one(&statement, &[]).await?.get(0);
        if answer != *expected {
            return Ok(Some(format!("{statement} answered {answer:?} and not {expected:?}")));
        }
    }
    Ok(None)
}
