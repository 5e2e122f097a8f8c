CREATE TABLE reconciliations (
    id VARCHAR NOT NULL,
    since {moment} NOT NULL,
    until {moment} NOT NULL,
    actor VARCHAR NOT NULL,
    request_fingerprint VARCHAR,
    compared BIGINT NOT NULL,
    agreed BIGINT NOT NULL,
    parked BIGINT NOT NULL,
    without_run BIGINT NOT NULL,
    movements BIGINT NOT NULL,
    fees_booked BIGINT NOT NULL,
    started_at {moment} NOT NULL,
    finished_at {moment},
    CONSTRAINT reconciliations_key PRIMARY KEY (id),
    CONSTRAINT reconciliations_id_prefix CHECK (substr(id, 1, 4) = 'rcn_'),
    CONSTRAINT reconciliations_id_length CHECK (length(id) BETWEEN 5 AND 64),
    CONSTRAINT reconciliations_actor_length CHECK (length(actor) BETWEEN 1 AND 255),
    CONSTRAINT reconciliations_request_fingerprint_length
        CHECK (length(request_fingerprint) BETWEEN 1 AND 255),
    CONSTRAINT reconciliations_begins_before_its_end CHECK (since < until),
    CONSTRAINT reconciliations_counts_not_negative
        CHECK (compared >= 0 AND agreed >= 0 AND parked >= 0 AND without_run >= 0
        AND movements >= 0 AND fees_booked >= 0),
    CONSTRAINT reconciliations_agreed_were_compared CHECK (agreed + parked <= compared)
)

CREATE INDEX reconciliations_by_started_at_id ON reconciliations (started_at, id)

CREATE TABLE drifts (
    id VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    wrong VARCHAR NOT NULL,
    in_database VARCHAR,
    in_history VARCHAR,
    in_ledger VARCHAR,
    at_gateway VARCHAR,
    in_workflow VARCHAR,
    remedy VARCHAR NOT NULL,
    reconciliation_id VARCHAR NOT NULL,
    found_at {moment} NOT NULL,
    seen_at {moment} NOT NULL,
    resolved_at {moment},
    CONSTRAINT drifts_key PRIMARY KEY (id),
    CONSTRAINT drifts_id_prefix CHECK (substr(id, 1, 4) = 'drf_'),
    CONSTRAINT drifts_id_length CHECK (length(id) BETWEEN 5 AND 64),
    CONSTRAINT drifts_subject_length CHECK (length(subject) BETWEEN 1 AND 255),
    CONSTRAINT drifts_in_database_length CHECK (length(in_database) BETWEEN 1 AND 1000),
    CONSTRAINT drifts_in_history_length CHECK (length(in_history) BETWEEN 1 AND 1000),
    CONSTRAINT drifts_in_ledger_length CHECK (length(in_ledger) BETWEEN 1 AND 1000),
    CONSTRAINT drifts_at_gateway_length CHECK (length(at_gateway) BETWEEN 1 AND 1000),
    CONSTRAINT drifts_in_workflow_length CHECK (length(in_workflow) BETWEEN 1 AND 1000),
    CONSTRAINT drifts_kind_is_known
        CHECK (kind IN ('amount', 'captured', 'currency', 'gateway_id', 'not_compared', 'refunded', 'status', 'unknown_money')),
    CONSTRAINT drifts_wrong_is_known CHECK (wrong IN ('database', 'gateway', 'unclear', 'workflow')),
    CONSTRAINT drifts_remedy_is_known CHECK (remedy IN ('none', 'nudged', 'repair_opened')),
    CONSTRAINT drifts_seen_after_found CHECK (seen_at >= found_at),
    CONSTRAINT drifts_resolved_after_seen CHECK (resolved_at >= seen_at),
    CONSTRAINT drifts_reconciliation_id_known
        FOREIGN KEY (reconciliation_id) REFERENCES reconciliations (id)
)

CREATE UNIQUE INDEX drifts_one_open ON drifts (subject, kind) WHERE resolved_at IS NULL

CREATE INDEX drifts_by_reconciliation_id ON drifts (reconciliation_id)

CREATE INDEX payments_by_updated_at_id ON payments (updated_at, id)
