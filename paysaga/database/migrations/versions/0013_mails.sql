CREATE TABLE mails (
    event_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    recipient VARCHAR NOT NULL,
    customer_id VARCHAR,
    status VARCHAR NOT NULL,
    tries BIGINT NOT NULL,
    message_id VARCHAR NOT NULL,
    told VARCHAR NOT NULL,
    created_at {moment} NOT NULL,
    updated_at {moment} NOT NULL,
    CONSTRAINT mails_key PRIMARY KEY (event_id, kind, recipient),
    CONSTRAINT mails_kind_length CHECK (length(kind) BETWEEN 1 AND 64),
    CONSTRAINT mails_message_id_length CHECK (length(message_id) BETWEEN 1 AND 255),
    CONSTRAINT mails_told_length CHECK (length(told) BETWEEN 1 AND 255),
    CONSTRAINT mails_recipient_is_known CHECK (recipient IN ('customer', 'operations')),
    CONSTRAINT mails_status_is_known
        CHECK (status IN ('postponed', 'refused', 'sending', 'sent', 'skipped', 'unknown')),
    CONSTRAINT mails_tries_count_from_1 CHECK (tries >= 1),
    CONSTRAINT mails_customer_is_named
        CHECK ((recipient = 'customer') = (customer_id IS NOT NULL)),
    CONSTRAINT mails_updated_after_created CHECK (updated_at >= created_at),
    CONSTRAINT mails_event_id_known FOREIGN KEY (event_id) REFERENCES events (id),
    CONSTRAINT mails_customer_id_known FOREIGN KEY (customer_id) REFERENCES customers (id)
)

CREATE INDEX mails_by_status_updated_at ON mails (status, updated_at)

CREATE INDEX mails_by_customer_id_created_at ON mails (customer_id, created_at)

CREATE TABLE mail_preferences (
    customer_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    wanted BOOLEAN NOT NULL,
    updated_at {moment} NOT NULL,
    CONSTRAINT mail_preferences_key PRIMARY KEY (customer_id, kind),
    CONSTRAINT mail_preferences_kind_length CHECK (length(kind) BETWEEN 1 AND 64),
    CONSTRAINT mail_preferences_customer_id_known
        FOREIGN KEY (customer_id) REFERENCES customers (id)
)
