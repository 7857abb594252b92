-- Tokens that were shown for a place whose row names another token: the place was handed out twice. The audit reports them.
CREATE TABLE place_disputes (
    concert_id uuid NOT NULL,
    place      bigint NOT NULL CHECK (place > 0),
    token_id   uuid NOT NULL,
    user_id    text COLLATE "C" NOT NULL,
    issued_at  bigint NOT NULL,
    PRIMARY KEY (concert_id, place, token_id)
);
