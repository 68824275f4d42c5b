-- +goose Up

-- What each principal was allowed, since when: the row with the highest version whose time is not after a moment says what
-- held then. A row is written in the transaction of the change.
CREATE TABLE principal_grants (
    context_id   text COLLATE "C" NOT NULL,
    principal_id text COLLATE "C" NOT NULL,
    version      bigint NOT NULL,
    at           timestamptz NOT NULL,
    grants       jsonb NOT NULL,
    PRIMARY KEY (context_id, principal_id, version),
    FOREIGN KEY (context_id, principal_id) REFERENCES principals (context_id, id) ON DELETE CASCADE
);
-- Until now the grants of a principal never changed.
INSERT INTO principal_grants (context_id, principal_id, version, at, grants)
SELECT context_id, id, 1, created_at, grants FROM principals;

-- Not unique: a name need not be free for whoever has a name outside.
CREATE INDEX principals_display_name ON principals (context_id, display_name);

-- What the data planes are asked to do to a context.
CREATE TABLE jobs (
    id          text COLLATE "C" PRIMARY KEY,
    kind        text NOT NULL,
    context_id  text COLLATE "C" NOT NULL REFERENCES contexts (id) ON DELETE CASCADE,
    incarnation text NOT NULL,
    created_at  timestamptz NOT NULL,
    -- Null until a data plane has taken it.
    claimed_at  timestamptz
);
CREATE INDEX jobs_context ON jobs (context_id);

-- +goose Down
DROP TABLE jobs;
DROP INDEX principals_display_name;
DROP TABLE principal_grants;
