//! Rows of concerts themselves: title, venue, notice, and whether the sale is closed.

use onsale_domain::concert::Concert;
use onsale_domain::rows::Rows;

use super::session::Pipeline;
use super::values::{big, columns};

const OPEN: &str = "INSERT INTO concerts (concert_id, title, venue, created_at, notice_ko, notice_en, closed, version)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::boolean[],
        $8::bigint[])";

const CHANGE_CONCERTS: &str = "UPDATE concerts
    SET notice_ko = v.notice_ko, notice_en = v.notice_en, closed = v.closed, version = v.version
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::bigint[])
        v (concert_id, notice_ko, notice_en, closed, version)
    WHERE concerts.concert_id = v.concert_id";

pub(super) const WRITES: &[&str] = &[OPEN, CHANGE_CONCERTS];

/// Inserts and changes concerts. Sent before the statements about rooms, which refer to them.
pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    pipeline.write(
        OPEN,
        columns!(
            rows.concerts.added(),
            |(id, concert)| id.uuid(),
            &*concert.title,
            &*concert.venue,
            concert.created_at.as_millis(),
            notice(concert).0,
            notice(concert).1,
            concert.closed,
            big(concert.version),
        ),
    );
    let changed = rows.concerts.outdated().filter_map(|id| Some((id, rows.concerts.get(id)?)));
    pipeline.write(
        CHANGE_CONCERTS,
        columns!(
            changed,
            |(id, concert)| id.uuid(),
            notice(concert).0,
            notice(concert).1,
            concert.closed,
            big(concert.version),
        ),
    );
}

/// The notice in Korean and in English.
fn notice(concert: &Concert) -> (Option<&str>, Option<&str>) {
    concert.notice.as_ref().map_or((None, None), |notice| (notice.ko.as_deref(), notice.en.as_deref()))
}
