//! The order within a subject.

use std::collections::HashMap;

use crate::event::StoredEvent;

/// Puts the events of each subject in the order of their versions. Each subject keeps the slots that it has.
///
/// On Postgres a position comes from the id of the writing transaction. A transaction that locked one row, and then
/// waited for another, has a lower id than the one it waited for, and a higher version of what that one changed.
pub(super) fn by_version(events: &mut [StoredEvent]) {
    let mut slots: HashMap<&str, Vec<usize>> = HashMap::new();
    for (slot, event) in events.iter().enumerate() {
        slots.entry(&event.subject).or_default().push(slot);
    }
    let is_in_order = |slots: &&Vec<usize>| slots.is_sorted_by_key(|slot| events[*slot].version);
    let out_of_order: Vec<Vec<usize>> = slots.into_values().filter(|slots| !is_in_order(&slots)).collect();
    for slots in out_of_order {
        let mut own: Vec<StoredEvent> = slots.iter().map(|slot| events[*slot].clone()).collect();
        own.sort_by_key(|event| event.version);
        for (slot, event) in slots.into_iter().zip(own) {
            events[slot] = event;
        }
    }
}

/// How many events of a full read come before one that an event after the read must precede. The read is cut there, so
/// that both are sent in one batch. The whole read if there is no such event, or if nothing would be left.
pub(super) fn in_order_up_to(read: &[StoredEvent], ahead: &[StoredEvent]) -> usize {
    let mut least: HashMap<&str, u64> = HashMap::new();
    for event in ahead {
        let version = least.entry(&event.subject).or_insert(event.version);
        *version = event.version.min(*version);
    }
    let is_overtaken = |event: &StoredEvent| least.get(&*event.subject).is_some_and(|least| *least < event.version);
    read.iter().position(is_overtaken).filter(|cut| *cut > 0).unwrap_or(read.len())
}

#[cfg(test)]
mod tests {
    use onsale_domain::ids::EventId;
    use onsale_domain::time::Timestamp;

    use super::*;
    use crate::event::EventState;

    fn event(position: u64, subject: &str, version: u64) -> StoredEvent {
        StoredEvent {
            position,
            id: EventId::new(uuid::Uuid::from_u128(u128::from(position))),
            kind: "onsale.seats.held.v1".to_owned(),
            subject: subject.to_owned(),
            version,
            at: Timestamp::default(),
            data: "{}".to_owned(),
            state: EventState::Pending,
            reason: None,
            trace: None,
        }
    }

    #[test]
    fn a_read_ends_before_an_event_that_a_later_one_precedes() {
        let read = [event(1, "a", 1), event(2, "b", 1), event(3, "a", 3)];
        assert_eq!(in_order_up_to(&read, &[event(4, "a", 2), event(5, "b", 2)]), 2);
        assert_eq!(in_order_up_to(&read, &[event(4, "a", 4), event(5, "c", 1)]), 3);
        assert_eq!(in_order_up_to(&read, &[]), 3);
        assert_eq!(in_order_up_to(&read[2..], &[event(4, "a", 2)]), 1, "a read is never empty");
    }

    #[test]
    fn events_of_a_subject_go_by_version_and_keep_their_slots() {
        let mut events = [event(1, "a", 2), event(2, "b", 1), event(3, "a", 1), event(4, "b", 2), event(5, "a", 3)];
        by_version(&mut events);
        let order = events.map(|event| (event.subject, event.version));
        let wanted = [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3)];
        assert_eq!(order, wanted.map(|(subject, version)| (subject.to_owned(), version)));
    }
}
