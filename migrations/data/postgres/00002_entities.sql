-- Structured memory: entities, their attributes and the relations between them. Everything that queries find, a text, an
-- attribute or an entity, has a row in memory_chunks.
--
-- entity_id is a hash of the type and the name, so it is the same wherever the entity is known, and tells nothing of where
-- that is. What is known of an entity in one place (set_id) and in another are different rows: whoever sees one place learns
-- nothing of the other. Of each thing at most one row per place is current, which is what the partial indexes see to.

-- +goose Up
ALTER TABLE memory_chunks
    -- memory_chunk: a text as it was remembered. attribute, entity: the row of that table with the same id.
    ADD COLUMN source       text COLLATE "C" NOT NULL DEFAULT 'memory_chunk',
    ADD COLUMN entity_id    text COLLATE "C", -- of an attribute and of an entity
    ADD COLUMN valid_from   timestamptz,      -- NULL: since created_at
    ADD COLUMN valid_until  timestamptz,      -- NULL: it is current
    ADD COLUMN forgotten_at timestamptz;      -- NULL: it may be found
UPDATE memory_chunks SET valid_from = observed_at WHERE observed_at IS NOT NULL;

-- A turn is forgotten with the text it brought.
ALTER TABLE turns ADD COLUMN forgotten_at timestamptz;

CREATE TABLE entities (
    context_id   text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL, -- of this row
    set_id       bytea NOT NULL,
    entity_id    text COLLATE "C" NOT NULL,
    type         text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    category     text NOT NULL,
    importance   double precision NOT NULL, -- from 0 to 1
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,      -- when what is known of it in this place changed last
    valid_until  timestamptz,
    PRIMARY KEY (context_id, id)
);
CREATE UNIQUE INDEX entities_current ON entities (context_id, entity_id, set_id) WHERE valid_until IS NULL;
CREATE INDEX entities_by_name ON entities (context_id, type, name) WHERE valid_until IS NULL;

CREATE TABLE attributes (
    context_id    text COLLATE "C" NOT NULL,
    id            text COLLATE "C" NOT NULL,
    set_id        bytea NOT NULL,
    entity_id     text COLLATE "C" NOT NULL,
    key           text COLLATE "C" NOT NULL,
    value         text NOT NULL,
    category      text NOT NULL,
    importance    double precision NOT NULL,
    source_kind   text NOT NULL,                  -- triples, reflect
    source_ref    text COLLATE "C" NOT NULL,      -- the turn, or the trace
    session_id    text COLLATE "C" NOT NULL,      -- empty: none
    created_at    timestamptz NOT NULL,           -- later than that of the value before it
    valid_from    timestamptz NOT NULL,
    valid_until   timestamptz,
    supersedes    text COLLATE "C",
    superseded_by text COLLATE "C",
    PRIMARY KEY (context_id, id)
);
CREATE UNIQUE INDEX attributes_current ON attributes (context_id, entity_id, key, set_id) WHERE valid_until IS NULL;
CREATE INDEX attributes_by_entity ON attributes (context_id, entity_id, key, created_at);
CREATE INDEX attributes_by_time ON attributes (context_id, category, created_at) WHERE valid_until IS NULL;

CREATE TABLE relations (
    context_id  text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    set_id      bytea NOT NULL,
    subject_id  text COLLATE "C" NOT NULL, -- an entity_id, as is object_id
    label       text COLLATE "C" NOT NULL,
    object_id   text COLLATE "C" NOT NULL,
    category    text NOT NULL,
    source_kind text NOT NULL,
    source_ref  text COLLATE "C" NOT NULL,
    session_id  text COLLATE "C" NOT NULL,
    created_at  timestamptz NOT NULL,
    valid_from  timestamptz NOT NULL,
    valid_until timestamptz,
    PRIMARY KEY (context_id, id)
);
CREATE UNIQUE INDEX relations_current ON relations (context_id, subject_id, label, object_id, set_id) WHERE valid_until IS NULL;
CREATE INDEX relations_by_subject ON relations (context_id, subject_id);
CREATE INDEX relations_by_object ON relations (context_id, object_id);
CREATE INDEX relations_by_time ON relations (context_id, category, created_at) WHERE valid_until IS NULL;

-- +goose Down
DROP TABLE relations;
DROP TABLE attributes;
DROP TABLE entities;
ALTER TABLE turns DROP COLUMN forgotten_at;
-- What the previous release knows no source for, it would answer as texts.
DELETE FROM memory_chunks WHERE source <> 'memory_chunk' OR forgotten_at IS NOT NULL;
ALTER TABLE memory_chunks
    DROP COLUMN source,
    DROP COLUMN entity_id,
    DROP COLUMN valid_from,
    DROP COLUMN valid_until,
    DROP COLUMN forgotten_at;
