-- What a session carries along, and what was asked and done.

-- +goose Up
ALTER TABLE sessions ADD COLUMN metadata text; -- JSON as it was given; NULL when none was
CREATE INDEX sessions_by_time ON sessions (context_id, created_at, id);

-- One row for each thing that was asked or done, and succeeded. trace_id is the X-Trace-Id of the answer; a caller may use
-- one for many requests, hence id. Texts that were written are never here, nor is any key but its id.
CREATE TABLE traces (
    context_id   text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL, -- later ones sort behind earlier ones
    trace_id     text COLLATE "C" NOT NULL,
    kind         text NOT NULL, -- decision, retrieval or response
    action       text NOT NULL,
    principal_id text COLLATE "C" NOT NULL, -- who asked
    on_behalf_of text COLLATE "C",          -- for whom, if it said so
    key_id       text COLLATE "C" NOT NULL,
    query_text   text NOT NULL,
    tier         text NOT NULL,
    tier_reason  text NOT NULL,
    latency_us   bigint NOT NULL,
    rows_touched bigint NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (context_id, id)
);
CREATE INDEX traces_by_trace ON traces (context_id, trace_id);
CREATE INDEX traces_by_time ON traces (context_id, created_at, id);
CREATE INDEX traces_by_principal ON traces (context_id, principal_id, created_at, id);
-- For the sweep of old rows, which goes through all contexts.
CREATE INDEX traces_by_age ON traces (created_at);

-- +goose Down
DROP TABLE traces;
DROP INDEX sessions_by_time;
ALTER TABLE sessions DROP COLUMN metadata;
