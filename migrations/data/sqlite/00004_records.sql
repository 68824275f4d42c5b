-- Records and threads; see the Postgres migration of the same number.

-- +goose Up
CREATE TABLE record_counters (
    context_id TEXT NOT NULL,
    last_seq   INTEGER NOT NULL,
    PRIMARY KEY (context_id)
) WITHOUT ROWID;

CREATE TABLE records (
    context_id  TEXT NOT NULL,
    id          TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    thread      TEXT NOT NULL,
    actor       TEXT NOT NULL,
    act         TEXT NOT NULL,
    clock       INTEGER NOT NULL,
    data_type   TEXT NOT NULL,
    parents     TEXT NOT NULL,
    body        TEXT NOT NULL,
    judged_by   TEXT,
    received_at DATETIME NOT NULL,
    PRIMARY KEY (context_id, id)
);
CREATE UNIQUE INDEX records_by_seq ON records (context_id, seq);
CREATE INDEX records_by_thread ON records (context_id, thread, seq);
CREATE INDEX records_by_actor ON records (context_id, actor, seq);
CREATE INDEX records_by_clock ON records (context_id, thread, clock, id);
CREATE INDEX records_by_author ON records (context_id, thread, actor, clock);

CREATE TABLE threads (
    context_id     TEXT NOT NULL,
    id             TEXT NOT NULL,
    title          TEXT NOT NULL,
    records        INTEGER NOT NULL,
    created_at     DATETIME NOT NULL,
    last_record_at DATETIME,
    deleted_at     DATETIME,
    PRIMARY KEY (context_id, id)
) WITHOUT ROWID;
CREATE INDEX threads_deleted ON threads (context_id, id) WHERE deleted_at IS NOT NULL;

-- +goose Down
DROP TABLE threads;
DROP TABLE records;
DROP TABLE record_counters;
