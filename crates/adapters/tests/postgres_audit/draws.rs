//! Draws that were tampered with, and admissions that were not in their order.

/// A drawn room with the entries 1, 2 and 4; the user of entry 3 left before the closing. The order is 4, 1, 2. The places 5 and 6
/// were admitted, and the token of place 5 was shown since. Place 8 is that of a user who came late.
macro_rules! drawn {
    ($more:literal) => {
        concat!(
            "INSERT INTO concerts (concert_id, title, venue, created_at, opens_at) VALUES (id(70), 'drawn', 'hall', 1, 40);
             INSERT INTO rooms (concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused, issued, served,
                 given_up, active, admissions, version, updated_at, stated_version, admitted, opens_at, early_from, opened_at,
                 draw_at, list)
             VALUES (id(70), 2, 5, 60, 60, false, 8, 6, 0, 2, '', 1, 1, 1, 2, 40, 10, 40, 20,
                 int8send(20) || int8send(3) || int8send(4) || int8send(0) || int8send(30));
             INSERT INTO places VALUES
                 (id(70), 1, 'ann', id(81), 11, 'CURRENT', NULL), (id(70), 2, 'bob', id(82), 12, 'CURRENT', NULL),
                 (id(70), 3, 'cid', id(83), 13, 'GIVEN_UP', 1), (id(70), 4, 'dan', id(84), 14, 'REPLACED', NULL),
                 (id(70), 5, 'dan', id(84), 14, 'CURRENT', NULL), (id(70), 8, 'eve', id(88), 25, 'CURRENT', NULL);
             INSERT INTO turns VALUES (id(70), 5, 40, 100, 40, false, 1, NULL, true),
                 (id(70), 6, 41, 101, 41, false, 1, NULL, false);
             INSERT INTO draws (concert_id, seed, entries_hash, changes, drawn_order) VALUES (id(70),
                 decode(repeat('07', 32), 'hex'),
                 decode('441c94dc0ab5a6b139fd27d6d449240a24621f6379117f0e0f9c34ca4aaf7e13', 'hex'), '[]',
                 int4send(4) || int4send(1) || int4send(2));
             INSERT INTO events SELECT 'onsale.concerts', id(70)::text, 1099511627776, '00000000-0014-7280-9a21-200bdf335697',
                 90, 'onsale.draw.closed.v1', 21, json_build_object('concertId', id(70), 'entries', 3,
                 'closedAt', '1970-01-01T00:00:00.020Z',
                 'commitment', '4bb06f8e4e3a7715d201d573d0aa423762e55dabd61a2c02278fa56cc6d294e0',
                 'entriesHash', '441c94dc0ab5a6b139fd27d6d449240a24621f6379117f0e0f9c34ca4aaf7e13');
             INSERT INTO events SELECT topic, subject, 1099511627777, '00000000-001e-7937-8832-ae94f974a5c5', 91,
                 'onsale.draw.completed.v1', 30, data::jsonb || jsonb_build_object('drawnAt', '1970-01-01T00:00:00.030Z',
                 'beaconName', NULL, 'beacon', NULL, 'seed', repeat('07', 32))
                 FROM events WHERE version = 1099511627776;",
            $more
        )
    };
}

const DRAW: &str = "every draw has the hash";
const TOLD: &str = "every closed list";
const ORDER: &str = "drawn places are admitted in order";
const EARLY: &str = "no user was admitted before the opening";

/// Statements, each with parts of the texts of the invariants that they break.
pub(crate) const WRONGS: &[(&str, &[&str])] = &[
    (drawn!(""), &[]),
    (drawn!("UPDATE draws SET seed = decode(repeat('08', 32), 'hex')"), &[DRAW, TOLD]),
    (drawn!("UPDATE draws SET entries_hash = decode(repeat('08', 32), 'hex')"), &[DRAW, TOLD]),
    (drawn!("UPDATE draws SET beacon_name = 'dice', beacon_at = 30, beacon = '6'"), &[DRAW, TOLD]),
    (drawn!("UPDATE draws SET beacon = '6'"), &[DRAW, TOLD]),
    (drawn!("UPDATE draws SET drawn_order = int4send(4) || int4send(2) || int4send(1)"), &[DRAW]),
    (drawn!("UPDATE draws SET drawn_order = int4send(1) || int4send(4) || int4send(2)"), &[DRAW, ORDER]),
    (drawn!("UPDATE draws SET drawn_order = NULL"), &[DRAW, ORDER]),
    (
        drawn!(
            "UPDATE draws SET changes = json_build_array(json_build_object('at', 5, 'field', 'commitment', 'before', NULL, 'after', repeat('0', 64)))"
        ),
        &[DRAW],
    ),
    (
        drawn!(
            "UPDATE draws SET changes = json_build_array(json_build_object('at', 5, 'field', 'commitment', 'before', NULL, 'after', '4bb06f8e4e3a7715d201d573d0aa423762e55dabd61a2c02278fa56cc6d294e0'))"
        ),
        &[],
    ),
    (drawn!("UPDATE places SET token_id = id(85) WHERE concert_id = id(70) AND place = 2"), &[DRAW]),
    (drawn!("UPDATE places SET user_id = 'ann' WHERE concert_id = id(70) AND place = 4"), &[DRAW]),
    (drawn!("DELETE FROM places WHERE concert_id = id(70) AND place = 2"), &[DRAW]),
    (drawn!("UPDATE places SET token_id = id(85) WHERE concert_id = id(70) AND place = 5"), &[ORDER]),
    (drawn!("UPDATE rooms SET admitted = 1 WHERE concert_id = id(70)"), &[ORDER]),
    (
        drawn!("UPDATE places SET standing = 'GIVEN_UP', given_up_version = 1 WHERE concert_id = id(70) AND place = 5"),
        &[ORDER],
    ),
    (drawn!("UPDATE turns SET admitted_at = 39 WHERE concert_id = id(70) AND place = 6"), &[EARLY]),
    (drawn!("UPDATE turns SET place = 2 WHERE concert_id = id(70) AND place = 6"), &[EARLY]),
    (drawn!("UPDATE rooms SET opened_at = NULL WHERE concert_id = id(70)"), &[EARLY]),
    // As with every early entry that begins in a room in use: its users came before.
    (
        drawn!(
            "UPDATE turns SET admitted_at = 9 WHERE concert_id = id(70);
            INSERT INTO admin_log VALUES (id(67), 9, id(60), 'ann', 'queue.changed', 'concert:' || id(70),
                '{\"earlyFrom\": null}', '{\"earlyFrom\": \"1970-01-01T00:00:00.010Z\"}', false, 'r')"
        ),
        &[],
    ),
    (drawn!("DELETE FROM events WHERE version = 1099511627776"), &[TOLD]),
    (drawn!("DELETE FROM events WHERE version = 1099511627777"), &[TOLD]),
    (drawn!("UPDATE events SET event_id = id(97) WHERE version = 1099511627777"), &[TOLD, "every event describes"]),
    (drawn!("UPDATE events SET data = data::jsonb || '{\"entries\": 4}' WHERE version = 1099511627776"), &[TOLD]),
    (drawn!("UPDATE events SET data = data::jsonb || '{\"seed\": null}' WHERE version = 1099511627777"), &[TOLD]),
    (
        drawn!("UPDATE events SET type = 'onsale.draw.closed.v1' WHERE version = 1099511627777"),
        &[TOLD, "every event describes"],
    ),
];
