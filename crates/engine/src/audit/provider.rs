//! The payment provider's journal against what the ledger says the provider did.

use ordermill_core::invariant::Invariant;
use ordermill_core::payment::OperationKind;
use ordermill_ports::audit::{AuditError, ProviderEntry};

use super::ReadProvider;
use super::books::{Books, Expected, ExpectedOperation};
use super::recheck::Suspects;
use super::report::{Phase, Report};

/// Every operation that was done is in the journal once, with its amount; whatever else is in there, an open operation asked for.
pub(super) fn compare(
    read: &mut ReadProvider<'_>,
    books: &mut Books,
    report: &mut Report<'_>,
    suspects: &mut Suspects,
) -> Result<(), AuditError> {
    report.begin(Phase::Provider, None);
    read(&mut |entry| {
        report.step();
        report.totals.provider_entries += 1;
        let id = entry.key.order_id;
        let Some(place) = books.find(id) else {
            suspects.provider.push(entry);
            return Ok(());
        };
        // What the provider refused moved no money.
        if entry.succeeded && books.is_comparable(id) {
            match account_for(books.operations_mut(place), &entry) {
                Accounted::Agrees => {}
                Accounted::Differs(detail) => report.of_order(Invariant::ProviderAgrees, id, &detail),
                Accounted::Unknown => suspects.provider.push(entry),
            }
        }
        Ok(())
    })?;
    for place in books.places() {
        let (id, operations) = (books.id(place), books.operations(place));
        for operation in operations.iter().filter(|operation| operation.expected == Expected::Done && !operation.seen) {
            let detail = format!("{} is done by its events, but the provider does not know it", operation.key(id));
            report.of_order(Invariant::ProviderAgrees, id, &detail);
        }
        if let Some(detail) = contradiction(operations) {
            report.of_order(Invariant::ProviderAgrees, id, detail);
        }
    }
    Ok(())
}

/// What the books say of an entry of something that succeeded.
pub(super) enum Accounted {
    /// It is in the books with its amount.
    Agrees,
    /// It is in the books, but not like this.
    Differs(String),
    /// It is not in the books.
    Unknown,
}

/// Finds an entry among the operations of its order, and marks it as seen.
pub(super) fn account_for(operations: &mut [ExpectedOperation], entry: &ProviderEntry) -> Accounted {
    let key = entry.key;
    let Some(operation) = operations.iter_mut().find(|operation| operation.key(key.order_id) == key) else {
        return Accounted::Unknown;
    };
    if operation.seen {
        return Accounted::Differs(format!("{key} is in the provider's journal more than once"));
    }
    operation.seen = true;
    if operation.amount_minor == entry.amount_minor {
        return Accounted::Agrees;
    }
    let (ours, theirs) = (operation.amount_minor, entry.amount_minor);
    Accounted::Differs(format!("{key} is over {ours} by its events and over {theirs} by the provider's journal"))
}

/// What the journal says of one order and cannot be at once.
pub(super) fn contradiction(operations: &[ExpectedOperation]) -> Option<&'static str> {
    let sum = |kind| {
        let seen = operations.iter().filter(|operation| operation.seen && operation.kind == kind);
        seen.fold(None, |sum: Option<i128>, operation| Some(sum.unwrap_or(0) + i128::from(operation.amount_minor)))
    };
    let captured = sum(OperationKind::Capture);
    match (captured, sum(OperationKind::Void), sum(OperationKind::Refund)) {
        (Some(_), Some(_), _) => Some("the provider has kept its authorization and called it off"),
        (Some(captured), None, Some(refunded)) if refunded > captured => {
            Some("the provider has given more back than it took")
        }
        _ => None,
    }
}

/// An entry that the second look could not explain either.
pub(super) fn report_unknown(entry: &ProviderEntry, order_exists: bool, report: &mut Report<'_>) {
    let did = if entry.succeeded { "carried out" } else { "refused" };
    let but = if order_exists { "its events do not say so" } else { "there is no such order" };
    let detail = format!("the provider {did} {} over {}, but {but}", entry.key, entry.amount_minor);
    report.of_order(Invariant::ProviderAgrees, entry.key.order_id, &detail);
}
