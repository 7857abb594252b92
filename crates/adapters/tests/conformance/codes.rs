//! Presale codes: what a hold uses, what gives a use back, and which hold gets the last use.

use std::sync::Arc;

use futures_util::future::join_all;
use onsale_app::store::{Page, Reader};
use onsale_domain::Refusal;
use onsale_domain::concert::{self, Hold, Performance, Release, Target};
use onsale_domain::ids::ConcertId;
use onsale_domain::presale::{self, CreateCodes, DeleteCode, NewCode};
use onsale_domain::refund::RefundByStaff;
use onsale_domain::waiting_room::{Enter, Token};
use onsale_testing::without;

use crate::bed::{Bed, instance, on_each_database};
use crate::lane::Lane;
use crate::mixed::{AnyCommand, Done};
use crate::stage::{OPEN_DOORS, held, open_concert, pay, refund, schedule, user};

/// A concert whose presale lasts for an hour, with two performances of 20 free seats that cost nothing.
struct Presale {
    lane: Lane,
    concert: ConcertId,
    performances: [Performance; 2],
}

impl Presale {
    async fn new(bed: &Bed) -> Self {
        let store = bed.store().await;
        let (mut lane, now) = (Lane::new(&*store, 1).await, store.reader().now());
        let concert = open_concert(&mut lane, OPEN_DOORS).await;
        let performances =
            [schedule(&mut lane, now, concert, 20, 0).await, schedule(&mut lane, now, concert, 20, 0).await];
        let codes_until = Some(Some(now.plus_seconds(3_600)));
        lane.done(concert::Change { codes_until, ..concert::Change::of(concert) }).await;
        Self { lane, concert, performances }
    }

    fn codes(&self, text: &str, uses: u32, uses_per_user: u32) -> CreateCodes {
        let code = NewCode { text: Some(text.into()), uses, uses_per_user, from: None, until: None };
        CreateCodes { concert: self.concert, codes: vec![code] }
    }

    async fn enter(&mut self, name: &str) -> Token {
        let user = user(name);
        let command = Enter { concert: self.concert, user, pass: Some(Ok(())), ended: None };
        match self.lane.done(command).await {
            Done::Enter(entered) => entered.token,
            other => unreachable!("{other:?}"),
        }
    }

    /// The outcome of a hold of a seat of the first performance.
    async fn hold(&mut self, token: &Token, seat: i64, code: Option<&str>) -> Result<Done, Refusal> {
        let hold = hold(token, &self.performances[0], seat, code);
        self.lane.run([hold]).await.expect("a unit of work").remove(0)
    }

    /// Texts of the codes, each with its holds and payments.
    async fn listed(&self, reader: &dyn Reader) -> Vec<(Arc<str>, u64)> {
        let codes = reader.codes(self.concert, Page { after: None, limit: 10 }).await.expect("codes");
        codes.into_iter().map(|(code, used)| (code.text, used)).collect()
    }
}

fn hold(token: &Token, performance: &Performance, seat: i64, code: Option<&str>) -> AnyCommand {
    let target = Target::Performance(performance.id);
    Hold { token: token.clone(), target, dates: None, seats: [seat].into(), code: code.map(Into::into) }.into()
}

async fn what_ends_a_hold_gives_its_use_back(bed: Bed) {
    let mut sale = Presale::new(&bed).await;
    let reader = bed.store().await.reader();
    sale.lane.done(sale.codes("FAN", 1, 1)).await;
    let (ann, bob) = (sale.enter("ann").await, sale.enter("bob").await);
    assert!(matches!(sale.hold(&ann, 1, None).await, Err(Refusal::CodeRequired { .. })));
    assert_eq!(sale.hold(&ann, 1, Some("fan")).await, Err(Refusal::CodeInvalid));
    assert_eq!(sale.hold(&ann, 99, Some("FAN")).await, Err(Refusal::SeatUnknown { seats: vec![99] }));

    let of_ann = held(sale.hold(&ann, 1, Some("FAN")).await.expect("a free use"));
    assert_eq!(sale.hold(&bob, 2, Some("FAN")).await, Err(Refusal::CodeUsedUp));
    assert_eq!(sale.hold(&ann, 2, Some("FAN")).await, Err(Refusal::CodeUsedUp));
    let standing = reader.code(&(sale.concert, "FAN".into()), &user("bob")).await.expect("a read");
    assert_eq!(presale::check_entry(standing.as_ref(), &user("bob"), reader.now()), Err(Refusal::CodeUsedUp));
    assert_eq!(sale.listed(&*reader).await, [("FAN".into(), 1)]);

    sale.lane.done(Release { token: ann.clone(), reservation: of_ann.id }).await;
    let standing = reader.code(&(sale.concert, "FAN".into()), &user("bob")).await.expect("a read");
    assert_eq!(presale::check_entry(standing.as_ref(), &user("bob"), reader.now()), Ok(()));
    assert_eq!(sale.listed(&*reader).await, [("FAN".into(), 0)]);

    // The use of a hold that has lapsed is free before the hold is settled.
    sale.lane.hold_seconds = 1;
    let short = held(sale.hold(&bob, 2, Some("FAN")).await.expect("the use is free again"));
    sale.lane.hold_seconds = 300;
    while reader.now() < short.held_until {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let of_ann = held(sale.hold(&ann, 1, Some("FAN")).await.expect("the hold has lapsed"));
    let Done::Pay(paid) = sale.lane.done(pay(&ann, &of_ann)).await else { unreachable!("a hold was paid") };
    assert_eq!(sale.hold(&bob, 2, Some("FAN")).await, Err(Refusal::CodeUsedUp));
    let all = RefundByStaff { refund: refund(&paid, &[]), fee: 0, reason: "moved".into() };
    sale.lane.done(all).await;
    sale.hold(&bob, 2, Some("FAN")).await.expect("the refund has given the use back");
    assert_eq!(sale.listed(&*reader).await, [("FAN".into(), 1)]);
}

async fn codes_are_made_listed_and_deleted(bed: Bed) {
    let mut sale = Presale::new(&bed).await;
    let reader = bed.store().await.reader();
    for text in ["b", "A", "a"] {
        sale.lane.done(sale.codes(text, 5, 2)).await;
    }
    let again = sale.lane.run([sale.codes("b", 1, 1).into()]).await.expect("a unit of work").remove(0);
    assert_eq!(again, Err(Refusal::CodeExists { index: 0 }));
    let texts = async |after: Option<&str>, limit| {
        let page = Page { after: after.map(Into::into), limit };
        let codes = reader.codes(sale.concert, page).await.expect("codes");
        codes.into_iter().map(|(code, _)| code.text.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(texts(None, 2).await, ["A", "a"], "by their bytes");
    assert_eq!(texts(Some("a"), 2).await, ["b"]);
    let ann = sale.enter("ann").await;
    let first = held(sale.hold(&ann, 1, Some("b")).await.expect("a hold"));
    let delete = DeleteCode { concert: sale.concert, text: "b".into() };
    let deleted = sale.lane.run([delete.clone().into(), delete.into()]).await.expect("a unit of work");
    assert!(matches!(deleted[..], [Ok(Done::DeleteCode(_)), Err(Refusal::CodeNotFound)]), "{deleted:?}");
    assert_eq!(sale.hold(&ann, 2, Some("b")).await, Err(Refusal::CodeInvalid));
    sale.lane.done(pay(&ann, &first)).await;
    // In one unit: the new code has none of the uses of the one before.
    let batch = [sale.codes("c", 1, 1).into(), sale.codes("b", 1, 1).into()];
    assert!(sale.lane.run(batch).await.expect("a unit of work").iter().all(Result::is_ok));
    let codes = reader.codes(sale.concert, Page { after: None, limit: 10 }).await.expect("codes");
    let known: Vec<(&str, u32, u32, u64)> =
        codes.iter().map(|(code, used)| (&*code.text, code.uses, code.taken, *used)).collect();
    assert_eq!(known, [("A", 5, 0, 0), ("a", 5, 0, 0), ("b", 1, 0, 0), ("c", 1, 0, 0)]);
}

/// A use that has ended is stored until a later hold needs its row.
async fn uses_that_have_ended_are_dropped(bed: Bed) {
    let mut sale = Presale::new(&bed).await;
    let reader = bed.store().await.reader();
    sale.lane.done(sale.codes("FAN", 2, 2)).await;
    let ann = sale.enter("ann").await;
    for _ in 0..6 {
        let own = held(sale.hold(&ann, 1, Some("FAN")).await.expect("a free use"));
        sale.lane.done(Release { token: ann.clone(), reservation: own.id }).await;
    }
    let codes = reader.codes(sale.concert, Page { after: None, limit: 10 }).await.expect("codes");
    assert_eq!(codes[0].1, 0);
    assert!(codes[0].0.taken <= 3, "{codes:?}");
}

on_each_database!(
    what_ends_a_hold_gives_its_use_back,
    codes_are_made_listed_and_deleted,
    uses_that_have_ended_are_dropped,
);

/// Holds of several instances in two performances, which share no lock but that of the code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_uses_go_to_as_many_holds() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let Bed::Postgres(database) = &bed else { unreachable!("a database of Postgres") };
    let mut sale = Presale::new(&bed).await;
    sale.lane.done(sale.codes("FAN", 5, 1)).await;
    let mut holds = Vec::new();
    for number in 0..16_usize {
        let token = sale.enter(&format!("user-{number}")).await;
        let seat = i64::try_from(number / 2 + 1).expect("a seat");
        let command = hold(&token, &sale.performances[number % 2], seat, Some("FAN"));
        let store = instance(database).await;
        let mut lane = Lane::new(&store, 100 + number as u64).await;
        holds.push(async move { lane.run([command]).await.expect("a unit of work").remove(0) });
    }
    let outcomes = join_all(holds).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 5, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| outcome.is_ok() || *outcome == Err(Refusal::CodeUsedUp)), "{outcomes:?}");
}
