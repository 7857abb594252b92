//! Statements about the rows of waiting rooms themselves, and deletions of what is over in them.

use super::row_address::{locks, updates};

pub(super) const LOCK: [&str; 2] = locks!(
    "rooms",
    "concert_id",
    "concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused, issued, served, given_up, active, \
     admissions, version, updated_at, blocks, closed, extensions, opens_at, closes_at, admitted, early_from, opened_at, draw_at, \
     list, codes_until"
);

/// The next places after `served` that were given up. A room is read at its remembered address (`$3`), or else by its key.
pub(super) const GIVEN_UP: &str = "WITH near AS MATERIALIZED (SELECT concert_id, served, given_up FROM rooms
        WHERE ctid = $3 AND concert_id = ANY ($1)),
    room AS MATERIALIZED (SELECT * FROM near
        UNION ALL SELECT concert_id, served, given_up FROM rooms
        WHERE concert_id = ANY ($1) AND NOT EXISTS (SELECT FROM near))
    SELECT room.concert_id, ahead.place FROM room CROSS JOIN LATERAL (
        SELECT place FROM places WHERE concert_id = room.concert_id AND place > served AND standing = 'GIVEN_UP'
        ORDER BY place LIMIT $2) ahead
    WHERE room.given_up > 0 ORDER BY room.concert_id, ahead.place";

pub(super) const MAKE: &str = "INSERT INTO rooms (concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused,
        issued, served, given_up, active, admissions, version, updated_at, blocks, closed, extensions, opens_at, closes_at,
        admitted, early_from, opened_at, draw_at, list, codes_until, stated_version)
    SELECT *, version FROM unnest($1::uuid[], $2::integer[], $3::integer[], $4::integer[], $5::integer[],
            $6::boolean[], $7::bigint[], $8::bigint[], $9::bigint[], $10::integer[], $11::bytea[], $12::bigint[], $13::bigint[],
            $14::bytea[], $15::boolean[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[],
            $21::bigint[], $22::bigint[], $23::bytea[], $24::bigint[])
        v (concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused, issued, served, given_up, active,
           admissions, version, updated_at, blocks, closed, extensions, opens_at, closes_at, admitted, early_from,
           opened_at, draw_at, list, codes_until)";

pub(super) const UPDATE: [&str; 2] = updates!(
    "rooms",
    "concert_id",
    "max_active = v.max_active, admit_per_second = v.admit_per_second, active_seconds = v.active_seconds, \
     claim_seconds = v.claim_seconds, paused = v.paused, issued = v.issued, served = v.served, given_up = v.given_up, \
     active = v.active, admissions = v.admissions, version = v.version, updated_at = v.updated_at, blocks = v.blocks, \
     closed = v.closed, extensions = v.extensions, opens_at = v.opens_at, closes_at = v.closes_at, \
     admitted = v.admitted, early_from = v.early_from, opened_at = v.opened_at, draw_at = v.draw_at, \
     list = v.list, codes_until = v.codes_until, stated_version = v.version",
    "$1::uuid[], $2::integer[], $3::integer[], $4::integer[], $5::integer[], $6::boolean[], $7::bigint[], $8::bigint[], \
     $9::bigint[], $10::integer[], $11::bytea[], $12::bigint[], $13::bigint[], $14::bytea[], $15::boolean[], $16::bigint[], \
     $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bytea[], $24::bigint[]",
    "$25",
    "concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused, issued, served, given_up, active, \
     admissions, version, updated_at, blocks, closed, extensions, opens_at, closes_at, admitted, early_from, opened_at, draw_at, \
     list, codes_until"
);

/// Places that Redis handed out. A hold and a step may write the row of one place at the same time for the same token, so
/// the second one waits for the first to commit and then updates its row: only a step makes a place current. A row of
/// another token is not updated, so it is not `written`, and the plain insert fails: the key is taken, a conflict.
pub(super) const NAME: &str = "WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::uuid[], $5::bigint[], $6::text[], $7::bigint[])
            v (concert_id, place, user_id, token_id, issued_at, standing, given_up_version)),
    written AS MATERIALIZED (
        INSERT INTO places (concert_id, place, user_id, token_id, issued_at, standing, given_up_version)
        SELECT concert_id, place, user_id, token_id, issued_at, standing, given_up_version FROM wanted
        ON CONFLICT (concert_id, place) DO UPDATE
            SET standing = CASE excluded.standing WHEN 'CURRENT' THEN 'CURRENT' ELSE places.standing END
            WHERE places.token_id = excluded.token_id
        RETURNING concert_id, place)
    INSERT INTO places (concert_id, place, user_id, token_id, issued_at, standing, given_up_version)
    SELECT concert_id, place, user_id, token_id, issued_at, standing, given_up_version FROM wanted
    WHERE (SELECT count(*) FROM written) < cardinality($2::bigint[])
        AND (concert_id, place) NOT IN (SELECT concert_id, place FROM written)";

/// Notes a token that was shown for a place of another token.
pub(super) const DISPUTE: &str = "INSERT INTO place_disputes (concert_id, place, token_id, user_id, issued_at)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::bigint[]) ON CONFLICT DO NOTHING";

/// Deletes settled turns that every process has read by now.
pub(super) const FORGET_TURNS: &str = "DELETE FROM turns WHERE (concert_id, place) IN (
    SELECT concert_id, place FROM turns WHERE settled_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Deletes ends of turns whose rooms settled the turns at the same time.
pub(super) const FORGET_STRAY_ENDS: &str = "DELETE FROM turn_ends WHERE (concert_id, place) IN (
    SELECT concert_id, place FROM turn_ends stray WHERE ended_at < $1 AND NOT EXISTS (
        SELECT 1 FROM turns WHERE turns.concert_id = stray.concert_id AND turns.place = stray.place)
    LIMIT $2 FOR UPDATE SKIP LOCKED)";
