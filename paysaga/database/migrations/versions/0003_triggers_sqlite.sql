CREATE TRIGGER webhook_events_as_they_came
BEFORE UPDATE OF id, type, api_version, livemode, gateway_object_id, payload, payload_sha256,
    signature_verified, received_at, source ON webhook_events
BEGIN SELECT RAISE(ABORT, 'webhook_events: an event stays as it came'); END

CREATE TRIGGER webhook_events_stay_processed BEFORE UPDATE OF processed ON webhook_events
WHEN OLD.processed AND NOT NEW.processed
BEGIN SELECT RAISE(ABORT, 'webhook_events: what is processed stays so'); END

CREATE TRIGGER webhook_events_are_owed BEFORE DELETE ON webhook_events
WHEN NOT OLD.processed
BEGIN SELECT RAISE(ABORT, 'webhook_events: what is owed is not deleted'); END

CREATE TRIGGER event_sweeps_go_on BEFORE UPDATE OF since ON event_sweeps
WHEN NEW.since < OLD.since
BEGIN SELECT RAISE(ABORT, 'event_sweeps: a sweep does not go back'); END
