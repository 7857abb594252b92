//! Positions by subtraction, row by row.

use onsale_domain::waiting_room::Line;

#[track_caller]
fn check(line: &Line, positions: &[(u64, Option<u64>)], waiting: u64) {
    for (place, position) in positions {
        assert_eq!(line.position(*place), *position, "the position of place {place} in {line:?}");
    }
    assert_eq!(line.waiting(), waiting, "who waits in {line:?}");
}

#[test]
fn a_position_counts_the_people_still_in_line() {
    let line = Line::new(10, 3, vec![9, 5, 6, 5]);
    let positions = [(0, None), (1, None), (3, None), (4, Some(1)), (5, None), (6, None), (7, Some(2))];
    check(&line, &positions, 4);
    check(&line, &[(8, Some(3)), (9, None), (10, Some(4)), (11, None), (u64::MAX, None)], 4);
}

#[test]
fn an_empty_line_has_no_positions() {
    check(&Line::default(), &[(0, None), (1, None)], 0);
    check(&Line::new(5, 5, vec![1, 2]), &[(1, None), (5, None), (6, None)], 0);
}

#[test]
fn a_place_is_given_up_once_and_only_while_in_line() {
    let mut line = Line::new(5, 1, Vec::new());
    line.give_up(3);
    line.give_up(3);
    line.give_up(1);
    line.give_up(0);
    check(&line, &[(2, Some(1)), (3, None), (4, Some(2)), (5, Some(3))], 3);
}

#[test]
fn a_line_advances_and_never_goes_back() {
    let mut line = Line::new(5, 1, vec![2, 4]);
    line.advance(7, 3);
    check(&line, &[(3, None), (4, None), (5, Some(1)), (7, Some(3))], 3);
    line.advance(6, 2);
    check(&line, &[(3, None), (4, None), (5, Some(1)), (7, Some(3))], 3);
    line.advance(7, 7);
    check(&line, &[(7, None)], 0);
}

/// A snapshot copies its line; what becomes of the copy is no matter of the first.
#[test]
fn copies_do_not_see_each_others_changes() {
    let line = Line::new(5, 0, vec![2]);
    let (mut left, mut moved) = (line.clone(), line.clone());
    left.give_up(3);
    moved.advance(5, 2);
    check(&line, &[(3, Some(2)), (5, Some(4))], 4);
    check(&left, &[(3, None), (5, Some(3))], 3);
    check(&moved, &[(3, Some(1)), (5, Some(3))], 3);
}

/// The users in line are those with a position.
#[test]
fn places_that_were_never_handed_out_are_not_in_line() {
    check(&Line::new(5, 2, vec![9]), &[(3, Some(1)), (5, Some(3)), (9, None)], 3);
    let mut line = Line::new(5, 2, Vec::new());
    line.give_up(6);
    check(&line, &[(5, Some(3)), (6, None)], 3);
}

#[test]
fn a_line_that_moves_on_to_a_place_calls_the_people_up_to_it() {
    let line = Line::new(10, 3, vec![9, 5, 6]);
    for (place, people) in [(0, 0), (3, 0), (4, 1), (5, 1), (6, 1), (7, 2), (8, 3), (9, 3), (10, 4)] {
        assert_eq!(line.users_up_to(place), people, "people in line up to place {place}");
    }
}
