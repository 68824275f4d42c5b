-- +goose Up

-- A key that is not enabled opens nothing. Its limits are a rate and networks; null for none.
ALTER TABLE keys ADD COLUMN enabled boolean NOT NULL DEFAULT true;
ALTER TABLE keys ADD COLUMN limits text;

-- How often keys were used, about. Apart from them, so that counting holds up no rotation.
CREATE TABLE key_counts (
    key_id text PRIMARY KEY,
    uses   integer NOT NULL
);

-- +goose Down
DROP TABLE key_counts;
ALTER TABLE keys DROP COLUMN limits;
ALTER TABLE keys DROP COLUMN enabled;
