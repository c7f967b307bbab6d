//! What the audit says while it runs.

use std::fmt::Display;

use ordermill_core::event::Subject;
use ordermill_core::id::{CustomerId, OrderId, ParcelId, ProductId, RecordId};
use ordermill_core::invariant::{Invariant, Violation};
use serde::{Serialize, Serializer};

use super::totals::Totals;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule.
    #[serde(serialize_with = "name_of")]
    pub invariant: Invariant,
    /// The order it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The product it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<ProductId>,
    /// The customer it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// The parcel it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parcel_id: Option<ParcelId>,
    /// The record it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<RecordId>,
    /// What was found; names what it is about.
    pub detail: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn name_of<S: Serializer>(invariant: &Invariant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(invariant.as_str())
}

impl Finding {
    /// A finding about the whole.
    #[must_use]
    pub const fn new(invariant: Invariant, detail: String) -> Self {
        Self {
            invariant,
            order_id: None,
            product_id: None,
            customer_id: None,
            parcel_id: None,
            record_id: None,
            detail,
        }
    }

    /// A finding about one order, product, customer, parcel or record; its kind and id go before the detail.
    #[must_use]
    pub fn about(invariant: Invariant, subject: &Subject, detail: &str) -> Self {
        let kind = subject.kind().as_str();
        let named = |id: &dyn Display| Self::new(invariant, format!("{kind} {id}: {detail}"));
        match subject {
            Subject::Order(id) => Self { order_id: Some(*id), ..named(id) },
            Subject::Product(id) => Self { product_id: Some(id.clone()), ..named(id) },
            Subject::Customer(id) => Self { customer_id: Some(id.clone()), ..named(id) },
            Subject::Parcel(id) => Self { parcel_id: Some(id.clone()), ..named(id) },
            Subject::Record(id) => Self { record_id: Some(*id), ..named(id) },
        }
    }

    /// A finding about one order; its id goes before the detail.
    #[must_use]
    pub fn of_order(invariant: Invariant, order_id: OrderId, detail: &str) -> Self {
        Self::about(invariant, &Subject::Order(order_id), detail)
    }

    /// A finding about one product; its id goes before the detail.
    #[must_use]
    pub fn of_product(invariant: Invariant, product_id: &ProductId, detail: &str) -> Self {
        Self::about(invariant, &Subject::Product(product_id.clone()), detail)
    }

    /// What the core found in an order by itself.
    pub(super) fn of_violation(order_id: OrderId, violation: Violation) -> Self {
        let Violation { invariant, detail } = violation;
        Self { order_id: Some(order_id), ..Self::new(invariant, detail) }
    }
}

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The files of the ledger, by its storage's own check.
    Storage,
    /// Orders, their events, and their objects in the archive.
    Orders,
    /// Products and stock.
    Products,
    /// Customers.
    Customers,
    /// Parcels.
    Parcels,
    /// Records, and the objects of those that were stored.
    Records,
    /// Order references and idempotency keys.
    Keys,
    /// The payment provider's journal.
    Provider,
    /// The mail store.
    Mails,
    /// The objects that records lie in.
    RecordObjects,
    /// What looked wrong, a second time.
    SecondLook,
}

/// How far the audit is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is being read.
    pub phase: Phase,
    /// Records read in this phase.
    pub done: u64,
    /// Records of this phase in all, where that is known before.
    pub total: Option<u64>,
}

/// Records between two words on the progress.
const PROGRESS_EVERY: u64 = 1_024;

/// Collects totals, and hands findings and progress on.
pub(super) struct Report<'a> {
    pub(super) totals: Totals,
    progress: Progress,
    on_progress: &'a mut dyn FnMut(Progress),
    on_finding: &'a mut dyn FnMut(&Finding),
}

impl<'a> Report<'a> {
    pub(super) fn new(on_progress: &'a mut dyn FnMut(Progress), on_finding: &'a mut dyn FnMut(&Finding)) -> Self {
        let progress = Progress { phase: Phase::Storage, done: 0, total: None };
        Self { totals: Totals::default(), progress, on_progress, on_finding }
    }

    pub(super) fn begin(&mut self, phase: Phase, total: Option<u64>) {
        self.progress = Progress { phase, done: 0, total };
        (self.on_progress)(self.progress);
    }

    /// One record was read.
    pub(super) fn step(&mut self) {
        self.progress.done += 1;
        if self.progress.done.is_multiple_of(PROGRESS_EVERY) {
            (self.on_progress)(self.progress);
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "a finding is made for this call alone")]
    pub(super) fn find(&mut self, finding: Finding) {
        *self.totals.findings.entry(finding.invariant.as_str()).or_default() += 1;
        (self.on_finding)(&finding);
    }

    /// A broken rule of one order.
    pub(super) fn of_order(&mut self, invariant: Invariant, order_id: OrderId, detail: &str) {
        self.find(Finding::of_order(invariant, order_id, detail));
    }
}
