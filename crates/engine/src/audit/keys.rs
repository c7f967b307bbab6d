//! Order references and idempotency keys.

use ordermill_core::event::Subject;
use ordermill_core::idempotency::Answer;
use ordermill_core::invariant::Invariant;
use ordermill_ports::audit::{AuditError, LedgerSnapshot};

use super::books::Books;
use super::records::RecordBook;
use super::report::{Finding, Phase, Report};
use super::stock::StockBook;

/// A reference leads to the order that carries it, every reference that is carried leads somewhere, and a key leads to what its
/// answer names.
pub(super) fn check(
    snapshot: &mut dyn LedgerSnapshot,
    books: &mut Books,
    stock: &StockBook,
    records: &RecordBook,
    report: &mut Report<'_>,
) -> Result<(), AuditError> {
    report.begin(Phase::Keys, None);
    snapshot.each_order_ref(&mut |order_ref, id| {
        report.step();
        report.totals.order_refs += 1;
        match books.find(id) {
            None => {
                let detail = format!("the reference {order_ref} leads to it, but there is no such order");
                report.of_order(Invariant::KeysLeadToOrders, id, &detail);
            }
            Some(place) => {
                if books.is_comparable(id) && !books.take_ref(place, &order_ref) {
                    let detail = format!("the reference {order_ref} leads to it, but the order does not carry it");
                    report.of_order(Invariant::KeysLeadToOrders, id, &detail);
                }
            }
        }
        Ok(())
    })?;
    for place in books.places() {
        if books.has_untaken_ref(place) {
            let detail = "nothing leads from its reference to it";
            report.of_order(Invariant::KeysLeadToOrders, books.id(place), detail);
        }
    }
    snapshot.each_key(&mut |key, record| {
        report.step();
        report.totals.idempotency_keys += 1;
        match record.answer {
            Answer::Order(id) if books.find(id).is_none() => {
                let detail = format!("the idempotency key {key} leads to it, but there is no such order");
                report.of_order(Invariant::KeysLeadToOrders, id, &detail);
            }
            Answer::Stock(level) if !stock.knows(&level.product_id) => {
                let detail = format!("the idempotency key {key} leads to it, but there is no such product");
                report.find(Finding::of_product(Invariant::KeysLeadToOrders, &level.product_id, &detail));
            }
            Answer::Record(id) if !records.knows(id) => {
                let detail = format!("the idempotency key {key} leads to it, but there is no such record");
                report.find(Finding::about(Invariant::KeysLeadToOrders, &Subject::Record(id), &detail));
            }
            Answer::Order(_) | Answer::Stock(_) | Answer::Record(_) => {}
        }
        Ok(())
    })
}
