//! Reads everything there is, in one transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use ordermill_ports::moving::{
    Carry, Counts, Ends, Item, LedgerReader, MoveError, MovedCursor, MovedDeadLetter, MovedEvent, MovedParked, Source,
    Totals,
};
use tokio_postgres::Row;

use super::totals;
use crate::codec::{EVENT_COLUMNS, PARTITIONS, get, key_record, natural, small, subject_of};
use crate::error::StoreError;
use crate::migrate;
use crate::options::Options;
use crate::read::{STOCK_COLUMNS, stock_of};
use crate::snapshot::link::Link;

/// Processes that run a role, and others that are connected to the database: one that only takes requests runs none.
const USERS: &str = "SELECT (SELECT count(DISTINCT process) FROM members WHERE until > clock_timestamp()),
    (SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
           AND application_name = current_setting('application_name'))";

/// The connections of a process that has ended are gone after this many looks.
const LOOKS: u32 = 10;

/// Between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// One moment of a ledger. Processes may go on writing it.
pub struct Reader {
    link: Link,
    in_use: Option<String>,
}

impl Reader {
    /// Takes the moment. Blocks.
    ///
    /// # Errors
    /// [`MoveError`] when the server cannot be reached, or the schema is another than this program knows.
    pub fn open(options: &Options) -> Result<Self, MoveError> {
        // Looked at apart from the moment that is read, as it may take several looks.
        let mut in_use = None;
        for look in 0..LOOKS {
            if look > 0 {
                std::thread::sleep(LOOK_PAUSE);
            }
            in_use = users(&Link::open(options, false)?)?;
            if in_use.is_none() {
                break;
            }
        }
        Ok(Self { link: Link::open(options, false)?, in_use })
    }

    /// Hands over what a statement gives, however much it is.
    fn each_row(
        &mut self,
        sql: &str,
        read: impl Fn(&Row) -> Result<Item, StoreError>,
        carry: &mut Carry<'_>,
    ) -> Result<(), MoveError> {
        let mut cursor = self.link.begin(sql)?;
        while let Some(row) = cursor.next(&self.link)? {
            carry(read(&row)?)?;
        }
        Ok(cursor.end(&self.link)?)
    }

    fn one<T>(&self, sql: &str, read: impl FnOnce(&Row) -> Result<T, StoreError>) -> Result<T, MoveError> {
        let rows = self.link.query(sql.to_owned())?;
        let row = rows.first().ok_or_else(|| MoveError::Store("a row is missing".to_owned()))?;
        Ok(read(row)?)
    }

    /// How far each role has come in each partition: one number where that is the same everywhere.
    fn cursors(&self) -> Result<Vec<MovedCursor>, MoveError> {
        let rows = self.link.query("SELECT role, partition, position FROM leases".to_owned())?;
        let mut roles: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for row in &rows {
            let positions = roles.entry(get(row, 0)?).or_insert_with(|| vec![0; usize::from(PARTITIONS)]);
            let partition = usize::try_from(get::<i16>(row, 1)?).unwrap_or(usize::MAX);
            if let Some(position) = positions.get_mut(partition) {
                *position = natural(get(row, 2)?);
            }
        }
        let cursor = |(role, mut positions): (String, Vec<u64>)| {
            if positions.iter().all(|position| *position == positions[0]) {
                positions.truncate(1);
            }
            MovedCursor { role, positions }
        };
        Ok(roles.into_iter().map(cursor).collect())
    }
}

/// So many processes run roles, in words.
pub(super) fn running(processes: i64) -> String {
    if processes == 1 { "one process runs roles".to_owned() } else { format!("{processes} processes run roles") }
}

/// Who uses the ledger, in words.
fn users(link: &Link) -> Result<Option<String>, MoveError> {
    let rows = link.query(USERS.to_owned())?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (members, connections): (i64, i64) = (get(row, 0)?, get(row, 1)?);
    Ok(match (members, connections) {
        (0, 0) => None,
        (0, _) => Some(format!("{connections} other connections to its database are open")),
        _ => Some(format!("{} on it", running(members))),
    })
}

fn event(row: &Row) -> Result<Item, StoreError> {
    let kind: String = get(row, 4)?;
    Ok(Item::Event(MovedEvent {
        position: natural(get(row, 0)?),
        subject: subject_of(get(row, 1)?, get(row, 2)?)?,
        version: small(get(row, 3)?),
        kind,
        schema: u16::try_from(get::<i16>(row, 5)?).unwrap_or(0),
        at: get(row, 6)?,
        cause: get::<Option<i32>>(row, 7)?.map(small),
        data: get(row, 8)?,
    }))
}

fn parked(row: &Row) -> Result<Item, StoreError> {
    let (role, position, due) = (get(row, 0)?, natural(get(row, 1)?), get(row, 2)?);
    Ok(Item::Parked(MovedParked { role, position, due, tries: small(get(row, 3)?), reason: get(row, 4)? }))
}

fn dead_letter(row: &Row) -> Result<Item, StoreError> {
    let (id, role, position) = (natural(get(row, 0)?), get(row, 1)?, natural(get(row, 2)?));
    let (tries, reason, since) = (small(get(row, 3)?), get(row, 4)?, get(row, 5)?);
    Ok(Item::DeadLetter(MovedDeadLetter { id, role, position, tries, reason, since }))
}

impl LedgerReader for Reader {
    fn source(&self) -> Source {
        Source { backend: "postgres", schema: u32::try_from(migrate::newest()).unwrap_or(0) }
    }

    fn in_use(&self) -> Option<&str> {
        self.in_use.as_deref()
    }

    fn counts(&mut self) -> Result<Counts, MoveError> {
        let sql =
            "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM stock), (SELECT count(*) FROM idempotency),
                          (SELECT count(*) FROM parked), (SELECT count(*) FROM dead_letters),
                          (SELECT count(DISTINCT role) FROM leases)";
        self.one(sql, |row| {
            let count = |index| Ok::<_, StoreError>(natural(get(row, index)?));
            let (events, stock, keys) = (count(0)?, count(1)?, count(2)?);
            Ok(Counts { events, stock, keys, parked: count(3)?, dead_letters: count(4)?, cursors: count(5)? })
        })
    }

    fn each(&mut self, carry: &mut Carry<'_>) -> Result<(), MoveError> {
        self.each_row(&format!("SELECT position, {EVENT_COLUMNS} FROM events ORDER BY position"), event, carry)?;
        let sql = format!("SELECT {STOCK_COLUMNS} FROM stock ORDER BY product_id");
        self.each_row(&sql, |row| stock_of(row).map(Item::Stock), carry)?;
        // A backend may look for what has expired in the order of rows.
        let sql = "SELECT key, fingerprint, answer, expires_at FROM idempotency ORDER BY expires_at, key";
        self.each_row(sql, |row| Ok(Item::Key(get(row, 0)?, key_record(row, 1)?)), carry)?;
        let sql = "SELECT role, position, due, tries, reason FROM parked ORDER BY role, position";
        self.each_row(sql, parked, carry)?;
        let sql = "SELECT id, role, position, tries, reason, since FROM dead_letters ORDER BY id";
        self.each_row(sql, dead_letter, carry)?;
        for cursor in self.cursors()? {
            carry(Item::Cursor(cursor))?;
        }
        let sql = "SELECT (SELECT mailbox_end FROM feed_head),
                          (SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('dead_letters', 'id')), 0))";
        carry(Item::Ends(self.one(sql, |row| {
            let mailbox: Option<i64> = get(row, 0)?;
            Ok(Ends { mailbox: mailbox.map(natural), dead_letter: natural(get(row, 1)?) })
        })?))
    }

    fn totals(&mut self) -> Result<Totals, MoveError> {
        totals::of(&mut |sql| Ok(self.link.query(sql.to_owned())?))
    }
}
