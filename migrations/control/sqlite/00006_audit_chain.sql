-- +goose Up

-- done, or denied: entries of what was refused say how often, in their detail.
ALTER TABLE audit_log ADD COLUMN outcome text NOT NULL DEFAULT 'done';

-- The place of each entry in the chain: entries are sealed soon after they were committed, and never updated themselves.
CREATE TABLE audit_seals (
    seq      INTEGER PRIMARY KEY,
    entry_id bigint NOT NULL UNIQUE,
    -- The hash of the entry before, and the hash of this one with that.
    prev     blob NOT NULL,
    hash     blob NOT NULL
);

-- One row: how far sealing has got.
CREATE TABLE audit_chain (
    id      integer PRIMARY KEY CHECK (id = 1),
    seq     bigint NOT NULL,
    hash    blob NOT NULL,
    -- The greatest id that was sealed, and ids up to it that were not there then.
    last_id bigint NOT NULL,
    gaps    text NOT NULL
);
INSERT INTO audit_chain (id, seq, hash, last_id, gaps) VALUES (1, 0, zeroblob(32), 0, '[]');

-- What has been archived: entries up to last_seq may be deleted.
CREATE TABLE audit_anchors (
    last_seq  INTEGER PRIMARY KEY,
    last_hash blob NOT NULL,
    first_seq bigint NOT NULL,
    at        datetime NOT NULL
);

-- +goose StatementBegin
CREATE TRIGGER audit_log_keep BEFORE DELETE ON audit_log
WHEN NOT EXISTS (SELECT 1 FROM audit_seals WHERE entry_id = OLD.id AND seq <= (SELECT max(last_seq) FROM audit_anchors))
BEGIN SELECT RAISE(ABORT, 'the audit log is only ever appended to; archive what is old'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_log_fixed BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is only ever appended to'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_seals_keep BEFORE DELETE ON audit_seals
WHEN OLD.seq > coalesce((SELECT max(last_seq) FROM audit_anchors), 0)
BEGIN SELECT RAISE(ABORT, 'the audit log is only ever appended to; archive what is old'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_seals_fixed BEFORE UPDATE ON audit_seals
BEGIN SELECT RAISE(ABORT, 'the audit log is only ever appended to'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_anchors_fixed BEFORE UPDATE ON audit_anchors
BEGIN SELECT RAISE(ABORT, 'the audit log is only ever appended to'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_anchors_keep BEFORE DELETE ON audit_anchors
BEGIN SELECT RAISE(ABORT, 'the audit log is only ever appended to'); END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER audit_log_keep;
DROP TRIGGER audit_log_fixed;
DROP TABLE audit_anchors;
DROP TABLE audit_chain;
DROP TABLE audit_seals;
ALTER TABLE audit_log DROP COLUMN outcome;
