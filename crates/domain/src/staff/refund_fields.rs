//! What the admin log shows of refunds, of refund policies, of cancellations and of corrections of wallets.

use super::{Action, Fields, Logged, Subject, Value};
use crate::cancellation::{Cancel, Cancellation, Cancelled};
use crate::refund::{Policy, Refund, RefundByStaff, Rule};
use crate::rows::Rows;
use crate::wallet::{self, Adjust, Changed};

pub(super) fn of_policy(policy: &Policy) -> Value {
    let of_rule = |rule: &Rule| {
        let Rule { hours_before, fee_percent } = *rule;
        Value::Object(vec![("hoursBefore", hours_before.into()), ("feePercent", fee_percent.into())])
    };
    Value::List(policy.rules().iter().map(of_rule).collect())
}

impl Logged for RefundByStaff {
    const ACTION: Action = Action::PaymentRefunded;

    fn subject(&self, refund: &Refund) -> Subject {
        Subject::Payment(refund.payment)
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, refund: &Refund) -> Fields {
        vec![
            ("refundId", Value::Text(refund.id.to_string().into())),
            ("userId", Value::Text(refund.user.as_str().into())),
            ("performanceId", Value::Text(refund.performance.to_string().into())),
            ("seats", Value::List(refund.seats.iter().map(|seat| (*seat).into()).collect())),
            ("amount", Value::Number(refund.amount)),
            ("fee", Value::Number(refund.fee)),
            ("reason", refund.reason.as_ref().into()),
        ]
    }
}

impl Logged for Cancel {
    const ACTION: Action = Action::PerformanceCancelled;

    fn subject(&self, _: &Cancelled) -> Subject {
        Subject::Performance(self.performance)
    }

    fn before(&self, rows: &Rows) -> Fields {
        of_cancellation(rows.cancellations.get(&self.performance))
    }

    fn after(&self, cancelled: &Cancelled) -> Fields {
        of_cancellation(Some(&cancelled.cancellation))
    }
}

fn of_cancellation(cancellation: Option<&Cancellation>) -> Fields {
    let (at, reason) = cancellation.map(|own| (own.cancelled_at, &own.reason)).unzip();
    vec![("cancelledAt", at.into()), ("reason", reason.into())]
}

impl Logged for Adjust {
    const ACTION: Action = Action::PointsAdjusted;

    fn subject(&self, _: &Changed) -> Subject {
        Subject::User(self.user.clone())
    }

    fn before(&self, rows: &Rows) -> Fields {
        vec![("balance", Value::Number(wallet::balance(rows, &self.user).balance))]
    }

    fn after(&self, changed: &Changed) -> Fields {
        vec![
            ("amount", Value::Number(self.amount)),
            ("balance", Value::Number(changed.account.balance)),
            // Leads to the one ledger entry that this explains: an amount and a balance may come again.
            ("version", Value::Number(i64::try_from(changed.account.version).unwrap_or(i64::MAX))),
            ("reason", (&self.reason).into()),
        ]
    }
}
