-- The keys that sign assertions about callers; see the Postgres migration of the
-- same number.

-- +goose Up
CREATE TABLE assertion_keys (
    generation INTEGER PRIMARY KEY,
    kid        TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    signs_from DATETIME NOT NULL
);

-- +goose Down
DROP TABLE assertion_keys;
