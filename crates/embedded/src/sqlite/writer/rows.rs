//! Writes what the overlay holds into rows: each once, however often it changed in this commit, and several with one statement.

use ordermill_core::Timestamp;
use ordermill_core::id::OrderId;
use ordermill_core::order::{Order, Status};
use rusqlite::{Statement, ToSql};

use super::super::codec::{answer_column, int, micros, status_code, subject_column};
use super::super::error::StoreError;
use super::super::feed::Entry;
use super::super::totals::{self, Totals};
use super::batch::Batch;
use super::overlay::{Before, EventData, Overlay, StagedOrder};
use super::statements::{ROWS_AT_ONCE, Statements};

impl Batch<'_, '_> {
    /// Writes events, and the rows of everything they are about.
    pub(super) fn write_rows(&mut self) -> Result<(), StoreError> {
        self.write_events()?;
        self.write_orders()?;
        self.write_keys()?;
        self.write_items()?;
        self.write_subjects()?;
        self.write_counters()
    }

    fn write_events(&mut self) -> Result<(), StoreError> {
        let Overlay { events, data, .. } = &self.overlay;
        let positions = self.memory.position + 1..;
        let events: Vec<EventRow<'_>> =
            positions.zip(events.iter().zip(data)).map(|(position, (entry, data))| (position, entry, data)).collect();
        let types = &self.shared.types;
        write_grouped(
            &mut self.sql.insert_event,
            &mut self.sql.insert_events,
            &events,
            |(position, entry, event), row| {
                row.bind(int(*position))?;
                row.bind(subject_column(&entry.subject))?;
                row.bind(entry.version)?;
                row.bind(types.code(entry.kind))?;
                row.bind(micros(entry.at))?;
                row.bind(event.cause)?;
                row.bind(&event.data)
            },
        )
        .and_then(|written| all_rows(written, events.len()))
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
        let mut rows = OrderRows::default();
        let mut totals = Totals::default();
        for (id, staged) in changed {
            rows.add(self.sql, staged)?;
            count(&mut totals, staged);
            newest = newest.max(*id);
        }
        rows.write(self.sql)?;
        let closed: Vec<_> =
            rows.closed.iter().map(|staged| (staged.order.id, staged.order.placement.customer_id.clone())).collect();
        self.overlay.totals = totals;
        self.overlay.customers = self.index_customers(&closed, newest)?;
        Ok(())
    }

    /// Keys are stored when everything is decided: until then the overlay answers for them.
    fn write_keys(&mut self) -> Result<(), StoreError> {
        let Overlay { keys, new_keys, .. } = &self.overlay;
        let records: Vec<_> = new_keys.iter().filter_map(|(key, row)| Some((key, *row, keys.get(key)?))).collect();
        write_grouped(&mut self.sql.insert_key, &mut self.sql.insert_keys, &records, |(key, number, record), row| {
            row.bind(*number)?;
            row.bind(key.as_str())?;
            row.bind(record.fingerprint.0)?;
            row.bind(answer_column(&record.answer)?)?;
            row.bind(micros(record.expires_at))
        })
        .and_then(|written| all_rows(written, new_keys.len()))
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

/// The parameters of one statement, bound one after the other.
pub(super) struct RowBinder<'s, 'conn> {
    statement: &'s mut Statement<'conn>,
    bound: usize,
}

impl RowBinder<'_, '_> {
    /// Binds the next parameter.
    pub(super) fn bind(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.bound += 1;
        self.statement.raw_bind_parameter(self.bound, value)
    }
}

/// Writes rows, as many as possible [`ROWS_AT_ONCE`] at a time. Gives how many were written.
pub(super) fn write_grouped<T>(
    one: &mut Statement<'_>,
    many: &mut Statement<'_>,
    rows: &[T],
    bind: impl Fn(&T, &mut RowBinder<'_, '_>) -> rusqlite::Result<()>,
) -> Result<usize, StoreError> {
    let mut written = 0;
    let mut groups = rows.chunks_exact(ROWS_AT_ONCE);
    let mut write = |statement: &mut Statement<'_>, group: &[T]| -> rusqlite::Result<()> {
        let mut row = RowBinder { statement, bound: 0 };
        group.iter().try_for_each(|one| bind(one, &mut row))?;
        written += row.statement.raw_execute()?;
        Ok(())
    };
    groups.by_ref().try_for_each(|group| write(many, group))?;
    groups.remainder().chunks(1).try_for_each(|group| write(one, group))?;
    Ok(written)
}

/// Since when an order at rest is in a state whose length is watched, and not reported yet.
pub(in super::super) fn watched(order: &Order) -> Option<Timestamp> {
    let watched = matches!(order.status, Status::Confirmed | Status::Shipped) && order.overdue != Some(order.status);
    watched.then_some(order.status_since)
}

/// What becomes of the rows of the orders that a commit changes.
#[derive(Default)]
struct OrderRows<'a> {
    /// Open from now on, or still.
    open: Vec<&'a StagedOrder>,
    /// The keys of rows of orders that were open.
    no_longer_open: Vec<i64>,
    /// Come to rest.
    closed: Vec<&'a StagedOrder>,
}

impl<'a> OrderRows<'a> {
    /// Takes an order in. What is seldom, a change of an order at rest, is written at once.
    fn add(&mut self, sql: &mut Statements<'_>, staged: &'a StagedOrder) -> Result<(), StoreError> {
        let order = &*staged.order;
        let (id, trail) = (order.id.as_bytes(), staged.trail.as_bytes());
        match staged.before {
            Some(before) if before.open && !order.is_open() => {
                self.no_longer_open.push(int(staged.trail.placed()));
                self.closed.push(staged);
            }
            Some(before) if before.open => self.open.push(staged),
            Some(_) if order.is_open() => {
                one_row(sql.delete_closed.execute([id])?)?;
                self.open.push(staged);
            }
            Some(before) if is_same_in_lists(before, order) => {
                one_row(sql.extend_closed.execute((id, order.version, trail))?)?;
            }
            Some(_) => {
                let (status, attention) = (status_code(order.status), order.attention.is_some());
                let watched = watched(order).map(micros);
                one_row(sql.update_closed.execute((id, status, attention, order.version, trail, watched))?)?;
            }
            None if order.is_open() => self.open.push(staged),
            None => self.closed.push(staged),
        }
        Ok(())
    }

    fn write(&self, sql: &mut Statements<'_>) -> Result<(), StoreError> {
        let gone = &self.no_longer_open;
        let deleted = write_grouped(&mut sql.delete_open, &mut sql.delete_opens, gone, |key, row| row.bind(*key))?;
        all_rows(deleted, gone.len())?;
        let put = write_grouped(&mut sql.put_open, &mut sql.put_opens, &self.open, |staged, row| {
            row.bind(int(staged.trail.placed()))?;
            bind_order(staged, row)
        })?;
        all_rows(put, self.open.len())?;
        let inserted = write_grouped(&mut sql.insert_closed, &mut sql.insert_closeds, &self.closed, |staged, row| {
            bind_order(staged, row)?;
            row.bind(watched(&staged.order).map(micros))
        })?;
        all_rows(inserted, self.closed.len())
    }
}

/// What open and closed orders have in common: id, customer, status, attention, version, trail.
fn bind_order(staged: &StagedOrder, row: &mut RowBinder<'_, '_>) -> rusqlite::Result<()> {
    let order = &*staged.order;
    row.bind(order.id.as_bytes())?;
    row.bind(order.placement.customer_id.as_str())?;
    row.bind(status_code(order.status))?;
    row.bind(order.attention.is_some())?;
    row.bind(order.version)?;
    row.bind(staged.trail.as_bytes())
}

/// Memory and database are one: where they are not, nothing may be committed.
fn all_rows(written: usize, expected: usize) -> Result<(), StoreError> {
    if written == expected { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(written).into()) }
}

pub(super) fn one_row(written: usize) -> Result<(), StoreError> {
    all_rows(written, 1)
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
