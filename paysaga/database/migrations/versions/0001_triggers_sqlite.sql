CREATE TRIGGER payments_version_grows BEFORE UPDATE ON payments
WHEN NEW.version <= OLD.version
BEGIN SELECT RAISE(ABORT, 'payments: the version only grows'); END

CREATE TRIGGER payment_status_history_not_changed BEFORE UPDATE ON payment_status_history
BEGIN SELECT RAISE(ABORT, 'payment_status_history: rows are never changed'); END

CREATE TRIGGER payment_status_history_not_deleted BEFORE DELETE ON payment_status_history
BEGIN SELECT RAISE(ABORT, 'payment_status_history: rows are never changed'); END

CREATE TRIGGER ledger_transfers_not_changed BEFORE UPDATE ON ledger_transfers
BEGIN SELECT RAISE(ABORT, 'ledger_transfers: rows are never changed'); END

CREATE TRIGGER ledger_transfers_not_deleted BEFORE DELETE ON ledger_transfers
BEGIN SELECT RAISE(ABORT, 'ledger_transfers: rows are never changed'); END

CREATE TRIGGER events_not_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events: rows are never changed'); END

CREATE TRIGGER events_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events: rows are never changed'); END

CREATE TRIGGER payment_status_history_has_no_gap BEFORE INSERT ON payment_status_history
WHEN NEW.number <> 1 + COALESCE(
    (SELECT max(number) FROM payment_status_history WHERE payment_id = NEW.payment_id), 0
)
BEGIN SELECT RAISE(ABORT, 'payment_status_history: numbers have no gap'); END

CREATE TRIGGER events_have_no_gap BEFORE INSERT ON events
WHEN NEW.sequence <> 1 + COALESCE(
    (SELECT max(sequence) FROM events WHERE object_id = NEW.object_id), 0
)
BEGIN SELECT RAISE(ABORT, 'events: sequences have no gap'); END
