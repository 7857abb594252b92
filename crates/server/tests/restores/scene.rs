//! A sale in the middle of its evening, before and after a restore.

use std::collections::{BTreeMap, HashMap};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onsale_testing::{Launch, Sale};
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::task::JoinSet;

use crate::platform::Platform;
use crate::support::{ONSALE, text, until};

/// Users whose wallets are charged.
const USERS: usize = 9;

/// How many people a crowd has.
const PEOPLE: u32 = 8;

/// A server, and a consumer that posts its events.
pub(crate) struct Evening {
    pub(crate) launch: Launch,
    pub(crate) sale: Sale,
    consumer: Child,
}

/// People who buy, in the background.
pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    people: JoinSet<()>,
}

impl Crowd {
    pub(crate) async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(person) = self.people.join_next().await {
            person.unwrap();
        }
    }
}

/// People in line before a door that stays shut.
pub(crate) struct Line {
    concert: String,
    tokens: Vec<String>,
}

impl Evening {
    pub(crate) async fn start(launch: Launch, platform: &Platform) -> Self {
        let launch = launch.set("ONSALE_DATA_PLATFORM_URL", platform.url());
        let sale = Sale::start(&launch).await;
        let mut consume = launch.command(&["consume"]);
        let consumer = consume.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        Self { launch, sale, consumer }
    }

    /// A scene on the Postgres at this URL.
    pub(crate) async fn on(url: &str, platform: &Platform) -> Self {
        Self::start(Sale::launch(ONSALE).on(url), platform).await
    }

    /// A crowd that buys seats and then charges points, until it is stopped.
    pub(crate) async fn crowd(&self, name: &str) -> Crowd {
        let open = json!({"maxActive": 100, "admitPerSecond": 1_000, "claimSeconds": 3_600});
        let concert = self.sale.concert(&open).await;
        let performance = self.sale.performance(&concert, &json!(null)).await;
        let (stop, mut people) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for seat in 1..=PEOPLE {
            let user = format!("{name}-{seat}");
            let token = self.sale.active(&concert, &user).await;
            self.sale.charge(&user, 1_000_000).await;
            let hold = self.sale.hold(&token, &performance, &[seat, seat + PEOPLE]).await;
            self.sale.pay(&token, &hold).expect(201).await;
            let (stop, caller) = (stop.clone(), self.sale.caller.clone());
            people.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let path = format!("/point/{user}/charge");
                    caller.patch(&path).json(&json!({"amount": 1})).expect(200).await;
                }
            });
        }
        Crowd { stop, people }
    }

    /// Charges each wallet with this many points.
    pub(crate) async fn charge(&self, amount: i64) {
        for user in 0..USERS {
            self.sale.charge(&format!("user-{user}"), amount).await;
        }
    }

    /// Whether the database takes writes again.
    pub(crate) async fn try_charge(&self) -> bool {
        let charge = self.sale.caller.patch("/point/user-0/charge").json(&json!({"amount": 1}));
        charge.key("again").send().await.status == 200
    }

    pub(crate) async fn until_sent(&self, platform: &Platform, more: usize) {
        let before = platform.told.lock().unwrap().taken.len();
        let sent = async || (platform.told.lock().unwrap().taken.len() >= before + more).then_some(());
        until("events are sent", sent).await;
    }

    /// People in line.
    pub(crate) async fn line(&self) -> Line {
        let still = json!({"maxActive": 1, "claimSeconds": 3_600, "activeSeconds": 86_400});
        let concert = self.sale.concert(&still).await;
        let pause = self.sale.caller.patch(&format!("/admin/concerts/{concert}/queue")).json(&json!({"paused": true}));
        self.sale.admin(pause).expect(200).await;
        let mut line = Line { concert, tokens: Vec::new() };
        self.enter(&mut line, 0..5).await;
        line
    }

    pub(crate) async fn enter(&self, line: &mut Line, users: std::ops::Range<usize>) {
        for user in users {
            let place = self.sale.enter(&line.concert, &format!("waiter-{user}")).await;
            line.tokens.push(text(&place["token"]));
        }
    }

    /// After a restore: the sale takes new work, the line stands as it stood, the token of a lost turn is of no use, and every
    /// event arrives. Returns how many events arrived more than once.
    pub(crate) async fn goes_on(&self, platform: &Platform, line: &Line, lost: &str) -> usize {
        self.charge(1_000).await;
        self.forgets(lost).await;
        self.keeps(line).await;
        let crowd = self.crowd("late").await;
        self.until_sent(platform, 50).await;
        crowd.stop().await;
        self.all_arrived(platform).await
    }

    /// All users of a line keep their positions, and a new user is behind them.
    pub(crate) async fn keeps(&self, line: &Line) {
        for (ahead, token) in line.tokens.iter().enumerate() {
            let place = self.sale.until(token, |place| place["position"] == ahead + 1).await;
            assert_eq!(place["status"], "WAITING");
        }
        let place = self.sale.enter(&line.concert, "the-newest").await;
        assert_eq!(place["position"], line.tokens.len() + 1);
    }

    pub(crate) async fn audit(&self) {
        let audit = self.launch.run(&["audit"]).await;
        assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    }

    /// All events of the log.
    pub(crate) async fn log(&self) -> Vec<Value> {
        let run = self.launch.run(&["events", "--json"]).await;
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let lines = String::from_utf8(run.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until nothing is left to send. Then every event of the log has arrived, those of a subject in the order in
    /// which they first came, and no id came with two contents. Returns how many came more than once.
    pub(crate) async fn all_arrived(&self, platform: &Platform) -> usize {
        let log = self.log().await;
        assert!(!log.is_empty());
        let came = async || {
            let taken = platform.told.lock().unwrap().taken.clone();
            let ids: HashMap<String, usize> =
                taken.iter().rev().enumerate().map(|(at, event)| (text(&event["id"]), at)).collect();
            log.iter().all(|event| ids.contains_key(&text(&event["id"]))).then_some(taken)
        };
        let taken = until("every event of the log arrives", came).await;
        let (mut first, mut repeated): (BTreeMap<String, &Value>, usize) = (BTreeMap::new(), 0);
        let mut subjects: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in &taken {
            let id = text(&event["id"]);
            match first.insert(id.clone(), event) {
                Some(before) => {
                    assert_eq!(before, event, "an id names one event");
                    repeated += 1;
                }
                None => subjects.entry(text(&event["subject"])).or_default().push(id),
            }
        }
        let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in &log {
            wanted.entry(text(&event["subject"])).or_default().push(text(&event["id"]));
        }
        // What came before the restore, and is not known any more, is left out.
        for (subject, wanted) in &wanted {
            let mut came = subjects.remove(subject).unwrap_or_default();
            came.retain(|id| wanted.contains(id));
            assert_eq!(&came, wanted, "in order for {subject}");
        }
        let sent = async || self.launch.run(&["events", "--state", "pending"]).await.stdout.is_empty().then_some(());
        until("nothing is pending", sent).await;
        repeated
    }

    /// The end of everything that works on the database.
    pub(crate) async fn kill(mut self) -> Launch {
        self.consumer.kill().await.unwrap();
        self.sale.instance.kill().await;
        self.launch
    }
}

impl Evening {
    /// A user enters a line after the backup, so the restore loses the place.
    pub(crate) async fn enter_for_a_moment(&self, line: &Line) -> String {
        text(&self.sale.enter(&line.concert, "the-lost").await["token"])
    }

    /// A token of which the database knows nothing buys nothing: it is not called before its place is.
    pub(crate) async fn forgets(&self, token: &str) {
        let place = self.sale.caller.get("/queue/token").token(token).expect(200).await;
        assert_ne!(place["status"], "ACTIVE", "{place}");
    }
}
