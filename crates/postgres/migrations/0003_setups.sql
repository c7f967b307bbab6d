-- How each process does the outside work of a role. It says so again and again; where one has no row, an older program runs there, which says
-- nothing of it.
CREATE TABLE setups (
    process uuid        NOT NULL,
    role    text        NOT NULL COLLATE "C",
    books   text        NOT NULL, -- where it charges, mails or stores, if no other process gets there; empty otherwise
    bus     text        NOT NULL, -- what carries events to it
    until   timestamptz NOT NULL, -- counts until then, if it is not said again
    PRIMARY KEY (role, process)
);
