CREATE TABLE payment_methods (
    id VARCHAR NOT NULL,
    version BIGINT NOT NULL,
    customer_id VARCHAR NOT NULL,
    gateway_customer_id VARCHAR,
    gateway_payment_method_id VARCHAR,
    setup_intent_id VARCHAR,
    kind VARCHAR,
    brand VARCHAR,
    last4 VARCHAR,
    funding VARCHAR,
    wallet VARCHAR,
    exp_month INTEGER,
    exp_year INTEGER,
    fingerprint VARCHAR,
    status VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    decline_code VARCHAR,
    decline_kind VARCHAR,
    decline_message VARCHAR,
    action_url VARCHAR,
    action_until {moment},
    return_url VARCHAR NOT NULL,
    is_default BOOLEAN NOT NULL,
    request_fingerprint VARCHAR NOT NULL,
    correlation_id VARCHAR NOT NULL,
    created_at {moment} NOT NULL,
    updated_at {moment} NOT NULL,
    removed_at {moment},
    CONSTRAINT payment_methods_key PRIMARY KEY (id),
    CONSTRAINT payment_methods_id_prefix CHECK (substr(id, 1, 4) = 'mtd_'),
    CONSTRAINT payment_methods_id_length CHECK (length(id) BETWEEN 5 AND 64),
    CONSTRAINT payment_methods_gateway_payment_method_id_length
        CHECK (length(gateway_payment_method_id) BETWEEN 1 AND 255),
    CONSTRAINT payment_methods_gateway_customer_id_length
        CHECK (length(gateway_customer_id) BETWEEN 1 AND 255),
    CONSTRAINT payment_methods_setup_intent_id_length
        CHECK (length(setup_intent_id) BETWEEN 1 AND 255),
    CONSTRAINT payment_methods_kind_length CHECK (length(kind) BETWEEN 1 AND 64),
    CONSTRAINT payment_methods_brand_length CHECK (length(brand) BETWEEN 1 AND 64),
    CONSTRAINT payment_methods_funding_length CHECK (length(funding) BETWEEN 1 AND 64),
    CONSTRAINT payment_methods_wallet_length CHECK (length(wallet) BETWEEN 1 AND 64),
    CONSTRAINT payment_methods_fingerprint_length CHECK (length(fingerprint) BETWEEN 1 AND 255),
    CONSTRAINT payment_methods_reason_length CHECK (length(reason) BETWEEN 1 AND 64),
    CONSTRAINT payment_methods_return_url_length CHECK (length(return_url) BETWEEN 1 AND 8192),
    CONSTRAINT payment_methods_action_url_length CHECK (length(action_url) BETWEEN 1 AND 8192),
    CONSTRAINT payment_methods_request_fingerprint_length
        CHECK (length(request_fingerprint) BETWEEN 1 AND 255),
    CONSTRAINT payment_methods_correlation_id_length
        CHECK (length(correlation_id) BETWEEN 1 AND 255),
    CONSTRAINT payment_methods_decline_code_length CHECK (length(decline_code) BETWEEN 1 AND 255),
    CONSTRAINT payment_methods_decline_kind_length CHECK (length(decline_kind) BETWEEN 1 AND 64),
    CONSTRAINT payment_methods_decline_message_length
        CHECK (length(decline_message) BETWEEN 1 AND 1000),
    CONSTRAINT payment_methods_last4_is_digits
        CHECK (length(last4) = 4 AND trim(last4, '0123456789') = ''),
    CONSTRAINT payment_methods_exp_month_is_a_month CHECK (exp_month BETWEEN 1 AND 12),
    CONSTRAINT payment_methods_version_counts_from_1 CHECK (version >= 1),
    CONSTRAINT payment_methods_status_is_known
        CHECK (status IN ('active', 'failed', 'processing', 'removed', 'requires_action')),
    CONSTRAINT payment_methods_active_can_be_paid_with
        CHECK (status <> 'active' OR (gateway_payment_method_id IS NOT NULL
            AND gateway_customer_id IS NOT NULL AND kind IS NOT NULL)),
    CONSTRAINT payment_methods_action_has_deadline
        CHECK (status <> 'requires_action' OR action_until IS NOT NULL),
    CONSTRAINT payment_methods_settled_asks_nothing
        CHECK (status IN ('processing', 'requires_action') OR action_url IS NULL),
    CONSTRAINT payment_methods_default_is_there
        CHECK (status NOT IN ('failed', 'removed') OR NOT is_default),
    CONSTRAINT payment_methods_removed_has_its_time
        CHECK ((status = 'removed') = (removed_at IS NOT NULL)),
    CONSTRAINT payment_methods_removal_comes_later CHECK (removed_at >= created_at),
    CONSTRAINT payment_methods_updated_after_created CHECK (updated_at >= created_at),
    CONSTRAINT payment_methods_decline_is_whole
        CHECK ((decline_code IS NOT NULL AND decline_kind IS NOT NULL
            AND decline_message IS NOT NULL) OR (decline_code IS NULL AND decline_kind IS NULL
            AND decline_message IS NULL)),
    CONSTRAINT payment_methods_customer_id_known
        FOREIGN KEY (customer_id) REFERENCES customers (id)
)

CREATE UNIQUE INDEX payment_methods_one_is_saved
    ON payment_methods (gateway_payment_method_id) WHERE status = 'active'

CREATE UNIQUE INDEX payment_methods_one_default
    ON payment_methods (customer_id) WHERE status = 'active' AND is_default

CREATE INDEX payment_methods_by_customer_id_created_at_id
    ON payment_methods (customer_id, created_at, id)

CREATE INDEX payment_methods_by_created_at_id ON payment_methods (created_at, id)

CREATE INDEX payment_methods_by_setup_intent_id ON payment_methods (setup_intent_id)

CREATE INDEX payment_methods_by_gateway_payment_method_id
    ON payment_methods (gateway_payment_method_id)
