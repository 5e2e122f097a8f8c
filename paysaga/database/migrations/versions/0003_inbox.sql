ALTER TABLE webhook_events ADD COLUMN source VARCHAR NOT NULL DEFAULT 'webhook'
    CONSTRAINT webhook_events_source_is_known CHECK (source IN ('sweep', 'webhook'))

ALTER TABLE webhook_events ADD COLUMN run_id VARCHAR
    CONSTRAINT webhook_events_run_id_length CHECK (length(run_id) BETWEEN 1 AND 255)

CREATE INDEX webhook_events_by_received_at_id ON webhook_events (received_at, id)

CREATE TABLE event_sweeps (
    id VARCHAR NOT NULL,
    since {moment} NOT NULL,
    until {moment},
    after VARCHAR,
    CONSTRAINT event_sweeps_key PRIMARY KEY (id),
    CONSTRAINT event_sweeps_id_length CHECK (length(id) BETWEEN 1 AND 255),
    CONSTRAINT event_sweeps_after_length CHECK (length(after) BETWEEN 1 AND 255),
    CONSTRAINT event_sweeps_under_way CHECK (
        (until IS NOT NULL AND after IS NOT NULL) OR (until IS NULL AND after IS NULL)
    )
)
