-- +goose Up

-- Ids are given by hand under the lock of revisions, without gaps: a verifier that sees a gap knows that it has missed one.
ALTER TABLE revisions ALTER COLUMN id DROP IDENTITY;

-- Who may answer from a cache, until when on this server's clock. Not logged: renewals are many and cost no flush to disk.
-- A crash or a failover empties both tables, and the missing row of lease_table says that it did.
CREATE UNLOGGED TABLE leases (
    verifier     text COLLATE "C" PRIMARY KEY,
    acknowledged bigint NOT NULL,
    expires_at   timestamptz NOT NULL,
    -- The newest revision when the verifier got the lease, which it had not before.
    catch_up_to  bigint NOT NULL
);

-- Since when the leases above are all there are. Younger than one lease, they are not trusted.
CREATE UNLOGGED TABLE lease_table (
    id    integer PRIMARY KEY CHECK (id = 1),
    since timestamptz NOT NULL
);
-- Nobody held a lease before there was this table.
INSERT INTO lease_table (id, since) VALUES (1, '2000-01-01');

-- When keys were used, to the minute.
CREATE TABLE key_uses (
    key_id text NOT NULL,
    minute timestamptz NOT NULL,
    PRIMARY KEY (key_id, minute)
);

-- +goose Down
DROP TABLE key_uses;
DROP TABLE lease_table;
DROP TABLE leases;
ALTER TABLE revisions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;
-- +goose StatementBegin
SELECT setval(pg_get_serial_sequence('revisions', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM revisions), false);
-- +goose StatementEnd
