-- The data plane's tables. Each leads with context_id in its primary key, so that a sharded Postgres can distribute all of
-- them by it. Its value is not the name of a context but its incarnation: a context that is deleted and created again under
-- the same name is another one, and sees nothing of the first while that is being purged.
--
-- Paths of scopes and their ranges are compared byte by byte, hence COLLATE "C".

-- +goose Up
CREATE TABLE scope_nodes (
    context_id    text COLLATE "C" NOT NULL,
    path          text COLLATE "C" NOT NULL, -- canonical: org/acme/
    display_name  text,
    description   text,
    created_at    timestamptz NOT NULL,
    tombstoned_at timestamptz,
    PRIMARY KEY (context_id, path)
);

-- Where rows live, each distinct set once per context: an OR of clauses, each an AND of nodes. set_id is a hash of the
-- normal form, so rows are never changed. clause_size, the number of nodes of the clause, is what a count of the readable
-- ones must reach.
CREATE TABLE scope_set_nodes (
    context_id  text COLLATE "C" NOT NULL,
    set_id      bytea NOT NULL,
    clause      integer NOT NULL,
    node        text COLLATE "C" NOT NULL,
    clause_size integer NOT NULL,
    PRIMARY KEY (context_id, set_id, clause, node)
);
CREATE INDEX scope_set_nodes_by_node ON scope_set_nodes (context_id, node) INCLUDE (set_id, clause, clause_size);

CREATE TABLE sessions (
    context_id   text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,
    set_id       bytea NOT NULL,
    principal_id text NOT NULL,
    turn_count   bigint NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (context_id, id)
);

CREATE TABLE turns (
    context_id   text COLLATE "C" NOT NULL,
    session_id   text COLLATE "C" NOT NULL,
    seq          bigint NOT NULL, -- from 1, in the order of writing
    id           text COLLATE "C" NOT NULL,
    role         text NOT NULL,
    content      text NOT NULL,
    principal_id text NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (context_id, session_id, seq)
);

-- A chunk outlives its session and turn, so it keeps the text itself. search holds the words of the text and one lexeme
-- that names the context, which makes the one index answer "these words in this context".
CREATE TABLE memory_chunks (
    context_id   text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,
    set_id       bytea NOT NULL,
    session_id   text COLLATE "C" NOT NULL,
    turn_id      text COLLATE "C" NOT NULL,
    principal_id text NOT NULL,
    category     text,
    text         text NOT NULL,
    observed_at  timestamptz,
    created_at   timestamptz NOT NULL,
    search       tsvector NOT NULL,
    PRIMARY KEY (context_id, id)
);
-- Without fastupdate: what was just written is looked up, not searched for in a list of pending entries.
CREATE INDEX memory_chunks_by_search ON memory_chunks USING gin (search) WITH (fastupdate = off);

CREATE TABLE memory_labels (
    context_id text COLLATE "C" NOT NULL,
    chunk_id   text COLLATE "C" NOT NULL,
    label      text COLLATE "C" NOT NULL, -- key=value
    PRIMARY KEY (context_id, chunk_id, label)
);

-- Answers to writes that named an idempotency key. A row is written in the transaction of the write it answers for.
CREATE TABLE idempotency_keys (
    context_id   text COLLATE "C" NOT NULL,
    principal_id text COLLATE "C" NOT NULL,
    route        text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    fingerprint  bytea NOT NULL, -- of the request
    answer       text NOT NULL,  -- JSON
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (context_id, principal_id, route, key)
);
-- For the sweep of expired rows, which goes through all contexts.
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);

-- +goose Down
DROP TABLE idempotency_keys;
DROP TABLE memory_labels;
DROP TABLE memory_chunks;
DROP TABLE turns;
DROP TABLE sessions;
DROP TABLE scope_set_nodes;
DROP TABLE scope_nodes;
