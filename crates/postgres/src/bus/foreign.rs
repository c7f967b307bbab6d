//! Settlements of what a broker handed out, not this bus. An acknowledgement concerns the broker alone; what is to be tried again, or is
//! given up, is kept here, once.
//!
//! Whichever process was handed the delivery, another may lease its partition here: it is told, and finds the row.
//!
//! A broker goes on to deliver what the server has lost in a failover. By its position alone that would be taken for the event that has
//! the position now: so a word on an event that is not there is void, and the broker is done with it.

use std::collections::BTreeMap;

use ordermill_core::Timestamp;
use ordermill_core::event::Subject;
use ordermill_core::process::Role;
use ordermill_ports::bus::{Delivery, Settle, Settlement};

use super::Bus;
use super::settle::Rows;
use crate::codec::{get, int, kind_code, natural, partition, subject_bytes, version_int};
use crate::connect::Tx;
use crate::error::StoreError;
use crate::notify;
use crate::read::rows;
use crate::shared::Shared;

/// Settlements of what was handed out elsewhere, by role and event: in that order rows are written, so that nobody waits in a circle.
#[derive(Default)]
pub(super) struct Foreign(BTreeMap<Key, Settlement>);

/// A role, and an event: its position, subject and version.
type Key = (&'static str, u64, Subject, u32);

/// A delivery that this transaction parks.
pub(super) struct Parked {
    delivery: Delivery,
    due: Timestamp,
}

impl Foreign {
    /// Takes a settlement; the first on a delivery counts.
    pub(super) fn take(&mut self, settlement: &Settlement) {
        if settlement.how != Settle::Ack {
            let Delivery { role, position, subject, version, .. } = &settlement.delivery;
            let key = (role.as_str(), position.0, subject.clone(), *version);
            self.0.entry(key).or_insert_with(|| settlement.clone());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes what has no row yet. Gives what was parked.
    pub(super) async fn write(self, shared: &Shared, tx: &Tx, now: Timestamp) -> Result<Vec<Parked>, StoreError> {
        let mut settlements = self.of_this_history(tx).await?;
        let (mut retried, mut dead) = (Rows::default(), Rows::default());
        for Settlement { delivery, how } in settlements.values() {
            let place = (delivery.role, partition(&delivery.subject));
            let tries = delivery.tries.saturating_add(1);
            match how {
                Settle::Retry { due, reason } => retried.push(place, delivery.position.0, tries, reason, *due),
                Settle::DeadLetter { reason } => dead.push(place, delivery.position.0, tries, reason, now),
                Settle::Ack => {}
            }
        }
        let parked = retried.insert(tx, PARK).await?;
        dead.insert(tx, GIVE_UP).await?;
        if parked.is_empty() {
            return Ok(Vec::new());
        }
        let told = [notify::channel(&shared.schema), notify::REDRIVEN.to_owned()];
        let statement = tx.prepare_cached("SELECT pg_notify($1, $2)").await?;
        tx.execute(&statement, &[&told[0], &told[1]]).await?;
        let found = parked.into_iter().filter_map(|(role, position)| {
            let Settlement { delivery, how } = settlements.remove(&(role.as_str(), position))?;
            match how {
                Settle::Retry { due, .. } => Some(Parked { delivery, due }),
                _ => None,
            }
        });
        Ok(found.collect())
    }

    /// Those on events that the server has, by role and position.
    async fn of_this_history(self, tx: &Tx) -> Result<BTreeMap<(&'static str, u64), Settlement>, StoreError> {
        let events: Vec<_> =
            self.0.keys().map(|(_, position, subject, version)| (position, subject, version)).collect();
        let positions: Vec<i64> = events.iter().map(|(position, ..)| int(**position)).collect();
        let kinds: Vec<i16> = events.iter().map(|(_, subject, _)| kind_code(subject.kind())).collect();
        let subjects: Vec<_> = events.iter().map(|(_, subject, _)| subject_bytes(subject)).collect();
        let subjects: Vec<&[u8]> = subjects.iter().map(|bytes| &**bytes).collect();
        let versions: Vec<i32> = events.iter().map(|(.., version)| version_int(**version)).collect();
        let rows = rows(tx, WHICH_ARE_THERE, &[&positions, &kinds, &subjects, &versions]).await?;
        let there: Vec<bool> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
        let lost = there.iter().filter(|is_there| !**is_there).count();
        if lost > 0 {
            tracing::warn!(
                lost,
                "deliveries of a broker are of events that the server has lost; what was to be tried again is void"
            );
        }
        let known = self.0.into_iter().zip(there).filter(|(_, is_there)| *is_there);
        Ok(known.map(|(((role, position, ..), settlement), _)| ((role, position), settlement)).collect())
    }
}

/// Whether events are at their positions, in the order in which they are asked for.
const WHICH_ARE_THERE: &str = "
    SELECT e.position IS NOT NULL
    FROM unnest($1::bigint[], $2::smallint[], $3::bytea[], $4::integer[])
        WITH ORDINALITY AS n (position, subject_kind, subject, version, number)
    LEFT JOIN events AS e USING (position, subject_kind, subject, version) ORDER BY n.number";

/// A delivery that was given up stays that, until it is redriven.
const PARK: &str = "
    INSERT INTO parked (role, partition, position, tries, reason, due, redriven)
    SELECT n.*, true FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::integer[], $5::text[], $6::timestamptz[])
        AS n (role, partition, position, tries, reason, due)
    WHERE NOT EXISTS (SELECT FROM dead_letters AS d WHERE d.role = n.role AND d.position = n.position)
    ON CONFLICT (role, position) DO NOTHING RETURNING role, position";

/// A delivery that is parked comes again, whatever is said of it elsewhere.
const GIVE_UP: &str = "
    INSERT INTO dead_letters (role, partition, position, tries, reason, since)
    SELECT n.* FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::integer[], $5::text[], $6::timestamptz[])
        AS n (role, partition, position, tries, reason, since)
    WHERE NOT EXISTS (SELECT FROM parked AS p WHERE p.role = n.role AND p.position = n.position)
    ON CONFLICT (role, position) DO NOTHING RETURNING role, position";

impl Rows<'_> {
    /// Which of the rows were inserted.
    async fn insert(&self, tx: &Tx, sql: &str) -> Result<Vec<(Role, u64)>, StoreError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let rows = tx.query(&tx.prepare_cached(sql).await?, &self.params()).await?;
        let mut inserted = Vec::with_capacity(rows.len());
        for row in &rows {
            let position = natural(get(row, 1)?);
            inserted.extend(Role::from_name(get(row, 0)?).map(|role| (role, position)));
        }
        Ok(inserted)
    }
}

/// The transaction was committed: what is leased here need not be looked for.
pub(super) fn committed(bus: &Bus, parked: Vec<Parked>) {
    for Parked { delivery, due } in parked {
        let seat = bus.seat(delivery.role);
        let tries = delivery.tries.saturating_add(1);
        seat.state.lock().park(partition(&delivery.subject), Delivery { tries, ..delivery }, due);
        seat.bell.notify_waiters();
    }
}
