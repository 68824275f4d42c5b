-- The threads that are pulled from other servers, and how far each pull has come.

-- +goose Up
CREATE TABLE sync_pairs (
    context_id     text COLLATE "C" NOT NULL,
    id             text COLLATE "C" NOT NULL, -- a hash of the three that follow
    peer_did       text COLLATE "C" NOT NULL,
    peer_url       text COLLATE "C" NOT NULL,
    thread_id      text COLLATE "C" NOT NULL,
    peer_actor     text COLLATE "C" NOT NULL, -- empty: the peer is told none
    peer_token     bytea,                     -- sealed; NULL: the peer asks for none
    version        bigint NOT NULL,           -- of what people change: whoever pulls by an older one has nothing to say
    paused         boolean NOT NULL,
    created_at     timestamptz NOT NULL,
    cursor         text COLLATE "C" NOT NULL, -- what the peer called its newest record that is here; empty: none is
    last_pulled_at timestamptz,
    failing        boolean NOT NULL,
    last_error     text NOT NULL,
    pulled         bigint NOT NULL,
    known          bigint NOT NULL,
    refused        bigint NOT NULL,
    pulls          bigint NOT NULL,
    failures       bigint NOT NULL,
    holder         text COLLATE "C" NOT NULL, -- the one replica that pulls; empty: none does
    held_until     timestamptz NOT NULL,      -- by this database's clock
    PRIMARY KEY (context_id, id)
);
-- For replicas that look for pairs to pull, in all contexts.
CREATE INDEX sync_pairs_by_holder ON sync_pairs (holder) WHERE NOT paused;

-- +goose Down
DROP TABLE sync_pairs;
