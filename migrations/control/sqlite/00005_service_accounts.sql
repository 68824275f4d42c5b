-- +goose Up

-- A token is a key of a service account. A row in keys is live: to revoke a token is to delete its row there. SQLite cannot change
-- a check, so the table is made anew. No table refers to it.
CREATE TABLE keys_rebuilt (
    id             text PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('management', 'context', 'token')),
    -- Null for a management key.
    context_id     text,
    principal_id   text,
    name           text NOT NULL,
    -- Null inherits the principal's.
    grants         text,
    -- HMAC-SHA256, under the pepper of that version, of the SHA-256 of the key. The key itself is nowhere.
    digest_hmac    blob NOT NULL UNIQUE,
    pepper_version integer NOT NULL,
    created_at     datetime NOT NULL,
    rotated_at     datetime,
    -- Null for a key that has no end.
    expires_at     datetime,
    UNIQUE (context_id, name),
    FOREIGN KEY (context_id, principal_id) REFERENCES principals (context_id, id),
    CHECK ((kind = 'management') = (context_id IS NULL)),
    CHECK ((context_id IS NULL) = (principal_id IS NULL))
);
INSERT INTO keys_rebuilt
    (id, kind, context_id, principal_id, name, grants, digest_hmac, pepper_version, created_at, rotated_at, expires_at)
SELECT id, kind, context_id, principal_id, name, grants, digest_hmac, pepper_version, created_at, rotated_at, expires_at FROM keys;
DROP TABLE keys;
ALTER TABLE keys_rebuilt RENAME TO keys;
CREATE UNIQUE INDEX keys_management_name ON keys (name) WHERE context_id IS NULL;
CREATE INDEX keys_principal ON keys (context_id, principal_id);

-- What a principal has that is a service account. Its row stays when it is revoked.
CREATE TABLE service_accounts (
    context_id text NOT NULL,
    id         text NOT NULL,
    name       text NOT NULL,
    -- What a token is minted with.
    scopes     text NOT NULL,
    -- Whom its tokens may claim to be, now.
    actors     text NOT NULL,
    created_at datetime NOT NULL,
    -- Null until it is revoked.
    revoked_at datetime,
    reason     text NOT NULL,
    PRIMARY KEY (context_id, id),
    FOREIGN KEY (context_id, id) REFERENCES principals (context_id, id) ON DELETE CASCADE
);

-- Every token that ever was, live or revoked.
CREATE TABLE tokens (
    context_id text NOT NULL,
    id         text NOT NULL,
    account_id text NOT NULL,
    env_tag    text NOT NULL,
    -- Those of the account when the token was minted.
    scopes     text NOT NULL,
    created_at datetime NOT NULL,
    -- Null until it is revoked.
    revoked_at datetime,
    reason     text NOT NULL,
    PRIMARY KEY (context_id, id),
    FOREIGN KEY (context_id, account_id) REFERENCES service_accounts (context_id, id) ON DELETE CASCADE
);
CREATE INDEX tokens_account ON tokens (context_id, account_id, id);

-- +goose Down
DELETE FROM keys WHERE kind = 'token';
DROP TABLE tokens;
DELETE FROM principals WHERE EXISTS
    (SELECT 1 FROM service_accounts a WHERE a.context_id = principals.context_id AND a.id = principals.id);
DROP TABLE service_accounts;
CREATE TABLE keys_rebuilt (
    id             text PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('management', 'context')),
    -- Null for a management key.
    context_id     text,
    principal_id   text,
    name           text NOT NULL,
    -- Null inherits the principal's.
    grants         text,
    -- HMAC-SHA256, under the pepper of that version, of the SHA-256 of the key. The key itself is nowhere.
    digest_hmac    blob NOT NULL UNIQUE,
    pepper_version integer NOT NULL,
    created_at     datetime NOT NULL,
    rotated_at     datetime,
    -- Null for a key that has no end.
    expires_at     datetime,
    UNIQUE (context_id, name),
    FOREIGN KEY (context_id, principal_id) REFERENCES principals (context_id, id),
    CHECK ((kind = 'management') = (context_id IS NULL)),
    CHECK ((context_id IS NULL) = (principal_id IS NULL))
);
INSERT INTO keys_rebuilt
    (id, kind, context_id, principal_id, name, grants, digest_hmac, pepper_version, created_at, rotated_at, expires_at)
SELECT id, kind, context_id, principal_id, name, grants, digest_hmac, pepper_version, created_at, rotated_at, expires_at FROM keys;
DROP TABLE keys;
ALTER TABLE keys_rebuilt RENAME TO keys;
CREATE UNIQUE INDEX keys_management_name ON keys (name) WHERE context_id IS NULL;
CREATE INDEX keys_principal ON keys (context_id, principal_id);
