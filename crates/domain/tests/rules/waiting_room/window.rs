//! The rate: never more than its limit within any one second, and no less than that over time.

use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Window;

use crate::support::START;

/// Admits as many as allowed at each of these instants. Returns each instant with its count.
fn admit_at(per_second: u32, millis: impl IntoIterator<Item = i64>) -> Vec<(Timestamp, u32)> {
    let mut window = Window::default();
    let mut admitted = Vec::new();
    for at in millis.into_iter().map(|millis| START.plus_millis(millis)) {
        let many = window.allowance(per_second, at);
        if many > 0 {
            window.admit(many, at);
            admitted.push((at, many));
        }
        // A store keeps the window as its parts.
        window = Window::from_parts(window.parts());
    }
    admitted
}

#[test]
fn a_full_seconds_worth_may_come_at_once_and_then_none() {
    let admitted = admit_at(50, [0, 1, 500, 999, 1_000, 1_001, 1_999, 2_000]);
    let at = |millis| START.plus_millis(millis);
    assert_eq!(admitted, [(at(0), 50), (at(1_000), 50), (at(2_000), 50)]);
}

#[test]
fn the_rest_of_a_seconds_rate_may_be_used_later_in_it() {
    let mut window = Window::default();
    window.admit(30, START);
    assert_eq!(window.allowance(50, START.plus_millis(700)), 20);
    window.admit(20, START.plus_millis(700));
    assert_eq!(window.allowance(50, START.plus_millis(999)), 0);
    assert_eq!(window.allowance(50, START.plus_millis(1_000)), 30);
    assert_eq!(window.allowance(50, START.plus_millis(1_699)), 30);
    assert_eq!(window.allowance(50, START.plus_millis(1_700)), 50);
    assert_eq!(window.allowance(10, START.plus_millis(500)), 0, "a lower limit counts what was admitted");
}

/// Admissions of the same hundredth of a second count as made at the last of them: too long, never too short.
#[test]
fn admissions_a_moment_apart_are_not_forgotten_early() {
    let mut window = Window::default();
    window.admit(1, START);
    window.admit(1, START.plus_millis(9));
    assert_eq!(window.parts().len(), 1);
    assert_eq!(window.allowance(2, START.plus_millis(1_000)), 0);
    assert_eq!(window.allowance(2, START.plus_millis(1_008)), 0);
    assert_eq!(window.allowance(2, START.plus_millis(1_009)), 2);
}

/// Arrivals every millisecond, for ten seconds: each second gets its worth, though grains are counted as one.
#[test]
fn a_continuous_trickle_is_not_starved() {
    for per_second in [1, 7, 50, 99, 100, 101, 500, 1_000, 5_000] {
        let admitted: u32 = admit_at(per_second, 0..10_000).iter().map(|(_, many)| many).sum();
        // A grain of 10 ms counts as late as its last admission: at most 1 % is lost.
        assert!(admitted >= per_second * 10 * 99 / 100, "{per_second} a second: {admitted} in 10 s");
        assert!(admitted <= per_second * 10);
    }
}

/// One arrival a millisecond uses the allowance bit by bit, so that the window is as full as it gets.
#[test]
fn a_trickle_one_by_one_gets_its_worth_in_every_second() {
    for per_second in [3, 100, 640, 1_000] {
        let mut window = Window::default();
        let mut admitted = Vec::new();
        for millis in 0..10_000 {
            let at = START.plus_millis(millis);
            if window.allowance(per_second, at) > 0 {
                window.admit(1, at);
                admitted.push(millis);
            }
            assert!(window.parts().len() <= 101, "a window is bounded");
        }
        let in_second = |from: i64| admitted.iter().filter(|at| (from..from + 1_000).contains(*at)).count();
        let limit = usize::try_from(per_second).unwrap();
        assert!((0..9_000).step_by(37).all(|from| in_second(from) <= limit), "{per_second} a second");
        assert!(admitted.len() >= limit * 10 * 98 / 100, "{per_second} a second: {} in 10 s", admitted.len());
    }
}

/// An admission "in the future" would close the room until the clock has caught up.
#[test]
fn a_clock_set_back_does_not_close_the_room() {
    let mut window = Window::default();
    window.admit(50, START);
    let back = START.plus_millis(-60_000);
    assert_eq!(window.allowance(50, back), 50);
    window.admit(50, back);
    assert_eq!(window.allowance(50, back.plus_millis(999)), 0);
    assert_eq!(window.allowance(50, back.plus_millis(1_000)), 50);
}
