-- The ledger's first schema. Runs in a transaction, with the installation's schema first on the search path.
--
-- Text ids sort by their bytes (COLLATE "C"), as they do in the program; ids of orders and records are UUIDs of version 7, which sort
-- by time. There are no foreign keys: the writer keeps the tables in step, and a check per row would cost as much as the row.

-- Where the feed ends, and the sums that change with it. One row. Each commit updates it as late as it can and holds its lock to its
-- end: so commits follow one another in the order of positions, and nothing ever appears behind a reader.
CREATE TABLE feed_head (
    one         boolean     PRIMARY KEY DEFAULT true CHECK (one),
    position    bigint      NOT NULL,
    mailbox_end bigint,                -- where the last committed mail ends in a local mail file, in bytes
    attention   bigint      NOT NULL,  -- orders that wait for a person
    placed      bigint      NOT NULL,  -- orders by status
    authorized  bigint      NOT NULL,
    reserved    bigint      NOT NULL,
    confirmed   bigint      NOT NULL,
    shipped     bigint      NOT NULL,
    delivered   bigint      NOT NULL,
    rejected    bigint      NOT NULL,
    cancelled   bigint      NOT NULL,
    returned    bigint      NOT NULL
) WITH (fillfactor = 10);

INSERT INTO feed_head (position, attention, placed, authorized, reserved, confirmed, shipped, delivered, rejected, cancelled, returned)
VALUES (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

-- The truth: append-only, never updated.
CREATE TABLE events (
    position     bigint      PRIMARY KEY,
    subject_kind smallint    NOT NULL, -- 1 order, 2 product, 3 customer, 4 parcel, 5 record
    subject      bytea       NOT NULL, -- the sixteen bytes of an order's or a record's id, the text of any other in UTF-8
    version      integer     NOT NULL, -- counts the subject's events, from 1
    partition    smallint    NOT NULL, -- of the subject, 0 to 15: what one lease covers
    type         text        NOT NULL COLLATE "C",
    schema       smallint    NOT NULL, -- the version of the type's data
    at           timestamptz NOT NULL,
    cause        integer,              -- version of the event that a role was acting on
    data         text        NOT NULL, -- JSON, as it was written
    UNIQUE (subject_kind, subject, version)
);

-- An order is written at each of its steps, mostly within seconds. As long as no column of an index changes and its page has room, that
-- costs no index anything: so what is indexed is its stage, which is one for all undecided orders, and when to look at it, which is not put
-- off while it is undecided; and a page is filled by less than half.
CREATE TABLE orders (
    id          uuid        PRIMARY KEY,
    customer_id text        NOT NULL COLLATE "C",
    order_ref   text        COLLATE "C",
    status      text        NOT NULL COLLATE "C",
    stage       smallint    NOT NULL GENERATED ALWAYS AS (CASE status WHEN 'confirmed' THEN 1 WHEN 'shipped' THEN 2 WHEN 'delivered' THEN 3
                    WHEN 'rejected' THEN 4 WHEN 'cancelled' THEN 5 WHEN 'returned' THEN 6 ELSE 0 END) STORED,
    attention   boolean     NOT NULL,
    open        boolean     NOT NULL, -- undecided, or with an outside action pending
    version     integer     NOT NULL,
    created_at  timestamptz NOT NULL,
    deadline    timestamptz,          -- when something is overdue
    look_at     timestamptz           -- when the sweeper looks at it next: at the deadline or before
) WITH (fillfactor = 45);

CREATE INDEX orders_by_customer ON orders (customer_id, id);
CREATE INDEX orders_by_stage ON orders (stage, id);
CREATE INDEX orders_with_attention ON orders (id) WHERE attention;
CREATE INDEX orders_to_look_at ON orders (look_at) WHERE look_at IS NOT NULL;

CREATE TABLE order_refs (
    ref         text  PRIMARY KEY COLLATE "C",
    order_id    uuid  NOT NULL,
    fingerprint bytea NOT NULL
);

CREATE TABLE idempotency (
    key         text        PRIMARY KEY COLLATE "C",
    fingerprint bytea       NOT NULL,
    answer      text        NOT NULL, -- JSON
    order_id    uuid,                 -- of the answer; while the order is undecided, the key counts beyond its time
    expires_at  timestamptz NOT NULL
);

CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

CREATE TABLE products (
    id           text    PRIMARY KEY COLLATE "C",
    name         text    NOT NULL,
    amount_minor bigint  NOT NULL,
    currency     text    NOT NULL,
    description  text,
    active       boolean NOT NULL,
    deleted      boolean NOT NULL,
    version      integer NOT NULL,
    events       integer NOT NULL -- how many events the product has, those of its stock included
);

CREATE TABLE stock (
    product_id text   PRIMARY KEY COLLATE "C",
    available  bigint NOT NULL CHECK (available >= 0),
    reserved   bigint NOT NULL,
    sold       bigint NOT NULL,
    version    bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE customers (
    id       text    PRIMARY KEY COLLATE "C",
    name     text    NOT NULL,
    email    text,
    address  text,            -- JSON
    metadata text,            -- JSON
    deleted  boolean NOT NULL,
    version  integer NOT NULL -- counts the customer's events as well: each is a change
);

CREATE TABLE parcels (
    id      text    PRIMARY KEY COLLATE "C",
    first   bigint  NOT NULL UNIQUE, -- position of the parcel's first event
    status  text    NOT NULL COLLATE "C",
    version integer NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX parcels_by_status ON parcels (status, first);

CREATE TABLE records (
    id          uuid        PRIMARY KEY,
    received_at timestamptz NOT NULL,
    stored_key  text,                 -- of the record's object; NULL until it is written
    attempts    integer,              -- which try wrote it
    version     integer     NOT NULL
);

CREATE INDEX records_not_stored ON records (id) WHERE stored_key IS NULL;

-- Which process deals with a role's partition, until when by the database's clock, and how far the role has come there: every event
-- of the partition up to `position` is settled, of no interest to the role, or parked. The token counts the owners: whoever settles
-- with an older one is fenced off. Rows are made when a role is first run.
CREATE TABLE leases (
    role      text        NOT NULL COLLATE "C",
    partition smallint    NOT NULL,
    owner     uuid,                     -- a process; NULL = nobody
    token     bigint      NOT NULL DEFAULT 0,
    until     timestamptz NOT NULL DEFAULT '-infinity',
    position  bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (role, partition)
) WITH (fillfactor = 25);

-- Which processes run which role, so that each leases its share.
CREATE TABLE members (
    role    text        NOT NULL COLLATE "C",
    process uuid        NOT NULL,
    until   timestamptz NOT NULL,
    PRIMARY KEY (role, process)
) WITH (fillfactor = 50);

-- Deliveries that are not settled though their partition's cursor is past them.
CREATE TABLE parked (
    role      text        NOT NULL COLLATE "C",
    position  bigint      NOT NULL,
    partition smallint    NOT NULL,
    due       timestamptz NOT NULL,
    tries     integer     NOT NULL,
    reason    text        NOT NULL,
    redriven  boolean     NOT NULL DEFAULT false, -- by any process; whoever has the lease has to find it
    PRIMARY KEY (role, position)
);

CREATE INDEX parked_redriven ON parked (role) WHERE redriven;

CREATE TABLE dead_letters (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    role      text        NOT NULL COLLATE "C",
    position  bigint      NOT NULL,
    partition smallint    NOT NULL,
    tries     integer     NOT NULL,
    reason    text        NOT NULL,
    since     timestamptz NOT NULL,
    UNIQUE (role, position) -- a commit whose answer was lost may come again
);

-- For people with a SQL shell, and for what read the tables of the tracking service before.
CREATE VIEW history AS
    SELECT position,
           (ARRAY['order', 'product', 'customer', 'parcel', 'record'])[subject_kind] AS kind,
           CASE subject_kind WHEN 1 THEN 'ord_' || encode(subject, 'hex') WHEN 5 THEN 'rec_' || encode(subject, 'hex')
                             ELSE convert_from(subject, 'UTF8') END AS subject,
           version, type, at, cause, data
    FROM events;

CREATE VIEW tracking_events AS
    SELECT position, convert_from(subject, 'UTF8') AS order_id, version, type,
           data::json ->> 'status' AS status, (data::json ->> 'seen_at')::timestamptz AS event_ts, at AS received_at
    FROM events
    WHERE subject_kind = 4;
