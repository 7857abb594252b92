//! Which sections make a layout, and how seats are added to one.

use onsale_domain::concert::{LAID_SECTIONS_MAX, Layout, PlannedSection, PlannedSegment, SEGMENTS_MAX, UnsoundLayout};
use onsale_domain::waiting_room::Settings;

use crate::support::Stage;

fn section(name: &str, segments: &[(&str, u32, u32)]) -> PlannedSection {
    let segment = |(row, from, to): &(&str, u32, u32)| PlannedSegment { row: (*row).into(), from: *from, to: *to };
    let rows = segments.iter().map(segment).collect();
    PlannedSection { name: name.into(), grade: "R".into(), price: 100, accessible: false, rows }
}

#[track_caller]
fn check(plan: &[PlannedSection], expected: Result<u32, UnsoundLayout>) {
    assert_eq!(Layout::plan(plan).map(|(_, seating)| seating.capacity()), expected);
}

#[test]
fn segments_are_bounded_and_share_no_seat() {
    check(&[], Err(UnsoundLayout::Empty));
    check(&[section("A", &[])], Err(UnsoundLayout::NoRow(0)));
    check(&[section("A", &[("1", 1, 9)]), section("A", &[("1", 10, 19)])], Err(UnsoundLayout::NameTwice(1)));
    check(&[section("A", &[("1", 1, 9), ("2", 10, 9)])], Err(UnsoundLayout::Range(0, 1)));
    check(&[section("A", &[("1", 0, 9)])], Err(UnsoundLayout::Range(0, 0)));
    check(
        &[section("A", &[("1", 1, 9)]), section("B", &[("1", 20, 21), ("1", 9, 9)])],
        Err(UnsoundLayout::Overlap(1, 1)),
    );
    check(&[section("A", &[("1", 1, 9)]), section("B", &[("1", 10, 19), ("1", 30, 39)])], Ok(29));
    let many = |count: u32| (0..count).map(|n| section(&n.to_string(), &[("1", n + 1, n + 1)])).collect::<Vec<_>>();
    check(&many(200), Ok(200));
    check(&many(201), Err(UnsoundLayout::Sections));
    let rows = |count: u32| (1..=count).map(|n| ("1", n, n)).collect::<Vec<_>>();
    check(&[section("A", &rows(2_000))], Ok(2_000));
    check(&[section("A", &rows(2_001))], Err(UnsoundLayout::Segments(0)));
    assert_eq!((LAID_SECTIONS_MAX, SEGMENTS_MAX), (200, 2_000));
}

#[test]
fn each_seat_has_a_section_and_a_row() {
    let plan = [section("A", &[("1", 5, 6), ("2", 1, 2), ("1", 9, 9)]), section("B", &[("1", 3, 4)])];
    let (layout, seating) = Layout::plan(&plan).unwrap();
    let place = |seat| layout.place_of(seat).map(|(section, row)| format!("{}{}", section.name, row.name));
    let places: Vec<Option<String>> = (0..=10).map(place).collect();
    let expected = ["", "A2", "A2", "B1", "B1", "A1", "A1", "", "", "A1", ""];
    assert_eq!(places, expected.map(|place| (!place.is_empty()).then(|| place.to_owned())));
    assert_eq!(seating.sections().len(), 2, "neighbours of one grade and price are one section");
    assert_eq!(layout.sections().iter().map(|section| section.seats()).collect::<Vec<_>>(), [5, 2]);
    assert_eq!(layout.segments(), 4);
}

#[test]
fn seats_are_added_to_a_row_of_a_section() {
    let plan = [section("A", &[("1", 1, 4), ("2", 5, 8)])];
    let mut stage = Stage::empty().concert("gala", Settings::default()).laid_out("eve", 1_000, &plan);
    stage = stage.performance("plain", 1_000, &[(1, 4, 100)]);
    stage.play(
        "
        ann enters                              => …
        eve adds 50 51 R=100                    => invalid-request 0 section
        eve seats 50 51 row 1                   => invalid-request 0 section
        eve seats 50 51 in A                    => invalid-request 0 row
        eve seats 50 51 in A row 1 of S         => invalid-request 0 grade
        eve seats 50 51 in A row 1 at 99        => invalid-request 0 price
        eve seats 8 9 in A row 1                => seat-exists 8
        plain seats 50 51 in A row 1            => invalid-request 0 section
        plain seats 50 51 row 1                 => invalid-request 0 row
        eve seats 50 51 in A row 1              => at 1000: 1-8 R=100, 50-51 R=100
        eve seats 60 64 in C row 9 of S at 7    => at 1000: 1-8 R=100, 50-51 R=100, 60-64 S=7
        eve prices R=200                        => …
        eve seats 52 52 in A row 1              => at 1000: 1-8 R=200, 50-52 R=200, 60-64 S=7
        ann takes 3 section A                   => took 2 3 4 until 300
        ",
    );
    let layout = stage.world.tables.layouts.values().next().unwrap();
    let rows: Vec<_> = layout.section("A").unwrap().rows.iter().map(|row| row.segments.len()).collect();
    assert_eq!(rows, [3, 1]);
}
