//! The words of scripts about a performance that is on sale: its blocked seats, its start, its prices and its further seats.

use onsale_domain::concert::{self, AddedRange, GradePrice, Performance, Seating, Section};

use super::outcomes::seconds;
use super::stage::Line;
use super::{START, Stage};
use crate::support::mixed::AnyCommand;

impl Stage {
    /// What an organiser changes of a performance that is on sale.
    pub(super) fn offer_command(&self, line: &Line<'_>) -> AnyCommand {
        let (performance, seats) = (self.performance_of(line.actor), line.numbers());
        let change = concert::ChangePerformance::of(performance);
        let mut priced = line.rest.iter().filter_map(|word| {
            let (grade, price) = word.split_once('=')?;
            Some((grade, price.parse().expect("a price")))
        });
        match line.verb {
            "blocks" => concert::Block { performance, seats: seats.into(), reason: "a camera".into() }.into(),
            "unblocks" => concert::Unblock { performance, seats: seats.into(), reason: "no camera".into() }.into(),
            "moves" => {
                let seconds = u32::try_from(line.amount()).expect("seconds");
                concert::ChangePerformance { starts_at: Some(START.plus_seconds(seconds)), ..change }.into()
            }
            "prices" => {
                let prices = priced.map(|(grade, price)| GradePrice { grade: grade.into(), price }).collect();
                concert::ChangePerformance { prices, ..change }.into()
            }
            // `eve seats 60 61 in A row 3 of R at 500`
            "seats" => {
                let bounds: Vec<u32> = seats.iter().map(|seat| u32::try_from(*seat).expect("a seat")).collect();
                let range = AddedRange {
                    from: bounds[0],
                    to: bounds[1],
                    section: line.option("in").map(Into::into),
                    row: line.option("row").map(Into::into),
                    grade: line.option("of").map(Into::into),
                    price: line.option("at").map(|price| price.parse().expect("a price")),
                };
                let section = Section { from: range.from, to: range.to, grade: "R".into(), price: 50_000 };
                let seats = Seating::new(vec![section]).expect("a sound seating");
                concert::AddSeats { performance, seats, places: vec![range] }.into()
            }
            // As many sections that do not touch.
            "fills" => {
                let section = |index: u32| {
                    let seat = 100 + 2 * index;
                    Section { from: seat, to: seat, grade: "S".into(), price: 1 }
                };
                let sections = (0..u32::try_from(line.amount()).expect("a count")).map(section);
                let seats = Seating::new(sections.collect()).expect("a sound seating");
                concert::AddSeats { performance, seats, places: Vec::new() }.into()
            }
            _ => {
                let bounds = seats.iter().map(|seat| u32::try_from(*seat).expect("a seat")).collect::<Vec<u32>>();
                let (grade, price) = priced.next_back().expect("a grade and its price");
                let section = |pair: &[u32]| Section { from: pair[0], to: pair[1], grade: grade.into(), price };
                let seats = Seating::new(bounds.chunks(2).map(section).collect()).expect("a sound seating");
                concert::AddSeats { performance, seats, places: Vec::new() }.into()
            }
        }
    }
}

/// The start of a performance and its sections.
pub(super) fn of_offer(performance: &Performance) -> String {
    let section = |section: &Section| format!("{}-{} {}={}", section.from, section.to, section.grade, section.price);
    let sections: Vec<String> = performance.seating.sections().iter().map(section).collect();
    format!("at {}: {}", seconds(performance.starts_at), sections.join(", "))
}
