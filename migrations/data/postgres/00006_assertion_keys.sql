-- The keys that sign assertions about callers. Not of any context: the deployment signs.

-- +goose Up
CREATE TABLE assertion_keys (
    generation bigint PRIMARY KEY,          -- whoever adds the next one first has it
    kid        text COLLATE "C" NOT NULL,   -- the thumbprint of the public half
    sealed     bytea NOT NULL,              -- the private half, which gives the public one; the key to it is not in the database
    signs_from timestamptz NOT NULL         -- by this database's clock, until the next one does
);

-- +goose Down
DROP TABLE assertion_keys;
