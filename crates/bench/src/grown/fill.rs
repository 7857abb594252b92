//! The statements that create a year of data, as a server leaves it that ran all the time: rooms of past concerts are
//! retired, and their places were dropped. The data is consistent: `onsale audit` finds no contradiction.

use super::size::Size;

/// The database that the statements are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// Kinds of ids that requests name.
pub(super) const CONCERT: u32 = 1;
pub(super) const RESERVATION: u32 = 4;
pub(super) const PAYMENT: u32 = 5;
pub(super) const LECTURE: u32 = 9;

/// A guest who bought seat 1 of each concert, so that lists of one user are long too.
pub(super) const REGULAR: &str = "regular";

/// Number of lectures that start on one day.
pub(super) const LECTURES_A_DAY: u64 = 33;

/// The id of a kind and number, as callers write it.
pub(super) fn id_of(kind: u32, number: u64) -> String {
    format!("01900000-0000-7000-a{kind:03}-{number:012x}")
}

/// A day, in milliseconds. A plain literal is a number of 32 bits on Postgres, which overflows when it is multiplied.
const DAY_MILLIS: &str = "CAST(86400000 AS bigint)";

/// Writes expressions in the dialect of one database.
struct Sql {
    dialect: Dialect,
    size: Size,
}

impl Sql {
    fn pick(&self, sqlite: &str, postgres: &str) -> String {
        if self.dialect == Dialect::Sqlite { sqlite } else { postgres }.to_owned()
    }

    /// The text of an id. Each kind has a different id for each number.
    fn id_text(&self, kind: u32, number: &str) -> String {
        let start = format!("01900000-0000-7000-a{kind:03}-");
        self.pick(
            &format!("printf('{start}%012x', {number})"),
            &format!("('{start}' || lpad(to_hex({number}), 12, '0'))"),
        )
    }

    fn id(&self, kind: u32, number: &str) -> String {
        let text = self.id_text(kind, number);
        self.pick(&format!("unhex(replace({text}, '-', ''))"), &format!("{text}::uuid"))
    }

    /// An instant as the contract writes it.
    fn instant(&self, millis: &str) -> String {
        self.pick(
            &format!("strftime('%Y-%m-%dT%H:%M:%fZ', {millis} / 1000.0, 'unixepoch')"),
            &format!(
                "to_char(to_timestamp({millis} / 1000.0) AT TIME ZONE 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
            ),
        )
    }

    /// The numbers from 1, as `s (n)`.
    fn numbers(&self, many: u64) -> String {
        self.pick(
            &format!("WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {many})"),
            &format!("WITH s (n) AS (SELECT generate_series(1, {many}::bigint))"),
        )
    }

    fn now(&self) -> String {
        format!("CAST({} AS bigint)", self.size.now_millis)
    }

    /// Reservations `r`: number, concert, seat, user, instant and the user's ledger entries before, spread over a year that
    /// ended sixty days ago. Seat 1 of each concert is the regular guest's.
    fn reservations(&self) -> String {
        let Size { concerts, reservations, .. } = self.size;
        let all = concerts * reservations;
        let (numbers, now) = (self.numbers(all), self.now());
        format!(
            "{numbers}, seated AS (SELECT n, (n - 1) / {reservations} + 1 AS c, (n - 1) % {reservations} + 1 AS j,
                {now} - 425 * {DAY_MILLIS} + n * 365 * {DAY_MILLIS} / {all} AS at FROM s),
            r AS (SELECT n, c, j, at, CASE WHEN j = 1 THEN '{REGULAR}' ELSE 'u' || n END AS user_id,
                CASE WHEN j = 1 THEN 2 * (c - 1) ELSE 0 END AS earlier FROM seated)"
        )
    }

    /// When lecture `n` starts: a year of lectures that ended sixty days ago, some of them each day.
    fn lecture_starts(&self) -> String {
        format!("{} - (60 + (n - 1) / {LECTURES_A_DAY}) * {DAY_MILLIS}", self.now())
    }

    /// Applications `a` of the lectures `l`, all before the first lecture started.
    fn applications(&self) -> String {
        let Size { concerts, applications, .. } = self.size;
        let (numbers, now) = (self.numbers(concerts * applications), self.now());
        format!(
            "{numbers}, a AS (SELECT n, (n - 1) / {applications} + 1 AS l, (n - 1) % {applications} + 1 AS j,
                'u' || n AS user_id, {now} - 430 * {DAY_MILLIS} AS at FROM s)"
        )
    }

    /// Events, from a source of rows.
    fn events(
        &self,
        topic: &str,
        kind: &str,
        (id, subject, version, at): (&str, &str, &str, &str),
        data: &str,
    ) -> String {
        let (topic_column, topic) = (self.pick("", "topic, position, "), format!("'{topic}', "));
        let last = "(SELECT coalesce(max(position), 0) FROM events)";
        let topic = self.pick("", &format!("{topic}{last} + row_number() OVER (ORDER BY n), "));
        format!(
            "INSERT INTO events ({topic_column}event_id, type, subject, version, at, data)
                SELECT {topic}{id}, '{kind}', {subject}, {version}, {at}, {data}"
        )
    }
}

/// All statements, in the order in which they are to be executed.
pub(crate) fn statements(dialect: Dialect, size: Size) -> Vec<String> {
    let sql = Sql { dialect, size };
    [concerts(&sql), sales(&sql), points(&sql), lectures(&sql), events(&sql)].concat()
}

fn concerts(sql: &Sql) -> Vec<String> {
    let Size { concerts, reservations, .. } = sql.size;
    let (numbers, now) = (sql.numbers(concerts), sql.now());
    let (concert, performance) = (sql.id(CONCERT, "n"), sql.id(2, "n"));
    // One version for each hold and each payment.
    let (long_ago, version) = (format!("{now} - 60 * {DAY_MILLIS}"), 2 * reservations + 1);
    let (no, nothing) = (sql.pick("0", "false"), sql.pick("x''", "''"));
    let into = |table: &str, values: &str| format!("INSERT INTO {table} {numbers} SELECT {values} FROM s");
    vec![
        into("concerts (concert_id, title, venue, created_at)", &format!("{concert}, 'Concert ' || n, 'Hall', {long_ago}")),
        into(
            &format!(
                "rooms (concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused, issued, served,
                given_up, active, admissions, version, updated_at, retired_version, places_dropped_to, admitted{})",
                sql.pick("", ", stated_version")
            ),
            &format!(
                "{concert}, 200, 50, 600, 60, {no}, {reservations}, {reservations}, 0, 0, {nothing}, 9, {long_ago}, 9,
                {reservations}, {reservations}{}",
                sql.pick("", ", 9")
            ),
        ),
        into(
            &format!(
                "performances (performance_id, concert_id, starts_at, sections, capacity, sold, version, updated_at, holds,
                revenue, open_payments{})",
                sql.pick("", ", known_version, noted_version")
            ),
            &format!(
                "{performance}, {concert}, {long_ago}, '[{{\"from\":1,\"to\":{reservations},\"grade\":\"R\",\"price\":50000}}]',
                {reservations}, {reservations}, {version}, {long_ago}, 0, {}, {reservations}{}",
                50_000 * reservations,
                sql.pick("", &format!(", {version}, {version}"))
            ),
        ),
    ]
}

fn sales(sql: &Sql) -> Vec<String> {
    let (rows, yes) = (sql.reservations(), sql.pick("1", "true"));
    let (concert, performance) = (sql.id(CONCERT, "c"), sql.id(2, "c"));
    let (reservation, payment) = (sql.id(RESERVATION, "n"), sql.id(PAYMENT, "n"));
    let seats = sql.pick("'[' || j || ']'", "ARRAY[j::integer]");
    let prices = sql.pick("'[50000]'", "'{50000}'::bigint[]");
    let into = |table: &str, values: &str| format!("INSERT INTO {table} {rows} SELECT {values} FROM r");
    vec![
        into(
            "reservations (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until,
                status, prices)",
            &format!(
                "{reservation}, {concert}, {performance}, user_id, j, {seats}, 50000, at, at + 300000, 'PAID', {prices}"
            ),
        ),
        into(
            "seats (performance_id, seat, reservation_id, held_until, sold)",
            &format!("{performance}, j, {reservation}, at + 300000, {yes}"),
        ),
        into(
            "payments (payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at, prices)",
            &format!("{payment}, {reservation}, {performance}, user_id, {seats}, 50000, 0, at + 1000, {prices}"),
        ),
    ]
}

/// A charge and a payment for each reservation, and another charge of each second user. Seat 1 has an odd number, so the
/// regular guest has no third entry.
fn points(sql: &Sql) -> Vec<String> {
    let (rows, payment) = (sql.reservations(), sql.id(PAYMENT, "n"));
    let (numbers, now) = (sql.numbers(1), sql.now());
    let into = |table: &str, values: &str| format!("INSERT INTO {table} {rows} SELECT {values} FROM r");
    let account = "accounts (user_id, balance, version, updated_at)";
    let ledger = "ledger (user_id, version, entry_id, type, amount, balance_after, reference, created_at)";
    let (first, second, third) = (sql.id(6, "n"), sql.id(7, "n"), sql.id(8, "n"));
    let of_regular = format!("'{REGULAR}', 0, 2 * {}, {now} - 60 * {DAY_MILLIS} + 1000", sql.size.concerts);
    vec![
        into(account, "user_id, (1 - n % 2) * 1000, 3 - n % 2, at + 2000") + " WHERE j > 1",
        format!("INSERT INTO {account} {numbers} SELECT {of_regular} FROM s"),
        into(ledger, &format!("user_id, earlier + 1, {first}, 'CHARGE', 50000, 50000, NULL, at")),
        into(ledger, &format!("user_id, earlier + 2, {second}, 'USE', 50000, 0, {payment}, at + 1000")),
        into(ledger, &format!("user_id, 3, {third}, 'CHARGE', 1000, 1000, NULL, at + 2000")) + " WHERE n % 2 = 0",
    ]
}

fn lectures(sql: &Sql) -> Vec<String> {
    let Size { concerts, applications, .. } = sql.size;
    let (rows, numbers, now) = (sql.applications(), sql.numbers(concerts), sql.now());
    let (lecture, own, line) = (sql.id(LECTURE, "l"), sql.id(LECTURE, "n"), sql.id(10, "n"));
    let (starts, long_ago) = (sql.lecture_starts(), format!("{now} - 60 * {DAY_MILLIS}"));
    let written = sql.pick("", ", written_version");
    let version = if written.is_empty() { String::new() } else { format!(", {applications}") };
    vec![
        format!(
            "INSERT INTO lectures (lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version,
                updated_at, highest_capacity{written}) {numbers} SELECT {own}, 'Lecture ' || n, 'Ada', {starts}, 100, {applications},
                {applications}, {applications}, {long_ago}, 100{version} FROM s"
        ),
        format!(
            "INSERT INTO applications (lecture_id, user_id, seat_number, applied_at) {rows}
            SELECT {lecture}, user_id, j, at FROM a"
        ),
        format!(
            "INSERT INTO lecture_history (lecture_id, version, line_id, user_id, type, seat_number, created_at) {rows}
            SELECT {lecture}, j, {line}, user_id, 'APPLIED', j, at FROM a"
        ),
    ]
}

fn events(sql: &Sql) -> Vec<String> {
    let (sales, applications) = (sql.reservations(), sql.applications());
    let of_points = |kind: &str, id: u32, (version, at): (&str, &str), data: &str| {
        let id = sql.id(id, "n");
        let data = format!("'{{\"userId\":\"' || user_id || '\",{data}}}'");
        sql.events("onsale.points", kind, (&id, "user_id", version, at), &data)
    };
    let (payment, performance) = (sql.id_text(PAYMENT, "n"), sql.id_text(2, "c"));
    let reference = format!("\"amount\":50000,\"balanceAfter\":0,\"reference\":\"' || {payment} || '\"");
    let charged = ("onsale.points.charged.v1", "onsale.points.used.v1");
    let of_sale = |kind: &str, id: u32, (version, at): (&str, &str), more: &str| {
        let (id, reservation) = (sql.id(id, "n"), sql.id_text(RESERVATION, "n"));
        let data = format!(
            "'{{\"reservationId\":\"' || {reservation} || '\",\"performanceId\":\"' || {performance} || '\",\"userId\":\"'
                || user_id || '\",\"seats\":[' || j || '],\"amount\":50000,' || {more} || '}}'"
        );
        sql.events("onsale.concerts", kind, (&id, &performance, version, at), &data)
    };
    let held = format!("'\"heldUntil\":\"' || {} || '\"'", sql.instant("(at + 300000)"));
    let paid =
        format!("'\"paymentId\":\"' || {payment} || '\",\"paidAt\":\"' || {} || '\"'", sql.instant("(at + 1000)"));
    let lecture = sql.id_text(LECTURE, "l");
    let applied = format!(
        "'{{\"lectureId\":\"' || {lecture} || '\",\"userId\":\"' || user_id || '\",\"seatNumber\":' || j || '}}'"
    );
    let applied =
        sql.events("onsale.lectures", "onsale.lecture.applied.v1", (&sql.id(10, "n"), &lecture, "j", "at"), &applied);
    let from = |rows: &str, events: String, source: &str| {
        let (into, select) = events.split_at(events.find("SELECT").unwrap_or(0));
        format!("{into} {rows} {select} FROM {source}")
    };
    vec![
        from(
            &sales,
            of_points(
                charged.0,
                6,
                ("earlier + 1", "at"),
                "\"amount\":50000,\"balanceAfter\":50000,\"reference\":null",
            ),
            "r",
        ),
        from(&sales, of_points(charged.1, 7, ("earlier + 2", "at + 1000"), &reference), "r"),
        from(
            &sales,
            of_points(charged.0, 8, ("3", "at + 2000"), "\"amount\":1000,\"balanceAfter\":1000,\"reference\":null"),
            "r WHERE n % 2 = 0",
        ),
        from(&sales, of_sale("onsale.seats.held.v1", 4, ("2 * j", "at"), &held), "r"),
        from(&sales, of_sale("onsale.payment.completed.v1", 5, ("2 * j + 1", "at + 1000"), &paid), "r"),
        from(&applications, applied, "a"),
    ]
}
