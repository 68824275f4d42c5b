-- +goose Up

-- Who is told of changes of keys. A replica that does not know of this table writes no event.
CREATE TABLE webhook_endpoints (
    id              text PRIMARY KEY,
    url             text NOT NULL,
    description     text NOT NULL,
    -- Empty for every context.
    context_id      text NOT NULL,
    -- A JSON list of the names of events.
    events          text NOT NULL,
    enabled         boolean NOT NULL,
    -- What messages are signed with, sealed under a key that comes from the pepper of that version. The previous one is sealed alike.
    secret          blob NOT NULL,
    pepper_version  integer NOT NULL,
    previous_secret blob,
    previous_until  datetime,
    created_at      datetime NOT NULL,
    -- Since when nothing was accepted; null when the last attempt was.
    failing_since   datetime,
    -- When and why it was disabled by the service itself.
    disabled_at     datetime,
    disabled_reason text NOT NULL
);

-- Messages, one row for each endpoint: the outbox, written in the transaction of the change, and what became of it. Without a foreign
-- key: a change must not fail because an endpoint is deleted meanwhile.
CREATE TABLE webhook_deliveries (
    endpoint_id     text NOT NULL,
    message_id      text NOT NULL,
    type            text NOT NULL,
    at              datetime NOT NULL,
    context_id      text NOT NULL,
    key_id          text NOT NULL,
    key_name        text NOT NULL,
    key_kind        text NOT NULL,
    principal_id    text NOT NULL,
    expires_at      datetime,
    -- More of the message, by the names of its fields.
    detail          text NOT NULL,
    state           text NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts        integer NOT NULL,
    -- From when on the time counts after which it is given up.
    since           datetime NOT NULL,
    -- When to try; while an attempt is under way, when others may.
    next_at         datetime NOT NULL,
    -- Which attempt has it.
    claim           text NOT NULL,
    first_at        datetime,
    last_at         datetime,
    last_status     integer NOT NULL,
    last_error      text NOT NULL,
    last_took_ms    bigint NOT NULL,
    finished_at     datetime,
    PRIMARY KEY (endpoint_id, message_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_at ON webhook_deliveries (endpoint_id, at, message_id);
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;

-- Which ends of keys were announced, how long before.
CREATE TABLE webhook_warnings (
    key_id     text NOT NULL,
    expires_at datetime NOT NULL,
    seconds    bigint NOT NULL,
    PRIMARY KEY (key_id, expires_at, seconds)
);
CREATE INDEX webhook_warnings_expires ON webhook_warnings (expires_at);

-- Not in the migration before: that keeps everybody from the keys until it is done, and this takes a while where there are many.
CREATE INDEX keys_expires_at ON keys (expires_at, id) WHERE expires_at IS NOT NULL;

-- +goose Down
DROP INDEX keys_expires_at;
DROP TABLE webhook_warnings;
DROP TABLE webhook_deliveries;
DROP TABLE webhook_endpoints;
