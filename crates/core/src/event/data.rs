//! What each type of event holds.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;
use crate::id::{CorrelationId, CustomerId, OrderRef, PaymentMethod, ProductId, ProviderRef};
use crate::idempotency::Fingerprint;
use crate::mail::{Email, MailKind};
use crate::money::Money;
use crate::order::{Line, RejectReason, Status};
use crate::parcel::{ParcelStatus, ReportRefusal};
use crate::payment::{DeclineReason, OperationId};
use crate::process::Step;

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

/// Data of `tracking.moved` and `tracking.late`: what the carrier reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Where the parcel is.
    pub status: ParcelStatus,
    /// When the carrier saw it there.
    pub seen_at: Timestamp,
    /// Given by the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<CorrelationId>,
}

/// Data of `tracking.refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedReport {
    /// Where the parcel was said to be.
    pub status: ParcelStatus,
    /// When the carrier was said to have seen it there.
    pub seen_at: Timestamp,
    /// Why that cannot be.
    pub reason: ReportRefusal,
    /// Given by the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<CorrelationId>,
}

/// Data of `record.received`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordReceived {
    /// What is to be stored.
    pub data: Value,
    /// The time the data names as its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// Given by the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<CorrelationId>,
}
