-- Clients that left -------------------------------------------------------------------------------------------------
--
-- A client that leaves with a grace: its place or turn is given up at an instant, unless a call with its token comes before, at any
-- instance. A row is deleted when the client comes back, or when its place is given up. An instance of an older schema does not
-- read this table, and would not notice that a client came back: stop all servers before this step.
CREATE TABLE leavings (
    token_id   uuid   PRIMARY KEY,
    concert_id uuid   NOT NULL,
    user_id    text   COLLATE "C" NOT NULL,
    place      bigint NOT NULL,
    issued_at  bigint NOT NULL,
    asked_at   bigint NOT NULL,
    leaves_at  bigint NOT NULL CHECK (leaves_at >= asked_at)
);
CREATE INDEX leavings_due ON leavings (leaves_at);
