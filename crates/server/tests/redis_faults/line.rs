//! A line of people over several instances, and what must hold of it.

use std::time::{Duration, Instant};

use onsale_testing::postgres::{Database, shared};
use onsale_testing::{Launch, Reply, Sale, without};
use serde_json::{Value, json};

use crate::support::room::{room, token};
use crate::support::{ONSALE, at_once, text, until};

/// Entering works again within five seconds of the end of a fault. The rest is for a slow machine.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(5 + 25);

/// No request waits longer than 10 seconds. The rest is for a slow machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10 + 10);

/// Instances with one room that lets one in at a time.
pub(crate) struct Line {
    pub(crate) sales: Vec<Sale>,
    pub(crate) concert: String,
    /// The user with the turn, then the users in line, in order.
    pub(crate) tokens: Vec<String>,
    launch: Launch,
    database: Database,
}

impl Line {
    /// Each instance has its rooms at one of these URLs. One user has the turn, and this many wait.
    pub(crate) async fn start(redis: &[String], waiting: usize) -> Option<Self> {
        if without("postgres") || without("redis") {
            return None;
        }
        let database = shared().await.migrated(ONSALE).await;
        let launch = Sale::launch(ONSALE).on(database.url());
        let mut sales = Vec::new();
        for url in redis {
            sales.push(Sale::start(&launch.another().set("ONSALE_REDIS_URL", url)).await);
        }
        let concert = sales[0].concert(&room(1)).await;
        let mut line = Self { sales, concert, tokens: Vec::new(), launch, database };
        line.tokens.push(line.sales[0].active(&line.concert, "inside").await);
        for number in 0..waiting {
            let place = line.at(number).enter(&line.concert, &user(number)).await;
            line.tokens.push(token(&place));
        }
        Some(line)
    }

    /// One instance after another, round and round.
    pub(crate) fn at(&self, number: usize) -> &Sale {
        &self.sales[number % self.sales.len()]
    }

    /// One more instance, with its rooms there.
    pub(crate) async fn start_another(&self, redis: &str) -> Sale {
        Sale::start(&self.launch.another().set("ONSALE_REDIS_URL", redis)).await
    }

    /// The room's row as the database has it now, to be set back to later.
    pub(crate) async fn row(&self) -> String {
        let sql = self.database.sql().await;
        let row = sql.query_one("SELECT to_jsonb(rooms)::text FROM rooms", &[]).await.unwrap();
        row.get(0)
    }

    /// How far places are reserved by a row, from its blocks: the epoch, then the last place.
    pub(crate) fn reserved_to(row: &str) -> u64 {
        let row: Value = serde_json::from_str(row).unwrap();
        let blocks = text(&row["blocks"]);
        u64::from_str_radix(&blocks[2 + 16..2 + 32], 16).unwrap()
    }

    /// Sets the database back to an earlier row, as a restore or an asynchronous failover does.
    pub(crate) async fn set_back(&self, row: &str) {
        let sql = self.database.sql().await;
        let set = "UPDATE rooms SET (issued, served, given_up, active, admissions, version, stated_version, updated_at, blocks)
            = (SELECT issued, served, given_up, active, admissions, version, version, updated_at, blocks
               FROM jsonb_populate_record(null::rooms, ($1::text)::jsonb))";
        assert_eq!(sql.execute(set, &[&row]).await.unwrap(), 1);
    }

    /// Ends all instances, does something, and starts as many anew.
    pub(crate) async fn restart_around(&mut self, redis: &str, doing: impl AsyncFnOnce(&Self)) {
        let count = self.sales.len();
        for sale in std::mem::take(&mut self.sales) {
            sale.instance.terminate().await;
        }
        doing(self).await;
        for _ in 0..count {
            self.sales.push(self.start_another(redis).await);
        }
    }

    /// This many users enter at once. Returns the tokens of those who got a place.
    pub(crate) async fn crowd(&self, name: &str, count: usize) -> Vec<String> {
        let enter = |number: usize| {
            let body = json!({"userId": format!("{name}-{number}"), "concertId": self.concert});
            self.at(number).caller.post("/queue/tokens").json(&body)
        };
        let replies = at_once((0..count).map(enter).collect::<Vec<_>>()).await;
        for reply in replies.iter().filter(|reply| reply.status.is_success()) {
            assert_eq!(reply.json()["status"], "WAITING", "a newcomer has a place in line");
        }
        tokens(&replies)
    }

    /// Tries to enter, at one instance.
    pub(crate) async fn try_enter(&self, number: usize, user: &str) -> Reply {
        let body = json!({"userId": user, "concertId": self.concert});
        let since = Instant::now();
        let reply = self.at(number).caller.post("/queue/tokens").json(&body).send().await;
        assert!(since.elapsed() < ANSWERED_WITHIN, "an answer after {:?}", since.elapsed());
        reply
    }

    /// A new user cannot enter, and gets a 503 with `Retry-After`.
    pub(crate) async fn no_user_can_enter(&self, user: &str) {
        let reply = self.try_enter(0, user).await;
        reply.refused(503, "unavailable");
        assert!(reply.header("retry-after").is_some());
    }

    /// Enters as soon as that works again; the place.
    pub(crate) async fn enter_again(&self, user: &str) -> Value {
        let since = Instant::now();
        let entered = async || {
            let reply = self.try_enter(0, user).await;
            (reply.status != 503).then_some(reply)
        };
        let reply = until("one can enter again", entered).await;
        assert!(since.elapsed() < BACK_WITHIN, "entered after {:?}", since.elapsed());
        // A user who got a 503 may have a place all the same.
        assert!(reply.status.is_success(), "{:?}", reply.body);
        reply.json()
    }

    /// Enters as soon as another server has been promoted; the place.
    pub(crate) async fn enter_after_failover(&self, user: &str) -> Value {
        let entered = async || {
            let reply = self.try_enter(0, user).await;
            (reply.status != 503).then_some(reply)
        };
        until("one can enter after the failover", entered).await.json()
    }

    /// All users keep their positions at every instance; one instance may be a moment later than another.
    pub(crate) async fn stands(&self) {
        for (number, token) in self.tokens.iter().enumerate() {
            let wanted = if number == 0 { json!(["ACTIVE", null]) } else { json!(["WAITING", number]) };
            let at = self.at(number);
            at.until(token, |place| json!([place["status"], place["position"]]) == wanted).await;
        }
    }

    /// A user who enters again has the same place, once Redis knows the tokens that were shown.
    pub(crate) async fn all_users_are_known(&self, waiting: usize) {
        for number in 0..waiting {
            let known = async || {
                // As clients do who wait: each poll shows the token.
                self.at(number).caller.get("/queue/token").token(&self.tokens[number + 1]).expect(200).await;
                let reply = self.try_enter(number, &user(number)).await;
                (reply.status == 200 && reply.json()["token"] == json!(self.tokens[number + 1])).then_some(())
            };
            until(&format!("{} has the same place", user(number)), known).await;
        }
    }

    /// Users leave one after another, and each time the next user in line is admitted, and no other.
    pub(crate) async fn admits_in_order(&self) {
        for (number, pair) in self.tokens.windows(2).enumerate() {
            self.at(number).caller.delete("/queue/token").token(&pair[0]).expect(204).await;
            self.at(number + 1).until_status(&pair[1], "ACTIVE").await;
            if let Some(after) = self.tokens.get(number + 2) {
                let is_next = |place: &Value| {
                    assert_eq!(place["status"], "WAITING", "a user is admitted out of order: {place}");
                    place["position"] == 1
                };
                self.at(number).until(after, is_next).await;
            }
        }
        let audit = self.launch.run(&["audit"]).await;
        assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    }

    /// The output of `onsale audit`.
    pub(crate) async fn audit(&self) -> std::process::Output {
        self.launch.run(&["audit"]).await
    }

    /// The user who entered last is behind all other users, once all instances have reported their counters.
    pub(crate) async fn joined_last(&mut self, place: &Value) {
        let (token, behind) = (text(&place["token"]), self.tokens.len());
        for sale in &self.sales {
            sale.until(&token, |place| place["position"] == json!(behind)).await;
        }
        self.tokens.push(token);
    }

    /// The position of each user, polled at one instance, as of an instant after all of them were shown.
    pub(crate) async fn positions(&self, tokens: &[String]) -> Vec<u64> {
        let sale = self.at(0);
        let ask = || tokens.iter().map(|token| sale.caller.get("/queue/token").token(token)).collect::<Vec<_>>();
        at_once(ask()).await;
        let settled = async || {
            let positions = || async {
                let replies = at_once(ask()).await;
                replies.iter().map(|reply| reply.json()["position"].as_u64().unwrap_or(0)).collect::<Vec<_>>()
            };
            let (before, after) = (positions().await, positions().await);
            let mut all = after.clone();
            all.sort_unstable();
            all.dedup();
            (before == after && all.len() == tokens.len()).then_some(after)
        };
        until("no two have the same position", settled).await
    }
}

/// A user in line.
pub(crate) fn user(number: usize) -> String {
    format!("user-{number}")
}

/// The tokens of those who entered.
pub(crate) fn tokens(replies: &[Reply]) -> Vec<String> {
    let entered = replies.iter().filter(|reply| reply.status.is_success());
    entered.map(|reply| text(&reply.json()["token"])).collect()
}
