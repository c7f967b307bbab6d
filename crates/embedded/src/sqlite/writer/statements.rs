//! Every statement of the writer, prepared once.

use rusqlite::{Connection, Result, Statement};

/// Events that one statement writes: beginning and ending a statement costs more than a row.
pub(super) const EVENTS_AT_ONCE: usize = 8;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:literal;)*) => {
        /// Every statement of the writer.
        pub(super) struct Statements<'conn> {
            $($(#[$doc])* pub(super) $name: Statement<'conn>,)*
        }

        impl<'conn> Statements<'conn> {
            /// Prepares them all.
            pub(super) fn prepare(conn: &'conn Connection) -> Result<Self> {
                Ok(Self { $($name: conn.prepare($sql)?,)* })
            }
        }
    };
}

statements! {
    begin = "BEGIN IMMEDIATE";
    commit = "COMMIT";
    /// position, subject, version, type, at, cause, data
    insert_event = "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    /// the same [`EVENTS_AT_ONCE`] times
    insert_events = "INSERT INTO events VALUES
        (?1, ?2, ?3, ?4, ?5, ?6, ?7), (?8, ?9, ?10, ?11, ?12, ?13, ?14),
        (?15, ?16, ?17, ?18, ?19, ?20, ?21), (?22, ?23, ?24, ?25, ?26, ?27, ?28),
        (?29, ?30, ?31, ?32, ?33, ?34, ?35), (?36, ?37, ?38, ?39, ?40, ?41, ?42),
        (?43, ?44, ?45, ?46, ?47, ?48, ?49), (?50, ?51, ?52, ?53, ?54, ?55, ?56)";
    /// placed, id, customer, status, attention, version, trail
    insert_open = "INSERT INTO open_orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    /// placed, status, attention, version, trail
    update_open = "UPDATE open_orders SET status = ?2, attention = ?3, version = ?4, trail = ?5 WHERE placed = ?1";
    /// placed
    delete_open = "DELETE FROM open_orders WHERE placed = ?1";
    /// id, customer, status, attention, version, trail, watched
    insert_closed = "INSERT INTO closed_orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    /// id, version, trail: what lists go by stays as it is, so no index is touched
    extend_closed = "UPDATE closed_orders SET version = ?2, trail = ?3 WHERE id = ?1";
    /// id, status, attention, version, trail, watched
    update_closed = "UPDATE closed_orders SET status = ?2, attention = ?3, version = ?4, trail = ?5, watched = ?6 WHERE id = ?1";
    delete_closed = "DELETE FROM closed_orders WHERE id = ?1";
    /// id, customer
    insert_recent = "INSERT OR IGNORE INTO customer_recent VALUES (?1, ?2)";
    /// -> id, customer
    select_recent = "SELECT id, customer_id FROM customer_recent";
    delete_recent = "DELETE FROM customer_recent";
    /// span, customer, id
    insert_customer = "INSERT OR IGNORE INTO customer_orders VALUES (?1, ?2, ?3)";
    /// number, first id
    insert_span = "INSERT INTO spans VALUES (?1, ?2)";
    /// ref, order, fingerprint
    insert_ref = "INSERT INTO order_refs VALUES (?1, ?2, ?3)";
    /// seq, key, fingerprint, answer, expires_at
    insert_key = "INSERT INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5)";
    /// seq -> key, fingerprint, answer, expires_at
    select_key = "SELECT key, fingerprint, answer, expires_at FROM idempotency WHERE seq = ?1";
    /// after, limit -> seq, key, fingerprint, answer, expires_at
    select_oldest_keys = "SELECT seq, key, fingerprint, answer, expires_at FROM idempotency WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    delete_key = "DELETE FROM idempotency WHERE seq = ?1";
    /// id, name, amount, currency, description, active, version, events, deleted
    put_product = "INSERT INTO products VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO UPDATE SET
        name = ?2, amount_minor = ?3, currency = ?4, description = ?5, active = ?6, version = ?7, events = ?8, deleted = ?9";
    /// id, name, email, address, metadata, deleted, version
    put_customer = "INSERT INTO customers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET
        name = ?2, email = ?3, address = ?4, metadata = ?5, deleted = ?6, version = ?7";
    /// first, id, status, version, trail
    insert_parcel = "INSERT INTO parcels VALUES (?1, ?2, ?3, ?4, ?5)";
    /// first, status, version, trail
    update_parcel = "UPDATE parcels SET status = ?2, version = ?3, trail = ?4 WHERE first = ?1";
    /// first, version, trail: its status stays, so no index is touched
    extend_parcel = "UPDATE parcels SET version = ?2, trail = ?3 WHERE first = ?1";
    /// id, stored key, attempts, version, trail
    insert_record = "INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5)";
    /// id, stored key, attempts, version, trail
    update_record = "UPDATE records SET stored_key = ?2, attempts = ?3, version = ?4, trail = ?5 WHERE id = ?1";
    /// slot, product, available, reserved, sold, version
    insert_stock = "INSERT INTO stock VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    /// slot, available, reserved, sold, version
    update_stock = "UPDATE stock SET available = ?2, reserved = ?3, sold = ?4, version = ?5 WHERE slot = ?1";
    /// name, value
    put_counter = "INSERT INTO counters VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    /// role, position
    put_cursor = "INSERT INTO cursors VALUES (?1, ?2) ON CONFLICT (role) DO UPDATE SET position = ?2";
    /// role, position, due, tries, reason
    put_parked = "INSERT INTO parked VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (role, position) DO UPDATE SET
        due = ?3, tries = ?4, reason = ?5";
    /// role, position
    delete_parked = "DELETE FROM parked WHERE role = ?1 AND position = ?2";
    /// role, position, tries, reason, since
    insert_dead = "INSERT INTO dead_letters (role, position, tries, reason, since) VALUES (?1, ?2, ?3, ?4, ?5)";
    /// id -> role, position
    select_dead = "SELECT role, position FROM dead_letters WHERE id = ?1";
    delete_dead = "DELETE FROM dead_letters WHERE id = ?1";
}
