//! Settings that change while the room runs.

use onsale_domain::concert::Sale;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Order, Patch, Settings};

use super::{check, room};
use crate::support::Stage;

#[test]
fn a_paused_room_admits_no_user_and_does_everything_else() {
    let mut stage = Stage::gala(Settings { paused: true, ..room(2, 50) });
    stage.play(
        "
        ann enters          => new place 1, waiting 1
        bob enters          => new place 2, waiting 2
        gala steps          => turns -, waiting ann bob
        ann leaves          => left
        bob enters          => same place 2, waiting 1
        ann enters          => new place 3, waiting 2
        gala sets paused no => set
        gala steps          => turns bob ann, waiting -
        gala sets paused yes => set
        cid enters          => new place 4, waiting 1
        bob leaves          => left
        gala steps          => turns ann, waiting cid
        ann holds 1         => held 1000 until 300
        ",
    );
}

#[test]
fn a_larger_cap_admits_more_users_and_a_smaller_one_ends_no_turn() {
    let mut stage = Stage::gala(room(1, 50));
    stage.play(
        "
        ann enters       => new place 1, active until 600
        bob enters       => new place 2, waiting 1
        cid enters       => new place 3, waiting 2
        gala sets max 2  => set
        gala steps       => turns ann bob, waiting cid
        gala sets max 1  => set
        gala steps       => turns ann bob, waiting cid
        ann leaves       => left
        gala steps       => turns bob, waiting cid
        bob leaves       => left
        gala steps       => turns cid, waiting -
        ",
    );
}

#[test]
fn another_rate_counts_what_was_admitted_before() {
    let mut stage = Stage::gala(room(50, 3));
    stage.play(
        "
        0   ann enters       => new place 1, active until 600
        0   bob enters       => new place 2, active until 600
        0   cid enters       => new place 3, active until 600
        0   dan enters       => new place 4, waiting 1
        0   eve enters       => new place 5, waiting 2
        0.1 gala sets rate 1 => set
        0.2 gala steps       => turns ann bob cid, waiting dan eve
        0.3 gala sets rate 4 => set
        0.4 gala steps       => turns ann bob cid dan, waiting eve
        1   gala sets rate 1 => set
        1   gala steps       => turns ann bob cid dan, waiting eve
        1.4 gala steps       => turns ann bob cid dan eve, waiting -
        ",
    );
}

#[test]
fn a_turn_lasts_as_was_promised_when_it_began() {
    let mut stage = Stage::gala(room(2, 50));
    stage.play(
        "
        0   ann enters         => new place 1, active until 600
        0   gala sets turn 10  => set
        0   bob enters         => new place 2, active until 10
        9   ann calls          => noted
        9   bob calls          => noted
        10  gala steps         => turns ann, waiting -
        10  ann is             => active until 600
        599 gala sets turn 900 => set
        600 gala steps         => turns -, waiting -
        ",
    );
}

#[test]
fn a_setting_that_a_change_does_not_name_stays() {
    check(
        "
        gala sets max 3           => set
        gala sets rate 2 claim 30 => set
        gala sets turn 100        => set
        gala sets                 => set
        ann enters                => new place 1, active until 100
        bob enters                => new place 2, active until 100
        cid enters                => new place 3, waiting 1
        1 gala steps              => turns ann bob cid, waiting -
        30.499 gala steps         => turns ann bob cid, waiting -
        30.5 gala steps           => turns cid, waiting -
        ",
    );
    let all = Patch {
        max_active: Some(1),
        admit_per_second: Some(2),
        active_seconds: Some(3),
        claim_seconds: Some(4),
        paused: Some(true),
        early_from: Some(Some(Timestamp::from_millis(5))),
        order: Some(Order::Draw),
        draw_at: Some(Timestamp::from_millis(7)),
    };
    let set = Settings {
        max_active: 1,
        admit_per_second: 2,
        active_seconds: 3,
        claim_seconds: 4,
        paused: true,
        sale: Sale::default(),
        early_from: Some(Timestamp::from_millis(5)),
        draw_at: Some(Timestamp::from_millis(7)),
    };
    assert_eq!(all.apply(Settings::default()), set);
    assert_eq!(Patch::default().apply(set), set);
}

#[test]
fn there_must_be_a_room_to_change() {
    check("nowhere sets max 3 => concert-not-found");
}

#[test]
fn a_new_room_admits_by_the_defaults_of_the_contract() {
    let Settings { max_active, admit_per_second, active_seconds, claim_seconds, paused, sale, early_from, draw_at } =
        Settings::default();
    assert_eq!((sale, early_from, draw_at), (Sale::default(), None, None), "a sale is open without bounds");
    assert_eq!((max_active, admit_per_second, active_seconds, claim_seconds, paused), (200, 50, 600, 60, false));
}
