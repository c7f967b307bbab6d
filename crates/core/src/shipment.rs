//! The parcel of an order, as far as the order's own states follow it.

use serde::{Deserialize, Serialize};

/// Where the parcel is, in the carrier's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParcelStatus {
    /// The carrier has it.
    PickedUp,
    /// On the last mile.
    OutForDelivery,
    /// Something is wrong.
    DeliveryIssue,
    /// Handed over; final.
    Delivered,
}

impl ParcelStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::PickedUp, Self::OutForDelivery, Self::DeliveryIssue, Self::Delivered];

    /// The name in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PickedUp => "picked_up",
            Self::OutForDelivery => "out_for_delivery",
            Self::DeliveryIssue => "delivery_issue",
            Self::Delivered => "delivered",
        }
    }

    /// Whether a parcel may move from `from` (`None` = never seen) to this status.
    #[must_use]
    pub const fn may_follow(self, from: Option<Self>) -> bool {
        match from {
            None => true,
            Some(Self::PickedUp) => matches!(self, Self::OutForDelivery | Self::DeliveryIssue),
            Some(Self::OutForDelivery) => matches!(self, Self::DeliveryIssue | Self::Delivered),
            Some(Self::DeliveryIssue) => matches!(self, Self::OutForDelivery | Self::Delivered),
            Some(Self::Delivered) => false,
        }
    }
}
