//! What has happened. Events are the truth; orders, products and stock are folds of them.
//!
//! Every event type has a name and a version of its data. A stored event of any earlier version is read for ever: a change of
//! shape raises the version in the table below and adds an arm to [`Event::from_parts`]. Golden files hold one of each.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::Timestamp;
use crate::id::{CorrelationId, CustomerId, OrderRef, PaymentMethod, ProductId, ProviderRef};
use crate::idempotency::Fingerprint;
use crate::mail::{Email, MailKind};
use crate::money::Money;
use crate::order::{Line, RejectReason, Status};
use crate::payment::{DeclineReason, OperationId};
use crate::process::Step;
use crate::product::Product;
use crate::shipment::ParcelStatus;

/// A stored event that this program cannot read.
#[derive(Debug, Error)]
pub enum EventError {
    /// No such type, or a newer version of it.
    #[error("event type {kind} version {version} is not known to this program; it was written by a newer one")]
    Unknown {
        /// The stored type.
        kind: String,
        /// The stored version of its data.
        version: u16,
    },
    /// The data does not have the type's shape.
    #[error("the data of an event of type {kind} cannot be read: {source}")]
    Data {
        /// The stored type.
        kind: &'static str,
        /// What the parser said.
        source: serde_json::Error,
    },
}

macro_rules! events {
    ($($(#[$meta:meta])* $variant:ident($data:ty) = $name:literal v $version:literal;)*) => {
        /// One thing that has happened.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $($(#[$meta])* $variant($data),)*
        }

        /// The type of an event, without its data.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventType {
            $($(#[$meta])* $variant,)*
        }

        impl EventType {
            /// Every type, in the order of the process.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name: `payment.captured`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The version of the data that this program writes.
            #[must_use]
            pub const fn version(self) -> u16 {
                match self { $(Self::$variant => $version,)* }
            }

            /// The type of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }

        impl Event {
            /// The type.
            #[must_use]
            pub const fn kind(&self) -> EventType {
                match self { $(Self::$variant(_) => EventType::$variant,)* }
            }

            /// The data as JSON text.
            ///
            /// # Panics
            /// Never: event data is plain data with text keys.
            #[must_use]
            pub fn data(&self) -> String {
                let json = match self { $(Self::$variant(data) => serde_json::to_string(data),)* };
                json.expect("event data is plain data with text keys, which always serializes")
            }

            /// Reads what [`Self::data`] wrote, in this or any earlier version.
            ///
            /// # Errors
            /// [`EventError`] for a type or version of a newer program, and for data of another shape.
            pub fn from_parts(kind: &str, version: u16, data: &[u8]) -> Result<Self, EventError> {
                match (kind, version) {
                    $(($name, $version) => serde_json::from_slice(data)
                        .map(Self::$variant)
                        .map_err(|source| EventError::Data { kind: $name, source }),)*
                    _ => Err(EventError::Unknown { kind: kind.to_owned(), version }),
                }
            }
        }
    };
}

events! {
    /// An order was taken. From here on it is never lost.
    OrderPlaced(Arc<Placement>) = "order.placed" v 1;
    /// The money is held.
    PaymentAuthorized(Authorized) = "payment.authorized" v 1;
    /// The provider refused to hold the money.
    PaymentDeclined(Refused) = "payment.declined" v 1;
    /// An answer is missing; it will be found out.
    PaymentUnknown(Unknown) = "payment.unknown" v 1;
    /// The units are held.
    InventoryReserved(Reserved) = "inventory.reserved" v 1;
    /// There are too few units of some product.
    InventoryRejected(Short) = "inventory.rejected" v 1;
    /// The units were taken back, as the payment took too long.
    InventoryExpired(Empty) = "inventory.expired" v 1;
    /// The units were given back.
    InventoryReleased(Empty) = "inventory.released" v 1;
    /// The money is taken.
    PaymentCaptured(Done) = "payment.captured" v 1;
    /// The provider refused to take the money.
    PaymentCaptureFailed(Refused) = "payment.capture_failed" v 1;
    /// The held money is to be let go of.
    PaymentVoidRequested(Requested) = "payment.void_requested" v 1;
    /// The held money was let go of.
    PaymentVoided(Done) = "payment.voided" v 1;
    /// The provider refused to let go of the money.
    PaymentVoidFailed(Refused) = "payment.void_failed" v 1;
    /// The provider let go of the held money by itself.
    PaymentExpired(Done) = "payment.expired" v 1;
    /// Money is to be given back.
    PaymentRefundRequested(Requested) = "payment.refund_requested" v 1;
    /// Money was given back.
    PaymentRefunded(Done) = "payment.refunded" v 1;
    /// The provider refused to give money back.
    PaymentRefundFailed(Refused) = "payment.refund_failed" v 1;
    /// The order is paid and in stock.
    OrderConfirmed(Empty) = "order.confirmed" v 1;
    /// The order cannot be fulfilled.
    OrderRejected(Rejected) = "order.rejected" v 1;
    /// The order was called off.
    OrderCancelled(Cancelled) = "order.cancelled" v 1;
    /// The parcel moved.
    ParcelMoved(ParcelMove) = "shipment.moved" v 1;
    /// The parcel is on its way.
    OrderShipped(Empty) = "order.shipped" v 1;
    /// The parcel has arrived.
    OrderDelivered(Empty) = "order.delivered" v 1;
    /// Goods came back.
    OrderReturned(Returned) = "order.returned" v 1;
    /// A mail was handed over.
    NotificationSent(MailSent) = "notification.sent" v 1;
    /// A mail was not sent, as the order has no address.
    NotificationSkipped(MailNotSent) = "notification.skipped" v 1;
    /// A mail was refused for good.
    NotificationFailed(MailNotSent) = "notification.failed" v 1;
    /// The order with its timeline lies in the archive.
    OrderArchived(Archived) = "order.archived" v 1;
    /// The order waits for a person.
    OrderAttention(AttentionRaised) = "order.attention" v 1;
    /// A person dealt with it.
    OrderAttentionCleared(AttentionCleared) = "order.attention_cleared" v 1;
    /// The order has been in one state for longer than it may.
    OrderOverdue(Overdue) = "order.overdue" v 1;
    /// A product was added or changed.
    ProductPut(Product) = "product.put" v 1;
    /// The stock of a product was set, or opened.
    StockSet(StockSetTo) = "stock.set" v 1;
    /// The stock of a product was changed by a difference.
    StockAdjusted(StockAdjustedBy) = "stock.adjusted" v 1;
}

/// No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Empty {}

/// The order as it was taken. It never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// The shop's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_ref: Option<OrderRef>,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// Where mails go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_email: Option<Email>,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// Where the parcel goes, in whatever form the shop uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Value>,
    /// What is ordered.
    pub lines: Vec<Line>,
    /// The sum of the lines.
    pub total: Money,
    /// When the customer ordered, where that was before it reached us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed_at: Option<Timestamp>,
    /// The shop's own data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Given by the caller; the order's own id stands in for it otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<CorrelationId>,
    /// The W3C trace context of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Box<str>>,
    /// Of the request, to recognize it when it comes again.
    pub fingerprint: Fingerprint,
}

/// Data of `payment.authorized`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorized {
    /// Which operation.
    pub operation: OperationId,
    /// Which attempt at it.
    pub attempt: u16,
    /// How much is held.
    pub amount_minor: i64,
    /// The provider's name of the authorization.
    pub provider_ref: ProviderRef,
}

/// Data of events that say an operation is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Which operation.
    pub operation: OperationId,
    /// Which attempt at it.
    pub attempt: u16,
    /// How much.
    pub amount_minor: i64,
}

/// Data of events that say an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Which operation.
    pub operation: OperationId,
    /// Which attempt at it.
    pub attempt: u16,
    /// What the provider said.
    pub reason: DeclineReason,
}

/// Data of `payment.unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// Which operation.
    pub operation: OperationId,
    /// Which attempt at it.
    pub attempt: u16,
}

/// Data of events that ask for a void or a refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// Which operation.
    pub operation: OperationId,
    /// How much.
    pub amount_minor: i64,
    /// Why, where a person gave a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
}

/// Data of `inventory.reserved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// From then on the units are taken back unless they are paid for.
    pub expires_at: Timestamp,
}

/// One product that is short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The product.
    pub product_id: ProductId,
    /// How many units are missing.
    pub missing: i64,
}

/// Data of `inventory.rejected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Short {
    /// Every product that is short, in the order of their ids.
    pub short: Vec<Shortage>,
}

/// Data of `order.rejected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Why.
    pub reason: RejectReason,
}

/// Data of `order.cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// Why, in the words of who asked.
    pub reason: Box<str>,
}

/// Data of `shipment.moved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelMove {
    /// Where the parcel is.
    pub status: ParcelStatus,
    /// When the carrier saw it there.
    pub seen_at: Timestamp,
}

/// Units of one product that came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnedLine {
    /// The product.
    pub product_id: ProductId,
    /// How many units.
    pub quantity: i64,
}

/// Data of `order.returned`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// What came back.
    pub lines: Vec<ReturnedLine>,
    /// Whether the units can be sold again.
    pub restocked: bool,
    /// Whether now everything of the order is back.
    pub complete: bool,
}

/// Data of `notification.sent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailSent {
    /// Which mail.
    pub template: MailKind,
    /// Which version of it.
    pub version: u16,
    /// Where the mail ends in the local mail file, in bytes; what lies behind the last such mark was never committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox_end: Option<u64>,
}

/// Data of `notification.skipped` and `notification.failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailNotSent {
    /// Which mail.
    pub template: MailKind,
    /// Which version of it.
    pub version: u16,
    /// Why.
    pub reason: Box<str>,
}

/// Data of `order.archived`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// The newest event of the order that the object holds.
    pub version: u32,
}

/// Data of `order.attention`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionRaised {
    /// What did not work.
    pub step: Step,
    /// Why.
    pub reason: Box<str>,
}

/// How attention ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// The step is tried again.
    Retried,
    /// A person dealt with it outside, and says so.
    Resolved,
}

/// Data of `order.attention_cleared`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionCleared {
    /// How.
    pub remedy: Remedy,
    /// The words of who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
}

/// Data of `order.overdue`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdue {
    /// The state it has been in.
    pub status: Status,
    /// Since when.
    pub since: Timestamp,
}

/// Data of `stock.set`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockSetTo {
    /// Units available before.
    pub from: i64,
    /// Units available after.
    pub to: i64,
}

/// Data of `stock.adjusted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockAdjustedBy {
    /// Difference in units.
    pub delta: i64,
    /// Why.
    pub reason: Box<str>,
}

/// What an event is about; the events of one subject have one order, counted by their version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An order.
    Order(crate::id::OrderId),
    /// A product and its stock.
    Product(ProductId),
}

/// An event with its place in the history of its subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// What it is about.
    pub subject: Subject,
    /// Counts the subject's events, from 1.
    pub version: u32,
    /// When it was decided.
    pub at: Timestamp,
    /// The version of the event of the same subject that a role was acting on, if any.
    pub cause: Option<u32>,
    /// What happened.
    pub event: Event,
}
