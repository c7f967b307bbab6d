//! The times and switches of the order process that an operator may set.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// How long things may take. All durations are positive; the configuration checks that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How long stock is held for an order that is not paid.
    pub reservation_ttl: SignedDuration,
    /// How long an unknown payment is followed up before a person is asked.
    pub unknown_budget: SignedDuration,
    /// How long an order may stay undecided before it is reported.
    pub undecided_budget: SignedDuration,
    /// How long a confirmed order may wait for its parcel before it is reported.
    pub shipping_budget: SignedDuration,
    /// How long a parcel may travel before it is reported.
    pub delivery_budget: SignedDuration,
    /// How long the answer to an idempotency key is kept.
    pub idempotency_ttl: SignedDuration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            reservation_ttl: SignedDuration::from_mins(15),
            unknown_budget: SignedDuration::from_mins(10),
            undecided_budget: SignedDuration::from_mins(30),
            shipping_budget: SignedDuration::from_hours(7 * 24),
            delivery_budget: SignedDuration::from_hours(30 * 24),
            idempotency_ttl: SignedDuration::from_hours(24),
        }
    }
}
