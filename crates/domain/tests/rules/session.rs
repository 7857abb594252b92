//! Ends of users' sessions.

use onsale_domain::ids::{Entropy, Mint, UserSessionId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::session::{ENDED_KEPT_SECONDS, EndSession, EndedSession, USER_SESSION_SECONDS};
use onsale_domain::time::Timestamp;
use onsale_domain::{Command, Context};
use uuid::Uuid;

struct Zero;

impl Entropy for Zero {
    fn next_u64(&mut self) -> u64 {
        0
    }
}

#[test]
fn an_end_is_kept_for_longer_than_a_cookie_lasts() {
    let session = UserSessionId::new(Uuid::from_u128(7));
    let at = Timestamp::from_millis(1_700_000_000_000);
    let (mut rows, mut ids) = (Rows::default(), Mint::new(Zero));
    let mut keys = Keys::default();
    let end = EndSession { session };
    end.needs(&mut keys);
    assert_eq!(keys, Keys::default(), "it locks nothing");
    // Another instance may renew the cookie once more before it knows the end, and its clock may be ahead.
    assert!(ENDED_KEPT_SECONDS >= USER_SESSION_SECONDS + 600);
    for later in [0, 5_000] {
        let mut cx = Context { at: at.plus_millis(later), ids: &mut ids, hold_seconds: 300 };
        end.decide(&mut rows, &mut cx).expect("also when repeated");
    }
    let kept_until = at.plus_seconds(ENDED_KEPT_SECONDS);
    assert_eq!(rows.ended_sessions, [EndedSession { id: session, kept_until }], "once in a unit of work");
}
