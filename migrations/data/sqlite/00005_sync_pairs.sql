-- The threads that are pulled from other servers; see the Postgres migration of
-- the same number.

-- +goose Up
CREATE TABLE sync_pairs (
    context_id     TEXT NOT NULL,
    id             TEXT NOT NULL,
    peer_did       TEXT NOT NULL,
    peer_url       TEXT NOT NULL,
    thread_id      TEXT NOT NULL,
    peer_actor     TEXT NOT NULL,
    peer_token     BLOB,
    version        INTEGER NOT NULL,
    paused         BOOLEAN NOT NULL,
    created_at     DATETIME NOT NULL,
    cursor         TEXT NOT NULL,
    last_pulled_at DATETIME,
    failing        BOOLEAN NOT NULL,
    last_error     TEXT NOT NULL,
    pulled         INTEGER NOT NULL,
    known          INTEGER NOT NULL,
    refused        INTEGER NOT NULL,
    pulls          INTEGER NOT NULL,
    failures       INTEGER NOT NULL,
    holder         TEXT NOT NULL,
    held_until     DATETIME NOT NULL,
    PRIMARY KEY (context_id, id)
) WITHOUT ROWID;
CREATE INDEX sync_pairs_by_holder ON sync_pairs (holder) WHERE NOT paused;

-- +goose Down
DROP TABLE sync_pairs;
