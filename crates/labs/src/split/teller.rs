//! A client that pays: one connection to each database, and the way in which it keeps them in step.

use std::time::{Duration, Instant};

use onsale_testing::Signal;
use rustix::process::{getpid, kill_process};

use super::in_doubt;
use super::session::{Failure, Session};
use super::{saga, two_phase};

/// A way to change points and seats together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// One database, one transaction.
    One,
    /// Two databases, a two-phase commit (`PREPARE TRANSACTION`).
    TwoPhase,
    /// Two databases, a saga: reserve, pivot, capture.
    Saga,
    /// Two databases: debit, then sell; a refund if that is refused. After a crash no process goes on with it.
    NoRecovery,
}

/// All ways, in the order of the tables. The last one must be seen to fail.
pub(crate) const WAYS: [Way; 4] = [Way::One, Way::TwoPhase, Way::Saga, Way::NoRecovery];

impl Way {
    /// As tables name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "one database",
            Self::TwoPhase => "two, 2PC",
            Self::Saga => "two, saga",
            Self::NoRecovery => "two, no recovery",
        }
    }

    /// As the command line of a worker names it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::TwoPhase => "two-phase",
            Self::Saga => "saga",
            Self::NoRecovery => "no-recovery",
        }
    }

    /// Whether points and seats are in different databases.
    pub(crate) fn is_split(self) -> bool {
        self != Self::One
    }

    /// The points after which a worker can be made to crash, in the order in which a payment passes them.
    pub(crate) fn steps(self) -> &'static [&'static str] {
        match self {
            Self::One => &["sold"],
            Self::TwoPhase => &["wallet-prepared", "sale-prepared", "sale-committed", "wallet-committed"],
            Self::Saga => &["begun", "reserved", "sold", "captured"],
            Self::NoRecovery => &["debited", "sold"],
        }
    }
}

/// A payment that a client requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// Chosen by the client, so that it can be sent again.
    pub(crate) payment: i64,
    pub(crate) reservation: i64,
    pub(crate) buyer: i32,
    /// In points.
    pub(crate) amount: i64,
}

/// Columns of orders, as the functions of the databases take them.
pub(crate) struct Columns {
    pub(crate) payments: Vec<i64>,
    pub(crate) reservations: Vec<i64>,
    pub(crate) buyers: Vec<i32>,
    pub(crate) amounts: Vec<i64>,
}

impl Columns {
    pub(crate) fn of(orders: &[Order]) -> Self {
        Self {
            payments: orders.iter().map(|order| order.payment).collect(),
            reservations: orders.iter().map(|order| order.reservation).collect(),
            buyers: orders.iter().map(|order| order.buyer).collect(),
            amounts: orders.iter().map(|order| order.amount).collect(),
        }
    }
}

/// What came of a batch of orders.
pub(crate) struct Decided {
    /// The payments that succeeded.
    pub(crate) paid: Vec<i64>,
    /// When the outcome could be answered: it is durable, and will not change.
    pub(crate) at: Instant,
}

/// The URLs of the databases.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) sale: String,
    /// The same as `sale` if the way is not split.
    pub(crate) wallet: String,
}

/// A client of one way.
pub(crate) struct Teller {
    pub(crate) way: Way,
    places: Places,
    /// Unique among the tellers of all workers: the name of its sessions and the beginning of its global transaction ids.
    name: String,
    /// Connections opened so far. Part of the names of the sessions.
    opened: u32,
    /// Two-phase commits begun so far.
    pub(crate) begun: u64,
    pub(crate) sale: Session,
    pub(crate) wallet: Session,
    /// The step after which this process kills itself.
    pub(crate) crash_after: Option<String>,
}

impl Teller {
    /// Connects as soon as both databases accept connections.
    pub(crate) async fn open(way: Way, places: &Places, name: &str) -> Self {
        let (sale, wallet) = connect(places, &format!("{name}-0")).await;
        let name = name.to_owned();
        Self { way, places: places.clone(), name, opened: 1, begun: 0, sale, wallet, crash_after: None }
    }

    /// Pays orders together. On an error their outcome is unknown; [`Self::recover`] makes the teller usable again.
    pub(crate) async fn pay(&mut self, orders: &[Order]) -> Result<Decided, Failure> {
        match self.way {
            Way::One => self.pay_in_one(orders).await,
            Way::TwoPhase => two_phase::pay(self, orders).await,
            Way::Saga => saga::pay(self, orders).await,
            Way::NoRecovery => self.debit_then_sell(orders).await,
        }
    }

    /// After an error: connects again as soon as both databases are there, and finds out what came of an own two-phase
    /// commit.
    pub(crate) async fn recover(&mut self) {
        loop {
            let session = format!("{}-{}", self.name, self.opened);
            self.opened += 1;
            (self.sale, self.wallet) = connect(&self.places, &session).await;
            let Way::TwoPhase = self.way else { return };
            let prefix = format!("{}-", self.name);
            match in_doubt::resolve(&mut self.sale, &mut self.wallet, &prefix, &session).await {
                Ok(_) => return,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// A new global transaction id of this teller.
    pub(crate) fn new_gid(&mut self, orders: &[Order]) -> String {
        self.begun += 1;
        in_doubt::gid(&self.name, self.begun, orders.first().map_or(0, |order| order.payment))
    }

    /// Kills this process if it must crash after this step.
    pub(crate) fn passed(&self, step: &str) {
        if self.crash_after.as_deref() == Some(step) {
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }

    async fn pay_in_one(&mut self, orders: &[Order]) -> Result<Decided, Failure> {
        let columns = Columns::of(orders);
        let Columns { payments, reservations, buyers, amounts } = &columns;
        let answers =
            self.sale.words("SELECT pay_all($1, $2, $3, $4)", &[payments, reservations, buyers, amounts]).await?;
        self.passed("sold");
        Ok(Decided { paid: those(orders, &answers, &["SOLD", "PAID"]).payments, at: Instant::now() })
    }

    async fn debit_then_sell(&mut self, orders: &[Order]) -> Result<Decided, Failure> {
        let columns = Columns::of(orders);
        let answers = self
            .wallet
            .words("SELECT debit_all($1, $2, $3)", &[&columns.payments, &columns.buyers, &columns.amounts])
            .await?;
        let debited = picked(orders, &answers, &["DEBITED"]);
        if debited.is_empty() {
            return Ok(Decided { paid: Vec::new(), at: Instant::now() });
        }
        self.passed("debited");
        let columns = Columns::of(&debited);
        let answers = self
            .sale
            .words("SELECT sell_all($1, $2, $3)", &[&columns.payments, &columns.reservations, &columns.buyers])
            .await?;
        let at = Instant::now();
        self.passed("sold");
        let refused = Columns::of(&picked(&debited, &answers, &["NOT HELD", "LATE"]));
        if !refused.payments.is_empty() {
            self.wallet
                .words("SELECT refund_all($1, $2, $3)", &[&refused.payments, &refused.buyers, &refused.amounts])
                .await?;
        }
        Ok(Decided { paid: those(&debited, &answers, &["SOLD", "PAID"]).payments, at })
    }
}

async fn connect(places: &Places, name: &str) -> (Session, Session) {
    (Session::open_patiently(&places.sale, name).await, Session::open_patiently(&places.wallet, name).await)
}

/// The orders that were answered with one of these words.
pub(crate) fn picked(orders: &[Order], answers: &[String], words: &[&str]) -> Vec<Order> {
    let is_one = |answer: &String| words.contains(&answer.as_str());
    orders.iter().zip(answers).filter(|(_, answer)| is_one(answer)).map(|(order, _)| *order).collect()
}

/// Columns of [`picked`].
pub(crate) fn those(orders: &[Order], answers: &[String], words: &[&str]) -> Columns {
    Columns::of(&picked(orders, answers, words))
}
