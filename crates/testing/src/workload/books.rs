//! Compares the callers' records with what the server returns.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::deed::{Deed, Outcome, What};

/// A wallet's history, oldest first, compared with the deeds that moved its points. Returns the payments that it names.
///
/// # Panics
/// If an acknowledged deed is missing, or a row has no request, or a row is there twice.
pub(super) fn compare_wallet(wallet: &str, rows: &[Value], deeds: &[&Deed]) -> BTreeMap<String, (i64, i64)> {
    let mut balance = 0;
    let mut moved: BTreeMap<(String, i64), Vec<i64>> = BTreeMap::new();
    let mut payments = BTreeMap::new();
    for row in rows {
        let amount = row["amount"].as_i64().unwrap();
        balance += if row["type"] == "CHARGE" { amount } else { -amount };
        assert_eq!(row["balanceAfter"], balance, "{wallet}: the chain is broken at {row}");
        match row["reference"].as_str() {
            Some(payment) => {
                let twice = payments.insert(payment.to_owned(), (amount, balance));
                assert!(twice.is_none() && row["type"] == "USE", "{wallet}: {row} is there twice");
            }
            None => {
                let kind = row["type"].as_str().unwrap().to_owned();
                moved.entry((kind, amount)).or_default().push(balance);
            }
        }
    }
    for deed in deeds {
        let (kind, amount) = match &deed.what {
            What::Charge { wallet: known, amount } if known == wallet => ("CHARGE", *amount),
            What::Use { wallet: known, amount } if known == wallet => ("USE", *amount),
            _ => continue,
        };
        let found = moved.remove(&(kind.to_owned(), amount)).unwrap_or_default();
        match &deed.outcome {
            Outcome::Done(reply) => {
                let said = reply.json()["balance"].as_i64();
                assert_eq!(found.as_slice(), said.as_slice(), "{wallet}: acknowledged once: {deed:?}");
            }
            Outcome::Refused(_) => assert!(found.is_empty(), "{wallet}: refused, and yet there: {deed:?}"),
            Outcome::Maybe => assert!(found.len() <= 1, "{wallet}: done twice: {deed:?}"),
            Outcome::Unknown => panic!("{wallet}: not settled: {deed:?}"),
        }
    }
    assert!(moved.is_empty(), "{wallet}: no request explains {moved:?}");
    payments
}

/// One person's lines of a lecture's history, oldest first, compared with their deeds: each acknowledged deed has its line,
/// in the same order, and every line has a deed.
pub(super) fn explains(mut deeds: &[&Deed], mut lines: &[&Value]) -> bool {
    while let Some((deed, later)) = deeds.split_first() {
        deeds = later;
        let kind = if matches!(deed.what, What::Apply { .. }) { "APPLIED" } else { "CANCELLED" };
        let next = lines.first().filter(|line| line["type"] == kind);
        match (&deed.outcome, next) {
            (Outcome::Done(reply), Some(line)) => {
                let body = reply.json();
                let same = body["seatNumber"] == line["seatNumber"] && body["appliedAt"] == line["createdAt"];
                if !body.is_null() && !same {
                    return false;
                }
                lines = &lines[1..];
            }
            (Outcome::Done(_) | Outcome::Unknown, _) => return false,
            (Outcome::Maybe, Some(_)) if explains(later, &lines[1..]) => return true,
            (Outcome::Maybe | Outcome::Refused(_), _) => {}
        }
    }
    lines.is_empty()
}

/// The states that a reservation may have after its owner's deeds, from the hold on.
fn statuses(reservation: &str, token: Option<&str>, after: &[Deed]) -> BTreeSet<&'static str> {
    let mut statuses = BTreeSet::from(["HELD"]);
    for deed in after {
        let end = match &deed.what {
            What::Pay { reservation: known } if known == reservation => "PAID",
            What::Release { reservation: known } if known == reservation => "RELEASED",
            What::Leave { token: known } if Some(known.as_str()) == token && statuses.contains("HELD") => "RELEASED",
            _ => continue,
        };
        match deed.outcome {
            Outcome::Done(_) => statuses = BTreeSet::from([end]),
            Outcome::Maybe => drop(statuses.insert(end)),
            Outcome::Refused(_) | Outcome::Unknown => {}
        }
    }
    statuses
}

/// One person's reservations compared with their deeds.
///
/// # Panics
/// If an acknowledged reservation is missing or differs, or a reservation has no request.
pub(super) fn compare_reservations(deeds: &[Deed], rows: &[Value]) {
    let mut unclaimed: BTreeMap<&str, &Value> =
        rows.iter().map(|row| (row["reservationId"].as_str().unwrap(), row)).collect();
    assert_eq!(unclaimed.len(), rows.len(), "a reservation is listed twice");
    for (at, deed) in deeds.iter().enumerate() {
        let (What::Hold { .. }, Some(held)) = (&deed.what, deed.done()) else { continue };
        let id = held["reservationId"].as_str().unwrap();
        let row = unclaimed.remove(id).unwrap_or_else(|| panic!("a reservation is lost: {deed:?}"));
        for member in ["performanceId", "date", "seats", "amount", "heldUntil"] {
            assert_eq!(row[member], held[member], "{member} of {deed:?}");
        }
        let allowed = statuses(id, deed.token.as_deref(), &deeds[at + 1..]);
        assert!(allowed.contains(row["status"].as_str().unwrap()), "{allowed:?}, not {row}: {deed:?}");
    }
    for (at, deed) in deeds.iter().enumerate() {
        let (What::Hold { performance, seats }, Outcome::Maybe) = (&deed.what, &deed.outcome) else { continue };
        let is_it = |row: &Value| row["performanceId"] == **performance && row["seats"] == Value::from(seats.clone());
        // Of two such requests for the same seats only one may have taken effect: the one that explains the state.
        let allowed = |id: &str| statuses(id, deed.token.as_deref(), &deeds[at + 1..]);
        let is_explained = |id: &str, row: &Value| is_it(row) && allowed(id).contains(row["status"].as_str().unwrap());
        let found = unclaimed.iter().find(|(id, row)| is_explained(id, row)).map(|(id, _)| *id);
        if let Some(id) = found {
            unclaimed.remove(id);
        }
    }
    assert!(unclaimed.is_empty(), "no request explains {unclaimed:?}");
}

/// One person's payments compared with their deeds and the debits of their wallet.
///
/// # Panics
/// If an acknowledged payment is missing, is not debited exactly once, or has no request.
pub(super) fn compare_payments(deeds: &[Deed], rows: &[Value], mut debits: BTreeMap<String, (i64, i64)>) {
    let mut unclaimed: BTreeMap<&str, &Value> =
        rows.iter().map(|row| (row["paymentId"].as_str().unwrap(), row)).collect();
    for row in rows {
        let debit = debits.remove(row["paymentId"].as_str().unwrap());
        let said = row["amount"].as_i64().zip(row["balance"].as_i64());
        assert_eq!(debit, said, "a payment is debited once: {row}");
    }
    assert!(debits.is_empty(), "debits without a payment: {debits:?}");
    for deed in deeds {
        let (What::Pay { .. }, Some(paid)) = (&deed.what, deed.done()) else { continue };
        let row = unclaimed.remove(paid["paymentId"].as_str().unwrap());
        assert_eq!(row, Some(&paid), "a payment is as it was acknowledged: {deed:?}");
    }
    assert!(unclaimed.is_empty(), "no request explains {unclaimed:?}");
}
