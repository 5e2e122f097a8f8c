CREATE TABLE refund_policies (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    terms {document} NOT NULL,
    created_at {moment} NOT NULL,
    CONSTRAINT refund_policies_key PRIMARY KEY (id),
    CONSTRAINT refund_policies_id_prefix CHECK (substr(id, 1, 4) = 'rpl_'),
    CONSTRAINT refund_policies_id_length CHECK (length(id) BETWEEN 5 AND 64),
    CONSTRAINT refund_policies_name_length CHECK (length(name) BETWEEN 1 AND 64)
)

ALTER TABLE payments ADD COLUMN service_date DATE

ALTER TABLE payments ADD COLUMN refund_policy_id VARCHAR
    CONSTRAINT payments_refund_policy_id_known REFERENCES refund_policies (id)

ALTER TABLE payments ADD COLUMN paid_at {moment}
    CONSTRAINT payments_paid_after_created CHECK (paid_at >= created_at)
    CONSTRAINT payments_only_paid_has_moment CHECK (paid_at IS NULL OR amount_captured > 0)
