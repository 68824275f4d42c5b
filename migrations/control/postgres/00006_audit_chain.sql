-- +goose Up

-- done, or denied: entries of what was refused say how often, in their detail.
ALTER TABLE audit_log ADD COLUMN outcome text NOT NULL DEFAULT 'done';

-- The place of each entry in the chain: one replica at a time seals entries, soon after they were committed. Entries themselves are
-- never updated.
CREATE TABLE audit_seals (
    seq      bigint PRIMARY KEY,
    entry_id bigint NOT NULL UNIQUE,
    -- The hash of the entry before, and the hash of this one with that.
    prev     bytea NOT NULL,
    hash     bytea NOT NULL
);

-- One row: how far sealing has got. Its lock says who seals.
CREATE TABLE audit_chain (
    id      integer PRIMARY KEY CHECK (id = 1),
    seq     bigint NOT NULL,
    hash    bytea NOT NULL,
    -- The greatest id that was sealed, and ids up to it that were not there then: their transactions may yet commit.
    last_id bigint NOT NULL,
    gaps    text NOT NULL
);
INSERT INTO audit_chain (id, seq, hash, last_id, gaps) VALUES (1, 0, decode(repeat('00', 32), 'hex'), 0, '[]');

-- What has been archived: entries up to last_seq may be deleted.
CREATE TABLE audit_anchors (
    last_seq  bigint PRIMARY KEY,
    last_hash bytea NOT NULL,
    first_seq bigint NOT NULL,
    at        timestamptz NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever appended to' USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION audit_archived() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    place bigint;
BEGIN
    IF TG_TABLE_NAME = 'audit_seals' THEN
        place := OLD.seq;
    ELSE
        SELECT seq INTO place FROM audit_seals WHERE entry_id = OLD.id;
    END IF;
    IF place IS NULL OR place > coalesce((SELECT max(last_seq) FROM audit_anchors), 0) THEN
        RAISE EXCEPTION 'the audit log is only ever appended to; archive what is old' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
-- +goose StatementEnd

CREATE TRIGGER audit_log_keep BEFORE DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_archived();
CREATE TRIGGER audit_log_fixed BEFORE UPDATE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_log_whole BEFORE TRUNCATE ON audit_log EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_seals_keep BEFORE DELETE ON audit_seals FOR EACH ROW EXECUTE FUNCTION audit_archived();
CREATE TRIGGER audit_seals_fixed BEFORE UPDATE ON audit_seals FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_seals_whole BEFORE TRUNCATE ON audit_seals EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_anchors_fixed BEFORE UPDATE OR DELETE ON audit_anchors FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_anchors_whole BEFORE TRUNCATE ON audit_anchors EXECUTE FUNCTION audit_refuse();

-- +goose Down
DROP TRIGGER audit_log_keep ON audit_log;
DROP TRIGGER audit_log_fixed ON audit_log;
DROP TRIGGER audit_log_whole ON audit_log;
DROP TABLE audit_anchors;
DROP TABLE audit_chain;
DROP TABLE audit_seals;
DROP FUNCTION audit_archived();
DROP FUNCTION audit_refuse();
ALTER TABLE audit_log DROP COLUMN outcome;
