//! Rows of concerts themselves: title, venue, notice, the hours of the sale, and the limit of seats.

use onsale_domain::concert::Concert;
use onsale_domain::rows::Rows;
use onsale_domain::time::Timestamp;

use super::session::Pipeline;
use super::values::{big, columns, int};

const OPEN: &str =
    "INSERT INTO concerts (concert_id, title, venue, created_at, notice_ko, notice_en, closed, version, opens_at,
        closes_at, max_seats, codes_until)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::boolean[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::integer[], $12::bigint[])";

const CHANGE_CONCERTS: &str = "UPDATE concerts
    SET title = v.title, venue = v.venue, notice_ko = v.notice_ko, notice_en = v.notice_en, closed = v.closed,
        version = v.version, opens_at = v.opens_at, closes_at = v.closes_at, max_seats = v.max_seats,
        codes_until = v.codes_until
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::boolean[], $8::bigint[],
            $9::bigint[], $10::bigint[], $11::integer[], $12::bigint[])
        v (concert_id, title, venue, created_at, notice_ko, notice_en, closed, version, opens_at, closes_at, max_seats,
           codes_until)
    WHERE concerts.concert_id = v.concert_id";

pub(super) const WRITES: &[&str] = &[OPEN, CHANGE_CONCERTS];

/// Inserts and changes concerts. Sent before the statements about rooms, which refer to them.
pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    let added = rows.concerts.added().map(|(_, concert)| concert).collect();
    let changed = rows.concerts.outdated().filter_map(|id| rows.concerts.get(id)).collect();
    for (sql, concerts) in [(OPEN, added), (CHANGE_CONCERTS, changed)] {
        let concerts: Vec<&'a Concert> = concerts;
        pipeline.write(
            sql,
            columns!(
                concerts.into_iter(),
                |concert| concert.id.uuid(),
                &*concert.title,
                &*concert.venue,
                concert.created_at.as_millis(),
                notice(concert).0,
                notice(concert).1,
                concert.sale.closed,
                big(concert.version),
                concert.sale.opens_at.map(Timestamp::as_millis),
                concert.sale.closes_at.map(Timestamp::as_millis),
                int(concert.seats_per_user),
                concert.sale.codes_until.map(Timestamp::as_millis),
            ),
        );
    }
}

/// The notice in Korean and in English.
fn notice(concert: &Concert) -> (Option<&str>, Option<&str>) {
    concert.notice.as_ref().map_or((None, None), |notice| (notice.ko.as_deref(), notice.en.as_deref()))
}
