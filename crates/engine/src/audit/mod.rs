//! The auditor behind `ordermill doctor`: recomputes everything from the events, and compares.
//!
//! It reads stored records as they are ([`ordermill_ports::audit`]) and shares no code with what wrote them but the pure folds
//! of the core. What must hold is [`Invariant`]; every finding names the rule that is broken.
//!
//! **On a ledger that is being written.** One snapshot, a single moment, is judged by itself. The outside stores are read after
//! it, so whatever the snapshot says was done must be found there. The other way round they may have gone on: an entry that the
//! snapshot does not account for is held back and judged again by a second snapshot, taken after the entry was read. As the
//! ledger knows of every call before it is made, an entry unknown to that one too is a finding. So there are no false alarms, and
//! the auditor need not know whether anybody writes.
//!
//! The first snapshot is held open while the orders are read, and a backend may have to keep what is overwritten meanwhile (SQLite:
//! its log grows until then), so an audit of millions of orders is for a quiet hour or a stopped ledger.
//!
//! **What is told once.** An order whose own records contradict each other is reported for that alone: what the outside stores
//! should hold for it cannot be told from such records.
//!
//! Memory: about 64 bytes for an order with two payment operations and one mail, 24 for a record of the queue, and a little for each
//! product.

mod archive;
mod books;
mod customers;
mod history;
mod keys;
mod mails;
mod orders;
mod parcels;
mod provider;
mod recheck;
mod records;
mod report;
mod stock;
mod totals;

use std::time::Duration;

use ordermill_core::invariant::Invariant;
use ordermill_ports::audit::{AuditError, LedgerSnapshot, ProviderEntry, StoredMail};

use archive::ArchiveCheck;
use books::Books;
use recheck::Suspects;
use records::{RecordBook, RecordCheck};
use report::Report;
pub use report::{Finding, Phase, Progress};
use stock::StockBook;
pub use totals::{MoneyTotals, StockSum, Totals};

/// Takes records one at a time, and stops the reading with an `Err`.
pub type Visit<'a, T> = dyn FnMut(T) -> Result<(), AuditError> + 'a;

/// Opens one consistent moment of the ledger. Called again for a second look.
pub type OpenLedger<'a> = Box<dyn FnMut() -> Result<Box<dyn LedgerSnapshot>, AuditError> + 'a>;

/// Reads the payment provider's journal from its beginning.
pub type ReadProvider<'a> = Box<dyn FnMut(&mut Visit<'_, ProviderEntry>) -> Result<(), AuditError> + 'a>;

/// Reads the mail store; told where the committed mails end in the mail file, in bytes, where there is one.
pub type ReadMails<'a> = Box<dyn FnMut(Option<u64>, &mut Visit<'_, StoredMail>) -> Result<(), AuditError> + 'a>;

/// Reads objects by key, in the order of the keys; `None` where there is none.
pub type ReadObjects<'a> = Box<dyn FnMut(&[String]) -> Result<Vec<Option<Vec<u8>>>, AuditError> + 'a>;

/// Gives the keys of all objects below a prefix, in no promised order.
pub type ListObjects<'a> = Box<dyn FnMut(&str, &mut Visit<'_, String>) -> Result<(), AuditError> + 'a>;

/// The objects that records lie in.
pub struct RecordStore<'a> {
    /// Reads them.
    pub read: ReadObjects<'a>,
    /// Lists them.
    pub list: ListObjects<'a>,
}

/// What is audited. A store that is `None` cannot be read from here; it is not compared, and the totals say so.
pub struct Parts<'a> {
    /// The ledger.
    pub ledger: OpenLedger<'a>,
    /// The payment provider.
    pub provider: Option<ReadProvider<'a>>,
    /// The mail store.
    pub mails: Option<ReadMails<'a>>,
    /// The archive.
    pub archive: Option<ReadObjects<'a>>,
    /// The objects of records.
    pub records: Option<RecordStore<'a>>,
}

/// Before the second look: time for a backend whose reads trail its commits.
const SETTLE: Duration = Duration::from_millis(200);

/// Audits everything. Blocks; meant for a thread of its own. Findings come as they are found.
///
/// # Errors
/// [`AuditError`] when something could not be read; what was found until then has been handed over.
pub fn run(
    parts: &mut Parts<'_>,
    on_progress: &mut dyn FnMut(Progress),
    on_finding: &mut dyn FnMut(&Finding),
) -> Result<Totals, AuditError> {
    let mut report = Report::new(on_progress, on_finding);
    let mut suspects = Suspects::default();
    let mut snapshot = (parts.ledger)()?;
    report.begin(Phase::Storage, None);
    for problem in snapshot.storage_problems()? {
        report.find(Finding::new(Invariant::StorageIntact, problem));
    }
    let mailbox_end = snapshot.mailbox_end()?;
    let (mut books, records) = read_ledger(snapshot.as_mut(), parts, &mut report, &mut suspects)?;
    for unread in snapshot.passed_over() {
        report.find(Finding::new(Invariant::StorageIntact, unread));
    }
    // The outside stores take long to read, and a ledger cannot tidy up behind a snapshot that is held open.
    drop(snapshot);
    match parts.provider.as_mut() {
        Some(read) => provider::compare(read, &mut books, &mut report, &mut suspects)?,
        None => report.totals.not_compared.push("provider"),
    }
    match parts.mails.as_mut() {
        Some(read) => mails::compare(read, mailbox_end, &mut books, &mut report, &mut suspects)?,
        None => report.totals.not_compared.push("mails"),
    }
    if parts.archive.is_none() {
        report.totals.not_compared.push("archive");
    }
    match parts.records.as_mut() {
        Some(store) => records::compare_objects(&mut store.list, &records, &mut report, &mut suspects)?,
        None => report.totals.not_compared.push("records"),
    }
    if !suspects.is_empty() {
        std::thread::sleep(SETTLE);
        recheck::run(parts, suspects, &books, &mut report)?;
    }
    Ok(report.totals)
}

/// Judges what the ledger holds by itself, and the objects it names beside it, as only here everything is at hand with its events.
fn read_ledger(
    snapshot: &mut dyn LedgerSnapshot,
    parts: &mut Parts<'_>,
    report: &mut Report<'_>,
    suspects: &mut Suspects,
) -> Result<(Books, RecordBook), AuditError> {
    let mut stock = StockBook::default();
    let mut books = read_orders(snapshot, parts.archive.as_mut(), &mut stock, report, suspects)?;
    report.begin(Phase::Products, None);
    snapshot.each_product(&mut |history| {
        report.step();
        stock.check(&history, report);
        Ok(())
    })?;
    stock.finish(report);
    report.begin(Phase::Customers, None);
    snapshot.each_customer(&mut |history| {
        report.step();
        customers::check(&history, report);
        Ok(())
    })?;
    report.begin(Phase::Parcels, None);
    snapshot.each_parcel(&mut |history| {
        report.step();
        parcels::check(&history, report);
        Ok(())
    })?;
    report.begin(Phase::Records, None);
    let mut records = RecordCheck::new(parts.records.as_mut().map(|store| &mut store.read));
    snapshot.each_record(&mut |history| {
        report.step();
        records.add(&history, report)
    })?;
    let records = records.finish(report)?;
    keys::check(snapshot, &mut books, &stock, &records, report)?;
    Ok((books, records))
}

fn read_orders(
    snapshot: &mut dyn LedgerSnapshot,
    read_objects: Option<&mut ReadObjects<'_>>,
    stock: &mut StockBook,
    report: &mut Report<'_>,
    suspects: &mut Suspects,
) -> Result<Books, AuditError> {
    let total = snapshot.order_count()?;
    let mut books = Books::with_capacity(total);
    let mut archive = ArchiveCheck::new(read_objects);
    report.begin(Phase::Orders, Some(total));
    snapshot.each_order(&mut |history| {
        report.step();
        let judged = orders::judge(&history, report);
        stock.add(&judged, &history);
        books.add(&judged, &history)?;
        match judged.order {
            Some(order) if judged.comparable => archive.add(&order, history, report, suspects),
            _ => Ok(()),
        }
    })?;
    archive.finish(report, suspects)?;
    Ok(books)
}
