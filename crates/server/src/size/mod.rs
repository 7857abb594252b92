//! Sizes: from the seats of a hall, its crowd and the minutes of its sale to rates, and from rates to processors and memory.
//!
//! Pure: reads nothing. Each figure names the measurement that it rests on ([`costs::FIGURES`]). The page
//! `docs/measurements/size.html` has the same formula, and a test compares both. All numbers are `f64`, so that both languages
//! compute the same.

mod costs;
mod parts;
mod rates;
mod show;

use serde::Serialize;

use costs::{Figure, INSTANCES, POSTGRES_SIZES, REDIS_SIZES, Tier};
use parts::Shared;
use rates::Rates;

pub(crate) use show::grouped;

/// What an organiser knows before a sale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Demand {
    /// Seats on sale, at least 1.
    pub(crate) seats: f64,
    /// Persons who want one.
    pub(crate) crowd: f64,
    /// Minutes within which all seats are to be sold.
    pub(crate) minutes: f64,
}

/// What a sale needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Plan {
    demand: Demand,
    rates: Rates,
    /// One instance on a SQLite file. `None` if one is not enough.
    sqlite: Option<Part>,
    /// Several instances on Postgres and Redis, one more than the load needs.
    shared: Shared,
}

/// Processes of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Part {
    count: f64,
    /// The limit of processors of each: 0.5 is half of the time of one.
    cpus: f64,
    /// The limit of memory of each, in MB of 1,048,576 bytes.
    megabytes: f64,
}

/// The figures and sizes from which plans are made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Basis {
    figures: &'static [Figure],
    instances: &'static [Tier],
    postgres: &'static [Tier],
    redis: &'static [Tier],
}

impl Basis {
    /// What every plan rests on.
    pub(crate) const ALL: Self =
        Self { figures: &costs::FIGURES, instances: &INSTANCES, postgres: &POSTGRES_SIZES, redis: &REDIS_SIZES };
}

impl Plan {
    /// The plan of a sale.
    pub(crate) fn of(demand: Demand) -> Self {
        let rates = Rates::of(demand);
        Self { demand, rates, sqlite: parts::sqlite(demand, &rates), shared: Shared::of(demand, &rates) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seats: f64, crowd: f64, minutes: f64) -> Plan {
        Plan::of(Demand { seats, crowd, minutes })
    }

    fn total(part: Part) -> (f64, f64) {
        (part.count * part.cpus, part.count * part.megabytes)
    }

    #[test]
    fn a_small_hall_fits_into_one_small_instance() {
        let small = plan(500.0, 5_000.0, 10.0);
        let Rates { entries, arriving, admissions, max_active, connections, .. } = small.rates;
        assert_eq!((entries, arriving, admissions, max_active, connections), (500.0, 500.0, 1.0, 120.0, 1_000.0));
        assert_eq!(small.sqlite, Some(Part { count: 1.0, cpus: 0.25, megabytes: 128.0 }));
        assert_eq!(small.shared.instances, Part { count: 2.0, cpus: 0.25, megabytes: 128.0 });
    }

    #[test]
    fn more_demand_never_needs_less() {
        let crowds = [1.0, 1e3, 1e4, 1e5, 1e6, 1e7];
        for pair in crowds.windows(2) {
            for seats in [50.0, 5_000.0, 50_000.0] {
                let [less, more] = [pair[0], pair[1]].map(|crowd| plan(seats, crowd, 30.0).shared);
                for (less, more) in [(less.instances, more.instances), (less.redis, more.redis)] {
                    let ((less, less_memory), (more, more_memory)) = (total(less), total(more));
                    assert!(less <= more && less_memory <= more_memory, "{pair:?} {seats}: {less} {more}");
                }
                let [slow, fast] = [60.0, 5.0].map(|minutes| plan(seats, pair[1], minutes).shared.postgres);
                assert!(slow.cpus <= fast.cpus, "{seats}: {slow:?} {fast:?}");
            }
        }
    }

    #[test]
    fn one_room_takes_in_as_many_a_second_as_one_redis_can() {
        let Rates { arriving, entries, entered_seconds, .. } = plan(50_000.0, 1e7, 60.0).rates;
        assert_eq!((arriving, entries, entered_seconds), (1e6, 25_000.0, 200.0));
        assert_eq!(plan(50_000.0, 1e7, 60.0).sqlite, None);
    }

    #[test]
    fn the_spare_instance_may_be_lost() {
        for crowd in [1e3, 1e5, 1e6, 1e7] {
            let Plan { rates, shared, .. } = plan(5_000.0, crowd, 30.0);
            let left = shared.instances.count - 1.0;
            assert!(rates.instance_cpus <= left * shared.instances.cpus, "{crowd}: {rates:?} {shared:?}");
            assert!(rates.connections <= left * shared.connections_max, "{crowd}: {rates:?} {shared:?}");
        }
    }

    #[test]
    fn each_figure_is_used_by_its_name_and_has_a_value() {
        let sources = [include_str!("rates.rs"), include_str!("parts.rs")].concat();
        for Figure { name, value, .. } in costs::FIGURES {
            assert!(value > 0.0 && sources.contains(&format!("value(\"{name}\")")), "{name} is not used");
        }
        let used = sources.split("value(\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
        for name in used {
            assert!(costs::value(name) > 0.0, "no figure is called {name}");
        }
    }

    /// Each figure names a document that has its row. A row that is renamed must be renamed in the table of figures too.
    #[test]
    fn each_figure_rests_on_a_row_that_exists() {
        for Figure { name, document, row, .. } in costs::FIGURES {
            let path = format!("{}/../../docs/{document}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            // Without the table that is made from these figures.
            let text = text.split("<!-- begin figures -->").next().unwrap_or_default().to_owned()
                + text.split("<!-- end figures -->").nth(1).unwrap_or_default();
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains(&row.split_whitespace().collect::<Vec<_>>().join(" ")), "{name}: {document}: {row}");
        }
    }
}
