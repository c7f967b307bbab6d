//! The states of an order, and why one is rejected.

use serde::{Deserialize, Serialize};

/// The state of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Taken; the money is not held yet.
    Placed,
    /// The money is held.
    Authorized,
    /// Money and stock are held.
    Reserved,
    /// Paid, in stock, decided.
    Confirmed,
    /// The parcel is on its way.
    Shipped,
    /// The parcel has arrived.
    Delivered,
    /// Cannot be fulfilled.
    Rejected,
    /// Called off.
    Cancelled,
    /// Everything came back.
    Returned,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 9] = [
        Self::Placed,
        Self::Authorized,
        Self::Reserved,
        Self::Confirmed,
        Self::Shipped,
        Self::Delivered,
        Self::Rejected,
        Self::Cancelled,
        Self::Returned,
    ];

    /// The name on every interface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Authorized => "authorized",
            Self::Reserved => "reserved",
            Self::Confirmed => "confirmed",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Returned => "returned",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether it is still open what becomes of the order.
    #[must_use]
    pub const fn is_undecided(self) -> bool {
        matches!(self, Self::Placed | Self::Authorized | Self::Reserved)
    }

    /// Whether the order ended without being fulfilled: no money may be kept and no stock held for it.
    #[must_use]
    pub const fn is_called_off(self) -> bool {
        matches!(self, Self::Rejected | Self::Cancelled)
    }
}

/// Why an order was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The payment was declined.
    PaymentDeclined,
    /// The customer's account holds too little.
    InsufficientFunds,
    /// Too few units of some product.
    OutOfStock,
    /// The money was held, but could not be taken.
    CaptureFailed,
    /// The payment took longer than stock is held.
    ReservationExpired,
    /// The price the order came with is not the catalogue's.
    PriceChanged,
    /// The order names a product that is not in the catalogue.
    UnknownProduct,
}

impl RejectReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::PaymentDeclined,
        Self::InsufficientFunds,
        Self::OutOfStock,
        Self::CaptureFailed,
        Self::ReservationExpired,
        Self::PriceChanged,
        Self::UnknownProduct,
    ];

    /// The name on every interface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaymentDeclined => "payment_declined",
            Self::InsufficientFunds => "insufficient_funds",
            Self::OutOfStock => "out_of_stock",
            Self::CaptureFailed => "capture_failed",
            Self::ReservationExpired => "reservation_expired",
            Self::PriceChanged => "price_changed",
            Self::UnknownProduct => "unknown_product",
        }
    }

    /// Whether it is decided in the very commit that takes the order, when nothing was asked of anybody yet.
    #[must_use]
    pub const fn is_of_placement(self) -> bool {
        matches!(self, Self::PriceChanged | Self::UnknownProduct)
    }
}
