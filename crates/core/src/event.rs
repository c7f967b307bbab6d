//! What has happened. Events are the truth; orders, products and stock are folds of them.
//!
//! Every event type has a name and a version of its data. A stored event of any earlier version is read for ever: a change of
//! shape raises the version in the table below and adds an arm to [`Event::from_parts`]. Golden files hold one of each.

use std::sync::Arc;

use thiserror::Error;

use crate::Timestamp;
use crate::customer::Customer;
use crate::id::{CustomerId, OrderId, ParcelId, ProductId, RecordId};
use crate::product::Product;
use crate::record::Stored;

mod data;

pub use self::data::*;

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
    /// A product was taken out of the catalogue.
    ProductDeleted(Empty) = "product.deleted" v 1;
    /// A customer was added or changed.
    CustomerPut(Customer) = "customer.put" v 1;
    /// A customer was deleted.
    CustomerDeleted(Empty) = "customer.deleted" v 1;
    /// The carrier reported where a parcel is.
    TrackingMoved(Report) = "tracking.moved" v 1;
    /// The carrier reported where a parcel was earlier.
    TrackingLate(Report) = "tracking.late" v 1;
    /// The carrier reported what cannot be.
    TrackingRefused(RefusedReport) = "tracking.refused" v 1;
    /// A record was taken to be stored.
    RecordReceived(Arc<RecordReceived>) = "record.received" v 1;
    /// A record's object was written.
    RecordStored(Stored) = "record.stored" v 1;
}

/// What an event is about; the events of one subject have one order, counted by their version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An order.
    Order(OrderId),
    /// A product and its stock.
    Product(ProductId),
    /// A customer.
    Customer(CustomerId),
    /// A parcel, by the carrier's name of it.
    Parcel(ParcelId),
    /// A record.
    Record(RecordId),
}

/// The kinds of subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectKind {
    /// Orders.
    Order,
    /// Products and their stock.
    Product,
    /// Customers.
    Customer,
    /// Parcels.
    Parcel,
    /// Records.
    Record,
}

impl SubjectKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Order, Self::Product, Self::Customer, Self::Parcel, Self::Record];

    /// The name on every interface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Product => "product",
            Self::Customer => "customer",
            Self::Parcel => "parcel",
            Self::Record => "record",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Subject {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> SubjectKind {
        match self {
            Self::Order(_) => SubjectKind::Order,
            Self::Product(_) => SubjectKind::Product,
            Self::Customer(_) => SubjectKind::Customer,
            Self::Parcel(_) => SubjectKind::Parcel,
            Self::Record(_) => SubjectKind::Record,
        }
    }
}

impl EventType {
    /// What events of this type are about. A store that keeps only the id of a subject reads its kind off the event's type.
    #[must_use]
    pub const fn subject_kind(self) -> SubjectKind {
        match self {
            Self::ProductPut | Self::ProductDeleted | Self::StockSet | Self::StockAdjusted => SubjectKind::Product,
            Self::CustomerPut | Self::CustomerDeleted => SubjectKind::Customer,
            Self::TrackingMoved | Self::TrackingLate | Self::TrackingRefused => SubjectKind::Parcel,
            Self::RecordReceived | Self::RecordStored => SubjectKind::Record,
            Self::OrderPlaced
            | Self::PaymentAuthorized
            | Self::PaymentDeclined
            | Self::PaymentUnknown
            | Self::InventoryReserved
            | Self::InventoryRejected
            | Self::InventoryExpired
            | Self::InventoryReleased
            | Self::PaymentCaptured
            | Self::PaymentCaptureFailed
            | Self::PaymentVoidRequested
            | Self::PaymentVoided
            | Self::PaymentVoidFailed
            | Self::PaymentExpired
            | Self::PaymentRefundRequested
            | Self::PaymentRefunded
            | Self::PaymentRefundFailed
            | Self::OrderConfirmed
            | Self::OrderRejected
            | Self::OrderCancelled
            | Self::ParcelMoved
            | Self::OrderShipped
            | Self::OrderDelivered
            | Self::OrderReturned
            | Self::NotificationSent
            | Self::NotificationSkipped
            | Self::NotificationFailed
            | Self::OrderArchived
            | Self::OrderAttention
            | Self::OrderAttentionCleared
            | Self::OrderOverdue => SubjectKind::Order,
        }
    }
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
