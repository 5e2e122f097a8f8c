-- {moment}, {document}, {bytes} and {numbered} are each database's own types.

CREATE TABLE customers (
    id VARCHAR NOT NULL,
    gateway_customer_id VARCHAR,
    created_at {moment} NOT NULL,
    CONSTRAINT customers_key PRIMARY KEY (id),
    CONSTRAINT customers_id_prefix CHECK (substr(id, 1, 4) = 'cst_'),
    CONSTRAINT customers_id_length CHECK (length(id) BETWEEN 5 AND 64),
    CONSTRAINT customers_gateway_customer_id_length
        CHECK (length(gateway_customer_id) BETWEEN 1 AND 255),
    CONSTRAINT customers_one_gateway_customer_id UNIQUE (gateway_customer_id)
)

CREATE TABLE payment_methods (
    id VARCHAR NOT NULL,
    customer_id VARCHAR NOT NULL,
    gateway_payment_method_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    brand VARCHAR,
    last4 VARCHAR,
    funding VARCHAR,
    wallet VARCHAR,
    created_at {moment} NOT NULL,
    removed_at {moment},
    CONSTRAINT payment_methods_key PRIMARY KEY (id),
    CONSTRAINT payment_methods_id_prefix CHECK (substr(id, 1, 4) = 'mtd_'),
    CONSTRAINT payment_methods_id_length CHECK (length(id) BETWEEN 5 AND 64),
    CONSTRAINT payment_methods_gateway_payment_method_id_length
        CHECK (length(gateway_payment_method_id) BETWEEN 1 AND 255),
    CONSTRAINT payment_methods_kind_length CHECK (length(kind) BETWEEN 1 AND 64),
    CONSTRAINT payment_methods_brand_length CHECK (length(brand) BETWEEN 1 AND 64),
    CONSTRAINT payment_methods_funding_length CHECK (length(funding) BETWEEN 1 AND 64),
    CONSTRAINT payment_methods_wallet_length CHECK (length(wallet) BETWEEN 1 AND 64),
    CONSTRAINT payment_methods_last4_is_digits
        CHECK (length(last4) = 4 AND trim(last4, '0123456789') = ''),
    CONSTRAINT payment_methods_removal_comes_later CHECK (removed_at >= created_at),
    CONSTRAINT payment_methods_one_gateway_payment_method_id UNIQUE (gateway_payment_method_id),
    CONSTRAINT payment_methods_customer_id_known
        FOREIGN KEY (customer_id) REFERENCES customers (id)
)

CREATE INDEX payment_methods_by_customer_id ON payment_methods (customer_id)

CREATE TABLE payments (
    id VARCHAR NOT NULL,
    version BIGINT NOT NULL,
    order_id VARCHAR NOT NULL,
    customer_id VARCHAR NOT NULL,
    amount BIGINT NOT NULL,
    currency VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    description VARCHAR,
    return_url VARCHAR NOT NULL,
    metadata {document} NOT NULL,
    request_fingerprint VARCHAR NOT NULL,
    correlation_id VARCHAR NOT NULL,
    attempts_used INTEGER NOT NULL,
    attempts_allowed INTEGER NOT NULL,
    retry_until {moment} NOT NULL,
    action_url VARCHAR,
    action_until {moment},
    decline_code VARCHAR,
    decline_kind VARCHAR,
    decline_message VARCHAR,
    method {document},
    intent_id VARCHAR,
    gateway_customer_id VARCHAR,
    charge_id VARCHAR,
    fulfillment VARCHAR,
    amount_captured BIGINT NOT NULL,
    amount_refunded BIGINT NOT NULL,
    amount_refund_pending BIGINT NOT NULL,
    created_at {moment} NOT NULL,
    updated_at {moment} NOT NULL,
    CONSTRAINT payments_key PRIMARY KEY (id),
    CONSTRAINT payments_id_prefix CHECK (substr(id, 1, 4) = 'pay_'),
    CONSTRAINT payments_id_length CHECK (length(id) BETWEEN 5 AND 64),
    CONSTRAINT payments_order_id_length CHECK (length(order_id) BETWEEN 1 AND 255),
    CONSTRAINT payments_reason_length CHECK (length(reason) BETWEEN 1 AND 64),
    CONSTRAINT payments_request_fingerprint_length
        CHECK (length(request_fingerprint) BETWEEN 1 AND 255),
    CONSTRAINT payments_correlation_id_length CHECK (length(correlation_id) BETWEEN 1 AND 255),
    CONSTRAINT payments_return_url_length CHECK (length(return_url) BETWEEN 1 AND 8192),
    CONSTRAINT payments_action_url_length CHECK (length(action_url) BETWEEN 1 AND 8192),
    CONSTRAINT payments_intent_id_length CHECK (length(intent_id) BETWEEN 1 AND 255),
    CONSTRAINT payments_charge_id_length CHECK (length(charge_id) BETWEEN 1 AND 255),
    CONSTRAINT payments_gateway_customer_id_length
        CHECK (length(gateway_customer_id) BETWEEN 1 AND 255),
    CONSTRAINT payments_decline_code_length CHECK (length(decline_code) BETWEEN 1 AND 255),
    CONSTRAINT payments_decline_kind_length CHECK (length(decline_kind) BETWEEN 1 AND 64),
    CONSTRAINT payments_decline_message_length CHECK (length(decline_message) BETWEEN 1 AND 1000),
    CONSTRAINT payments_description_length CHECK (length(description) BETWEEN 0 AND 1000),
    CONSTRAINT payments_version_counts_from_1 CHECK (version >= 1),
    CONSTRAINT payments_currency_is_code
        CHECK (length(currency) = 3 AND trim(currency, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') = ''),
    CONSTRAINT payments_status_is_known
        CHECK (status IN ('authorized', 'awaiting_retry', 'canceled', 'created', 'expired',
        'failed', 'needs_operator', 'processing', 'requires_action', 'succeeded')),
    CONSTRAINT payments_fulfillment_is_known
        CHECK (fulfillment IN ('confirmed', 'pending', 'refused')),
    CONSTRAINT payments_amount_is_whole CHECK (amount = CAST(amount AS BIGINT)),
    CONSTRAINT payments_amount_captured_is_whole
        CHECK (amount_captured = CAST(amount_captured AS BIGINT)),
    CONSTRAINT payments_amount_refunded_is_whole
        CHECK (amount_refunded = CAST(amount_refunded AS BIGINT)),
    CONSTRAINT payments_amount_refund_pending_is_whole
        CHECK (amount_refund_pending = CAST(amount_refund_pending AS BIGINT)),
    CONSTRAINT payments_amount_not_negative CHECK (amount >= 0),
    CONSTRAINT payments_captured_within_amount CHECK (amount_captured BETWEEN 0 AND amount),
    CONSTRAINT payments_refunded_not_negative
        CHECK (amount_refunded >= 0 AND amount_refund_pending >= 0),
    CONSTRAINT payments_refunds_within_captured
        CHECK (amount_refunded + amount_refund_pending <= amount_captured),
    CONSTRAINT payments_attempts_within_allowed
        CHECK (attempts_used BETWEEN 0 AND attempts_allowed),
    CONSTRAINT payments_succeeded_means_captured
        CHECK (status <> 'succeeded' OR amount_captured > 0),
    CONSTRAINT payments_unpaid_means_nothing_captured
        CHECK (status NOT IN ('canceled', 'expired', 'failed') OR amount_captured = 0),
    CONSTRAINT payments_final_asks_nothing
        CHECK (status NOT IN ('canceled', 'expired', 'failed', 'succeeded') OR action_url IS
        NULL),
    CONSTRAINT payments_action_has_deadline
        CHECK (status <> 'requires_action' OR action_until IS NOT NULL),
    CONSTRAINT payments_decline_is_whole
        CHECK ((decline_code IS NOT NULL AND decline_kind IS NOT NULL AND decline_message IS NOT
        NULL) OR (decline_code IS NULL AND decline_kind IS NULL AND decline_message IS NULL)),
    CONSTRAINT payments_updated_after_created CHECK (updated_at >= created_at),
    CONSTRAINT payments_customer_id_known FOREIGN KEY (customer_id) REFERENCES customers (id),
    CONSTRAINT payments_one_intent_id UNIQUE (intent_id)
)

CREATE INDEX payments_by_charge_id ON payments (charge_id)

CREATE INDEX payments_by_created_at_id ON payments (created_at, id)

CREATE INDEX payments_by_customer_id_created_at_id ON payments (customer_id, created_at, id)

CREATE INDEX payments_by_order_id_created_at_id ON payments (order_id, created_at, id)

CREATE INDEX payments_by_status_created_at_id ON payments (status, created_at, id)

CREATE UNIQUE INDEX payments_one_holds_order ON payments (order_id)
    WHERE status IN ('authorized', 'awaiting_retry', 'created', 'needs_operator', 'processing', 'requires_action', 'succeeded')

CREATE TABLE payment_attempts (
    payment_id VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    method VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    decline_code VARCHAR,
    charge_id VARCHAR,
    started_at {moment} NOT NULL,
    ended_at {moment},
    CONSTRAINT payment_attempts_key PRIMARY KEY (payment_id, number),
    CONSTRAINT payment_attempts_method_length CHECK (length(method) BETWEEN 1 AND 255),
    CONSTRAINT payment_attempts_decline_code_length
        CHECK (length(decline_code) BETWEEN 1 AND 255),
    CONSTRAINT payment_attempts_charge_id_length CHECK (length(charge_id) BETWEEN 1 AND 255),
    CONSTRAINT payment_attempts_number_counts_from_1 CHECK (number >= 1),
    CONSTRAINT payment_attempts_status_is_known
        CHECK (status IN ('abandoned', 'declined', 'requires_action', 'started', 'succeeded',
        'timed_out')),
    CONSTRAINT payment_attempts_end_comes_later CHECK (ended_at >= started_at),
    CONSTRAINT payment_attempts_payment_id_known FOREIGN KEY (payment_id) REFERENCES payments (id)
)

CREATE INDEX payment_attempts_by_charge_id ON payment_attempts (charge_id)

CREATE TABLE payment_status_history (
    payment_id VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    status VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    actor VARCHAR NOT NULL,
    at {moment} NOT NULL,
    request_key VARCHAR,
    request_fingerprint VARCHAR,
    CONSTRAINT payment_status_history_key PRIMARY KEY (payment_id, number),
    CONSTRAINT payment_status_history_reason_length CHECK (length(reason) BETWEEN 1 AND 64),
    CONSTRAINT payment_status_history_actor_length CHECK (length(actor) BETWEEN 1 AND 255),
    CONSTRAINT payment_status_history_request_key_length
        CHECK (length(request_key) BETWEEN 1 AND 255),
    CONSTRAINT payment_status_history_request_fingerprint_length
        CHECK (length(request_fingerprint) BETWEEN 1 AND 255),
    CONSTRAINT payment_status_history_number_counts_from_1 CHECK (number >= 1),
    CONSTRAINT payment_status_history_status_is_known
        CHECK (status IN ('authorized', 'awaiting_retry', 'canceled', 'created', 'expired',
        'failed', 'needs_operator', 'processing', 'requires_action', 'succeeded')),
    CONSTRAINT payment_status_history_request_is_whole
        CHECK ((request_key IS NOT NULL AND request_fingerprint IS NOT NULL) OR (request_key IS
        NULL AND request_fingerprint IS NULL)),
    CONSTRAINT payment_status_history_payment_id_known
        FOREIGN KEY (payment_id) REFERENCES payments (id),
    CONSTRAINT payment_status_history_one_payment_id_request_key UNIQUE (payment_id, request_key)
)

CREATE TABLE ledger_transfers (
    payment_id VARCHAR NOT NULL,
    version BIGINT NOT NULL,
    position INTEGER NOT NULL,
    debit VARCHAR NOT NULL,
    credit VARCHAR NOT NULL,
    amount BIGINT NOT NULL,
    currency VARCHAR NOT NULL,
    at {moment} NOT NULL,
    CONSTRAINT ledger_transfers_key PRIMARY KEY (payment_id, version, position),
    CONSTRAINT ledger_transfers_position_counts_from_1 CHECK (position >= 1),
    CONSTRAINT ledger_transfers_debit_is_known
        CHECK (debit IN ('gateway_clearing', 'refunds', 'revenue')),
    CONSTRAINT ledger_transfers_credit_is_known
        CHECK (credit IN ('gateway_clearing', 'refunds', 'revenue')),
    CONSTRAINT ledger_transfers_accounts_differ CHECK (debit <> credit),
    CONSTRAINT ledger_transfers_amount_is_whole CHECK (amount = CAST(amount AS BIGINT)),
    CONSTRAINT ledger_transfers_amount_positive CHECK (amount > 0),
    CONSTRAINT ledger_transfers_currency_is_code
        CHECK (length(currency) = 3 AND trim(currency, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') = ''),
    CONSTRAINT ledger_transfers_payment_id_version_known
        FOREIGN KEY (payment_id, version) REFERENCES payment_status_history (payment_id,
        number)
)

CREATE TABLE events (
    position {numbered} NOT NULL,
    id VARCHAR NOT NULL,
    object_id VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    sequence BIGINT NOT NULL,
    data {document} NOT NULL,
    created_at {moment} NOT NULL,
    CONSTRAINT events_key PRIMARY KEY (position),
    CONSTRAINT events_id_prefix CHECK (substr(id, 1, 4) = 'evn_'),
    CONSTRAINT events_id_length CHECK (length(id) BETWEEN 5 AND 64),
    CONSTRAINT events_object_id_length CHECK (length(object_id) BETWEEN 1 AND 64),
    CONSTRAINT events_object_type_length CHECK (length(object_type) BETWEEN 1 AND 64),
    CONSTRAINT events_type_length CHECK (length(type) BETWEEN 1 AND 128),
    CONSTRAINT events_sequence_counts_from_1 CHECK (sequence >= 1),
    CONSTRAINT events_one_id UNIQUE (id),
    CONSTRAINT events_one_object_id_sequence UNIQUE (object_id, sequence)
)

CREATE TABLE webhook_events (
    id VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    api_version VARCHAR,
    livemode BOOLEAN NOT NULL,
    gateway_object_id VARCHAR,
    payload {bytes} NOT NULL,
    payload_sha256 VARCHAR NOT NULL,
    signature_verified BOOLEAN NOT NULL,
    received_at {moment} NOT NULL,
    processed BOOLEAN NOT NULL,
    processed_at {moment},
    result VARCHAR,
    failed_at {moment},
    error VARCHAR,
    payment_id VARCHAR,
    CONSTRAINT webhook_events_key PRIMARY KEY (id),
    CONSTRAINT webhook_events_id_length CHECK (length(id) BETWEEN 1 AND 255),
    CONSTRAINT webhook_events_type_length CHECK (length(type) BETWEEN 1 AND 255),
    CONSTRAINT webhook_events_api_version_length CHECK (length(api_version) BETWEEN 1 AND 64),
    CONSTRAINT webhook_events_gateway_object_id_length
        CHECK (length(gateway_object_id) BETWEEN 1 AND 255),
    CONSTRAINT webhook_events_payment_id_length CHECK (length(payment_id) BETWEEN 1 AND 255),
    CONSTRAINT webhook_events_result_length CHECK (length(result) BETWEEN 1 AND 255),
    CONSTRAINT webhook_events_error_length CHECK (length(error) BETWEEN 1 AND 4000),
    CONSTRAINT webhook_events_payload_sha256_length CHECK (length(payload_sha256) = 64),
    CONSTRAINT webhook_events_payload_not_empty CHECK (length(payload) >= 1),
    CONSTRAINT webhook_events_processed_has_moment CHECK (processed = (processed_at IS NOT NULL)),
    CONSTRAINT webhook_events_processed_has_result CHECK (processed = (result IS NOT NULL)),
    CONSTRAINT webhook_events_failure_has_error
        CHECK (failed_at IS NULL OR processed OR error IS NOT NULL)
)

CREATE INDEX webhook_events_by_payment_id ON webhook_events (payment_id)

CREATE INDEX webhook_events_unprocessed ON webhook_events (received_at, id) WHERE {unprocessed}
