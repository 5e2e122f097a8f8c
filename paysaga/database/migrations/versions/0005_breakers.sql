CREATE TABLE breakers (
    id VARCHAR NOT NULL,
    version BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    opened_at {moment},
    trial_until {moment},
    CONSTRAINT breakers_key PRIMARY KEY (id),
    CONSTRAINT breakers_id_length CHECK (length(id) BETWEEN 1 AND 255),
    CONSTRAINT breakers_failures_not_negative CHECK (failures >= 0),
    CONSTRAINT breakers_trial_only_while_open
        CHECK (trial_until IS NULL OR opened_at IS NOT NULL)
)
