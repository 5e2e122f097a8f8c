DROP TRIGGER events_not_deleted

CREATE TRIGGER events_are_kept BEFORE DELETE ON events
WHEN OLD.created_at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-30 days')
BEGIN SELECT RAISE(ABORT, 'events: rows are kept for 30 days'); END

CREATE TRIGGER events_last_is_kept BEFORE DELETE ON events
WHEN NOT EXISTS (
    SELECT 1 FROM events WHERE object_id = OLD.object_id AND sequence > OLD.sequence
)
BEGIN SELECT RAISE(ABORT, 'events: the last one of an object is kept'); END
