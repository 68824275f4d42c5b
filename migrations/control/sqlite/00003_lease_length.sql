-- +goose Up

-- The length of the longest leases that were ever granted: for how long some that the table has lost may run.
CREATE TABLE lease_length (
    id     integer PRIMARY KEY CHECK (id = 1),
    micros integer NOT NULL
);

-- For pruning.
CREATE INDEX key_uses_minute ON key_uses (minute);

-- +goose Down
DROP INDEX key_uses_minute;
DROP TABLE lease_length;
