//! Writes what the overlay holds into rows: each once, however often it changed in this commit.

use ordermill_core::Timestamp;
use ordermill_core::id::OrderId;
use ordermill_core::order::{Order, Status};
use rusqlite::{Statement, ToSql};

use super::super::codec::{Types, int, micros, status_code, subject_column};
use super::super::error::StoreError;
use super::super::feed::Entry;
use super::super::totals::{self, Totals};
use super::batch::Batch;
use super::overlay::{Before, EventData, Overlay, StagedOrder};
use super::statements::{EVENTS_AT_ONCE, Statements};

impl Batch<'_, '_> {
    /// Writes events, and the rows of everything they are about.
    pub(super) fn write_rows(&mut self) -> Result<(), StoreError> {
        self.write_events()?;
        self.write_orders()?;
        self.write_items()?;
        self.write_subjects()?;
        self.write_counters()
    }

    /// Events are many and small, so several go into one statement.
    fn write_events(&mut self) -> Result<(), StoreError> {
        let Overlay { events, data, .. } = &self.overlay;
        let positions = self.memory.position + 1..;
        let events: Vec<EventRow<'_>> =
            positions.zip(events.iter().zip(data)).map(|(position, (entry, data))| (position, entry, data)).collect();
        let mut groups = events.chunks_exact(EVENTS_AT_ONCE);
        for group in groups.by_ref() {
            write_group(&mut self.sql.insert_events, group, &self.shared.types)?;
        }
        for event in groups.remainder() {
            write_group(&mut self.sql.insert_event, std::slice::from_ref(event), &self.shared.types)?;
        }
        Ok(())
    }

    fn write_orders(&mut self) -> Result<(), StoreError> {
        // In the order of ids: neighbours are written to the same page.
        let mut changed: Vec<(&OrderId, &StagedOrder)> = self
            .overlay
            .orders
            .iter()
            .filter_map(|(id, staged)| Some((id, staged.as_ref().filter(|staged| staged.changed)?)))
            .collect();
        changed.sort_unstable_by_key(|(id, _)| **id);
        let mut newest = self.memory.known.newest();
        let mut closed = Vec::new();
        let mut totals = Totals::default();
        for (id, staged) in changed {
            if write_order(self.sql, staged)? == Written::ToRest {
                closed.push((*id, staged.order.placement.customer_id.clone()));
            }
            count(&mut totals, staged);
            newest = newest.max(*id);
        }
        self.overlay.totals = totals;
        self.overlay.customers = self.index_customers(&closed, newest)?;
        Ok(())
    }

    fn write_items(&mut self) -> Result<(), StoreError> {
        for (id, staged) in &mut self.overlay.items {
            if staged.product_changed
                && let Some(product) = &staged.item.product
            {
                self.sql.put_product.execute((
                    id.as_str(),
                    &product.name,
                    product.price.amount_minor,
                    product.price.currency.code(),
                    &product.description,
                    product.active,
                    product.version,
                    staged.item.events,
                    product.deleted,
                ))?;
            }
            if staged.stock_changed
                && let Some(level) = &staged.item.stock
            {
                let (available, reserved, sold) = (level.available, level.reserved, level.sold);
                let version = int(level.version);
                let written = if staged.item.slot == 0 {
                    self.stock_slot += 1;
                    staged.item.slot = self.stock_slot;
                    let slot = staged.item.slot;
                    self.sql.insert_stock.execute((slot, id.as_str(), available, reserved, sold, version))?
                } else {
                    self.sql.update_stock.execute((staged.item.slot, available, reserved, sold, version))?
                };
                one_row(written)?;
            }
        }
        Ok(())
    }

    fn write_counters(&mut self) -> Result<(), StoreError> {
        let difference = self.overlay.totals;
        if difference != Totals::default() {
            let mut totals = *self.shared.totals.lock();
            totals.merge(&difference);
            for status in Status::ALL.into_iter().filter(|status| difference.of(*status) != 0) {
                self.sql.put_counter.execute((totals::counter(status), totals.of(status)))?;
            }
            if difference.attention != 0 {
                self.sql.put_counter.execute((totals::ATTENTION, totals.attention))?;
            }
        }
        let committed_end = *self.shared.mailbox_end.lock();
        if let Some(end) = self.overlay.mailbox_end.filter(|end| Some(*end) > committed_end) {
            self.sql.put_counter.execute(("mailbox_end", int(end)))?;
        }
        Ok(())
    }
}

/// Position, what is in memory of it, and the rest.
type EventRow<'a> = (u64, &'a Entry, &'a EventData);

fn write_group(statement: &mut Statement<'_>, group: &[EventRow<'_>], types: &Types) -> Result<(), StoreError> {
    let mut next = 0;
    let mut bind = |value: &dyn ToSql| {
        next += 1;
        statement.raw_bind_parameter(next, value)
    };
    for (position, entry, event) in group {
        bind(&int(*position))?;
        bind(&subject_column(&entry.subject))?;
        bind(&entry.version)?;
        bind(&types.code(entry.kind))?;
        bind(&micros(entry.at))?;
        bind(&event.cause)?;
        bind(&event.data)?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// Since when an order at rest is in a state whose length is watched, and not reported yet.
pub(in super::super) fn watched(order: &Order) -> Option<Timestamp> {
    let watched = matches!(order.status, Status::Confirmed | Status::Shipped) && order.overdue != Some(order.status);
    watched.then_some(order.status_since)
}

/// What writing an order's row did.
#[derive(Debug, PartialEq, Eq)]
enum Written {
    /// The order has come to rest.
    ToRest,
    /// It is where it was, or open again.
    InPlace,
}

fn write_order(sql: &mut Statements<'_>, staged: &StagedOrder) -> Result<Written, StoreError> {
    let order = &*staged.order;
    let (id, status) = (order.id.as_bytes(), status_code(order.status));
    let (attention, version, trail) = (order.attention.is_some(), order.version, staged.trail.as_bytes());
    let customer = order.placement.customer_id.as_str();
    let (open, placed) = (order.is_open(), int(staged.trail.placed()));
    let mut done = Written::InPlace;
    let written = match staged.before {
        Some(before) if before.open && open => sql.update_open.execute((placed, status, attention, version, trail))?,
        Some(before) if !before.open && !open && is_same_in_lists(before, order) => {
            sql.extend_closed.execute((id, version, trail))?
        }
        Some(before) if !before.open && !open => {
            let watched = watched(order).map(micros);
            sql.update_closed.execute((id, status, attention, version, trail, watched))?
        }
        before => {
            let deleted = match before {
                Some(before) if before.open => sql.delete_open.execute([placed])?,
                Some(_) => sql.delete_closed.execute([id])?,
                None => 1,
            };
            if open {
                sql.insert_open.execute((placed, id, customer, status, attention, version, trail))?;
            } else {
                let watched = watched(order).map(micros);
                sql.insert_closed.execute((id, customer, status, attention, version, trail, watched))?;
                done = Written::ToRest;
            }
            deleted
        }
    };
    one_row(written)?;
    Ok(done)
}

/// Memory and database are one: where they are not, nothing may be committed.
pub(super) const fn one_row(written: usize) -> Result<(), rusqlite::Error> {
    if written == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(written)) }
}

fn is_same_in_lists(before: Before, order: &Order) -> bool {
    before.status == order.status && before.attention == order.attention.is_some() && before.overdue == order.overdue
}

fn count(totals: &mut Totals, staged: &StagedOrder) {
    totals.count(&staged.order, 1);
    if let Some(before) = staged.before {
        totals.add(before.status, -1);
        totals.attention -= i64::from(before.attention);
    }
}
