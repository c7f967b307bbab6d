-- Customers, parcels and records beside orders and products; products can be deleted.
--
-- An event's subject is an id alone: sixteen bytes for orders and records, text for products, customers and parcels. What it is the
-- id of follows from the event's type, so the same text may name a product and a customer.

ALTER TABLE products ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;

CREATE TABLE customers (
    id       TEXT    PRIMARY KEY,
    name     TEXT    NOT NULL,
    email    TEXT,
    address  TEXT,             -- JSON
    metadata TEXT,             -- JSON
    deleted  INTEGER NOT NULL,
    version  INTEGER NOT NULL  -- counts the customer's events as well: each is a change
) STRICT, WITHOUT ROWID;

CREATE TABLE parcel_statuses (
    code INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

INSERT INTO parcel_statuses (code, name) VALUES
    (1, 'picked_up'), (2, 'out_for_delivery'), (3, 'delivery_issue'), (4, 'delivered');

-- What carriers call parcels is random, so they are stored in the order of their first reports and found by an index in memory.
-- Rows follow their events with a delay: those of all events up to the counter `parcels_written` are there.
CREATE TABLE parcels (
    first   INTEGER PRIMARY KEY, -- position of the parcel's first event
    id      TEXT    NOT NULL,
    status  INTEGER NOT NULL,    -- parcel_statuses.code
    version INTEGER NOT NULL,
    trail   BLOB    NOT NULL     -- positions of the parcel's events: the first, then differences, as LEB128
) STRICT;

CREATE INDEX parcels_by_status ON parcels (status, first);

CREATE TABLE records (
    id         BLOB    PRIMARY KEY,
    stored_key TEXT,             -- of the record's object; NULL until it is written
    attempts   INTEGER,          -- which try wrote it
    version    INTEGER NOT NULL,
    trail      BLOB    NOT NULL  -- positions of the record's events, as above; the first holds what was handed over
) STRICT, WITHOUT ROWID;

CREATE INDEX records_not_stored ON records (id) WHERE stored_key IS NULL;

INSERT INTO counters (name, value) SELECT 'parcels_written', coalesce(max(position), 0) FROM events;

-- These roles react to types of events that no earlier ledger holds, so they need not read it all to find that out.
INSERT INTO cursors (role, position)
    SELECT role, position
    FROM (SELECT 'tracking' AS role UNION ALL SELECT 'records'), (SELECT max(position) AS position FROM events)
    WHERE position IS NOT NULL
    ON CONFLICT (role) DO UPDATE SET position = excluded.position;

-- For people with a SQL shell.
DROP VIEW history;

CREATE VIEW history AS
    SELECT position, kind,
           CASE kind WHEN 'order' THEN 'ord_' || lower(hex(subject)) WHEN 'record' THEN 'rec_' || lower(hex(subject))
                     ELSE subject END AS subject,
           version, type, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000000.0, 'unixepoch') AS at, cause, data
    FROM (SELECT e.position, e.subject, e.version, t.name AS type, e.at, e.cause, e.data,
                 CASE substr(t.name, 1, instr(t.name, '.') - 1)
                     WHEN 'product' THEN 'product' WHEN 'stock' THEN 'product' WHEN 'customer' THEN 'customer'
                     WHEN 'tracking' THEN 'parcel' WHEN 'record' THEN 'record' ELSE 'order' END AS kind
          FROM events AS e JOIN event_types AS t ON t.code = e.type);

CREATE VIEW tracking AS
    SELECT p.id, s.name AS status, p.version, p.first FROM parcels AS p JOIN parcel_statuses AS s ON s.code = p.status;

CREATE VIEW stored_records AS
    SELECT 'rec_' || lower(hex(id)) AS id, stored_key, attempts, version FROM records;
