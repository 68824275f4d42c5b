-- What a session carries along, and what was asked and done; see the Postgres
-- migration of the same number.

-- +goose Up
ALTER TABLE sessions ADD COLUMN metadata TEXT;
CREATE INDEX sessions_by_time ON sessions (context_id, created_at, id);

CREATE TABLE traces (
    context_id   TEXT NOT NULL,
    id           TEXT NOT NULL,
    trace_id     TEXT NOT NULL,
    kind         TEXT NOT NULL,
    action       TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    on_behalf_of TEXT,
    key_id       TEXT NOT NULL,
    query_text   TEXT NOT NULL,
    tier         TEXT NOT NULL,
    tier_reason  TEXT NOT NULL,
    latency_us   INTEGER NOT NULL,
    rows_touched INTEGER NOT NULL,
    created_at   DATETIME NOT NULL,
    PRIMARY KEY (context_id, id)
) WITHOUT ROWID;
CREATE INDEX traces_by_trace ON traces (context_id, trace_id);
CREATE INDEX traces_by_time ON traces (context_id, created_at, id);
CREATE INDEX traces_by_principal ON traces (context_id, principal_id, created_at, id);
CREATE INDEX traces_by_age ON traces (created_at);

-- +goose Down
DROP TABLE traces;
DROP INDEX sessions_by_time;
ALTER TABLE sessions DROP COLUMN metadata;
