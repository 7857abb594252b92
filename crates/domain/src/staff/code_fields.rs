//! What the admin log shows of presale codes.

use super::{Action, Fields, Logged, Subject, Value};
use crate::presale::{Code, CreateCodes, DeleteCode};
use crate::rows::Rows;

impl Logged for CreateCodes {
    const ACTION: Action = Action::CodesCreated;

    fn subject(&self, _: &Vec<Code>) -> Subject {
        Subject::Concert(self.concert)
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, codes: &Vec<Code>) -> Fields {
        vec![("codes", Value::List(codes.iter().map(|code| Value::Object(of_code(code))).collect()))]
    }
}

impl Logged for DeleteCode {
    const ACTION: Action = Action::CodeDeleted;

    fn subject(&self, _: &Code) -> Subject {
        Subject::Concert(self.concert)
    }

    fn before(&self, rows: &Rows) -> Fields {
        rows.codes.get(&(self.concert, self.text.clone())).map_or_else(Fields::new, of_code)
    }

    fn after(&self, _: &Code) -> Fields {
        Fields::new()
    }
}

fn of_code(code: &Code) -> Fields {
    vec![
        ("code", (&code.text).into()),
        ("uses", code.uses.into()),
        ("usesPerUser", code.uses_per_user.into()),
        ("from", code.from.into()),
        ("until", code.until.into()),
    ]
}
