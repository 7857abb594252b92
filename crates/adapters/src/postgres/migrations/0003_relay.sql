-- Who relays the outbox, how far that got, and what the data platform has.

-- Relays that are heard of.
CREATE TABLE relays (
    relay       uuid   NOT NULL PRIMARY KEY,
    heard_until bigint NOT NULL
);

-- The outbox by its subjects, in eight parts. All events of a part up to sent_to were sent or set aside: nothing is
-- written to an event for being sent.
CREATE TABLE relay_parts (
    part         integer NOT NULL PRIMARY KEY,
    sent_to      bigint  NOT NULL DEFAULT 0,
    -- Another whenever the part goes to another relay.
    fence        bigint  NOT NULL DEFAULT 0,
    relay        uuid,
    leased_until bigint  NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

INSERT INTO relay_parts (part) SELECT generate_series(0, 7);

-- Events to be sent again, though their part has passed them.
CREATE TABLE events_put_back (
    position bigint NOT NULL PRIMARY KEY
);

-- What was delivered, so that a repeat has no second effect.
CREATE TABLE deliveries (
    event_id uuid   NOT NULL PRIMARY KEY,
    at       bigint NOT NULL
);

CREATE INDEX deliveries_by_age ON deliveries (at);

-- Files of delivered events: whatever lies behind this length was not written down, and is cut off.
CREATE TABLE delivery_files (
    file   text   NOT NULL PRIMARY KEY,
    length bigint NOT NULL
);
