//! Instants: rounding for `Retry-After`, and ends that do not wrap.

use onsale_domain::time::Timestamp;

#[test]
fn a_wait_is_whole_seconds_rounded_up_and_at_least_one() {
    let at = Timestamp::from_millis(5_000);
    for (millis, seconds) in [(-10_000, 1), (0, 1), (1, 1), (1_000, 1), (1_001, 2), (299_999, 300), (300_000, 300)] {
        assert_eq!(at.seconds_until(at.plus_millis(millis)), seconds, "{millis} ms");
    }
    assert_eq!(Timestamp::from_millis(i64::MIN).seconds_until(Timestamp::from_millis(i64::MAX)), u32::MAX);
}

#[test]
fn arithmetic_stops_at_the_ends_of_time() {
    let (first, last) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
    assert_eq!(last.plus_seconds(u32::MAX), last);
    assert_eq!(first.plus_millis(-1), first);
    assert_eq!(first.millis_until(last), i64::MAX);
    assert_eq!(Timestamp::from_millis(1).plus_seconds(2), Timestamp::from_millis(2_001));
    assert_eq!(Timestamp::from_millis(7).millis_until(Timestamp::from_millis(3)), -4);
    assert_eq!(Timestamp::from_millis(7).as_millis(), 7);
}
