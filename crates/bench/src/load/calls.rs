//! The calls that persons make, and what their answers mean.

use onsale_testing::auditor::Asked;

/// A call of the API, or a use of one that is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Call {
    Enter,
    Poll,
    Leave,
    Dates,
    Seats,
    Hold,
    Charge,
    Pay,
    Apply,
    Release,
    Reservation,
    Payment,
    Reservations,
    Payments,
    Points,
    UsePoints,
    Histories,
    Concerts,
    Lectures,
    Applications,
    Cancel,
    GrabAsUser,
    GrabFromAddress,
    Connect,
}

/// The kind of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Done, or refused by a rule of the sale that this call may run into.
    Good,
    /// Refused because of load or a limit: 429, or 503 `overloaded`.
    Shed,
    /// Everything else: no answer, 5xx, or a refusal that the script does not expect.
    Failed,
}

/// Name, method, path, and the codes of refusals that are good answers.
type About = (Call, &'static str, &'static str, &'static str, &'static [&'static str]);

/// All calls. A test compares paths and codes with the OpenAPI document.
#[rustfmt::skip]
pub(super) const CALLS: [About; 24] = [
    (Call::Enter, "enter", "POST", "/queue/tokens", &[]),
    (Call::Poll, "poll", "GET", "/queue/token", &[]),
    (Call::Leave, "leave", "DELETE", "/queue/token", &[]),
    (Call::Dates, "dates", "GET", "/concerts/{concertId}/dates", &["queue-token-expired"]),
    (Call::Seats, "seats", "GET", "/concerts/{concertId}/seats", &["queue-token-expired"]),
    (Call::Hold, "hold", "POST", "/reservations", &["seat-taken", "seat-limit", "queue-token-expired"]),
    (Call::Charge, "charge", "PATCH", "/point/{id}/charge", &[]),
    (Call::Pay, "pay", "POST", "/payments", &["hold-expired", "already-paid", "queue-token-expired"]),
    (Call::Apply, "apply", "POST", "/lectures/apply", &["lecture-full", "already-applied"]),
    (Call::Release, "release", "DELETE", "/reservations/{reservationId}", &[]),
    (Call::Reservation, "reservation", "GET", "/reservations/{reservationId}", &[]),
    (Call::Payment, "payment", "GET", "/payments/{paymentId}", &[]),
    (Call::Reservations, "reservations", "GET", "/users/{userId}/reservations", &[]),
    (Call::Payments, "payments", "GET", "/users/{userId}/payments", &[]),
    (Call::Points, "points", "GET", "/point/{id}", &[]),
    (Call::UsePoints, "use", "PATCH", "/point/{id}/use", &["insufficient-balance"]),
    (Call::Histories, "histories", "GET", "/point/{id}/histories", &[]),
    (Call::Concerts, "concerts", "GET", "/concerts", &[]),
    (Call::Lectures, "lectures", "GET", "/lectures", &[]),
    (Call::Applications, "applications", "GET", "/lectures/application/{userId}", &[]),
    (Call::Cancel, "cancel", "DELETE", "/lectures/application/{userId}/{lectureId}", &["application-not-found"]),
    (Call::GrabAsUser, "grab as a user", "GET", "/point/{id}", &["too-many-requests"]),
    (Call::GrabFromAddress, "grab from an address", "POST", "/queue/tokens", &["authentication-required", "too-many-requests"]),
    (Call::Connect, "connect", "GET", "/healthz", &[]),
];

impl Call {
    fn about(self) -> &'static About {
        CALLS.iter().find(|(call, ..)| *call == self).unwrap_or(&CALLS[0])
    }

    /// Its name in tables and in files of answers.
    pub(super) fn name(self) -> &'static str {
        self.about().1
    }

    /// The call with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        CALLS.iter().find(|(_, known, ..)| *known == name).map(|(call, ..)| *call)
    }

    /// The kind of the call for the auditor of waiting rooms.
    pub(super) fn asked(self) -> Option<Asked> {
        Some(match self {
            Self::Enter => Asked::Enter,
            Self::Poll => Asked::Poll,
            Self::Leave => Asked::Leave,
            Self::Dates | Self::Seats => Asked::Use,
            Self::Hold => Asked::Hold,
            Self::Pay => Asked::Pay,
            _ => return None,
        })
    }

    /// The kind of an answer. Status 0 stands for no answer.
    pub(super) fn kind(self, status: u16, code: &str) -> Kind {
        match status {
            200..300 => Kind::Good,
            _ if self.about().4.contains(&code) => Kind::Good,
            429 => Kind::Shed,
            503 if code == "overloaded" => Kind::Shed,
            _ => Kind::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_one_line_and_names_are_unique() {
        for (index, (call, name, ..)) in CALLS.iter().enumerate() {
            assert_eq!((Call::named(name), CALLS[index].0, call.name()), (Some(*call), *call, *name));
        }
    }

    #[test]
    fn a_refusal_is_good_only_for_a_call_that_may_run_into_it() {
        assert_eq!(Call::Hold.kind(409, "seat-taken"), Kind::Good);
        assert_eq!(Call::Charge.kind(409, "seat-taken"), Kind::Failed);
        assert_eq!((Call::Poll.kind(429, "too-many-requests"), Call::Poll.kind(0, "")), (Kind::Shed, Kind::Failed));
        assert_eq!((Call::Pay.kind(503, "overloaded"), Call::Pay.kind(503, "unavailable")), (Kind::Shed, Kind::Failed));
        assert_eq!(Call::GrabAsUser.kind(429, "too-many-requests"), Kind::Good);
    }
}
