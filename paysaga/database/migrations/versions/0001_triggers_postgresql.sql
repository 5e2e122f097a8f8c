CREATE FUNCTION paysaga_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: %', TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = '23000';
END $$

CREATE FUNCTION paysaga_follow_in_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.number <> 1 + COALESCE(
        (SELECT max(number) FROM payment_status_history WHERE payment_id = NEW.payment_id), 0
    ) THEN
        RAISE EXCEPTION 'payment_status_history: numbers have no gap' USING ERRCODE = '23000';
    END IF;
    RETURN NEW;
END $$

CREATE FUNCTION paysaga_follow_in_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.sequence <> 1 + COALESCE(
        (SELECT max(sequence) FROM events WHERE object_id = NEW.object_id), 0
    ) THEN
        RAISE EXCEPTION 'events: sequences have no gap' USING ERRCODE = '23000';
    END IF;
    RETURN NEW;
END $$

CREATE TRIGGER payments_version_grows BEFORE UPDATE ON payments
    FOR EACH ROW WHEN (NEW.version <= OLD.version)
    EXECUTE FUNCTION paysaga_refuse('the version only grows')

CREATE TRIGGER payment_status_history_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON payment_status_history
    FOR EACH STATEMENT EXECUTE FUNCTION paysaga_refuse('rows are never changed')

CREATE TRIGGER ledger_transfers_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION paysaga_refuse('rows are never changed')

CREATE TRIGGER events_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION paysaga_refuse('rows are never changed')

CREATE TRIGGER payment_status_history_has_no_gap BEFORE INSERT ON payment_status_history
    FOR EACH ROW EXECUTE FUNCTION paysaga_follow_in_history()

CREATE TRIGGER events_have_no_gap BEFORE INSERT ON events
    FOR EACH ROW EXECUTE FUNCTION paysaga_follow_in_events()
