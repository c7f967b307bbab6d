//! What can be submitted to a ledger.

use serde_json::Value;

use crate::Timestamp;
use crate::event::{Placement, Remedy, ReturnedLine};
use crate::id::{
    CorrelationId, CustomerId, IdempotencyKey, OrderId, OrderRef, PaymentMethod, ProductId, ProviderRef, RecordId,
};
use crate::idempotency::Fingerprint;
use crate::mail::{Email, MailKind};
use crate::money::{Currency, Money};
use crate::parcel::ParcelStatus;
use crate::payment::{DeclineReason, PaymentKey};
use crate::process::Step;
use crate::record::Stored;

mod kept;

pub use self::kept::{ParcelReport, PutCustomer, PutProduct, TakeRecord};

/// One input. It is decided and committed as one unit, or refused and nothing changes.
#[derive(Debug, Clone)]
pub struct Input {
    /// What is asked, or what a role found out.
    pub body: Body,
    /// Makes a caller's request safe to send again. Results of roles need none: their operation and attempt name them.
    pub key: Option<Key>,
    /// The version of the event that a role was acting on.
    pub cause: Option<u32>,
}

/// A caller's idempotency key with the fingerprint of the request that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub key: IdempotencyKey,
    /// Of the request: for an order [`PlaceOrder::fingerprint`], for anything else what it asks and of what.
    pub fingerprint: Fingerprint,
}

impl Input {
    /// An input without key and cause.
    #[must_use]
    pub const fn new(body: Body) -> Self {
        Self { body, key: None, cause: None }
    }

    /// The same with an idempotency key.
    #[must_use]
    pub fn with_key(mut self, key: Option<Key>) -> Self {
        self.key = key;
        self
    }

    /// The same as a consequence of the event with this version.
    #[must_use]
    pub const fn caused_by(mut self, version: u32) -> Self {
        self.cause = Some(version);
        self
    }
}

/// The kinds of input.
#[derive(Debug, Clone)]
pub enum Body {
    /// Take an order.
    Place(Box<PlaceOrder>),
    /// The provider answered, or did not.
    PaymentResult(PaymentResult),
    /// Reserve every line, all or none.
    Reserve {
        /// The order.
        order_id: OrderId,
    },
    /// Call the order off.
    Cancel {
        /// The order.
        order_id: OrderId,
        /// Why.
        reason: Box<str>,
    },
    /// Call the order off unless its money is taken: for who waits for the order and can wait no longer.
    CancelUnpaid {
        /// The order.
        order_id: OrderId,
        /// Why.
        reason: Box<str>,
    },
    /// Give money back.
    Refund {
        /// The order.
        order_id: OrderId,
        /// How much, in minor units; `None` = all that is left.
        amount_minor: Option<i64>,
        /// Why.
        reason: Box<str>,
    },
    /// Goods came back.
    Return {
        /// The order.
        order_id: OrderId,
        /// What came back.
        lines: Vec<ReturnedLine>,
        /// Whether the units can be sold again.
        restock: bool,
    },
    /// The parcel moved.
    ParcelMoved {
        /// The order.
        order_id: OrderId,
        /// Where it is.
        status: ParcelStatus,
        /// When the carrier saw it there.
        seen_at: Timestamp,
    },
    /// A mail was sent, or not.
    MailResult {
        /// The order.
        order_id: OrderId,
        /// Which mail.
        kind: MailKind,
        /// Which version of it.
        version: u16,
        /// What came of it.
        result: MailResult,
    },
    /// The archive holds the order up to this event.
    Archived {
        /// The order.
        order_id: OrderId,
        /// The newest event in the object.
        version: u32,
    },
    /// A role gave up on an order.
    GiveUp {
        /// The order.
        order_id: OrderId,
        /// What did not work.
        step: Step,
        /// Why.
        reason: Box<str>,
    },
    /// A person dealt with what the order was waiting for.
    ClearAttention {
        /// The order.
        order_id: OrderId,
        /// Try again, or leave it as it is.
        remedy: Remedy,
        /// The person's words.
        note: Option<Box<str>>,
    },
    /// A deadline of the order may be over.
    CheckDeadline {
        /// The order.
        order_id: OrderId,
    },
    /// Add or change a product.
    PutProduct(PutProduct),
    /// Set the stock of a product.
    SetStock {
        /// The product.
        product_id: ProductId,
        /// Units available from now on.
        available: i64,
        /// The version the caller has read; refused if another is found.
        expected_version: Option<u64>,
    },
    /// Change the stock of a product by a difference.
    AdjustStock {
        /// The product.
        product_id: ProductId,
        /// The difference in units.
        delta: i64,
        /// Why.
        reason: Box<str>,
        /// The version the caller has read; refused if another is found.
        expected_version: Option<u64>,
    },
    /// Take a product out of the catalogue.
    DeleteProduct {
        /// The product.
        product_id: ProductId,
        /// The version the caller has read; refused if another is found.
        expected_version: Option<u64>,
    },
    /// Add or change a customer.
    PutCustomer(Box<PutCustomer>),
    /// Delete a customer.
    DeleteCustomer {
        /// The customer.
        customer_id: CustomerId,
        /// The version the caller has read; refused if another is found.
        expected_version: Option<u64>,
    },
    /// A carrier reports where a parcel is.
    Track(ParcelReport),
    /// Take a record to be stored.
    TakeRecord(Box<TakeRecord>),
    /// The record's object is written.
    RecordStored {
        /// The record.
        record_id: RecordId,
        /// Where, and after how many tries.
        stored: Stored,
    },
    /// Nothing: carries a role's acknowledgement to the commit.
    Nothing,
}

/// What comes of an order that cannot be taken as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Refused at the door; the caller waits for the answer (`/v1`).
    Refuse,
    /// Taken and rejected with a mail; nobody waits (events, wires that answer before deciding).
    Reject,
}

/// A checked order. See [`crate::intake`] for the checks.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PlaceOrder {
    /// The id it will have, made by the caller of the ledger. Not part of the fingerprint.
    #[serde(skip)]
    pub order_id: OrderId,
    /// What comes of it if it cannot be taken as it is.
    #[serde(skip)]
    pub admission: Admission,
    /// The shop's number.
    pub order_ref: Option<OrderRef>,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// Where mails go.
    pub customer_email: Option<Email>,
    /// The currency; `None` = the products' own.
    pub currency: Option<Currency>,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// Where the parcel goes.
    pub shipping_address: Option<Value>,
    /// What is ordered.
    pub lines: Vec<RequestedLine>,
    /// When the customer ordered, where that was earlier.
    pub placed_at: Option<Timestamp>,
    /// The shop's own data.
    pub metadata: Option<Value>,
    /// Given by the caller.
    #[serde(skip)]
    pub correlation_id: Option<CorrelationId>,
    /// The W3C trace context.
    #[serde(skip)]
    pub traceparent: Option<Box<str>>,
}

impl PlaceOrder {
    /// Of everything that makes it this order and no other.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self)
    }
}

/// One checked line of a request.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RequestedLine {
    /// The product.
    pub product_id: ProductId,
    /// Units, at least 1.
    pub quantity: i64,
    /// The price the caller saw; must be the catalogue's.
    pub unit_price: Option<Money>,
}

/// What the payments role found out about one operation.
#[derive(Debug, Clone)]
pub struct PaymentResult {
    /// Which operation, and which attempt at it.
    pub key: PaymentKey,
    /// What came of it.
    pub answer: PaymentAnswer,
}

/// The provider's answer to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentAnswer {
    /// Done.
    Succeeded {
        /// The provider's name of what it did.
        provider_ref: ProviderRef,
    },
    /// A definite no.
    Refused {
        /// Why.
        reason: DeclineReason,
    },
    /// No answer. It may have been done.
    Unknown,
}

/// What the notifications role found out about one mail.
#[derive(Debug, Clone)]
pub enum MailResult {
    /// Handed over.
    Sent {
        /// Where it ends in the local mail file, in bytes.
        mailbox_end: Option<u64>,
    },
    /// The order has no address.
    Skipped,
    /// Refused for good.
    Failed {
        /// What the mail server said.
        reason: Box<str>,
    },
}

impl Body {
    /// The order this is about, if it is about one that exists already.
    #[must_use]
    pub const fn order_id(&self) -> Option<OrderId> {
        match self {
            Self::PaymentResult(result) => Some(result.key.order_id),
            Self::Reserve { order_id }
            | Self::Cancel { order_id, .. }
            | Self::CancelUnpaid { order_id, .. }
            | Self::Refund { order_id, .. }
            | Self::Return { order_id, .. }
            | Self::ParcelMoved { order_id, .. }
            | Self::MailResult { order_id, .. }
            | Self::Archived { order_id, .. }
            | Self::GiveUp { order_id, .. }
            | Self::ClearAttention { order_id, .. }
            | Self::CheckDeadline { order_id } => Some(*order_id),
            Self::Place(_)
            | Self::PutProduct(_)
            | Self::SetStock { .. }
            | Self::AdjustStock { .. }
            | Self::DeleteProduct { .. }
            | Self::PutCustomer(_)
            | Self::DeleteCustomer { .. }
            | Self::Track(_)
            | Self::TakeRecord(_)
            | Self::RecordStored { .. }
            | Self::Nothing => None,
        }
    }
}

impl PlaceOrder {
    /// What the order's first event holds, once it is priced.
    pub(crate) fn to_placement(
        &self,
        lines: Vec<crate::order::Line>,
        total: Money,
        fingerprint: Fingerprint,
    ) -> Placement {
        Placement {
            order_ref: self.order_ref.clone(),
            customer_id: self.customer_id.clone(),
            customer_email: self.customer_email.clone(),
            payment_method: self.payment_method.clone(),
            shipping_address: self.shipping_address.clone(),
            lines,
            total,
            placed_at: self.placed_at,
            metadata: self.metadata.clone(),
            correlation_id: self.correlation_id.clone(),
            traceparent: self.traceparent.clone(),
            fingerprint,
        }
    }
}
