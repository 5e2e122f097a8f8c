CREATE FUNCTION paysaga_outbox_epoch() RETURNS bigint LANGUAGE sql STABLE AS
    $$SELECT coalesce(max(epoch), 0) FROM outbox_state WHERE id = 'events'$$

ALTER TABLE events ALTER COLUMN epoch SET DEFAULT paysaga_outbox_epoch()

DROP TRIGGER events_append_only ON events

CREATE TRIGGER events_append_only BEFORE UPDATE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION paysaga_refuse('rows are never changed')

CREATE TRIGGER events_are_kept BEFORE DELETE ON events
    FOR EACH ROW WHEN (OLD.created_at > now() - interval '30 days')
    EXECUTE FUNCTION paysaga_refuse('rows are kept for 30 days')

CREATE FUNCTION paysaga_keep_last_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM events WHERE object_id = OLD.object_id AND sequence > OLD.sequence
    ) THEN
        RAISE EXCEPTION 'events: the last one of an object is kept' USING ERRCODE = '23000';
    END IF;
    RETURN OLD;
END $$

CREATE TRIGGER events_last_is_kept BEFORE DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION paysaga_keep_last_event()
