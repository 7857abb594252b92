-- The sale. Instants are milliseconds since 1970 in UTC, ids are UUIDv7, amounts are whole points.
-- Parents (accounts, lectures, rooms, performances) carry a version; their histories and events carry it too.
--
-- Foreign keys stand only where nothing is hot: each costs a query a row. Children of a hot parent are written while
-- that parent is locked, which says more than a foreign key would; the audit checks them.

CREATE TABLE secrets (
    name  text  NOT NULL PRIMARY KEY,
    value bytea NOT NULL
);

-- Points ------------------------------------------------------------------------------------------------------------

-- A wallet of version 0 was named and never used: its row is there to be locked.
CREATE TABLE accounts (
    user_id    text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(user_id) BETWEEN 1 AND 64),
    balance    bigint NOT NULL CHECK (balance BETWEEN 0 AND 1000000000),
    version    bigint NOT NULL CHECK (version >= 0),
    updated_at bigint,
    CHECK ((version = 0) = (updated_at IS NULL)),
    CHECK (version > 0 OR balance = 0)
) WITH (fillfactor = 70);

CREATE TABLE ledger (
    user_id       text COLLATE "C" NOT NULL,
    version       bigint NOT NULL CHECK (version > 0),
    entry_id      uuid   NOT NULL,
    type          text   NOT NULL CHECK (type IN ('CHARGE', 'USE')),
    amount        bigint NOT NULL CHECK (amount >= 0),
    balance_after bigint NOT NULL CHECK (balance_after BETWEEN 0 AND 1000000000),
    reference     uuid,
    created_at    bigint NOT NULL,
    PRIMARY KEY (user_id, version)
);

CREATE UNIQUE INDEX ledger_by_payment ON ledger (user_id, reference) WHERE reference IS NOT NULL;

-- Lectures ----------------------------------------------------------------------------------------------------------

CREATE TABLE lectures (
    lecture_id   uuid   NOT NULL PRIMARY KEY,
    title        text   NOT NULL,
    lecturer     text,
    starts_at    bigint NOT NULL,
    capacity     integer NOT NULL CHECK (capacity BETWEEN 1 AND 1000000),
    enrolled     integer NOT NULL CHECK (enrolled BETWEEN 0 AND capacity),
    -- The highest seat number ever given. Lower ones that are free again stand in freed_seats.
    seats_opened integer NOT NULL CHECK (seats_opened BETWEEN enrolled AND capacity),
    version      bigint NOT NULL,
    updated_at   bigint NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX lectures_by_start ON lectures (starts_at, lecture_id);

CREATE TABLE applications (
    lecture_id  uuid    NOT NULL,
    user_id     text COLLATE "C" NOT NULL,
    seat_number integer NOT NULL CHECK (seat_number > 0),
    applied_at  bigint  NOT NULL,
    PRIMARY KEY (lecture_id, user_id)
);

CREATE UNIQUE INDEX applications_by_seat ON applications (lecture_id, seat_number);
CREATE INDEX applications_by_user ON applications (user_id, lecture_id);

CREATE TABLE freed_seats (
    lecture_id  uuid    NOT NULL,
    seat_number integer NOT NULL CHECK (seat_number > 0),
    PRIMARY KEY (lecture_id, seat_number)
);

CREATE TABLE lecture_history (
    lecture_id  uuid    NOT NULL,
    version     bigint  NOT NULL CHECK (version > 0),
    line_id     uuid    NOT NULL,
    user_id     text COLLATE "C" NOT NULL,
    type        text    NOT NULL CHECK (type IN ('APPLIED', 'CANCELLED')),
    seat_number integer NOT NULL CHECK (seat_number > 0),
    created_at  bigint  NOT NULL,
    PRIMARY KEY (lecture_id, version)
);

-- Concerts and their waiting rooms ----------------------------------------------------------------------------------

CREATE TABLE concerts (
    concert_id uuid   NOT NULL PRIMARY KEY,
    title      text   NOT NULL,
    venue      text   NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE rooms (
    concert_id       uuid    NOT NULL PRIMARY KEY REFERENCES concerts,
    max_active       integer NOT NULL CHECK (max_active BETWEEN 1 AND 1000000),
    admit_per_second integer NOT NULL CHECK (admit_per_second BETWEEN 1 AND 1000000),
    active_seconds   integer NOT NULL CHECK (active_seconds BETWEEN 1 AND 86400),
    claim_seconds    integer NOT NULL CHECK (claim_seconds BETWEEN 1 AND 3600),
    paused           boolean NOT NULL,
    issued           bigint  NOT NULL,
    served           bigint  NOT NULL CHECK (served BETWEEN 0 AND issued),
    given_up         bigint  NOT NULL CHECK (given_up BETWEEN 0 AND issued - served),
    active           integer NOT NULL CHECK (active BETWEEN 0 AND served),
    -- Admissions of the last second: 12 bytes each, an instant (8, big-endian) and a count (4).
    admissions       bytea   NOT NULL CHECK (length(admissions) % 12 = 0),
    version          bigint  NOT NULL,
    updated_at       bigint  NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE places (
    concert_id uuid   NOT NULL,
    place      bigint NOT NULL CHECK (place > 0),
    user_id    text COLLATE "C" NOT NULL,
    token_id   uuid   NOT NULL,
    issued_at  bigint NOT NULL,
    standing   text   NOT NULL CHECK (standing IN ('CURRENT', 'GIVEN_UP', 'REPLACED')),
    -- The room's version with which the place was given up: what other processes have not seen yet.
    given_up_version bigint,
    PRIMARY KEY (concert_id, place),
    CHECK ((standing = 'GIVEN_UP') = (given_up_version IS NOT NULL))
);

CREATE UNIQUE INDEX places_current ON places (concert_id, user_id) WHERE standing = 'CURRENT';
CREATE INDEX places_given_up ON places (concert_id, place) WHERE standing = 'GIVEN_UP';
CREATE INDEX places_given_up_since ON places (concert_id, given_up_version) WHERE standing = 'GIVEN_UP';

-- A turn runs from the call until it is settled. A settled one stays for a minute (settled_at), so that other
-- processes learn of it by its version, the room's at the last change.
CREATE TABLE turns (
    concert_id   uuid    NOT NULL,
    place        bigint  NOT NULL,
    admitted_at  bigint  NOT NULL,
    active_until bigint  NOT NULL,
    seen_at      bigint  NOT NULL,
    claimed      boolean NOT NULL,
    version      bigint  NOT NULL,
    settled_at   bigint,
    PRIMARY KEY (concert_id, place)
);

CREATE INDEX turns_since ON turns (concert_id, version);
CREATE INDEX turns_settled ON turns (settled_at) WHERE settled_at IS NOT NULL;

-- Turns that have ended and wait for their room to settle them. Written under the account, removed under the room.
CREATE TABLE turn_ends (
    concert_id uuid   NOT NULL,
    place      bigint NOT NULL,
    ended_at   bigint NOT NULL,
    PRIMARY KEY (concert_id, place)
);

CREATE TABLE performances (
    performance_id uuid    NOT NULL PRIMARY KEY,
    concert_id     uuid    NOT NULL REFERENCES concerts,
    starts_at      bigint  NOT NULL,
    -- JSON: [{"from", "to", "grade", "price"}]
    sections       text    NOT NULL,
    capacity       integer NOT NULL CHECK (capacity BETWEEN 1 AND 100000),
    sold           integer NOT NULL CHECK (sold BETWEEN 0 AND capacity),
    version        bigint  NOT NULL,
    updated_at     bigint  NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX performances_of_concert ON performances (concert_id);

CREATE TABLE reservations (
    reservation_id uuid      NOT NULL PRIMARY KEY,
    concert_id     uuid      NOT NULL,
    performance_id uuid      NOT NULL,
    user_id        text COLLATE "C" NOT NULL,
    place          bigint    NOT NULL,
    seats          integer[] NOT NULL,
    amount         bigint    NOT NULL CHECK (amount >= 0),
    held_at        bigint    NOT NULL,
    held_until     bigint    NOT NULL CHECK (held_until > held_at),
    status         text      NOT NULL CHECK (status IN ('HELD', 'PAID', 'EXPIRED', 'RELEASED')),
    end_event_id   uuid,
    CHECK ((status IN ('EXPIRED', 'RELEASED')) = (end_event_id IS NOT NULL))
) WITH (fillfactor = 80);

CREATE INDEX reservations_by_user ON reservations (user_id, reservation_id);
CREATE INDEX reservations_open ON reservations (concert_id, user_id) WHERE status IN ('HELD', 'PAID');
CREATE INDEX reservations_held ON reservations (held_until) WHERE status = 'HELD';

-- A seat that is free has no row.
CREATE TABLE seats (
    performance_id uuid    NOT NULL,
    seat           integer NOT NULL CHECK (seat > 0),
    reservation_id uuid    NOT NULL,
    held_until     bigint  NOT NULL,
    sold           boolean NOT NULL,
    PRIMARY KEY (performance_id, seat)
) WITH (fillfactor = 80);

CREATE TABLE payments (
    payment_id     uuid      NOT NULL PRIMARY KEY,
    reservation_id uuid      NOT NULL UNIQUE,
    performance_id uuid      NOT NULL,
    user_id        text COLLATE "C" NOT NULL,
    seats          integer[] NOT NULL,
    amount         bigint    NOT NULL CHECK (amount >= 0),
    balance_after  bigint    NOT NULL CHECK (balance_after >= 0),
    paid_at        bigint    NOT NULL
);

CREATE INDEX payments_by_user ON payments (user_id, payment_id);

-- What is told, and what was answered -------------------------------------------------------------------------------

-- No sequence numbers the log: position is the writing transaction's id (times 65,536) and the event's rank in it.
-- Whoever reads in order stops at the oldest transaction that still runs, and so misses none that commits late.
CREATE TABLE events (
    topic    text COLLATE "C" NOT NULL CHECK (topic IN ('onsale.points', 'onsale.lectures', 'onsale.concerts')),
    subject  text COLLATE "C" NOT NULL,
    version  bigint NOT NULL CHECK (version > 0),
    event_id uuid   NOT NULL,
    position bigint NOT NULL,
    type     text   NOT NULL,
    at       bigint NOT NULL,
    data     text   NOT NULL,
    state    text   NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'SENT', 'DEAD')),
    reason   text,
    PRIMARY KEY (topic, subject, version)
);

CREATE INDEX events_in_order ON events (position);
CREATE INDEX events_dead ON events (position) WHERE state = 'DEAD';

CREATE TABLE kept_answers (
    -- The acting user; empty for an administrator.
    owner       text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    fingerprint bytea  NOT NULL CHECK (length(fingerprint) = 32),
    answer      bytea  NOT NULL,
    kept_at     bigint NOT NULL,
    PRIMARY KEY (owner, key)
);

CREATE INDEX kept_answers_by_age ON kept_answers (kept_at);

-- What may never change ---------------------------------------------------------------------------------------------

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER ledger_is_kept BEFORE UPDATE OR DELETE ON ledger
    FOR EACH ROW EXECUTE FUNCTION refuse('a ledger entry is never rewritten or deleted');
CREATE TRIGGER lecture_history_is_kept BEFORE UPDATE OR DELETE ON lecture_history
    FOR EACH ROW EXECUTE FUNCTION refuse('a line of history is never rewritten or deleted');
CREATE TRIGGER payments_are_kept BEFORE UPDATE OR DELETE ON payments
    FOR EACH ROW EXECUTE FUNCTION refuse('a payment is never rewritten or deleted');
CREATE TRIGGER reservations_end_once BEFORE UPDATE ON reservations
    FOR EACH ROW WHEN (OLD.status <> 'HELD') EXECUTE FUNCTION refuse('a reservation that has ended never changes');
CREATE TRIGGER reservations_are_kept BEFORE DELETE ON reservations
    FOR EACH ROW EXECUTE FUNCTION refuse('a reservation is never deleted');
CREATE TRIGGER seats_are_sold_once BEFORE UPDATE ON seats
    FOR EACH ROW WHEN (OLD.sold) EXECUTE FUNCTION refuse('a sold seat never changes');
CREATE TRIGGER seats_stay_sold BEFORE DELETE ON seats
    FOR EACH ROW WHEN (OLD.sold) EXECUTE FUNCTION refuse('a sold seat never becomes free');
