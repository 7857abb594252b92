//! Waiting rooms: every place handed out once, and counters that agree with what they count.

use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Room;

use super::source::AuditSource;
use super::{Finding, change};
use crate::store::StoreError;

pub(super) async fn check(source: &dyn AuditSource, forgotten: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let mut places = Finding::new("every place in line was handed out once, and none is missing");
    let mut blocks = Finding::new("no place was handed out beyond what was reserved for that");
    let mut users = Finding::new("every user has at most one place in a room");
    let mut shown = Finding::new("every place was shown with one token only");
    let mut counters = Finding::new("every room counts its turns and given-up places right");
    let mut agreeing =
        Finding::new("every room has the hours of its sale, and every concert is as its last event has it");
    let mut early = Finding::new(
        "no user was admitted before the opening of a room with early entry, or by the number of an entry",
    );
    let mut rooms = source.rooms();
    while let Some(row) = rooms.recv().await {
        let row = row?;
        let (concert, issued) = (row.concert, row.room.issued);
        // A place that Redis handed out, or that was drawn, gets a row when its turn is named or it is given up.
        let beside = row.room.blocks.epoch > 0 || row.room.list.is_some();
        let highest = row.highest_place.max(row.dropped_to);
        // Early entries that a failover lost have no rows before their tokens are shown.
        let in_doubt = row.room.blocks.doubtful(row.room.served, issued);
        let all = row.places + row.dropped_to + in_doubt == issued && highest == issued;
        let some = row.places + row.dropped_to <= highest;
        let dropped = row.dropped_to <= row.room.served && row.places_undropped == 0;
        places.check(dropped && if beside { some } else { all }, || {
            format!(
                "{concert}: {issued} issued, dropped up to {} but {}, {} known after that, the highest {}",
                row.dropped_to, row.places_undropped, row.places, row.highest_place
            )
        });
        let reserved_to = row.room.blocks.reserved_to;
        let gaps = &row.room.blocks.gaps;
        let apart = gaps.windows(2).all(|pair| pair[0].last < pair[1].first);
        let ahead = gaps.iter().all(|gap| row.room.served < gap.last && gap.first <= gap.last && gap.last <= issued);
        blocks.check(!beside || (row.highest_place <= issued.max(reserved_to) && apart && ahead), || {
            format!(
                "{concert}: {issued} issued, {reserved_to} reserved, the highest {}, gaps {gaps:?}",
                row.highest_place
            )
        });
        shown.check(row.disputes == 0, || {
            let (tokens, place) = (row.disputes, row.disputed_place);
            format!("{concert}: {tokens} tokens were shown for places of other tokens, the first for place {place}")
        });
        users.check(row.users_twice == 0, || format!("{concert}: {} users", row.users_twice));
        agreeing.check(change::concert_agrees(&row, forgotten) && is_opening_sound(&row.room), || {
            format!("{concert}: {:?}", row.concert_row)
        });
        let entries = row.room.list.map_or(0, |list| list.issued);
        early.check(row.turns_early == 0 && (row.first_turn == 0 || entries < row.first_turn), || {
            format!(
                "{concert}: {} turns began too early, the first one is of place {}, and {entries} numbers are entries",
                row.turns_early, row.first_turn
            )
        });
        let right = u64::from(row.room.active) == row.turns
            && row.room.given_up == row.given_up
            && row.turns_uncalled == 0
            && row.room.served <= issued
            && row.room.admitted <= row.room.served;
        counters.check(right, || {
            format!(
                "{concert}: {} turns counted and {} there, {} given up counted and {} there, {} admitted of {}",
                row.room.active, row.turns, row.room.given_up, row.given_up, row.room.admitted, row.room.served
            )
        });
    }
    Ok(vec![places, blocks, users, shown, counters, agreeing, early])
}

/// Whether early entry begins before an opening, and the opening was found reached at its instant or later.
fn is_opening_sound(room: &Room) -> bool {
    let opens_at = room.settings.sale.opens_at;
    let is_late = |opened_at| opens_at.is_some_and(|opens_at| opens_at <= opened_at);
    room.settings.is_sound() && room.opened_at.is_none_or(|at| room.settings.early_from.is_some() && is_late(at))
}
