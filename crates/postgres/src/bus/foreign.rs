//! Settlements of what a broker handed out, not this bus. An acknowledgement concerns the broker alone; what is to be tried again, or is
//! given up, is kept here, once.
//!
//! Whichever process was handed the delivery, another may lease its partition here: it is told, and finds the row.

use std::collections::BTreeMap;

use ordermill_core::Timestamp;
use ordermill_core::process::Role;
use ordermill_ports::bus::{Delivery, Settle, Settlement};

use super::Bus;
use super::settle::Rows;
use crate::codec::{get, natural, partition};
use crate::connect::Tx;
use crate::error::StoreError;
use crate::notify;
use crate::shared::Shared;

/// Settlements of what was handed out elsewhere, by role and position: in that order rows are written, so that nobody waits in a circle.
#[derive(Default)]
pub(super) struct Foreign(BTreeMap<(&'static str, u64), Settlement>);

/// A delivery that this transaction parks.
pub(super) struct Parked {
    delivery: Delivery,
    due: Timestamp,
}

impl Foreign {
    /// Takes a settlement; the first on a delivery counts.
    pub(super) fn take(&mut self, settlement: &Settlement) {
        if settlement.how != Settle::Ack {
            let key = (settlement.delivery.role.as_str(), settlement.delivery.position.0);
            self.0.entry(key).or_insert_with(|| settlement.clone());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes what has no row yet. Gives what was parked.
    pub(super) async fn write(self, shared: &Shared, tx: &Tx, now: Timestamp) -> Result<Vec<Parked>, StoreError> {
        let (mut retried, mut dead) = (Rows::default(), Rows::default());
        for Settlement { delivery, how } in self.0.values() {
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
        let mut settlements = self.0;
        let found = parked.into_iter().filter_map(|(role, position)| {
            let Settlement { delivery, how } = settlements.remove(&(role.as_str(), position))?;
            match how {
                Settle::Retry { due, .. } => Some(Parked { delivery, due }),
                _ => None,
            }
        });
        Ok(found.collect())
    }
}

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
