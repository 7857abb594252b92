//! Plans and figures as text.

use std::fmt::{Display, Formatter, Result};

use super::rates::Rates;
use super::{Basis, Part, Plan};

/// The connections that Postgres accepts if nothing is set.
const DATABASE_CONNECTIONS: f64 = 100.0;

impl Display for Plan {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let Self { demand, rates, sqlite, shared } = self;
        let Rates { arriving, entries, entered_seconds, admissions, max_active, .. } = *rates;
        writeln!(
            out,
            "{} seats, {} persons, sold within {} minutes\n",
            grouped(demand.seats),
            grouped(demand.crowd),
            grouped(demand.minutes)
        )?;
        writeln!(out, "each second of the opening")?;
        row(out, "arrive", arriving, "persons")?;
        row(out, "entries", entries, &format!("the line has the opening's crowd after {entered_seconds:.0} s"))?;
        row(out, "polls", rates.polls, "at most, however many wait (ONSALE_QUEUE_POLLS_PER_SECOND)")?;
        row(out, "admissions", admissions, &format!("admitPerSecond {admissions}, maxActive {max_active}"))?;
        row(out, "reads", rates.reads, "dates and seats")?;
        row(out, "holds", rates.holds, "")?;
        row(out, "payments", rates.payments, "and as many charges")?;
        row(out, "connections", rates.connections, "at once, to all instances together")?;

        writeln!(out, "\nsize, with half of the processors free")?;
        match sqlite {
            Some(part) => writeln!(out, "  alone        {part}, on a SQLite file: no spare, the smallest cost")?,
            None => writeln!(out, "  alone        one instance on a SQLite file is not enough")?,
        }
        writeln!(
            out,
            "  instances    {}, ONSALE_CONNECTIONS_MAX={}; one of them may be lost",
            shared.instances, shared.connections_max
        )?;
        let quarter = shared.postgres.megabytes / 4.0;
        writeln!(out, "  postgres     {}, shared_buffers {quarter} MB", shared.postgres)?;
        writeln!(out, "  redis        {}", shared.redis)?;
        write!(
            out,
            "  together     {} vCPU, {:.1} vCPU-hours with an hour before the sale; without balancer, relay and monitoring",
            shared.cpus, shared.cpu_hours
        )?;
        if entries < arriving {
            write!(
                out,
                "\n\nnote: one room takes in {} persons a second. The others get 503 with Retry-After and come again: open the \
                 line early, or split the concert into several rooms.",
                grouped(entries)
            )?;
        }
        if shared.database_connections > DATABASE_CONNECTIONS {
            write!(
                out,
                "\n\nnote: {} connections to Postgres: raise max_connections (100), or put a pooler in between.",
                shared.database_connections
            )?;
        }
        Ok(())
    }
}

fn row(out: &mut Formatter<'_>, name: &str, value: f64, remark: &str) -> Result {
    let remark = if remark.is_empty() { String::new() } else { format!("  {remark}") };
    writeln!(out, "  {name:<12} {:>9}{remark}", grouped(value))
}

impl Display for Part {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        write!(out, "{} × {} vCPU, {} MB", self.count, self.cpus, self.megabytes)
    }
}

impl Display for Basis {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        for (index, figure) in self.figures.iter().enumerate() {
            let line = if index == 0 { "" } else { "\n" };
            write!(
                out,
                "{line}{:>9} {}\n          docs/{}: {}",
                figure.value, figure.unit, figure.document, figure.row
            )?;
        }
        Ok(())
    }
}

/// A number without decimals, in groups of three digits.
pub(crate) fn grouped(value: impl Display) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Demand, Plan};
    use super::grouped;

    #[test]
    fn numbers_have_groups_of_three_digits() {
        assert_eq!([1.0, 999.0, 1_000.0, 1e7].map(grouped), ["1", "999", "1,000", "10,000,000"]);
        assert_eq!([0_u64, 1_234_567].map(grouped), ["0", "1,234,567"]);
    }

    #[test]
    fn a_plan_names_what_is_beyond_one_room() {
        let text = |crowd: f64| Plan::of(Demand { seats: 50_000.0, crowd, minutes: 60.0 }).to_string();
        assert!(text(1e7).contains("note: one room takes in 25,000 persons a second"));
        assert!(!text(1e4).contains("note:"));
    }
}
