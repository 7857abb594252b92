//! A crowd that enters early in a room with a draw over three instances. The auditor knows the answers and the published draw, and
//! checks both against the contract.

use std::sync::Arc;
use std::time::Duration;

use onsale_testing::auditor::{Asked, Drawn, Opening, Recorder, Room, Rule, audit};
use onsale_testing::{Call, Caller, Dice, PATIENCE, Reply, iso};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::room::room;
use crate::support::{millis, text, until};

const PEOPLE: usize = 150;

/// They arrive within this time, in milliseconds. The list closes later.
const ARRIVE_WITHIN: u64 = 5_000;

const ROOM: Room = Room {
    max_active: 20,
    admit_per_second: 60,
    active_seconds: 3_600,
    claim_seconds: 3_600,
    // The contract's 250, and what a busy machine may add before a task runs again.
    as_of_millis_max: 750,
    // Instances may differ by as much.
    shows_millis_max: 750,
    // An instance knows the room's clock from messages that take their time.
    clocks_differ_millis: 250,
};

/// What a user intends to do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plan {
    /// Enters early and leaves with the turn.
    Stays,
    /// Enters early, and leaves before the list closes or while it does.
    Leaves,
    /// Enters once the list is closed.
    IsLate,
}

struct Hall {
    instances: Vec<Caller>,
    concert: String,
    recorder: Recorder,
}

/// One of the crowd.
struct Person {
    hall: Arc<Hall>,
    user: String,
    token: String,
    token_id: String,
    dice: Dice,
}

impl Person {
    /// Sends a request to a random instance, and again if the answer is 503.
    async fn ask(&mut self, asked: Asked, call: impl Fn(&Caller) -> Call) -> Reply {
        loop {
            let instance = usize::try_from(self.dice.below(self.hall.instances.len() as u64)).unwrap();
            let what = (u16::try_from(instance).unwrap(), asked);
            let who = (self.user.as_str(), self.token_id.as_str());
            let reply = self.hall.recorder.send(what, who, call(&self.hall.instances[instance])).await.unwrap();
            if reply.status != 503 {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn enter(&mut self) -> Value {
        let body = json!({"userId": self.user, "concertId": self.hall.concert});
        let place = self.ask(Asked::Enter, |caller| caller.post("/queue/tokens").json(&body)).await;
        assert!(place.status.is_success(), "{:?}", place.body);
        let place = place.json();
        (self.token, self.token_id) = (text(&place["token"]), text(&place["tokenId"]));
        place
    }

    async fn poll(&mut self) -> Value {
        let token = self.token.clone();
        self.ask(Asked::Poll, |caller| caller.get("/queue/token").token(&token)).await.expect(200)
    }

    async fn leave(&mut self) {
        let token = self.token.clone();
        self.ask(Asked::Leave, |caller| caller.delete("/queue/token").token(&token)).await.expect(204);
    }

    async fn until_closed(&self) {
        let path = format!("/concerts/{}/draw", self.hall.concert);
        let closed = async {
            loop {
                let draw = self.hall.instances[0].get(&path).send().await;
                if draw.status == 200 && !draw.json()["closedAt"].is_null() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, closed).await.unwrap();
    }

    async fn comes(mut self, plan: Plan) {
        match plan {
            Plan::IsLate => self.until_closed().await,
            _ => tokio::time::sleep(Duration::from_millis(self.dice.below(ARRIVE_WITHIN))).await,
        }
        let mut place = self.enter().await;
        if plan == Plan::Leaves {
            // Up to a second after the closing.
            tokio::time::sleep(Duration::from_millis(self.dice.below(2 * ARRIVE_WITHIN))).await;
            return self.leave().await;
        }
        while place["status"] != "ACTIVE" {
            assert_ne!(place["status"], "EXPIRED", "{}: {place}", self.user);
            tokio::time::sleep(Duration::from_millis(100 + self.dice.below(600))).await;
            place = if self.dice.percent(10) { self.enter().await } else { self.poll().await };
        }
        self.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_to_a_crowd_that_enters_early_contradicts_the_contract() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let mut queue = room(ROOM.max_active);
    queue["admitPerSecond"] = json!(ROOM.admit_per_second);
    (queue["earlyFrom"], queue["order"], queue["drawAt"]) = (json!(iso(-60)), json!("draw"), json!(iso(9)));
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": iso(14), "queue": queue});
    let made = many.at(0).admin(many.at(0).caller.post("/admin/concerts")).json(&body).expect(201).await;
    let (concert, opens_at) = (text(&made["concertId"]), millis(&made["opensAt"]));
    // A new concert may not have reached each instance.
    for sale in &many.sales {
        let path = format!("/concerts/{concert}/draw");
        until("the concert", async || (sale.caller.get(&path).send().await.status == 200).then_some(())).await;
    }
    let instances = many.sales.iter().map(|sale| Caller::new(sale.instance.base())).collect();
    let hall = Arc::new(Hall { instances, concert, recorder: Recorder::begin(ROOM) });
    let mut dice = Dice::new(19);
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..PEOPLE {
        let plan = match dice.below(10) {
            0 => Plan::Leaves,
            1 | 2 => Plan::IsLate,
            _ => Plan::Stays,
        };
        let person = Person {
            hall: hall.clone(),
            user: format!("user-{number}"),
            token: String::new(),
            token_id: String::new(),
            dice: Dice::new(dice.below(u64::MAX)),
        };
        crowd.spawn(person.comes(plan));
    }
    while let Some(ended) = crowd.join_next().await {
        ended.unwrap();
    }

    let path = format!("/concerts/{}/draw", hall.concert);
    let draw = many.at(1).caller.get(&path).expect(200).await;
    let csv = many.at(2).caller.get(&format!("{path}/entries")).send().await;
    let drawn = Drawn::read(&draw, &String::from_utf8(csv.unpacked().to_vec()).unwrap());
    assert!(drawn.as_ref().is_some_and(|drawn| !drawn.places.is_empty()), "{draw}");
    hall.recorder.opened(Opening { opens_at, drawn });
    let report = audit(&hall.recorder.log());
    println!("{report}");
    if let (false, Ok(path)) = (report.is_sound(), std::env::var("ONSALE_TEST_KEEP_LOG")) {
        hall.recorder.log().write(path.as_ref()).unwrap();
    }
    assert!(report.is_sound(), "{report}");
    for rule in Rule::OF_DRAWS.into_iter().chain([Rule::Unique, Rule::Age, Rule::Cap, Rule::Rate]) {
        assert!(report.checks(rule) > 50, "{rule:?} is hardly checked: {report}");
    }
    many.is_in_order().await;
}
