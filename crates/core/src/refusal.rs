//! Why an input was refused. A refusal changes nothing; each has a stable code and a page in `docs/errors`.

use thiserror::Error;

use crate::id::{CustomerId, OrderId, ProductId, RecordId};
use crate::money::{Currency, Money};
use crate::order::Status;

/// A typed no.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The order names a product the catalogue does not have, or that is not sold at present.
    #[error("lines[{line}]: product {product_id:?} is not in the catalogue")]
    UnknownProduct {
        /// Index of the line, from 0.
        line: usize,
        /// The product named.
        product_id: ProductId,
    },
    /// The order came with a price that is not the catalogue's.
    #[error("lines[{line}]: the price of product {product_id:?} is {actual}, not {given}")]
    PriceChanged {
        /// Index of the line, from 0.
        line: usize,
        /// The product.
        product_id: ProductId,
        /// The price the order came with.
        given: Money,
        /// The catalogue's price.
        actual: Money,
    },
    /// The lines are not all in the order's currency.
    #[error("lines[{line}]: the price is in {actual}, the order in {expected}")]
    MixedCurrencies {
        /// Index of the line, from 0.
        line: usize,
        /// The order's currency.
        expected: Currency,
        /// The line's currency.
        actual: Currency,
    },
    /// The total is larger than any order may be.
    #[error("lines[{line}]: the total of the order is too large")]
    TotalTooLarge {
        /// Index of the line at which the sum became too large, from 0.
        line: usize,
    },
    /// Another order has this reference, placed with another body.
    #[error("the order reference belongs to order {order_id}, which was placed with another body")]
    OrderRefTaken {
        /// The order that has it.
        order_id: OrderId,
    },
    /// The idempotency key was used with another body.
    #[error("the idempotency key was used before with another body")]
    IdempotencyKeyReused,
    /// There is no such order.
    #[error("there is no order {order_id}")]
    OrderNotFound {
        /// The id asked for.
        order_id: OrderId,
    },
    /// There is no such product.
    #[error("there is no product {product_id:?}")]
    ProductNotFound {
        /// The id asked for.
        product_id: ProductId,
    },
    /// There is no such customer.
    #[error("there is no customer {customer_id:?}")]
    CustomerNotFound {
        /// The id asked for.
        customer_id: CustomerId,
    },
    /// There is no such record.
    #[error("there is no record {record_id}")]
    RecordNotFound {
        /// The id asked for.
        record_id: RecordId,
    },
    /// The order cannot be cancelled any more.
    #[error("the order is {}, so it cannot be cancelled", status.as_str())]
    NotCancellable {
        /// Its status.
        status: Status,
    },
    /// Nothing about the order waits for a person.
    #[error("the order does not wait for attention, so there is nothing to retry or resolve")]
    NoAttention,
    /// An undecided order cannot be left as it is: it is retried or cancelled.
    #[error("the order is {}, so it can be retried or cancelled, but not resolved", status.as_str())]
    NotResolvable {
        /// Its status.
        status: Status,
    },
    /// More was asked back than is left.
    #[error("{requested} cannot be refunded: {refundable} is left")]
    RefundTooLarge {
        /// What was asked for.
        requested: Money,
        /// What can still be given back.
        refundable: Money,
    },
    /// Too many refunds were asked for.
    #[error("the order has had as many refunds as one order may have")]
    TooManyRefunds,
    /// More units were sent back than were bought and not yet sent back.
    #[error("{requested} units of product {product_id:?} cannot be returned: {returnable} are left")]
    ReturnTooLarge {
        /// The product.
        product_id: ProductId,
        /// What was asked for, in units.
        requested: i64,
        /// What can still come back, in units.
        returnable: i64,
    },
    /// Only what was shipped can be returned.
    #[error("the order is {}, so nothing of it can be returned", status.as_str())]
    NotReturnable {
        /// Its status.
        status: Status,
    },
    /// The change would leave less than nothing, or more than a stock may hold.
    #[error("the stock is {available}, a change by {delta} is not possible")]
    StockOutOfRange {
        /// Units available.
        available: i64,
        /// The change asked for, in units.
        delta: i64,
    },
    /// The thing changed since the caller read it.
    #[error("the version is {actual}, not {expected}")]
    VersionConflict {
        /// The version the caller named.
        expected: u64,
        /// The version found.
        actual: u64,
    },
    /// The parcel cannot move like this.
    #[error("the parcel cannot move on like this")]
    ParcelOutOfOrder,
    /// The order has had as many events as one order may have.
    #[error("the order has had as many events as one order may have")]
    TooManyEvents,
}

impl Refusal {
    /// The stable code: the last part of the problem type, and the name of its page in `docs/errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownProduct { .. } => "unknown_product",
            Self::PriceChanged { .. } => "price_changed",
            Self::MixedCurrencies { .. } => "mixed_currencies",
            Self::TotalTooLarge { .. } => "total_too_large",
            Self::OrderRefTaken { .. } => "order_ref_taken",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::OrderNotFound { .. } => "order_not_found",
            Self::ProductNotFound { .. } => "product_not_found",
            Self::CustomerNotFound { .. } => "customer_not_found",
            Self::RecordNotFound { .. } => "record_not_found",
            Self::NotCancellable { .. } => "not_cancellable",
            Self::NoAttention => "no_attention",
            Self::NotResolvable { .. } => "not_resolvable",
            Self::RefundTooLarge { .. } => "refund_too_large",
            Self::TooManyRefunds => "too_many_refunds",
            Self::ReturnTooLarge { .. } => "return_too_large",
            Self::NotReturnable { .. } => "not_returnable",
            Self::StockOutOfRange { .. } => "stock_out_of_range",
            Self::VersionConflict { .. } => "version_conflict",
            Self::ParcelOutOfOrder => "parcel_out_of_order",
            Self::TooManyEvents => "too_many_events",
        }
    }
}
