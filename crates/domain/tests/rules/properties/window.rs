//! The rate holds in every second, whenever people come and however many are called.

use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Window;
use proptest::prelude::*;

use super::cases;
use crate::support::START;

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn no_second_has_more_than_its_worth_and_a_quiet_one_frees_all(
        per_second in 1..40_u32,
        steps in prop::collection::vec((0..400_i64, 1..40_u32), 1..80),
    ) {
        let mut window = Window::default();
        let mut admitted: Vec<Timestamp> = Vec::new();
        let mut at = START;
        for (millis, wanted) in steps {
            at = at.plus_millis(millis);
            let allowed = window.allowance(per_second, at);
            let recent = admitted.iter().filter(|when| when.millis_until(at) < 1_000).count();
            // Grains of 10 ms are counted as late as their last admission.
            let nearly_recent = admitted.iter().filter(|when| when.millis_until(at) < 1_010).count();
            let left = |taken: usize| per_second.saturating_sub(u32::try_from(taken).unwrap());
            prop_assert!(allowed <= left(recent), "{allowed} allowed where {recent} of {per_second} were admitted");
            prop_assert!(allowed >= left(nearly_recent), "{allowed} allowed where {nearly_recent} weigh at most");
            let many = wanted.min(allowed);
            if many > 0 {
                window.admit(many, at);
                admitted.extend((0..many).map(|_| at));
            }
            prop_assert_eq!(&Window::from_parts(window.parts()), &window);
        }
    }
}
