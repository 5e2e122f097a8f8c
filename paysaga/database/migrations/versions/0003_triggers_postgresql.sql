CREATE TRIGGER webhook_events_as_they_came
    BEFORE UPDATE OF id, type, api_version, livemode, gateway_object_id, payload, payload_sha256,
        signature_verified, received_at, source ON webhook_events
    FOR EACH ROW EXECUTE FUNCTION paysaga_refuse('an event stays as it came')

CREATE TRIGGER webhook_events_stay_processed BEFORE UPDATE OF processed ON webhook_events
    FOR EACH ROW WHEN (OLD.processed AND NOT NEW.processed)
    EXECUTE FUNCTION paysaga_refuse('what is processed stays so')

CREATE TRIGGER webhook_events_are_owed BEFORE DELETE ON webhook_events
    FOR EACH ROW WHEN (NOT OLD.processed)
    EXECUTE FUNCTION paysaga_refuse('what is owed is not deleted')

CREATE TRIGGER event_sweeps_go_on BEFORE UPDATE OF since ON event_sweeps
    FOR EACH ROW WHEN (NEW.since < OLD.since)
    EXECUTE FUNCTION paysaga_refuse('a sweep does not go back')
