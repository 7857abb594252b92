//! Draws in both databases: the record, the closed list, the order, and the entry of a user.

use onsale_app::store::Page;
use onsale_domain::concert::{self, Sale};
use onsale_domain::ids::TokenId;
use onsale_domain::leaving::Leave;
use onsale_domain::waiting_room::{
    Beacon, Configure, Digest, DrawPatch, Enter, Entered, NoteList, Patch, PutBack, PutBeacon, Seed, Settings, Step,
    StoreDraw, Token,
};
use uuid::Uuid;

use crate::bed::{Bed, on_each_database};
use crate::lane::Lane;
use crate::mixed::Done;
use crate::stage::{OPEN_DOORS, enter, user};

async fn a_list_is_stored_and_read(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, reader) = (Lane::new(&*store, 1).await, store.reader());
    let now = reader.now();
    let at = |seconds: u32| Some(now.plus_seconds(seconds));
    let sale = Sale { opens_at: at(100), ..Sale::default() };
    let room = Settings { sale, early_from: at(10), draw_at: at(50), ..OPEN_DOORS };
    let (title, venue, seed) = ("Gala".into(), "Hall".into(), Some(Seed::new([3; 32])));
    let create = concert::Create { title, venue, room, seed, notice: None, seats_per_user: 4 };
    let Done::CreateConcert(concert) = lane.done(create).await else { unreachable!("a concert") };
    let concert = concert.id;
    let (name, beacon_at) = ("드랜드 \"34\"", now.plus_seconds(70));
    let draw = DrawPatch { beacon_name: Some(Some(name.into())), beacon_at: Some(Some(beacon_at)), seed: None };
    lane.done(Configure { concert, patch: Patch::default(), draw }).await;
    let known = reader.draw(concert).await.unwrap().expect("a draw");
    assert_eq!((known.seed, known.beacon), (Seed::new([3; 32]), Some(Beacon { name: name.into(), at: beacon_at })));
    assert_eq!((known.changes.len(), known.entries_hash, known.value), (2, None, None));

    lane.at = at(20);
    let [ann, bob, cid] = [user("ann"), user("bob"), user("cid")];
    let mut tokens = Vec::new();
    for user in [&ann, &bob, &cid] {
        tokens.push(enter(&mut lane, concert, user).await);
    }
    lane.done(Leave(tokens[1].clone())).await;
    lane.at = at(50);
    lane.done(Step::of(concert)).await;
    let (record, _) = reader.room(concert).await.unwrap().expect("a room");
    let list = record.room.list.expect("a closed list");
    assert_eq!((list.entries, list.issued, record.room.served, record.room.issued), (2, 3, 3, 5));
    let page = |after, limit| reader.draw_entries(concert, list, Page { after, limit });
    let all = page(None, 9).await.unwrap();
    assert_eq!(all.iter().map(|row| row.token.clone()).collect::<Vec<_>>(), [tokens[0].clone(), tokens[2].clone()]);
    assert!(all.iter().all(|row| !row.is_replaced));
    assert_eq!((page(Some(1), 1).await.unwrap().len(), page(Some(3), 1).await.unwrap().len()), (1, 0));
    assert_eq!(reader.draw_entry_of(concert, &ann, list).await.unwrap(), Some(tokens[0].clone()));
    assert_eq!(reader.draw_entry_of(concert, &bob, list).await.unwrap(), None);
    assert_eq!(reader.drawn_order(concert).await.unwrap(), None);

    let hash = Digest([7; 32]);
    lane.done(NoteList { concert, entries: 2, hash }).await;
    lane.done(PutBeacon { concert, value: "6".into() }).await;
    let store_draw =
        StoreDraw { concert, entries_hash: hash, value: Some("6".into()), order: [3, 1].into(), left: Vec::new() };
    assert_eq!(lane.done(store_draw.clone()).await, Done::StoreDraw(true));
    assert_eq!(lane.done(store_draw).await, Done::StoreDraw(false));
    assert_eq!(reader.drawn_order(concert).await.unwrap(), Some(vec![3, 1]));
    let known = reader.draw(concert).await.unwrap().expect("a draw");
    assert_eq!((known.entries_hash, known.value.as_deref()), (Some(hash), Some("6")));

    // Ann was drawn second. With the token shown her place has a row, and her entry is still found by it.
    lane.at = at(100);
    lane.done(Step::of(concert)).await;
    let list = reader.room(concert).await.unwrap().expect("a room").0.room.list.expect("a list");
    let mut shown = tokens[0].clone();
    shown.place = list.place_of(2);
    lane.done(Step { shown_tokens: vec![shown], ..Step::of(concert) }).await;
    assert_eq!(reader.draw_entry_of(concert, &ann, list).await.unwrap(), Some(tokens[0].clone()));
    assert!(page(None, 9).await.unwrap()[0].is_replaced);
    // The user of an entry that is over enters at the end.
    lane.at = at(5_000);
    lane.done(Step { due: vec![4, 5], ..Step::of(concert) }).await;
    let again = Enter { concert, user: cid.clone(), pass: None, ended: Some(3) };
    let Done::Enter(Entered { token, is_new }) = lane.done(again).await else { unreachable!("a place") };
    assert_eq!((token.place, is_new), (6, true));
    assert_eq!(reader.draw_entry_of(concert, &cid, list).await.unwrap(), None);
}

/// The rows that a database lost are there again, and numbers in doubt are no entries.
async fn a_lost_entry_is_put_back(bed: Bed) {
    let store = bed.store().await;
    let (mut lane, reader) = (Lane::new(&*store, 1).await, store.reader());
    let now = reader.now();
    let at = |seconds: u32| Some(now.plus_seconds(seconds));
    let sale = Sale { opens_at: at(100), ..Sale::default() };
    let room = Settings { sale, early_from: at(10), draw_at: at(50), ..OPEN_DOORS };
    let (title, venue, seed) = ("Gala".into(), "Hall".into(), Some(Seed::new([3; 32])));
    let create = concert::Create { title, venue, room, seed, notice: None, seats_per_user: 4 };
    let Done::CreateConcert(concert) = lane.done(create).await else { unreachable!("a concert") };
    let concert = concert.id;
    lane.at = at(20);
    let ann = enter(&mut lane, concert, &user("ann")).await;
    let lost = Token { id: TokenId::new(Uuid::from_u128(7)), user: user("zed"), place: 4, ..ann.clone() };
    for _ in 0..2 {
        assert_eq!(lane.done(PutBack(lost.clone())).await, Done::PutBack(true));
    }
    let (record, _) = reader.room(concert).await.unwrap().expect("a room");
    assert_eq!((record.room.issued, record.room.waiting(), record.room.blocks.gaps.len()), (4, 2, 1));
    assert_eq!(enter(&mut lane, concert, &user("zed")).await, lost);
    lane.at = at(50);
    lane.done(Step::of(concert)).await;
    let list = reader.room(concert).await.unwrap().expect("a room").0.room.list.expect("a closed list");
    let listed = reader.draw_entries(concert, list, Page { after: None, limit: 9 }).await.unwrap();
    let tokens: Vec<Token> = listed.into_iter().map(|row| row.token).collect();
    assert_eq!((list.entries, list.issued, tokens), (2, 4, vec![ann, lost]));
}

on_each_database!(a_list_is_stored_and_read, a_lost_entry_is_put_back);
