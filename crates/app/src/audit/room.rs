//! Waiting rooms: every place handed out once, and counters that agree with what they count.

use super::Finding;
use super::source::AuditSource;
use crate::store::StoreError;

pub(super) async fn check(source: &dyn AuditSource) -> Result<Vec<Finding>, StoreError> {
    let mut places = Finding::new("every place in line was handed out once, and none is missing");
    let mut users = Finding::new("every user has at most one place in a room");
    let mut counters = Finding::new("every room counts its turns and given-up places right");
    let mut rooms = source.rooms();
    while let Some(row) = rooms.recv().await {
        let row = row?;
        let (concert, issued) = (row.concert, row.room.issued);
        places.check(row.places == issued && row.highest_place == issued, || {
            format!("{concert}: {issued} issued, {} known, the highest {}", row.places, row.highest_place)
        });
        users.check(row.users_twice == 0, || format!("{concert}: {} users", row.users_twice));
        let right = u64::from(row.room.active) == row.turns
            && row.room.given_up == row.given_up
            && row.turns_uncalled == 0
            && row.room.served <= issued;
        counters.check(right, || {
            format!(
                "{concert}: {} turns counted and {} there, {} given up counted and {} there",
                row.room.active, row.turns, row.room.given_up, row.given_up
            )
        });
    }
    Ok(vec![places, users, counters])
}
