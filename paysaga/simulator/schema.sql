CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    private TEXT NOT NULL,
    created INTEGER AS (json_extract(body, '$.created')) VIRTUAL,
    customer TEXT AS (json_extract(body, '$.customer')) VIRTUAL,
    payment_intent TEXT AS (json_extract(body, '$.payment_intent')) VIRTUAL,
    charge TEXT AS (json_extract(body, '$.charge')) VIRTUAL,
    source TEXT AS (json_extract(body, '$.source')) VIRTUAL,
    currency TEXT AS (json_extract(body, '$.currency')) VIRTUAL,
    email TEXT AS (json_extract(body, '$.email')) VIRTUAL,
    type TEXT AS (json_extract(body, '$.type')) VIRTUAL
) STRICT;
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_by_customer ON objects (kind, customer, seq)
    WHERE customer IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_by_intent ON objects (payment_intent, kind, seq)
    WHERE payment_intent IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_by_charge ON objects (charge, kind, seq)
    WHERE charge IS NOT NULL;

CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY,
    endpoint TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    type TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    chain TEXT NOT NULL,
    state TEXT NOT NULL,
    held INTEGER NOT NULL DEFAULT 0,
    tampering TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL,
    last_status INTEGER,
    last_error TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_pending ON deliveries (due_at) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS deliveries_by_event ON deliveries (event);
CREATE INDEX IF NOT EXISTS deliveries_by_chain ON deliveries (chain);

CREATE TABLE IF NOT EXISTS journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    entry TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS journal_keeps_what_it_says BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS journal_forgets_nothing BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TABLE IF NOT EXISTS faults (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS webhook_faults (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS knobs (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS timers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    due_at REAL NOT NULL,
    step TEXT NOT NULL,
    object TEXT NOT NULL
) STRICT;
