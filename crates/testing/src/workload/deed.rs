//! What a caller requested and the outcome, as recorded by the caller.

use serde_json::{Value, json};

use crate::caller::{Call, Caller, Reply};

/// A request of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Charge { wallet: String, amount: i64 },
    Use { wallet: String, amount: i64 },
    Apply { lecture: String },
    Cancel { lecture: String },
    Enter { user: String, concert: String },
    Leave { token: String },
    Hold { performance: String, seats: Vec<u32> },
    Release { reservation: String },
    Pay { reservation: String },
}

impl What {
    /// Refusals that a correct server may give here. Any other, such as a reservation that is not found, shows that
    /// something acknowledged was lost.
    fn refusals(&self) -> &'static [&'static str] {
        match self {
            Self::Charge { .. } => &["balance-limit"],
            Self::Use { .. } | Self::Pay { .. } => &["insufficient-balance"],
            Self::Apply { .. } => &["lecture-full"],
            Self::Hold { .. } => &["seat-taken", "seat-limit", "queue-token-waiting"],
            Self::Cancel { .. } | Self::Enter { .. } | Self::Leave { .. } | Self::Release { .. } => &[],
        }
    }

    /// The refusal that this request gets if `earlier`, whose outcome no answer showed, took effect after all. A database
    /// that stood still commits what it had received when it goes on, perhaps after the caller has read the state.
    fn late(&self, earlier: &Self) -> Option<&'static str> {
        match (earlier, self) {
            (Self::Apply { lecture }, Self::Apply { lecture: same }) if lecture == same => Some("already-applied"),
            (Self::Cancel { lecture }, Self::Cancel { lecture: same }) if lecture == same => {
                Some("application-not-found")
            }
            (Self::Release { reservation }, Self::Pay { reservation: same }) if reservation == same => {
                Some("hold-expired")
            }
            _ => None,
        }
    }
}

/// What the caller knows of a request's effect.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// No answer, or one that leaves the outcome open.
    Unknown,
    /// Unknown, and without a key to retry with.
    Maybe,
    /// Acknowledged with this reply.
    Done(Reply),
    /// Refused: nothing was done.
    Refused(Reply),
}

/// One request and its outcome.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) what: What,
    /// The person who acts.
    pub(super) user: String,
    /// The queue token that the request carries.
    pub(super) token: Option<String>,
    pub(super) key: Option<String>,
    /// When it was first sent and when it was answered, by a clock that all callers share.
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) outcome: Outcome,
}

impl Deed {
    pub(super) fn call(&self, caller: &Caller) -> Call {
        let token = self.token.as_deref().unwrap_or_default();
        let user = &self.user;
        let call = match &self.what {
            What::Charge { wallet, amount } => points(caller, wallet, "charge", *amount),
            What::Use { wallet, amount } => points(caller, wallet, "use", *amount),
            What::Apply { lecture } => {
                caller.post("/lectures/apply").json(&json!({"userId": user, "lectureId": lecture}))
            }
            What::Cancel { lecture } => caller.delete(&format!("/lectures/application/{user}/{lecture}")),
            What::Enter { user, concert } => {
                caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": concert}))
            }
            What::Leave { token } => caller.delete("/queue/token").token(token),
            What::Hold { performance, seats } => {
                let body = json!({"performanceId": performance, "seats": seats});
                caller.post("/reservations").token(token).json(&body)
            }
            What::Release { reservation } => caller.delete(&format!("/reservations/{reservation}")).token(token),
            What::Pay { reservation } => {
                caller.post("/payments").token(token).json(&json!({"reservationId": reservation}))
            }
        };
        match &self.key {
            Some(key) => call.key(key),
            None => call,
        }
    }

    /// Whether a retry is safe: entering is idempotent by itself.
    pub(super) fn is_repeatable(&self) -> bool {
        self.key.is_some() || matches!(self.what, What::Enter { .. })
    }

    /// Records the answer. Returns whether it shows that one of the `earlier` requests took effect late.
    ///
    /// # Panics
    /// If a correct server cannot give this answer.
    pub(super) fn take_down(&mut self, reply: Result<Reply, String>, earlier: &[Self]) -> bool {
        self.outcome = match reply {
            Err(_) => Outcome::Unknown,
            Ok(reply) if reply.status.is_success() => Outcome::Done(reply),
            Ok(reply) if reply.status == 503 => {
                let code = reply.code();
                assert!(code == "unavailable" || code == "overloaded", "{}: {code}", reply.call);
                Outcome::Unknown
            }
            Ok(reply) => {
                let code = reply.code();
                let mut maybes = earlier.iter().filter(|deed| matches!(deed.outcome, Outcome::Maybe));
                let late = maybes.any(|deed| self.what.late(&deed.what) == Some(code.as_str()));
                let expected = late || self.what.refusals().contains(&code.as_str());
                assert!(expected, "{self:?}: {}: {}", reply.call, reply.json());
                self.outcome = Outcome::Refused(reply);
                return late;
            }
        };
        false
    }

    /// The body of the acknowledgement, if there is one.
    pub(super) fn done(&self) -> Option<Value> {
        match &self.outcome {
            Outcome::Done(reply) => Some(reply.json()),
            Outcome::Unknown | Outcome::Maybe | Outcome::Refused(_) => None,
        }
    }

    /// A reply that its key must give again.
    pub(super) fn kept(&self) -> Option<&Reply> {
        let (Outcome::Done(reply) | Outcome::Refused(reply)) = &self.outcome else { return None };
        let keeps = self.key.is_some() && reply.status != 403 && !matches!(self.what, What::Enter { .. });
        keeps.then_some(reply)
    }
}

fn points(caller: &Caller, wallet: &str, verb: &str, amount: i64) -> Call {
    caller.patch(&format!("/point/{wallet}/{verb}")).json(&json!({"amount": amount}))
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, StatusCode};

    use super::{Deed, Outcome, What};
    use crate::caller::Reply;

    fn deed(what: What, outcome: Outcome) -> Deed {
        Deed { what, user: "ada".to_owned(), token: None, key: None, sent: 1, answered: 2, outcome }
    }

    fn apply(lecture: &str) -> What {
        What::Apply { lecture: lecture.to_owned() }
    }

    fn refused(code: &str) -> Reply {
        let body = serde_json::json!({"code": code}).to_string().into();
        Reply { call: String::new(), status: StatusCode::CONFLICT, headers: HeaderMap::new(), body }
    }

    #[test]
    fn a_request_of_unknown_outcome_explains_a_refusal_of_the_same_subject() {
        let mut again = deed(apply("a"), Outcome::Unknown);
        assert!(again.take_down(Ok(refused("already-applied")), &[deed(apply("a"), Outcome::Maybe)]));
        assert!(matches!(again.outcome, Outcome::Refused(_)));
    }

    #[test]
    #[should_panic(expected = "already-applied")]
    fn a_request_about_another_subject_explains_nothing() {
        let elsewhere = deed(apply("b"), Outcome::Maybe);
        deed(apply("a"), Outcome::Unknown).take_down(Ok(refused("already-applied")), &[elsewhere]);
    }

    #[test]
    #[should_panic(expected = "already-applied")]
    fn a_request_that_was_refused_explains_nothing() {
        let refusal = deed(apply("a"), Outcome::Refused(refused("lecture-full")));
        deed(apply("a"), Outcome::Unknown).take_down(Ok(refused("already-applied")), &[refusal]);
    }
}
