//! One run in the terminal.

use std::fmt::Write as _;

use super::super::record::Record;
use super::tables::count;

/// Everything about a run, in lines.
pub(in crate::load) fn console(record: &Record) -> String {
    let mut text = format!(
        "{}: {}\n  {} persons in {:.0} s, {} answers audited, {} of {} seats sold",
        record.title(),
        record.text("verdict"),
        count(record.number("persons")),
        record.number("arriving"),
        count(record.number("audited")),
        count(record.number("sold")),
        count(record.number("seats")),
    );
    if record.number("cut") > 0.0 {
        let _ = write!(text, ", {} answers cut", count(record.number("cut")));
    }
    for list in ["wrong", "missed", "void"] {
        for line in record.texts(list) {
            let _ = write!(text, "\n  {list}: {line}");
        }
    }
    let ends = record.0["ends"].as_object().into_iter().flatten();
    let ends: Vec<String> = ends.map(|(end, count)| format!("{count} {end}")).collect();
    let _ = write!(text, "\n  persons: {}\n{}", ends.join(", "), super::tables::calls(record));
    let _ = write!(text, "{}", super::tables::resources(std::slice::from_ref(record)));
    let desk = &record.0["desk"];
    let _ = writeln!(
        text,
        "desk: {} commands a batch, wait {} ms, unit {} ms, commit {} ms, {} shed, {} failed; probes: {} of {} failed, \
         longest gap {} s",
        desk["batch"],
        desk["wait"],
        desk["unit"],
        desk["commit"],
        desk["shed"],
        desk["failed"],
        record.0["liveness"]["failed"],
        record.0["liveness"]["probes"],
        record.0["liveness"]["longestGap"],
    );
    text
}
