-- +goose Up

-- Each batch of keys that was imported. While there is none, no verifier asks about texts that are not of our form.
CREATE TABLE key_imports (
    revision   bigint PRIMARY KEY,
    context_id text NOT NULL,
    keys       integer NOT NULL,
    at         timestamptz NOT NULL
);

-- +goose Down
DROP TABLE key_imports;
