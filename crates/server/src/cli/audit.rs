//! `onsale audit`: checks every invariant on the live data.

use std::process::ExitCode;

use onsale_app::audit::{Finding, audit};

use super::{Failed, Outcome, block_on, print};
use crate::sale::audit_source;
use crate::settings::Settings;

pub(super) fn run(settings: &Settings) -> Outcome {
    let findings = block_on(async { audit(&*audit_source(&settings.database).await?).await.map_err(Failed::from) })?;
    let broken = findings.iter().filter(|finding| finding.broken > 0).count();
    for finding in &findings {
        print(&line(finding))?;
    }
    match broken {
        0 => print(&format!("all {} invariants hold", findings.len())),
        _ => print(&format!("{broken} of {} invariants are broken", findings.len())).map(|_| ExitCode::FAILURE),
    }
}

/// The line of an invariant. If it is broken, a further line for each example.
pub(super) fn line(finding: &Finding) -> String {
    let Finding { invariant, checked, broken, examples } = finding;
    if *broken == 0 {
        return format!("ok      {invariant}: {checked} checked");
    }
    let mut text = format!("BROKEN  {invariant}: {broken} of {checked}");
    for example in examples {
        text.push_str(&format!("\n        {example}"));
    }
    text
}
