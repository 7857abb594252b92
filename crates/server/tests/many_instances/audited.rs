//! A crowd in one room over three instances. Each user acts differently, every answer is recorded, and an auditor that knows
//! only the record checks it against the contract.

use std::sync::Arc;
use std::time::Duration;

use onsale_testing::auditor::{Asked, Recorder, Room, Rule, audit};
use onsale_testing::{Call, Caller, Dice, Reply};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::text;

const PEOPLE: usize = 1_000;

/// So long they keep coming, in milliseconds.
const ARRIVE_WITHIN: u64 = 4_000;

const ROOM: Room = Room {
    max_active: 50,
    admit_per_second: 60,
    active_seconds: 8,
    claim_seconds: 4,
    // The contract's 250, and what a busy machine may add before a task runs again.
    as_of_millis_max: 750,
    // Instances may differ by as much.
    shows_millis_max: 750,
    // An instance knows the room's clock from messages that take their time.
    clocks_differ_millis: 250,
};

/// After as many polls who has no reason to go on stops.
const POLLS_MAX: usize = 400;

/// What a user intends to do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plan {
    /// Holds a seat and pays it.
    Buys,
    /// Reads the seat map, and lets the turn run out.
    Looks,
    /// Gives the place up before the turn.
    Leaves,
    /// Enters once and never polls.
    StaysAway,
}

/// The sale that all users share.
struct Hall {
    instances: Vec<Caller>,
    concert: String,
    performance: String,
    recorder: Recorder,
}

/// One of the crowd.
struct Person {
    hall: Arc<Hall>,
    user: String,
    seat: usize,
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

    /// Polls at the interval that the server returns, some users more often, and enters again at times, until the turn begins.
    async fn waits(&mut self, mut place: Value, leaves: bool) -> Value {
        let eager = self.dice.percent(15);
        for polls in 0..POLLS_MAX {
            if place["status"] != "WAITING" || (leaves && polls == 2) {
                return place;
            }
            let interval = place["pollAfterSeconds"].as_u64().unwrap() * 1_000;
            // A client that comes a little early is as good as on time.
            let after = if eager { 40 + self.dice.below(400) } else { interval - self.dice.below(interval / 2) };
            tokio::time::sleep(Duration::from_millis(after)).await;
            place = if self.dice.percent(5) { self.enter().await } else { self.poll().await };
        }
        panic!("{} waits for ever: {place}", self.user)
    }

    async fn looks(&mut self) -> Reply {
        let (token, path) = (self.token.clone(), format!("/concerts/{}/dates", self.hall.concert));
        self.ask(Asked::Use, |caller| caller.get(&path).token(&token)).await
    }

    /// Holds a seat of one's own and pays for it, which costs nothing.
    async fn buys(&mut self) {
        let (token, hall) = (self.token.clone(), self.hall.clone());
        let body = json!({"performanceId": hall.performance, "seats": [self.seat]});
        let held = self.ask(Asked::Hold, |caller| caller.post("/reservations").token(&token).json(&body)).await;
        let body = json!({"reservationId": held.expect(201)["reservationId"]});
        self.ask(Asked::Pay, |caller| caller.post("/payments").token(&token).json(&body)).await.expect(201);
    }

    async fn leaves(&mut self) {
        let token = self.token.clone();
        self.ask(Asked::Leave, |caller| caller.delete("/queue/token").token(&token)).await.expect(204);
    }

    /// Polls a few times a second until the turn is over.
    async fn until_over(&mut self) {
        for _ in 0..POLLS_MAX {
            if self.poll().await["status"] == "EXPIRED" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("{}'s turn never ends", self.user);
    }

    async fn comes(mut self, plan: Plan) {
        tokio::time::sleep(Duration::from_millis(self.dice.below(ARRIVE_WITHIN))).await;
        let place = self.enter().await;
        if plan == Plan::StaysAway {
            return;
        }
        let place = self.waits(place, plan == Plan::Leaves).await;
        match plan {
            Plan::Buys => {
                assert_eq!(place["status"], "ACTIVE", "a user who polls in time keeps the turn: {place}");
                self.looks().await.expect(200);
                self.buys().await;
                self.until_over().await;
            }
            Plan::Looks => {
                self.looks().await.expect(200);
                self.until_over().await;
                // A new place, at the end.
                self.enter().await;
                self.leaves().await;
            }
            Plan::Leaves => {
                self.leaves().await;
                self.until_over().await;
            }
            Plan::StaysAway => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_to_a_crowd_contradicts_the_contract() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let queue = json!({
        "maxActive": ROOM.max_active, "admitPerSecond": ROOM.admit_per_second,
        "activeSeconds": ROOM.active_seconds, "claimSeconds": ROOM.claim_seconds,
    });
    let concert = many.at(0).concert(&queue).await;
    let performance = many.at(0).performance(&concert, &json!([{"from": 1, "to": PEOPLE, "price": 0}])).await;
    let instances = many.sales.iter().map(|sale| Caller::new(sale.instance.base())).collect();
    let hall = Arc::new(Hall { instances, concert, performance, recorder: Recorder::begin(ROOM) });
    let mut dice = Dice::new(Dice::seed());
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..PEOPLE {
        let plan = match dice.below(20) {
            0 => Plan::StaysAway,
            1 | 2 => Plan::Leaves,
            3 => Plan::Looks,
            _ => Plan::Buys,
        };
        let person = Person {
            hall: hall.clone(),
            user: format!("user-{number}"),
            seat: number + 1,
            token: String::new(),
            token_id: String::new(),
            dice: Dice::new(dice.below(u64::MAX)),
        };
        crowd.spawn(person.comes(plan));
    }
    while let Some(ended) = crowd.join_next().await {
        ended.unwrap();
    }

    let report = audit(&hall.recorder.log());
    println!("{report}");
    if let (false, Ok(path)) = (report.is_sound(), std::env::var("ONSALE_TEST_KEEP_LOG")) {
        hall.recorder.log().write(path.as_ref()).unwrap();
    }
    assert!(report.is_sound(), "{report}");
    for rule in Rule::ALL {
        assert!(report.checks(rule) > 100, "{rule:?} is hardly checked: {report}");
    }
    many.is_in_order().await;
}
