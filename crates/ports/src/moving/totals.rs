//! What a ledger's rows add up to: the same before and after it has moved.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How much of each kind there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Events.
    pub events: u64,
    /// Stock rows.
    pub stock: u64,
    /// Idempotency keys.
    pub keys: u64,
    /// Deliveries that wait.
    pub parked: u64,
    /// Deliveries that were given up.
    pub dead_letters: u64,
    /// Roles that have come some way.
    pub cursors: u64,
}

impl Counts {
    /// All together.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        let Self { events, stock, keys, parked, dead_letters, cursors } = *self;
        events + stock + keys + parked + dead_letters + cursors
    }
}

/// Units of all products together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Units {
    /// That can be sold.
    pub available: i64,
    /// That are held for orders.
    pub reserved: i64,
    /// That were sold.
    pub sold: i64,
}

/// What the rows of a ledger add up to. Backends that keep the same ledger give the same totals.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Events by type.
    pub events: BTreeMap<String, u64>,
    /// Orders by status; no status without orders.
    pub orders: BTreeMap<String, u64>,
    /// Orders that wait for a person.
    pub attention: u64,
    /// Order references.
    pub order_refs: u64,
    /// Idempotency keys, each counted once.
    pub keys: u64,
    /// Products, the deleted ones too.
    pub products: u64,
    /// Stock of all products.
    pub stock: Units,
    /// Customers, the deleted ones too.
    pub customers: u64,
    /// Parcels.
    pub parcels: u64,
    /// Records.
    pub records: u64,
    /// Records whose object is written.
    pub records_stored: u64,
    /// Deliveries that wait, by role.
    pub parked: BTreeMap<String, u64>,
    /// Deliveries that were given up, by role; one that was given up twice counts once.
    pub dead_letters: BTreeMap<String, u64>,
    /// Where the last committed mail ends in a local mail file, in bytes.
    pub mailbox_end: Option<u64>,
}

impl Totals {
    /// What differs, in words: `orders: {"placed": 3} here, {"placed": 2} there`. `self` is here.
    #[must_use]
    pub fn differences(&self, there: &Self) -> Vec<String> {
        let fields = |totals: &Self| match serde_json::to_value(totals) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (here, there) = (fields(self), fields(there));
        here.iter()
            .filter(|(name, value)| there.get(*name) != Some(value))
            .map(|(name, value)| format!("{name}: {value} here, {} there", there.get(name).unwrap_or(&().into())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named() {
        let here = Totals { keys: 3, ..Totals::default() };
        assert_eq!(here.differences(&here.clone()), [""; 0]);
        assert_eq!(here.differences(&Totals::default()), ["keys: 3 here, 0 there"]);
    }
}
