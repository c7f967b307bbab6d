//! What was counted.

use std::collections::BTreeMap;

use ordermill_core::order::{Order, Status};
use serde::Serialize;

/// Everything the audit counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Orders by status, every status named.
    pub by_status: BTreeMap<&'static str, u64>,
    /// Orders.
    pub orders: u64,
    /// Rejected orders by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Orders that wait for a person.
    pub attention: u64,
    /// Orders that are undecided, or with an outside action pending.
    pub open: u64,
    /// Events of orders, products, customers, parcels and records.
    pub events: u64,
    /// Money by currency.
    pub money: BTreeMap<&'static str, MoneyTotals>,
    /// Stock of all products together.
    pub stock: StockSum,
    /// Customers, the deleted ones too.
    pub customers: u64,
    /// Parcels.
    pub parcels: u64,
    /// Records.
    pub records: u64,
    /// Records whose object is written.
    pub records_stored: u64,
    /// Order references.
    pub order_refs: u64,
    /// Idempotency keys.
    pub idempotency_keys: u64,
    /// Entries of the payment provider's journal.
    pub provider_entries: u64,
    /// Committed mails in the mail store, by kind.
    pub mails: BTreeMap<&'static str, u64>,
    /// Objects in the archive that were compared.
    pub archive_objects: u64,
    /// Objects that records lie in.
    pub record_objects: u64,
    /// Outside stores that cannot be read from here.
    pub not_compared: Vec<&'static str>,
    /// Findings by invariant; empty when all is well.
    pub findings: BTreeMap<&'static str, u64>,
}

/// Money of one currency, in its minor unit. `authorized = held + captured + voided + expired`, `captured = kept + refunded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MoneyTotals {
    /// Ever held on customers' accounts.
    pub authorized: i128,
    /// Still held.
    pub held: i128,
    /// Taken.
    pub captured: i128,
    /// Let go of by us.
    pub voided: i128,
    /// Let go of by the provider.
    pub expired: i128,
    /// Given back.
    pub refunded: i128,
    /// Taken and not given back.
    pub kept: i128,
}

/// Units of all products. `brought_in + returned = available + reserved + sold`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StockSum {
    /// Products.
    pub products: u64,
    /// Opening stock and adjustments.
    pub brought_in: i128,
    /// Came back and can be sold again.
    pub returned: i128,
    /// Can be reserved.
    pub available: i128,
    /// Held for orders.
    pub reserved: i128,
    /// Of paid orders.
    pub sold: i128,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            by_status: Status::ALL.into_iter().map(|status| (status.as_str(), 0)).collect(),
            orders: 0,
            rejected: BTreeMap::new(),
            attention: 0,
            open: 0,
            events: 0,
            money: BTreeMap::new(),
            stock: StockSum::default(),
            customers: 0,
            parcels: 0,
            records: 0,
            records_stored: 0,
            order_refs: 0,
            idempotency_keys: 0,
            provider_entries: 0,
            mails: BTreeMap::new(),
            archive_objects: 0,
            record_objects: 0,
            not_compared: Vec::new(),
            findings: BTreeMap::new(),
        }
    }
}

impl Totals {
    /// Whether every rule holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    pub(super) fn add_order(&mut self, order: &Order) {
        *self.by_status.entry(order.status.as_str()).or_default() += 1;
        if let Some(reason) = order.reject_reason {
            *self.rejected.entry(reason.as_str()).or_default() += 1;
        }
        self.attention += u64::from(order.attention.is_some());
        self.open += u64::from(order.is_open());
        let payment = &order.payment;
        let money = self.money.entry(order.placement.total.currency.code()).or_default();
        money.authorized += i128::from(payment.authorized);
        money.held += i128::from(payment.held());
        money.captured += i128::from(payment.captured);
        money.voided += i128::from(payment.voided);
        money.expired += i128::from(payment.expired);
        money.refunded += i128::from(payment.refunded);
        money.kept += i128::from(payment.kept());
    }
}
