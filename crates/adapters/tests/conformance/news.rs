//! What one process learns of another: just what has changed since it last looked.

use std::sync::Arc;

use onsale_app::store::Store;
use onsale_app::store::news::{News, RoomNews, RoomsKnown, RoomsNews, SeatsBecame};
use onsale_domain::concert;
use onsale_domain::ids::ConcertId;
use onsale_domain::waiting_room::{self, Settings, Step, Token};
use onsale_testing::without;

use crate::bed::Bed;
use crate::lane::Lane;
use crate::stage::{OPEN_DOORS, charge, enter, held, hold, open_concert, pay, schedule, user};

#[tokio::test]
async fn a_file_is_worked_on_by_one_process_which_needs_no_news() {
    assert!(Bed::sqlite().store().await.news().is_none());
}

/// Two rooms that another process works on; of each, this one knows the version it was told last.
struct Beside {
    lane: Lane,
    store: Arc<dyn Store>,
    news: Arc<dyn News>,
    known: RoomsKnown,
    busy: ConcertId,
    _bed: Bed,
}

impl Beside {
    async fn new(room: Settings) -> Self {
        let bed = Bed::postgres().await;
        let (store, other) = (bed.store().await, bed.store().await);
        let mut lane = Lane::new(&*other, 1).await;
        let busy = open_concert(&mut lane, room).await;
        open_concert(&mut lane, room).await;
        let news = store.news().unwrap();
        let mut beside = Self { lane, store, news, known: RoomsKnown::default(), busy, _bed: bed };
        assert_eq!(beside.ask().await.rooms.len(), 2, "a room that is not known is told");
        beside
    }

    async fn ask(&mut self) -> RoomsNews {
        let news = self.news.rooms(&self.known).await.unwrap();
        for told in &news.rooms {
            let known = &mut self.known.versions;
            known.retain(|(concert, _)| *concert != told.record.concert);
            known.push((told.record.concert, told.record.room.version));
        }
        news
    }

    /// The one room that has changed.
    async fn told(&mut self) -> RoomNews {
        let mut news = self.ask().await;
        assert_eq!(news.rooms.len(), 1, "one room has changed");
        let told = news.rooms.remove(0);
        assert_eq!(told.record.concert, self.busy);
        assert!(told.record.holds.is_empty(), "holds are told for all rooms together");
        told
    }

    async fn step(&mut self, due: Vec<u64>) {
        let (seen, claimed) = (Vec::new(), Vec::new());
        self.lane.done(Step { seen, claimed, due, ..Step::of(self.busy) }).await;
    }

    async fn enter(&mut self, name: &str) -> Token {
        enter(&mut self.lane, self.busy, &user(name)).await
    }
}

fn called(told: &RoomNews) -> Vec<u64> {
    let mut places: Vec<u64> = told.record.turns.iter().map(|(place, ..)| *place).collect();
    places.sort_unstable();
    places
}

#[tokio::test]
async fn a_room_tells_the_turns_and_places_that_changed() {
    if without("postgres") {
        return;
    }
    let mut beside = Beside::new(Settings { max_active: 2, ..OPEN_DOORS }).await;
    assert!(beside.ask().await.rooms.is_empty(), "nothing has changed");
    let (first, second) = (beside.enter("ann").await, beside.enter("bob").await);
    assert_eq!(called(&beside.told().await), [1, 2], "turns that began");
    let (third, _fourth) = (beside.enter("cid").await, beside.enter("dan").await);
    let told = beside.told().await;
    assert_eq!((called(&told), told.record.given_up.len(), told.record.room.issued), (vec![], 0, 4), "two wait");

    beside.lane.done(waiting_room::Leave(third)).await;
    let told = beside.told().await;
    assert_eq!((called(&told), told.record.given_up), (vec![], vec![3]), "a place given up");
    beside.enter("eve").await;
    assert_eq!(beside.told().await.record.given_up, [0; 0], "told once");

    // Who leaves with a turn makes room: place 3 is passed over.
    beside.lane.done(waiting_room::Leave(second.clone())).await;
    let told = beside.told().await;
    assert_eq!((told.settled.clone(), called(&told), told.record.room.served), (vec![2], vec![4], 4));
    beside.lane.done(waiting_room::Leave(second)).await;
    assert!(beside.ask().await.rooms.is_empty(), "to leave twice changes nothing");

    // Two changes of one room that were missed are told together; a turn that began and ended in between as ended.
    beside.lane.done(waiting_room::Leave(first)).await;
    let seen = vec![(4, beside.store.reader().now().plus_seconds(9))];
    let claimed = vec![5];
    let concert = beside.busy;
    beside.lane.done(Step { seen: seen.clone(), claimed, ..Step::of(concert) }).await;
    let told = beside.told().await;
    assert_eq!((told.settled.clone(), called(&told)), (vec![1], vec![4, 5]));
    for (place, turn, ended) in told.record.turns {
        assert_eq!((turn.claimed, turn.seen_at == seen[0].1, ended), (place == 5, place == 4, false));
    }
    // Who knows nothing is told the room as it is: without what is over.
    let whole = beside.news.rooms(&RoomsKnown::default()).await.unwrap();
    let busy = whole.rooms.iter().find(|told| told.record.concert == concert).unwrap();
    assert_eq!((called(busy), busy.settled.len(), busy.record.given_up.len()), (vec![4, 5], 0, 0));
}

#[tokio::test]
async fn ends_holds_and_stock_are_told_as_they_are() {
    if without("postgres") {
        return;
    }
    let mut beside = Beside::new(OPEN_DOORS).await;
    let now = beside.store.reader().now();
    let performance = schedule(&mut beside.lane, now, beside.busy, 1, 10).await;
    let token = beside.enter("ann").await;
    beside.lane.done(charge(&token.user, 10)).await;
    let reservation = held(beside.lane.done(hold(&token, &performance, &[1])).await);
    beside.known.with_stock = true;
    let news = beside.ask().await;
    assert_eq!((news.stock.len(), news.stock[0].performance, news.stock[0].is_unsold), (1, performance.id, true));
    assert!(news.ended.is_empty() && news.holds.is_empty(), "the holds of a room that is known are told if asked for");
    let holds = [(beside.busy, 1, reservation.id, reservation.held_until)];
    beside.known.holds_of = vec![(beside.busy, 1)];
    assert_eq!(beside.ask().await.holds, holds);
    assert_eq!(
        beside.news.rooms(&RoomsKnown::default()).await.unwrap().holds,
        holds,
        "and all of them where nothing is known"
    );

    // A payment ends the turn, by the wallet's lock alone: the room does not change until its next step.
    beside.lane.done(pay(&token, &reservation)).await;
    let news = beside.ask().await;
    assert_eq!((news.rooms.len(), &news.ended[..], news.holds.len()), (0, &[(beside.busy, 1)][..], 0));
    assert!(!news.stock[0].is_unsold, "the last seat is sold");
    beside.known.with_stock = false;
    let rooms = beside.store.reader().rooms().await.unwrap();
    let room = rooms.iter().find(|room| room.concert == beside.busy).unwrap();
    assert!(room.turns.iter().all(|(_, _, ended)| *ended));
    beside.step(vec![1]).await;
    let news = beside.ask().await;
    assert_eq!((news.rooms[0].settled.clone(), news.ended.len(), news.stock.len()), (vec![1], 0, 0));
}

#[tokio::test]
async fn a_performance_tells_its_changes_one_by_one() {
    if without("postgres") {
        return;
    }
    let mut beside = Beside::new(OPEN_DOORS).await;
    let now = beside.store.reader().now();
    let performance = schedule(&mut beside.lane, now, beside.busy, 9, 10).await;
    let other = schedule(&mut beside.lane, now, beside.busy, 9, 10).await;
    let token = beside.enter("ann").await;
    beside.lane.done(charge(&token.user, 1_000)).await;
    let first = held(beside.lane.done(hold(&token, &performance, &[7, 2])).await);
    let second = held(beside.lane.done(hold(&token, &performance, &[5])).await);
    held(beside.lane.done(hold(&token, &other, &[1])).await);
    beside.lane.done(concert::Release { token: token.clone(), reservation: second.id }).await;
    beside.lane.done(pay(&token, &first)).await;
    let changes = [
        (1, vec![7, 2], SeatsBecame::Held(first.held_until)),
        (2, vec![5], SeatsBecame::Held(second.held_until)),
        (3, vec![5], SeatsBecame::Free),
        (4, vec![7, 2], SeatsBecame::Sold),
    ];
    for known in 0..=4 {
        let news = beside.news.seats(performance.id, known).await.unwrap();
        let told = news.into_iter().map(|news| (news.version, news.seats, news.became));
        assert!(told.eq(changes.iter().skip(usize::try_from(known).unwrap()).cloned()), "after version {known}");
    }
    assert_eq!(beside.news.seats(other.id, 0).await.unwrap().len(), 1);
}
