//! Every refusal there is, each with the least that provokes it, so that none stays untested.

use std::collections::BTreeSet;

use onsale_domain::waiting_room::Settings;

use crate::support::Stage;
use crate::support::codes::{all_refusals, code};

/// Code, and a script that ends with it.
const PROVOCATIONS: [(&str, &str); 45] = [
    ("amount-out-of-range", "ann charges 0 => amount-out-of-range"),
    ("balance-limit", "rich charges 1 => balance-limit"),
    ("insufficient-balance", "ann uses 1 => insufficient-balance"),
    ("lecture-not-found", "ann applies poetry => lecture-not-found"),
    ("already-applied", "rich applies rust => already-applied"),
    ("already-waitlisted", "ann applies rust waitlist => waits at 1\nann applies rust => already-waitlisted 1"),
    ("lecture-closed", "100 ann applies rust => lecture-closed"),
    (
        "lecture-not-open",
        "staff changes rust opens 50 => version 2, 1 of 1\nann applies rust => lecture-not-open, retry after 50",
    ),
    ("capacity-below-enrolled", "staff changes sql capacity 1 => capacity-below-enrolled"),
    ("lecture-full", "ann applies rust => lecture-full"),
    ("application-not-found", "ann cancels rust => application-not-found"),
    ("concert-not-found", "ann enters nowhere => concert-not-found"),
    ("performance-not-found", "rich holds 1 in nowhere => performance-not-found"),
    ("performance-ambiguous", "rich holds 1 in several => performance-ambiguous"),
    ("sale-closed", "gala closes => closed, -\nann enters => sale-closed"),
    ("sale-not-open", "gala sells from 9 => open from 9, -\nann enters => sale-not-open until 9, in 9"),
    (
        "room-in-use",
        "gala sells from 90 => open from 90, -\ngala sets early 0 => set\ngala sets early 1 => room-in-use",
    ),
    (
        "sale-opened",
        "gala sells from 90 => open from 90, -\ngala sets early 0 => set\n90 gala sells from 99 => sale-opened",
    ),
    ("invalid-request", "gala sets early 5 => invalid-request earlyFrom"),
    ("invalid-request", "gala sells from 9 to 9 => invalid-request closesAt"),
    ("code-required", "gala sells codes 9 => open codes 9, -\nrich holds 6 => code-required until 9, in 9"),
    ("code-invalid", "gala sells codes 9 => open codes 9, -\nrich holds 6 with FAN => code-invalid"),
    (
        "code-used-up",
        "gala sells codes 9 => open codes 9, -\ngala codes FAN => made FAN\nrich holds 6 with FAN => held 0 until 300
        rich holds 7 with FAN => code-used-up",
    ),
    ("code-exists", "gala codes FAN => made FAN\ngala codes FAN => code-exists 0"),
    ("code-not-found", "gala voids FAN => code-not-found"),
    ("performance-cancelled", "eve drops => …\nrich holds 1 => performance-cancelled"),
    ("performance-closed", "100 rich holds 1 => performance-closed"),
    ("seat-unknown", "rich holds 51 => seat-unknown 51"),
    ("seat-limit", "rich holds 1 2 3 4 5 => seat-limit"),
    ("seat-taken", "rich holds 1 => seat-taken 1, retry after 300"),
    ("section-unknown", "rich takes 1 of VIP => section-unknown"),
    ("seats-not-available", "eve adds 60 60 VIP=0 => …\nrich takes 2 of VIP => seats-not-available"),
    ("invalid-request", "eve seats 60 60 in A => invalid-request 0 section"),
    ("seat-exists", "eve adds 50 51 R=0 => seat-exists 50"),
    ("section-limit", "eve fills 1000 => section-limit"),
    ("invalid-request", "eve prices R=1 VIP=2 => invalid-request 1"),
    ("unavailable", "rich holds 1 in eve on 200 300 => unavailable"),
    ("reservation-not-found", "rich pays nothing => reservation-not-found"),
    ("already-paid", "rich pays bought => already-paid"),
    ("hold-expired", "rich pays given-back => hold-expired"),
    ("payment-not-found", "rich refunds nothing => payment-not-found"),
    ("already-refunded", "staff refunds given 4 => already-refunded"),
    ("fee-out-of-range", "staff refunds bought fee 1 => fee-out-of-range"),
    ("refund-closed", "rich refunds bought => refund-closed"),
    ("queue-token-expired", "600 rich holds 1 => queue-token-expired"),
];

/// A full wallet, a full lecture, and one who has paid, holds and has given back.
fn stage() -> Stage {
    let room = Settings::default();
    let gala = Stage::empty().concert("gala", room).performance("eve", 100, &[(1, 50, 0)]);
    let mut stage = gala.lecture("rust", 1, 100).lecture("sql", 2, 100);
    for charge in 1..=100 {
        stage.play(&format!("rich charges 10000000 => balance {}", charge * 10_000_000));
    }
    stage.play(
        "
        rich applies rust              => seat 1
        rich applies sql               => seat 1
        poor applies sql               => seat 2
        rich enters                    => new place 1, active until 600
        rich holds 1 as held           => held 0 until 300
        rich holds 2 as bought         => held 0 until 300
        rich holds 3 as given-back     => held 0 until 300
        rich holds 4 as given          => held 0 until 300
        rich pays bought               => paid 0, balance 1000000000
        rich releases given-back       => released
        rich pays given                => paid 0, balance 1000000000
        staff refunds given            => 4 for 0, fee 0, balance 1000000000
        ",
    );
    stage
}

#[test]
fn every_refusal_is_provoked() {
    for (code, script) in PROVOCATIONS {
        assert!(script.contains(code), "{script} must end with {code}");
        stage().play(script);
    }
    let scripts = PROVOCATIONS.iter().map(|(code, _)| *code);
    let scripts = scripts.chain(crate::waiting_room::PROVOKED_BY_DRAWS);
    let lists = [&crate::waiting_lists::PROVOKED[..], &crate::seat_list::PROVOKED].concat();
    let elsewhere = [&crate::staff::PROVOKED[..], &lists, &crate::ticket::PROVOKED].concat();
    let provoked: BTreeSet<&str> = scripts.chain(elsewhere).collect();
    assert_eq!(provoked, all_refusals().iter().map(code).collect(), "each refusal has its provocation");
}

/// A client may repeat a request with the same idempotency key if the request itself was wrong, or if the sale was closed
/// and may be opened again.
#[test]
fn a_key_keeps_no_refusal_that_may_change_for_the_same_request() {
    let not_kept = all_refusals().into_iter().filter(|refusal| !refusal.is_kept());
    let codes: Vec<&str> = not_kept.map(|refusal| code(&refusal)).collect();
    let early = ["amount-out-of-range", "lecture-not-open", "unavailable", "sale-closed", "sale-not-open"];
    let sale =
        ["invalid-request", "draw-not-closed", "unavailable", "invalid-request", "code-required", "code-invalid"];
    let fields = ["invalid-request"; 2];
    let late = ["unavailable", "queue-token-expired", "admin-key-invalid"];
    assert_eq!(codes, [&early[..], &sale, &fields, &late].concat());
}
