-- Records, immutable and named by the hash of what they say, and the threads that they belong to.
--
-- seq is the order in which records became visible: its counter is locked from when a number is taken until the commit, so
-- that whoever has read up to one number has missed none before it.

-- +goose Up
CREATE TABLE record_counters (
    context_id text COLLATE "C" NOT NULL,
    last_seq   bigint NOT NULL,
    PRIMARY KEY (context_id)
);

CREATE TABLE records (
    context_id  text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL, -- SHA-256, hexadecimal
    seq         bigint NOT NULL,
    thread      text COLLATE "C" NOT NULL,
    actor       text COLLATE "C" NOT NULL,
    act         text COLLATE "C" NOT NULL,
    clock       bigint NOT NULL,
    data_type   text COLLATE "C" NOT NULL,
    parents     text NOT NULL, -- JSON, as is body, in its canonical form
    body        text NOT NULL,
    judged_by   text,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (context_id, id)
);
CREATE UNIQUE INDEX records_by_seq ON records (context_id, seq);
CREATE INDEX records_by_thread ON records (context_id, thread, seq);
CREATE INDEX records_by_actor ON records (context_id, actor, seq);
CREATE INDEX records_by_clock ON records (context_id, thread, clock, id);
CREATE INDEX records_by_author ON records (context_id, thread, actor, clock);

-- Every thread with records has a row.
CREATE TABLE threads (
    context_id     text COLLATE "C" NOT NULL,
    id             text COLLATE "C" NOT NULL,
    title          text NOT NULL,
    records        bigint NOT NULL, -- how many
    created_at     timestamptz NOT NULL,
    last_record_at timestamptz,
    deleted_at     timestamptz, -- its records are there, but nobody sees them
    PRIMARY KEY (context_id, id)
);
CREATE INDEX threads_deleted ON threads (context_id, id) WHERE deleted_at IS NOT NULL;

-- +goose Down
DROP TABLE threads;
DROP TABLE records;
DROP TABLE record_counters;
