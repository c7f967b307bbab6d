//! The second look: what the first snapshot could not account for, against a snapshot that is newer than what was read outside.

use std::collections::BTreeSet;

use ordermill_core::id::{OrderId, RecordId};
use ordermill_core::invariant::Invariant;
use ordermill_ports::audit::{AuditError, OrderHistory, ProviderEntry};

use super::archive::SuspectObject;
use super::books::{Books, ExpectedOperation, expected_mails, expected_operations};
use super::mails::{MailName, report_unknown as report_unknown_mail};
use super::provider::{Accounted, account_for, contradiction, report_unknown as report_unknown_entry};
use super::records::report_unknown as report_unknown_object;
use super::report::{Phase, Report};
use super::{OpenLedger, Parts, ReadObjects, archive, orders};

/// Orders of which the objects are held in memory at once.
const OBJECTS_AT_ONCE: usize = 1_024;

/// What looked wrong at first sight.
#[derive(Default)]
pub(super) struct Suspects {
    /// Entries of the provider's journal that the ledger does not account for.
    pub(super) provider: Vec<ProviderEntry>,
    /// Mails that the ledger does not account for.
    pub(super) mails: Vec<MailName>,
    /// Objects that differ.
    pub(super) archive: Vec<SuspectObject>,
    /// Objects of records that the ledger does not have, with their keys.
    pub(super) records: Vec<(RecordId, String)>,
}

impl Suspects {
    pub(super) const fn is_empty(&self) -> bool {
        self.count() == 0
    }

    const fn count(&self) -> usize {
        self.provider.len() + self.mails.len() + self.archive.len() + self.records.len()
    }
}

/// Looks again, and reports what is still wrong.
pub(super) fn run(
    parts: &mut Parts<'_>,
    mut suspects: Suspects,
    books: &Books,
    report: &mut Report<'_>,
) -> Result<(), AuditError> {
    report.begin(Phase::SecondLook, Some(suspects.count() as u64));
    // Stable sorts: entries of one order stay as the journal has them.
    suspects.provider.sort_by_key(|entry| entry.key.order_id);
    suspects.mails.sort_by_key(|name| name.order_id);
    suspects.archive.sort_by_key(|object| object.order_id);
    if !suspects.provider.is_empty() || !suspects.mails.is_empty() {
        look_at_ledger(&mut parts.ledger, &suspects, books, report)?;
    }
    if let Some(read) = parts.archive.as_mut() {
        for objects in suspects.archive.chunks(OBJECTS_AT_ONCE) {
            look_at_objects(&mut parts.ledger, read, objects, report)?;
        }
    }
    if !suspects.records.is_empty() {
        look_for_records(&mut parts.ledger, &suspects.records, report)?;
    }
    Ok(())
}

fn look_at_ledger(
    open: &mut OpenLedger<'_>,
    suspects: &Suspects,
    books: &Books,
    report: &mut Report<'_>,
) -> Result<(), AuditError> {
    let of_entries = suspects.provider.iter().map(|entry| entry.key.order_id);
    let of_mails = suspects.mails.iter().map(|name| name.order_id);
    let mut missing: BTreeSet<OrderId> = of_entries.chain(of_mails).collect();
    let ids: Vec<OrderId> = missing.iter().copied().collect();
    open()?.each_order_of(&ids, &mut |history| {
        missing.remove(&history.id);
        let entries = of_order(&suspects.provider, history.id, |entry| entry.key.order_id);
        let mails = of_order(&suspects.mails, history.id, |name| name.order_id);
        look_at_order(&history, entries, mails, books, report);
        Ok(())
    })?;
    for id in missing {
        for entry in of_order(&suspects.provider, id, |entry| entry.key.order_id) {
            report_unknown_entry(entry, false, report);
        }
        for name in of_order(&suspects.mails, id, |name| name.order_id) {
            report_unknown_mail(*name, false, report);
        }
    }
    Ok(())
}

/// The run of records of one order among records sorted by order.
fn of_order<T>(records: &[T], id: OrderId, order_of: impl Fn(&T) -> OrderId) -> &[T] {
    let begin = records.partition_point(|record| order_of(record) < id);
    let length = records[begin..].partition_point(|record| order_of(record) == id);
    &records[begin..begin + length]
}

fn look_at_order(
    history: &OrderHistory,
    entries: &[ProviderEntry],
    mails: &[MailName],
    books: &Books,
    report: &mut Report<'_>,
) {
    let id = history.id;
    let Some(order) = orders::fold(history) else {
        report.of_order(Invariant::OrderMatchesEvents, id, "its events do not begin with order.placed");
        return;
    };
    let before: &[ExpectedOperation] = books.find(id).map_or(&[], |place| books.operations(place));
    let mut operations = expected_operations(&order, history);
    for operation in &mut operations {
        operation.seen = before.iter().any(|seen| seen.seen && seen.key(id) == operation.key(id));
    }
    for entry in entries.iter().filter(|entry| entry.succeeded) {
        report.step();
        match account_for(&mut operations, entry) {
            Accounted::Agrees => {}
            Accounted::Differs(detail) => report.of_order(Invariant::ProviderAgrees, id, &detail),
            Accounted::Unknown => report_unknown_entry(entry, true, report),
        }
    }
    if let Some(detail) = contradiction(&operations).filter(|_| contradiction(before).is_none()) {
        report.of_order(Invariant::ProviderAgrees, id, detail);
    }
    let mut expected: Vec<_> = expected_mails(&order).collect();
    for name in mails {
        report.step();
        if name.find_in(&mut expected).is_none() {
            report_unknown_mail(*name, true, report);
        }
    }
}

/// Reads the objects again before the ledger, which therefore has every event that they hold.
fn look_at_objects(
    open: &mut OpenLedger<'_>,
    read: &mut ReadObjects<'_>,
    suspects: &[SuspectObject],
    report: &mut Report<'_>,
) -> Result<(), AuditError> {
    let keys: Vec<String> = suspects.iter().map(|suspect| suspect.key.clone()).collect();
    let objects = read(&keys)?;
    let ids: Vec<OrderId> = suspects.iter().map(|suspect| suspect.order_id).collect();
    open()?.each_order_of(&ids, &mut |history| {
        report.step();
        let Ok(index) = ids.binary_search(&history.id) else {
            return Ok(());
        };
        let object = objects.get(index).and_then(Option::as_deref);
        if let Err(detail) = archive::compare(history.id, &history.events, suspects[index].archived, object) {
            report.of_order(Invariant::ArchiveAgrees, history.id, &detail);
        }
        Ok(())
    })
}

/// A record is in the ledger before its object is written, so a newer snapshot has the record of every object that was found.
fn look_for_records(
    open: &mut OpenLedger<'_>,
    objects: &[(RecordId, String)],
    report: &mut Report<'_>,
) -> Result<(), AuditError> {
    let mut missing: BTreeSet<RecordId> = objects.iter().map(|(id, _)| *id).collect();
    open()?.each_record(&mut |history| {
        missing.remove(&history.id);
        Ok(())
    })?;
    for (id, key) in objects {
        report.step();
        if missing.contains(id) {
            report_unknown_object(*id, key, report);
        }
    }
    Ok(())
}
