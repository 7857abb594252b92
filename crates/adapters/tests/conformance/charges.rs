//! Charges by staff under the id of another system: once for ever, also if two instances get them at once.

use std::sync::Arc;

use onsale_app::store::{StoreError, Wanted};
use onsale_domain::staff::{Actor, ChargeByStaff, ChargedByStaff, ExternalCharge};
use onsale_domain::{Command, Refusal, wallet};
use onsale_testing::without;

use crate::bed::{Bed, on_each_database};
use crate::forgetting::in_order;
use crate::mixed::by;
use crate::staff::{decide, log_of, run, wanted};
use crate::stage::user;

fn charge(name: &str, amount: i64, external_id: &str) -> ChargeByStaff {
    ChargeByStaff { user: user(name), amount, external_id: Some(Arc::from(external_id)) }
}

fn root<C: Command>(command: C) -> onsale_domain::staff::ByStaff<C> {
    by(Actor::Root, command)
}

async fn an_external_id_charges_once(bed: Bed) {
    let store = bed.store().await;
    let mut writer = store.writer().await.unwrap();
    let longest = "x".repeat(255);
    for id in ["pay_1", "'\"; DROP", "봄", &longest] {
        let first = run(&mut *writer, &root(charge("ada", 500, id))).await.expect("charged");
        assert!(!first.is_repeated);
        // Further moves of the wallet change nothing about the first result.
        run(&mut *writer, &wallet::Use { user: user("ada"), amount: 500 }).await.expect("used");
        for _ in 0..2 {
            let again = run(&mut *writer, &root(charge("ada", 500, id))).await.expect("the first result");
            let repeated = ChargedByStaff { is_repeated: true, ..first.clone() };
            assert_eq!(again, repeated);
        }
        for other in [charge("bob", 500, id), charge("ada", 501, id)] {
            assert_eq!(run(&mut *writer, &root(other)).await.map(drop), Err(Refusal::ExternalIdReused));
        }
    }
    let reader = store.reader();
    assert_eq!(reader.account(&user("ada")).await.unwrap().version, 8, "four charges and four uses");
    assert_eq!(reader.account(&user("bob")).await.unwrap().version, 0);
    assert_eq!(log_of(&*store, Default::default()).await.len(), 4, "one log entry for each charge that was made");
    in_order(&bed).await;
}

/// Two lanes load before either has saved: the later save is refused and changes nothing. Run again, it finds the first.
async fn two_units_of_one_external_id_charge_once(bed: Bed) {
    let store = bed.store().await;
    let mut writer = store.writer().await.unwrap();
    let mut unit = writer.load(&wanted(&root(charge("ada", 5, "pay")))).await.unwrap();
    decide(&root(charge("ada", 5, "pay")), &mut unit).expect("charged");
    writer.save(&unit).await.unwrap();
    // As another unit that was loaded before: it does not know the charge.
    let mut late = writer.load(&wanted(&root(charge("bob", 7, "pay")))).await.unwrap();
    late.rows.external_charges.load("pay".into(), None);
    decide(&root(charge("bob", 7, "pay")), &mut late).expect("it does not know better");
    let refused = writer.save(&late).await;
    assert!(matches!(refused, Err(StoreError::Rejected(_) | StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(run(&mut *writer, &root(charge("bob", 7, "pay"))).await.map(drop), Err(Refusal::ExternalIdReused));
    assert_eq!(store.reader().account(&user("bob")).await.unwrap().balance, 0, "nothing of the refused unit is left");
    in_order(&bed).await;
}

async fn wrong_charges_are_refused(bed: Bed) {
    let store = bed.store().await;
    let mut writer = store.writer().await.unwrap();
    for (id, amount) in [("", 5), (&*"x".repeat(256), 5), ("zero", 0), ("negative", -5)] {
        let command = wallet::Charge { user: user("ada"), amount: 5 };
        let mut unit = writer.load(&wanted(&command)).await.unwrap();
        decide(&command, &mut unit).expect("charged");
        let entry = unit.rows.ledger[0].clone();
        let charge = ExternalCharge {
            user: user("ada"),
            version: entry.version,
            amount,
            balance_after: entry.balance_after,
            charged_at: entry.created_at,
        };
        unit.rows.external_charges.put(id.into(), charge);
        let refused = writer.save(&unit).await;
        assert!(matches!(refused, Err(StoreError::Rejected(_))), "{id:?}, {amount}: {refused:?}");
    }
    let unit = writer.load(&Wanted::default()).await.unwrap();
    writer.save(&unit).await.unwrap();
    in_order(&bed).await;
}

on_each_database!(an_external_id_charges_once, two_units_of_one_external_id_charge_once, wrong_charges_are_refused);

#[tokio::test]
async fn two_instances_that_charge_one_external_id_at_once_charge_once() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let (one, other) = (bed.store().await, bed.store().await);
    let (mut one, mut other) = (one.writer().await.unwrap(), other.writer().await.unwrap());
    // Of different wallets, so that no lock of a wallet puts them in order.
    for (round, (first, second)) in [("ada", "bob"), ("cyd", "dan")].into_iter().enumerate() {
        let id = format!("pay {round}");
        let (first, second) = (root(charge(first, 5, &id)), root(charge(second, 5, &id)));
        let mut first_unit = one.load(&wanted(&first)).await.unwrap();
        let mut second_unit = other.load(&wanted(&second)).await.unwrap();
        decide(&first, &mut first_unit).expect("charged");
        decide(&second, &mut second_unit).expect("it cannot know of the other");
        one.save(&first_unit).await.unwrap();
        let refused = other.save(&second_unit).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "run again, as the desk does: {refused:?}");
        assert_eq!(run(&mut *other, &second).await.map(drop), Err(Refusal::ExternalIdReused));
        assert!(run(&mut *other, &first).await.expect("the first result").is_repeated);
    }
    in_order(&bed).await;
}
