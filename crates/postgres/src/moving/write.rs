//! Fills an empty schema: first with what is carried, then with the rows that follow from it.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use ordermill_core::Timestamp;
use ordermill_core::idempotency::{Answer, Record};
use ordermill_core::stock::StockLevel;
use ordermill_ports::audit::{AuditError, LedgerSnapshot};
use ordermill_ports::moving::{
    Ends, Item, LedgerWriter, Mark, MoveError, MovedCursor, MovedDeadLetter, MovedEvent, MovedParked, Totals,
};
use tokio::runtime::Runtime;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Transaction};
use uuid::Uuid;

use super::read::running;
use super::{store, totals};
use crate::codec::{PARTITIONS, answer_text, int, kind_code, natural, partition, storable, subject_bytes, version_int};
use crate::connect::Connector;
use crate::error::{OpenError, StoreError};
use crate::migrate::{self, Found, LOCK_SPACE};
use crate::options::Options;
use crate::snapshot::Snapshot;

/// Of the advisory lock that the one process holds that fills a schema, beside a number of the schema's name.
const IMPORT_LOCK_SPACE: i32 = LOCK_SPACE + 1;

/// How long a lock may take that somebody else holds.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(30);

/// What the import has to know of itself; there only while it is under way. No transaction can move the head of the feed meanwhile, also
/// none of a process that opened the ledger before.
const MOVING: &str = "
    CREATE TABLE moving (
        one    boolean  PRIMARY KEY DEFAULT true CHECK (one),
        export text     NOT NULL, -- the export's name
        lines  bigint   NOT NULL, -- of its file that are taken in
        digest bytea    NOT NULL, -- of these lines
        stage  smallint NOT NULL, -- kinds of subject whose rows are made
        after  bytea              -- the last subject of the next kind that has its row
    );
    CREATE FUNCTION moving_refuses() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN
            IF current_setting(''ordermill.fills'', true) = ''on'' THEN RETURN NULL; END IF;
            RAISE EXCEPTION ''an import into this ledger is not finished'';
        END';
    CREATE TRIGGER moving BEFORE UPDATE OR DELETE ON feed_head FOR EACH STATEMENT EXECUTE FUNCTION moving_refuses();
    DELETE FROM leases; DELETE FROM members;";

/// A ledger that is being filled.
pub struct Writer {
    pub(super) runtime: Runtime,
    pub(super) client: Client,
    pub(super) options: Options,
}

impl Writer {
    /// Connects to a database. Blocks.
    ///
    /// # Errors
    /// [`MoveError`] when the server cannot be reached.
    pub fn open(options: Options) -> Result<Self, MoveError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(OpenError::Thread)?;
        let client = runtime.block_on(async {
            let connector = Connector::new(&options)?;
            let (client, driver) = connector.connect().await.map_err(StoreError::from)?;
            tokio::spawn(async move {
                if let Err(error) = driver.await {
                    tracing::debug!(%error, "the import's connection has ended");
                }
            });
            connector.set_up(&client).await.map_err(StoreError::from)?;
            // Between two statements lies whatever the file and the disk take; rows of millions take their time.
            let session = format!(
                "SET ordermill.fills TO 'on'; SET statement_timeout TO 0; SET lock_timeout TO {};
                 SET idle_in_transaction_session_timeout TO 0",
                LOCK_WAIT_MAX.as_millis()
            );
            client.batch_execute(&session).await.map_err(StoreError::from)?;
            Ok::<_, OpenError>(client)
        })?;
        Ok(Self { runtime, client, options })
    }
}

impl LedgerWriter for Writer {
    fn begin(&mut self, export: &str) -> Result<Option<Mark>, MoveError> {
        self.runtime.block_on(begin(&mut self.client, &self.options.schema, export))
    }

    fn write(&mut self, items: Vec<Item>, mark: &Mark) -> Result<(), MoveError> {
        self.runtime.block_on(async {
            let tx = self.client.transaction().await.map_err(store)?;
            Items::of(items).write(&tx).await?;
            let sql = "UPDATE moving SET lines = $1, digest = $2";
            tx.execute(sql, &[&int(mark.lines), &&mark.digest[..]]).await.map_err(store)?;
            tx.commit().await.map_err(store)
        })
    }

    fn derive(&mut self, on_progress: &mut dyn FnMut(u64)) -> Result<(), MoveError> {
        self.derive_rows(on_progress)
    }

    fn totals(&mut self) -> Result<Totals, MoveError> {
        totals::of(&mut |sql| self.runtime.block_on(self.client.query(sql, &[])).map_err(store))
    }

    fn snapshot(&self) -> Result<Box<dyn LedgerSnapshot>, AuditError> {
        let snapshot = Snapshot::open_filled(&self.options).map_err(|error| AuditError(error.to_string()))?;
        Ok(Box::new(snapshot))
    }

    fn finish(&mut self) -> Result<(), MoveError> {
        let sql =
            "BEGIN; DROP TRIGGER moving ON feed_head; DROP FUNCTION moving_refuses; DROP TABLE moving; COMMIT; ANALYZE";
        self.runtime.block_on(self.client.batch_execute(sql)).map_err(store)
    }
}

async fn begin(client: &mut Client, schema: &str, export: &str) -> Result<Option<Mark>, MoveError> {
    let lock = "SELECT pg_try_advisory_lock($1, hashtext($2))";
    if !client.query_one(lock, &[&IMPORT_LOCK_SPACE, &schema]).await.map_err(store)?.get::<_, bool>(0) {
        return Err(MoveError::InUse(format!("another import into the schema {schema:?} is running")));
    }
    let tx = client.transaction().await.map_err(store)?;
    let found = migrate::look(&tx, schema).await?;
    if found.is_importing {
        return go_on(&tx, schema, export, found).await;
    }
    drop(tx);
    migrate::migrate(client, schema).await?;
    let tx = client.transaction().await.map_err(store)?;
    // No process opens the ledger meanwhile, and none moves the head.
    let lock = "SELECT pg_advisory_xact_lock($1, hashtext($2))";
    tx.execute(lock, &[&LOCK_SPACE, &schema]).await.map_err(store)?;
    let head: i64 = tx.query_one("SELECT position FROM feed_head FOR UPDATE", &[]).await.map_err(store)?.get(0);
    let sql = "SELECT (SELECT count(*) FROM idempotency) + (SELECT count(*) FROM parked) + (SELECT count(*) FROM dead_letters),
                      (SELECT count(DISTINCT process) FROM members WHERE until > clock_timestamp())";
    let row = tx.query_one(sql, &[]).await.map_err(store)?;
    let (others, members): (i64, i64) = (row.get(0), row.get(1));
    if members > 0 {
        return Err(MoveError::InUse(format!("{} on the schema {schema:?}; stop them first", running(members))));
    }
    if head > 0 || others > 0 {
        let what = format!("the schema {schema:?} holds {head} events already; a ledger is moved into an empty one");
        return Err(MoveError::Occupied(what));
    }
    tx.batch_execute(MOVING).await.map_err(store)?;
    let sql = "INSERT INTO moving (export, lines, digest, stage) VALUES ($1, 0, '', 0)";
    tx.execute(sql, &[&export]).await.map_err(store)?;
    tx.commit().await.map_err(store)?;
    Ok(None)
}

/// Goes on with what was begun.
async fn go_on(tx: &Transaction<'_>, schema: &str, export: &str, found: Found) -> Result<Option<Mark>, MoveError> {
    let other = |what: &str| {
        MoveError::OtherExport(format!("the import into the schema {schema:?} was begun {what}; drop it to begin anew"))
    };
    if found.version != migrate::newest() {
        return Err(other("by another version of the program"));
    }
    let row = tx.query_one("SELECT export, lines, digest FROM moving", &[]).await.map_err(store)?;
    if row.get::<_, &str>(0) != export {
        return Err(other("from another export"));
    }
    let lines: i64 = row.get(1);
    let digest = row.get::<_, &[u8]>(2).try_into();
    Ok(digest.ok().filter(|_| lines > 0).map(|digest| Mark { lines: natural(lines), digest }))
}

/// Copies rows into a table.
pub(super) async fn copy<T>(
    tx: &Transaction<'_>,
    into: &str,
    types: &[Type],
    rows: &[T],
    mut columns: impl AsyncFnMut(std::pin::Pin<&mut BinaryCopyInWriter>, &T) -> Result<(), tokio_postgres::Error>,
) -> Result<(), MoveError> {
    if rows.is_empty() {
        return Ok(());
    }
    let sink = tx.copy_in(&format!("COPY {into} FROM STDIN (FORMAT binary)")).await.map_err(store)?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, types));
    for row in rows {
        columns(writer.as_mut(), row).await.map_err(store)?;
    }
    writer.finish().await.map_err(store).map(drop)
}

/// What is written in one transaction, kind by kind.
#[derive(Default)]
struct Items {
    events: Vec<MovedEvent>,
    stock: Vec<StockLevel>,
    /// A key that was used anew comes again; the last one counts.
    keys: HashMap<String, Record>,
    parked: Vec<MovedParked>,
    dead_letters: Vec<MovedDeadLetter>,
    cursors: Vec<MovedCursor>,
    ends: Option<Ends>,
}

impl Items {
    fn of(items: Vec<Item>) -> Self {
        let mut sorted = Self::default();
        for item in items {
            match item {
                Item::Event(event) => sorted.events.push(event),
                Item::Stock(level) => sorted.stock.push(level),
                Item::Key(key, record) => _ = sorted.keys.insert(key, record),
                Item::Parked(parked) => sorted.parked.push(parked),
                Item::DeadLetter(dead) => sorted.dead_letters.push(dead),
                Item::Cursor(cursor) => sorted.cursors.push(cursor),
                Item::Ends(ends) => sorted.ends = Some(ends),
            }
        }
        sorted
    }

    async fn write(&self, tx: &Transaction<'_>) -> Result<(), MoveError> {
        self.write_events(tx).await?;
        self.write_stock(tx).await?;
        self.write_keys(tx).await.map_err(store)?;
        self.write_parked(tx).await.map_err(store)?;
        self.write_dead_letters(tx).await.map_err(store)?;
        self.write_cursors(tx).await.map_err(store)?;
        self.write_ends(tx).await.map_err(store)
    }

    async fn write_events(&self, tx: &Transaction<'_>) -> Result<(), MoveError> {
        use Type as T;
        let into = "events (position, subject_kind, subject, version, partition, type, schema, at, cause, data)";
        let types = [T::INT8, T::INT2, T::BYTEA, T::INT4, T::INT2, T::TEXT, T::INT2, T::TIMESTAMPTZ, T::INT4, T::TEXT];
        copy(tx, into, &types, &self.events, async |to, event| {
            let subject = subject_bytes(&event.subject);
            let columns: [&(dyn ToSql + Sync); 10] = [
                &int(event.position),
                &kind_code(event.subject.kind()),
                &&*subject,
                &version_int(event.version),
                &i16::from(partition(&event.subject)),
                &event.kind,
                &i16::try_from(event.schema).unwrap_or(i16::MAX),
                &event.at,
                &event.cause.map(version_int),
                &event.data,
            ];
            to.write(&columns).await
        })
        .await
    }

    async fn write_stock(&self, tx: &Transaction<'_>) -> Result<(), MoveError> {
        let types = [Type::TEXT, Type::INT8, Type::INT8, Type::INT8, Type::INT8];
        let into = "stock (product_id, available, reserved, sold, version)";
        copy(tx, into, &types, &self.stock, async |to, level| {
            let (id, version) = (level.product_id.as_str(), int(level.version));
            to.write(&[&id, &level.available, &level.reserved, &level.sold, &version]).await
        })
        .await
    }

    async fn write_keys(&self, tx: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let (keys, records): (Vec<&str>, Vec<&Record>) =
            self.keys.iter().map(|(key, record)| (key.as_str(), record)).unzip();
        let fingerprints: Vec<&[u8]> = records.iter().map(|record| &record.fingerprint.0[..]).collect();
        let answers: Vec<String> = records.iter().map(|record| answer_text(&record.answer)).collect();
        let orders: Vec<Option<Uuid>> = records
            .iter()
            .map(|record| if let Answer::Order(id) = &record.answer { Some(id.uuid()) } else { None })
            .collect();
        let times: Vec<Timestamp> = records.iter().map(|record| record.expires_at).collect();
        let sql = "INSERT INTO idempotency (key, fingerprint, answer, order_id, expires_at)
                   SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::uuid[], $5::timestamptz[])
                   ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer,
                       order_id = excluded.order_id, expires_at = excluded.expires_at";
        tx.execute(sql, &[&keys, &fingerprints, &answers, &orders, &times]).await.map(drop)
    }

    async fn write_parked(&self, tx: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
        let sql = "INSERT INTO parked (role, position, partition, due, tries, reason)
                   SELECT $1, $2, partition, $3, $4, $5 FROM events WHERE position = $2";
        let statement = tx.prepare(sql).await?;
        for parked in &self.parked {
            let (position, tries) = (int(parked.position), version_int(parked.tries));
            tx.execute(&statement, &[&parked.role, &position, &parked.due, &tries, &storable(&parked.reason)]).await?;
        }
        Ok(())
    }

    async fn write_dead_letters(&self, tx: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
        // Elsewhere the same delivery may have been given up twice; here it counts once.
        let sql =
            "INSERT INTO dead_letters (id, role, position, partition, tries, reason, since) OVERRIDING SYSTEM VALUE
                   SELECT $1, $2, $3, partition, $4, $5, $6 FROM events WHERE position = $3
                   ON CONFLICT (role, position) DO NOTHING";
        let statement = tx.prepare(sql).await?;
        for dead in &self.dead_letters {
            let (id, position, tries) = (int(dead.id), int(dead.position), version_int(dead.tries));
            tx.execute(&statement, &[&id, &dead.role, &position, &tries, &storable(&dead.reason), &dead.since]).await?;
        }
        Ok(())
    }

    async fn write_cursors(&self, tx: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
        for cursor in &self.cursors {
            let partitions = usize::from(PARTITIONS);
            // One cursor stands for all; those of another number of partitions cannot be told apart any more.
            let positions: Vec<i64> = match cursor.positions.as_slice() {
                all if all.len() == partitions => all.iter().copied().map(int).collect(),
                _ => vec![int(cursor.slowest()); partitions],
            };
            let sql = "INSERT INTO leases (role, partition, position)
                       SELECT $1, number - 1, position FROM unnest($2::bigint[]) WITH ORDINALITY AS p (position, number)";
            tx.execute(sql, &[&cursor.role, &positions]).await?;
        }
        Ok(())
    }

    async fn write_ends(&self, tx: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
        let Some(ends) = &self.ends else { return Ok(()) };
        tx.execute("UPDATE feed_head SET mailbox_end = $1", &[&ends.mailbox.map(int)]).await?;
        if ends.dead_letter > 0 {
            let sql = "SELECT setval(pg_get_serial_sequence('dead_letters', 'id'), $1)";
            tx.query(sql, &[&int(ends.dead_letter)]).await?;
        }
        Ok(())
    }
}
