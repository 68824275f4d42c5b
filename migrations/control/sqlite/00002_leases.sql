-- +goose Up

-- Who may answer from a cache, until when on this machine's clock.
CREATE TABLE leases (
    verifier     text PRIMARY KEY,
    acknowledged integer NOT NULL,
    expires_at   datetime NOT NULL,
    -- The newest revision when the verifier got the lease, which it had not before.
    catch_up_to  integer NOT NULL
);

-- Since when the leases above are all there are. They survive whatever the file survives.
CREATE TABLE lease_table (
    id    integer PRIMARY KEY CHECK (id = 1),
    since datetime NOT NULL
);
INSERT INTO lease_table (id, since) VALUES (1, '2000-01-01 00:00:00+00:00');

-- When keys were used, to the minute.
CREATE TABLE key_uses (
    key_id text NOT NULL,
    minute datetime NOT NULL,
    PRIMARY KEY (key_id, minute)
);

-- +goose Down
DROP TABLE key_uses;
DROP TABLE lease_table;
DROP TABLE leases;
