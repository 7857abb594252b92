//! Which sections make a seating, and where its seats are.

use onsale_domain::concert::{SEATS_MAX, Seating, Section, Unsound};

fn section(from: u32, to: u32) -> Section {
    Section { from, to, grade: "R".into(), price: i64::from(from) }
}

fn seating(ranges: &[(u32, u32)]) -> Result<Seating, Unsound> {
    Seating::new(ranges.iter().map(|(from, to)| section(*from, *to)).collect())
}

#[track_caller]
fn check(ranges: &[(u32, u32)], capacity: Result<u32, Unsound>) {
    assert_eq!(seating(ranges).map(|seating| seating.capacity()), capacity, "{ranges:?}");
}

#[test]
fn sections_are_bounded_and_share_no_seat() {
    check(&[], Err(Unsound::Empty));
    check(&[(1, 1)], Ok(1));
    check(&[(1, 50)], Ok(50));
    check(&[(1, SEATS_MAX)], Ok(SEATS_MAX));
    check(&[(0, 5)], Err(Unsound::Range(0)));
    check(&[(0, 0)], Err(Unsound::Range(0)));
    check(&[(5, 4)], Err(Unsound::Range(0)));
    check(&[(1, SEATS_MAX + 1)], Err(Unsound::Range(0)));
    check(&[(u32::MAX, u32::MAX)], Err(Unsound::Range(0)));
    check(&[(1, 5), (6, 10)], Ok(10));
    check(&[(6, 10), (1, 5)], Ok(10));
    check(&[(1, 2), (5, 6), (9, 9)], Ok(5));
    check(&[(1, 5), (5, 10)], Err(Unsound::Overlap(1)));
    check(&[(5, 10), (1, 5)], Err(Unsound::Overlap(0)));
    check(&[(1, 10), (3, 4)], Err(Unsound::Overlap(1)));
    check(&[(1, 5), (1, 5)], Err(Unsound::Overlap(1)));
    check(&[(1, 5), (7, 6)], Err(Unsound::Range(1)));
    check(&[(7, 8), (1, 2), (2, 3)], Err(Unsound::Overlap(2)));
}

#[test]
fn every_seat_is_in_its_section_and_at_its_index() {
    let ranges = [(8, 9), (1, 3), (5, 5)];
    let seating = seating(&ranges).unwrap();
    let listed: Vec<u32> = seating.seats().map(|(seat, _)| seat).collect();
    assert_eq!(listed, [1, 2, 3, 5, 8, 9]);
    assert_eq!(seating.sections().iter().map(|section| section.from).collect::<Vec<_>>(), [1, 5, 8]);
    for seat in 0..=11 {
        let expected = ranges.iter().find(|(from, to)| (*from..=*to).contains(&seat)).map(|(from, _)| *from);
        assert_eq!(seating.section_of(seat).map(|section| section.from), expected, "the section of {seat}");
        assert_eq!(seating.index_of(seat), listed.iter().position(|other| *other == seat), "the index of {seat}");
    }
    assert!(seating.seats().all(|(seat, section)| seating.section_of(seat) == Some(section)));
    assert_eq!((seating.section_of(u32::MAX), seating.index_of(u32::MAX)), (None, None));
}

#[test]
fn a_section_counts_both_ends() {
    assert_eq!((section(7, 7).seats(), section(1, 50).seats()), (1, 50));
}
