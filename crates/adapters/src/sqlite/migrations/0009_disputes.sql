-- Tokens that were shown for a place whose row names another token: the place was handed out twice. The audit reports them.
CREATE TABLE place_disputes (
    concert_id BLOB NOT NULL CHECK (length(concert_id) = 16),
    place      INTEGER NOT NULL CHECK (place > 0),
    token_id   BLOB NOT NULL CHECK (length(token_id) = 16),
    user_id    TEXT NOT NULL,
    issued_at  INTEGER NOT NULL,
    PRIMARY KEY (concert_id, place, token_id)
) STRICT, WITHOUT ROWID;
