-- The ledger's first schema.
--
-- Times are microseconds since 1970-01-01T00:00:00Z. Order ids are the sixteen bytes of the UUID, which sort by time.
-- Hot tables carry no foreign keys: one writer keeps them in step, and a check per row would cost as much as the row.

-- What an event's type code stands for. Codes are given once, by this database, and never change their meaning.
CREATE TABLE event_types (
    code   INTEGER PRIMARY KEY,
    name   TEXT    NOT NULL,
    schema INTEGER NOT NULL,
    UNIQUE (name, schema)
) STRICT;

-- The truth: append-only, never updated. An order finds its events by the positions in its row, so the hottest table of all
-- needs no second index.
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    subject  ANY     NOT NULL, -- an order's id (blob), or a product's id (text)
    version  INTEGER NOT NULL, -- counts the subject's events, from 1
    type     INTEGER NOT NULL, -- event_types.code
    at       INTEGER NOT NULL,
    cause    INTEGER,          -- version of the event a role was acting on
    data     TEXT    NOT NULL  -- JSON
) STRICT;

CREATE TABLE statuses (
    code INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

INSERT INTO statuses (code, name) VALUES
    (1, 'placed'), (2, 'authorized'), (3, 'reserved'), (4, 'confirmed'), (5, 'shipped'),
    (6, 'delivered'), (7, 'rejected'), (8, 'cancelled'), (9, 'returned');

-- Orders that change with every commit. Few at any time, so lists scan them and they need no index; their key is an integer, as
-- they are written more often than anything else.
CREATE TABLE open_orders (
    placed      INTEGER PRIMARY KEY, -- position of the order's first event
    id          BLOB    NOT NULL,
    customer_id TEXT    NOT NULL,
    status      INTEGER NOT NULL,
    attention   INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    trail       BLOB    NOT NULL -- positions of the order's events: the first, then differences, as LEB128
) STRICT;

-- Every other order. Written when the order comes to rest, so each index is written once per order.
CREATE TABLE closed_orders (
    id          BLOB    PRIMARY KEY,
    customer_id TEXT    NOT NULL,
    status      INTEGER NOT NULL,
    attention   INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    trail       BLOB    NOT NULL,
    watched     INTEGER           -- since when it is in a state whose length is watched; NULL = nothing to watch
) STRICT, WITHOUT ROWID;

CREATE INDEX closed_by_status ON closed_orders (status, id);
CREATE INDEX closed_with_attention ON closed_orders (id) WHERE attention = 1;

-- Customers are random: an index by customer over all orders would touch a page of its own for each order. So orders are cut
-- into ranges of ids, spans, each with an index small enough for the cache; and orders that have just come to rest wait in
-- `customer_recent` until there are enough of them to fill each page of the index with several at once.
-- An order stays here when it is opened again: lists look at the order itself.
CREATE TABLE spans (
    number   INTEGER PRIMARY KEY,
    first_id BLOB    NOT NULL
) STRICT;

INSERT INTO spans (number, first_id) VALUES (0, zeroblob(16));

CREATE TABLE customer_orders (
    span        INTEGER NOT NULL, -- spans.number
    customer_id TEXT    NOT NULL,
    id          BLOB    NOT NULL,
    PRIMARY KEY (span, customer_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE customer_recent (
    id          BLOB PRIMARY KEY,
    customer_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE order_refs (
    ref         TEXT PRIMARY KEY,
    order_id    BLOB NOT NULL,
    fingerprint BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys are random, so they are stored in the order of time and found by an index in memory.
CREATE TABLE idempotency (
    seq         INTEGER PRIMARY KEY,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    answer      ANY     NOT NULL, -- an order's id (blob), or a stock level (JSON text)
    expires_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE products (
    id           TEXT    PRIMARY KEY,
    name         TEXT    NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency     TEXT    NOT NULL,
    description  TEXT,
    active       INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    events       INTEGER NOT NULL -- how many events the product has, those of its stock included
) STRICT, WITHOUT ROWID;

-- Written with every order, so its key is an integer too.
CREATE TABLE stock (
    slot       INTEGER PRIMARY KEY,
    product_id TEXT    NOT NULL UNIQUE,
    available  INTEGER NOT NULL,
    reserved   INTEGER NOT NULL,
    sold       INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT;

-- Single numbers: `mailbox_end`, and orders by state (`orders.confirmed`, `orders.attention`).
CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Per role: every event up to this position is settled, of no interest to the role, or parked.
CREATE TABLE cursors (
    role     TEXT    PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Deliveries that are not settled though their role's cursor is past them.
CREATE TABLE parked (
    role     TEXT    NOT NULL,
    position INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    tries    INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    PRIMARY KEY (role, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    role     TEXT    NOT NULL,
    position INTEGER NOT NULL,
    tries    INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    since    INTEGER NOT NULL
) STRICT;

-- Written after a failed commit to find out whether there is room again; empty otherwise.
CREATE TABLE probe (
    id     INTEGER PRIMARY KEY,
    filler BLOB    NOT NULL
) STRICT;

-- For people with a SQL shell.
CREATE VIEW orders AS
    SELECT 'ord_' || lower(hex(o.id)) AS id, s.name AS status, o.attention, o.customer_id, o.version, o.open
    FROM (SELECT id, status, attention, customer_id, version, 1 AS open FROM open_orders
          UNION ALL
          SELECT id, status, attention, customer_id, version, 0 AS open FROM closed_orders) AS o
    JOIN statuses AS s ON s.code = o.status;

CREATE VIEW history AS
    SELECT e.position, CASE typeof(e.subject) WHEN 'blob' THEN 'ord_' || lower(hex(e.subject)) ELSE e.subject END AS subject,
           e.version, t.name AS type, strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1000000.0, 'unixepoch') AS at, e.cause, e.data
    FROM events AS e JOIN event_types AS t ON t.code = e.type;
