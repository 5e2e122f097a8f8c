CREATE TABLE outbox_state (
    id VARCHAR NOT NULL,
    epoch BIGINT NOT NULL,
    server VARCHAR,
    forgotten_epoch BIGINT NOT NULL,
    forgotten_transaction BIGINT NOT NULL,
    forgotten_position BIGINT NOT NULL,
    CONSTRAINT outbox_state_key PRIMARY KEY (id),
    CONSTRAINT outbox_state_id_length CHECK (length(id) BETWEEN 1 AND 64),
    CONSTRAINT outbox_state_epoch_not_negative CHECK (epoch >= 0),
    CONSTRAINT outbox_state_server_length CHECK (length(server) BETWEEN 1 AND 255)
)

CREATE TABLE sinks (
    id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    description VARCHAR,
    url VARCHAR,
    exchange VARCHAR,
    routing_key VARCHAR,
    must_be_routed BOOLEAN NOT NULL,
    types {document} NOT NULL,
    secret VARCHAR,
    previous_secret VARCHAR,
    previous_secret_until {moment},
    place_epoch BIGINT NOT NULL,
    place_transaction BIGINT NOT NULL,
    place_position BIGINT NOT NULL,
    turn BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    failing_since {moment},
    next_try_at {moment},
    last_answer VARCHAR,
    last_answer_at {moment},
    alive_at {moment},
    delivered BIGINT NOT NULL,
    rests BIGINT NOT NULL,
    woken BIGINT NOT NULL,
    request_fingerprint VARCHAR NOT NULL,
    is_untold BOOLEAN NOT NULL,
    created_at {moment} NOT NULL,
    updated_at {moment} NOT NULL,
    CONSTRAINT sinks_key PRIMARY KEY (id),
    CONSTRAINT sinks_id_prefix CHECK (substr(id, 1, 4) = 'snk_'),
    CONSTRAINT sinks_id_length CHECK (length(id) BETWEEN 5 AND 64),
    CONSTRAINT sinks_kind_is_known CHECK (kind IN ('amqp', 'email', 'http')),
    CONSTRAINT sinks_status_is_known CHECK (status IN ('active', 'paused', 'removed')),
    CONSTRAINT sinks_reason_is_known CHECK (
        reason IN ('away_too_long', 'created', 'gone', 'removed', 'requested', 'resumed')
    ),
    CONSTRAINT sinks_description_length CHECK (length(description) BETWEEN 1 AND 255),
    CONSTRAINT sinks_url_length CHECK (length(url) BETWEEN 1 AND 8192),
    CONSTRAINT sinks_exchange_length CHECK (length(exchange) BETWEEN 1 AND 255),
    CONSTRAINT sinks_routing_key_length CHECK (length(routing_key) BETWEEN 1 AND 255),
    CONSTRAINT sinks_secret_length CHECK (length(secret) BETWEEN 1 AND 255),
    CONSTRAINT sinks_previous_secret_length CHECK (length(previous_secret) BETWEEN 1 AND 255),
    CONSTRAINT sinks_last_answer_length CHECK (length(last_answer) BETWEEN 1 AND 255),
    CONSTRAINT sinks_request_fingerprint_length
        CHECK (length(request_fingerprint) BETWEEN 1 AND 255),
    CONSTRAINT sinks_http_has_address
        CHECK (kind <> 'http' OR (url IS NOT NULL AND secret IS NOT NULL)),
    CONSTRAINT sinks_amqp_has_exchange
        CHECK (kind <> 'amqp' OR (exchange IS NOT NULL AND routing_key IS NOT NULL)),
    CONSTRAINT sinks_failures_have_begun CHECK ((failures > 0) = (failing_since IS NOT NULL)),
    CONSTRAINT sinks_woken_from_a_rest CHECK (woken BETWEEN 0 AND rests),
    CONSTRAINT sinks_delivered_not_negative CHECK (delivered >= 0),
    CONSTRAINT sinks_previous_secret_ends CHECK (
        (previous_secret IS NOT NULL AND previous_secret_until IS NOT NULL)
        OR (previous_secret IS NULL AND previous_secret_until IS NULL)
    )
)

CREATE INDEX sinks_by_created_at_id ON sinks (created_at, id)

CREATE TABLE sink_requests (
    sink_id VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    fingerprint VARCHAR NOT NULL,
    at {moment} NOT NULL,
    CONSTRAINT sink_requests_key PRIMARY KEY (sink_id, key),
    CONSTRAINT sink_requests_key_length CHECK (length(key) BETWEEN 1 AND 255),
    CONSTRAINT sink_requests_fingerprint_length CHECK (length(fingerprint) BETWEEN 1 AND 255),
    CONSTRAINT sink_requests_sink_id_known FOREIGN KEY (sink_id) REFERENCES sinks (id)
)

CREATE TABLE sink_lanes (
    sink_id VARCHAR NOT NULL,
    object_id VARCHAR NOT NULL,
    sequence BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    failing_since {moment},
    next_try_at {moment} NOT NULL,
    last_answer VARCHAR,
    CONSTRAINT sink_lanes_key PRIMARY KEY (sink_id, object_id),
    CONSTRAINT sink_lanes_object_id_length CHECK (length(object_id) BETWEEN 1 AND 64),
    CONSTRAINT sink_lanes_last_answer_length CHECK (length(last_answer) BETWEEN 1 AND 255),
    CONSTRAINT sink_lanes_sequence_counts_from_1 CHECK (sequence >= 1),
    CONSTRAINT sink_lanes_failures_have_begun CHECK ((failures > 0) = (failing_since IS NOT NULL)),
    CONSTRAINT sink_lanes_sink_id_known FOREIGN KEY (sink_id) REFERENCES sinks (id)
)

CREATE INDEX sink_lanes_by_sink_id_next_try_at ON sink_lanes (sink_id, next_try_at)

CREATE TABLE dead_letters (
    sink_id VARCHAR NOT NULL,
    event_id VARCHAR NOT NULL,
    object_id VARCHAR NOT NULL,
    sequence BIGINT NOT NULL,
    type VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    last_answer VARCHAR NOT NULL,
    at {moment} NOT NULL,
    CONSTRAINT dead_letters_key PRIMARY KEY (sink_id, event_id),
    CONSTRAINT dead_letters_event_id_prefix CHECK (substr(event_id, 1, 4) = 'evn_'),
    CONSTRAINT dead_letters_event_id_length CHECK (length(event_id) BETWEEN 5 AND 64),
    CONSTRAINT dead_letters_object_id_length CHECK (length(object_id) BETWEEN 1 AND 64),
    CONSTRAINT dead_letters_type_length CHECK (length(type) BETWEEN 1 AND 128),
    CONSTRAINT dead_letters_last_answer_length CHECK (length(last_answer) BETWEEN 1 AND 255),
    CONSTRAINT dead_letters_sequence_counts_from_1 CHECK (sequence >= 1),
    CONSTRAINT dead_letters_reason_is_known CHECK (reason IN ('gave_up', 'refused')),
    CONSTRAINT dead_letters_sink_id_known FOREIGN KEY (sink_id) REFERENCES sinks (id)
)

CREATE INDEX dead_letters_by_sink_id_at_event_id ON dead_letters (sink_id, at, event_id)

DROP INDEX events_by_transaction_id_position

ALTER TABLE events ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0

CREATE INDEX events_by_epoch_transaction_id_position ON events (epoch, transaction_id, position)
