-- +goose Up

-- A token is a key of a service account. A row in keys is live: to revoke a token is to delete its row there.
ALTER TABLE keys DROP CONSTRAINT keys_kind_check;
ALTER TABLE keys ADD CONSTRAINT keys_kind_check CHECK (kind IN ('management', 'context', 'token'));

-- What a principal has that is a service account. Its row stays when it is revoked.
CREATE TABLE service_accounts (
    context_id text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    name       text NOT NULL,
    -- What a token is minted with.
    scopes     jsonb NOT NULL,
    -- Whom its tokens may claim to be, now.
    actors     jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    -- Null until it is revoked.
    revoked_at timestamptz,
    reason     text NOT NULL,
    PRIMARY KEY (context_id, id),
    FOREIGN KEY (context_id, id) REFERENCES principals (context_id, id) ON DELETE CASCADE
);

-- Every token that ever was, live or revoked.
CREATE TABLE tokens (
    context_id text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    env_tag    text NOT NULL,
    -- Those of the account when the token was minted.
    scopes     jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    -- Null until it is revoked.
    revoked_at timestamptz,
    reason     text NOT NULL,
    PRIMARY KEY (context_id, id),
    FOREIGN KEY (context_id, account_id) REFERENCES service_accounts (context_id, id) ON DELETE CASCADE
);
CREATE INDEX tokens_account ON tokens (context_id, account_id, id);

-- +goose Down
DELETE FROM keys WHERE kind = 'token';
DROP TABLE tokens;
DELETE FROM principals p USING service_accounts a WHERE a.context_id = p.context_id AND a.id = p.id;
DROP TABLE service_accounts;
ALTER TABLE keys DROP CONSTRAINT keys_kind_check;
ALTER TABLE keys ADD CONSTRAINT keys_kind_check CHECK (kind IN ('management', 'context'));
