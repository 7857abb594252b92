//! Lectures.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};

use super::crowd::user;
use super::{Writes, share_of};
use crate::measure::Bench;
use crate::raw::Kind;

/// Maximum number of applications, one per user.
const APPLICANTS: usize = 360_000;

pub(crate) fn apply(bench: &mut Bench) -> Outcome<()> {
    let server = bench.server(&[])?;
    let lecture = server.stage.lecture(1_000_000)?;
    let application = |number: usize| {
        let body = format!(r#"{{"userId":"{}","lectureId":"{lecture}"}}"#, user(number));
        Request::post("/lectures/apply").json(body)
    };
    let writes = Writes {
        work: "lecture application",
        target: Some(0.2),
        supply: Arc::new(Supply::once((0..APPLICANTS).map(application))),
        expected: &[(201, "")],
        count: share_of(bench, APPLICANTS),
        at_half: true,
        raw: Some(Kind::Application),
    };
    writes.measure(bench, server)
}
