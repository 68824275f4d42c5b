-- The data plane's tables; see the Postgres migration of the same number for what they mean. In short: context_id is the
-- incarnation of a context, not its name, so a context that is deleted and created again sees nothing of the first.
--
-- Text is compared byte by byte (BINARY), which is what ranges of scope paths need. Times are text in UTC.

-- +goose Up
CREATE TABLE scope_nodes (
    context_id    TEXT NOT NULL,
    path          TEXT NOT NULL,
    display_name  TEXT,
    description   TEXT,
    created_at    DATETIME NOT NULL,
    tombstoned_at DATETIME,
    PRIMARY KEY (context_id, path)
) WITHOUT ROWID;

CREATE TABLE scope_set_nodes (
    context_id  TEXT NOT NULL,
    set_id      BLOB NOT NULL,
    clause      INTEGER NOT NULL,
    node        TEXT NOT NULL,
    clause_size INTEGER NOT NULL,
    PRIMARY KEY (context_id, set_id, clause, node)
) WITHOUT ROWID;
CREATE INDEX scope_set_nodes_by_node ON scope_set_nodes (context_id, node, set_id, clause, clause_size);

CREATE TABLE sessions (
    context_id   TEXT NOT NULL,
    id           TEXT NOT NULL,
    set_id       BLOB NOT NULL,
    principal_id TEXT NOT NULL,
    turn_count   INTEGER NOT NULL,
    created_at   DATETIME NOT NULL,
    PRIMARY KEY (context_id, id)
) WITHOUT ROWID;

CREATE TABLE turns (
    context_id   TEXT NOT NULL,
    session_id   TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    id           TEXT NOT NULL,
    role         TEXT NOT NULL,
    content      TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    created_at   DATETIME NOT NULL,
    PRIMARY KEY (context_id, session_id, seq)
);

-- document is the rowid of the chunk's words in memory_search. The rowid of this table would not do: VACUUM may change it.
CREATE TABLE memory_chunks (
    context_id   TEXT NOT NULL,
    id           TEXT NOT NULL,
    set_id       BLOB NOT NULL,
    session_id   TEXT NOT NULL,
    turn_id      TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    category     TEXT,
    text         TEXT NOT NULL,
    observed_at  DATETIME,
    created_at   DATETIME NOT NULL,
    document     INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (context_id, id)
);

-- The context is a column of the index, so that the one index answers "these words in this context". The text itself is
-- not stored a second time (content=''). Accents are gone before words get here.
CREATE VIRTUAL TABLE memory_search USING fts5(
    context, words,
    content='', contentless_delete=1, tokenize='porter unicode61 remove_diacritics 0'
);

CREATE TABLE memory_labels (
    context_id TEXT NOT NULL,
    chunk_id   TEXT NOT NULL,
    label      TEXT NOT NULL,
    PRIMARY KEY (context_id, chunk_id, label)
) WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    context_id   TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    route        TEXT NOT NULL,
    key          TEXT NOT NULL,
    fingerprint  BLOB NOT NULL,
    answer       TEXT NOT NULL,
    expires_at   DATETIME NOT NULL,
    PRIMARY KEY (context_id, principal_id, route, key)
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);

-- +goose Down
DROP TABLE idempotency_keys;
DROP TABLE memory_labels;
DROP TABLE memory_search;
DROP TABLE memory_chunks;
DROP TABLE turns;
DROP TABLE sessions;
DROP TABLE scope_set_nodes;
DROP TABLE scope_nodes;
