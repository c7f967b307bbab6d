//! The units an order holds.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What became of the units of an order. It always covers every line: a reservation is all or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Reservation {
    /// Nothing was reserved yet, or the reservation was refused.
    None,
    /// Held until the payment is captured or the time is over.
    Held {
        /// From then on the sweeper takes it back.
        expires_at: Timestamp,
    },
    /// Paid for; the units have left the stock.
    Sold,
    /// Given back: cancelled, or the capture failed.
    Released,
    /// Given back as its time was over.
    Expired,
}
