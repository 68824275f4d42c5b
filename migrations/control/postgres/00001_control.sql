-- +goose Up

-- The revision counter and what each revision changed. Ids become visible in their order: whoever takes one holds the
-- advisory lock of revisions until it commits.
CREATE TABLE revisions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL,
    subject    text NOT NULL,
    context_id text NOT NULL,
    at         timestamptz NOT NULL
);

-- Names are compared by bytes, so that their order does not depend on the locale of the server.
CREATE TABLE contexts (
    id                  text COLLATE "C" PRIMARY KEY,
    incarnation         text NOT NULL UNIQUE,
    namespace           text NOT NULL,
    database            text NOT NULL,
    display_name        text NOT NULL,
    description         text NOT NULL,
    config              jsonb NOT NULL,
    enforcement_blocked boolean NOT NULL DEFAULT false,
    created_at          timestamptz NOT NULL
);

CREATE TABLE principals (
    context_id   text COLLATE "C" NOT NULL REFERENCES contexts (id),
    id           text COLLATE "C" NOT NULL,
    display_name text NOT NULL,
    kind         text NOT NULL,
    external_id  text,
    grants       jsonb NOT NULL,
    -- The key that the principal was made for and goes with.
    owner_key    text,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (context_id, id),
    UNIQUE (context_id, external_id)
);

CREATE TABLE keys (
    id             text PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('management', 'context')),
    -- Null for a management key.
    context_id     text COLLATE "C",
    principal_id   text COLLATE "C",
    name           text COLLATE "C" NOT NULL,
    -- Null inherits the principal's.
    grants         jsonb,
    -- HMAC-SHA256, under the pepper of that version, of the SHA-256 of the key. The key itself is nowhere.
    digest_hmac    bytea NOT NULL UNIQUE,
    pepper_version integer NOT NULL,
    created_at     timestamptz NOT NULL,
    rotated_at     timestamptz,
    -- Null for a key that has no end.
    expires_at     timestamptz,
    UNIQUE (context_id, name),
    FOREIGN KEY (context_id, principal_id) REFERENCES principals (context_id, id),
    CHECK ((kind = 'management') = (context_id IS NULL)),
    CHECK ((context_id IS NULL) = (principal_id IS NULL))
);

CREATE UNIQUE INDEX keys_management_name ON keys (name) WHERE context_id IS NULL;
CREATE INDEX keys_principal ON keys (context_id, principal_id);

-- One row at most: whoever inserts it has bootstrapped the deployment.
CREATE TABLE deployment (
    id                integer PRIMARY KEY CHECK (id = 1),
    authority         text NOT NULL,
    context_id        text NOT NULL,
    management_key_id text NOT NULL,
    context_key_id    text NOT NULL,
    -- Which bootstrap it was, so that one whose answer was lost may ask again.
    attempt           text NOT NULL,
    created_at        timestamptz NOT NULL
);

CREATE TABLE audit_log (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL,
    action       text NOT NULL,
    actor_kind   text NOT NULL,
    actor_key_id text NOT NULL,
    context_id   text NOT NULL,
    target       text NOT NULL,
    trace_id     text NOT NULL,
    remote       text NOT NULL,
    detail       jsonb NOT NULL
);

CREATE INDEX audit_log_context ON audit_log (context_id, id);

-- Deleted contexts whose rows in the data plane wait to be deleted.
CREATE TABLE purges (
    incarnation text PRIMARY KEY,
    context_id  text NOT NULL,
    deleted_at  timestamptz NOT NULL
);

-- +goose Down
DROP TABLE purges;
DROP TABLE audit_log;
DROP TABLE deployment;
DROP TABLE keys;
DROP TABLE principals;
DROP TABLE contexts;
DROP TABLE revisions;
