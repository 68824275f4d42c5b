-- Structured memory; see the Postgres migration of the same number for what the tables mean.

-- +goose Up
ALTER TABLE memory_chunks ADD COLUMN source TEXT NOT NULL DEFAULT 'memory_chunk';
ALTER TABLE memory_chunks ADD COLUMN entity_id TEXT;
ALTER TABLE memory_chunks ADD COLUMN valid_from DATETIME;
ALTER TABLE memory_chunks ADD COLUMN valid_until DATETIME;
ALTER TABLE memory_chunks ADD COLUMN forgotten_at DATETIME;
UPDATE memory_chunks SET valid_from = observed_at WHERE observed_at IS NOT NULL;

ALTER TABLE turns ADD COLUMN forgotten_at DATETIME;

CREATE TABLE entities (
    context_id   TEXT NOT NULL,
    id           TEXT NOT NULL,
    set_id       BLOB NOT NULL,
    entity_id    TEXT NOT NULL,
    type         TEXT NOT NULL,
    name         TEXT NOT NULL,
    category     TEXT NOT NULL,
    importance   REAL NOT NULL,
    created_at   DATETIME NOT NULL,
    updated_at   DATETIME NOT NULL,
    valid_until  DATETIME,
    PRIMARY KEY (context_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX entities_current ON entities (context_id, entity_id, set_id) WHERE valid_until IS NULL;
CREATE INDEX entities_by_name ON entities (context_id, type, name) WHERE valid_until IS NULL;

CREATE TABLE attributes (
    context_id    TEXT NOT NULL,
    id            TEXT NOT NULL,
    set_id        BLOB NOT NULL,
    entity_id     TEXT NOT NULL,
    key           TEXT NOT NULL,
    value         TEXT NOT NULL,
    category      TEXT NOT NULL,
    importance    REAL NOT NULL,
    source_kind   TEXT NOT NULL,
    source_ref    TEXT NOT NULL,
    session_id    TEXT NOT NULL,
    created_at    DATETIME NOT NULL,
    valid_from    DATETIME NOT NULL,
    valid_until   DATETIME,
    supersedes    TEXT,
    superseded_by TEXT,
    PRIMARY KEY (context_id, id)
);
CREATE UNIQUE INDEX attributes_current ON attributes (context_id, entity_id, key, set_id) WHERE valid_until IS NULL;
CREATE INDEX attributes_by_entity ON attributes (context_id, entity_id, key, created_at);
CREATE INDEX attributes_by_time ON attributes (context_id, category, created_at) WHERE valid_until IS NULL;

CREATE TABLE relations (
    context_id  TEXT NOT NULL,
    id          TEXT NOT NULL,
    set_id      BLOB NOT NULL,
    subject_id  TEXT NOT NULL,
    label       TEXT NOT NULL,
    object_id   TEXT NOT NULL,
    category    TEXT NOT NULL,
    source_kind TEXT NOT NULL,
    source_ref  TEXT NOT NULL,
    session_id  TEXT NOT NULL,
    created_at  DATETIME NOT NULL,
    valid_from  DATETIME NOT NULL,
    valid_until DATETIME,
    PRIMARY KEY (context_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX relations_current ON relations (context_id, subject_id, label, object_id, set_id) WHERE valid_until IS NULL;
CREATE INDEX relations_by_subject ON relations (context_id, subject_id);
CREATE INDEX relations_by_object ON relations (context_id, object_id);
CREATE INDEX relations_by_time ON relations (context_id, category, created_at) WHERE valid_until IS NULL;

-- +goose Down
DROP TABLE relations;
DROP TABLE attributes;
DROP TABLE entities;
ALTER TABLE turns DROP COLUMN forgotten_at;
DELETE FROM memory_search WHERE rowid IN
    (SELECT document FROM memory_chunks WHERE source <> 'memory_chunk' OR forgotten_at IS NOT NULL);
DELETE FROM memory_chunks WHERE source <> 'memory_chunk' OR forgotten_at IS NOT NULL;
ALTER TABLE memory_chunks DROP COLUMN source;
ALTER TABLE memory_chunks DROP COLUMN entity_id;
ALTER TABLE memory_chunks DROP COLUMN valid_from;
ALTER TABLE memory_chunks DROP COLUMN valid_until;
ALTER TABLE memory_chunks DROP COLUMN forgotten_at;
