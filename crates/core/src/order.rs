//! An order: what was asked for, and how far it has come. A fold of its events.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::event::{Event, Placement, ReturnedLine, Shortage};
use crate::id::{OrderId, ProductId};
use crate::mail::{MailKind, MailState, OwedMail};
use crate::money::Money;
use crate::payment::{OperationKind, OperationState, Payment};
use crate::policy::Policy;
use crate::process::Step;
use crate::reservation::Reservation;
use crate::shipment::ParcelStatus;

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product.
    pub product_id: ProductId,
    /// Units, at least 1.
    pub quantity: i64,
    /// Price of one unit when the order was taken, in minor units of the order's currency.
    pub unit_price_minor: i64,
}

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
}

/// The order waits for a person: a flag beside the status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// What did not work.
    pub step: Step,
    /// Why.
    pub reason: Box<str>,
    /// Since when.
    pub since: Timestamp,
}

/// An order at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// What was asked for; never changes.
    pub placement: Arc<Placement>,
    /// How far it has come.
    pub status: Status,
    /// When the status began.
    pub status_since: Timestamp,
    /// Why it was rejected.
    pub reject_reason: Option<RejectReason>,
    /// Why it was cancelled.
    pub cancel_reason: Option<Box<str>>,
    /// Which products were short.
    pub short: Vec<Shortage>,
    /// Whether and why it waits for a person.
    pub attention: Option<Attention>,
    /// Its money.
    pub payment: Payment,
    /// Its stock.
    pub reservation: Reservation,
    /// The mails its customer is owed.
    pub mails: Vec<OwedMail>,
    /// Where its parcel is.
    pub parcel: Option<ParcelStatus>,
    /// What came back.
    pub returned: Vec<ReturnedLine>,
    /// The status that was reported as lasting too long.
    pub overdue: Option<Status>,
    /// The newest event that the archive holds.
    pub archived: Option<u32>,
    /// Counts its events.
    pub version: u32,
    /// When it was taken.
    pub created_at: Timestamp,
    /// When its newest event happened.
    pub updated_at: Timestamp,
}

impl Order {
    /// The order as its first event leaves it.
    #[must_use]
    pub fn place(id: OrderId, placement: Arc<Placement>, at: Timestamp) -> Self {
        let mut payment = Payment::default();
        payment.request(payment.next_id(OperationKind::Authorize), placement.total.amount_minor, at);
        Self {
            id,
            placement,
            status: Status::Placed,
            status_since: at,
            reject_reason: None,
            cancel_reason: None,
            short: Vec::new(),
            attention: None,
            payment,
            reservation: Reservation::None,
            mails: Vec::new(),
            parcel: None,
            returned: Vec::new(),
            overdue: None,
            archived: None,
            version: 1,
            created_at: at,
            updated_at: at,
        }
    }

    /// Folds the events of one order, oldest first. `None` unless the first is `order.placed`.
    #[must_use]
    pub fn fold<'a>(id: OrderId, events: impl IntoIterator<Item = (&'a Event, Timestamp)>) -> Option<Self> {
        let mut events = events.into_iter();
        let (Event::OrderPlaced(placement), at) = events.next()? else {
            return None;
        };
        let mut order = Self::place(id, Arc::clone(placement), at);
        for (event, at) in events {
            order.evolve(event, at);
        }
        Some(order)
    }

    /// Takes one more event of this order. Total: any event in any state leaves a sound order.
    pub fn evolve(&mut self, event: &Event, at: Timestamp) {
        self.version += 1;
        self.updated_at = at;
        match event {
            Event::PaymentAuthorized(data) => {
                self.payment.set_state(data.operation, OperationState::Succeeded, at);
                self.payment.authorized += data.amount_minor;
                self.payment.authorization = Some(data.provider_ref.clone());
                if self.status == Status::Placed {
                    self.enter(Status::Authorized, at);
                }
            }
            Event::PaymentDeclined(data) | Event::PaymentCaptureFailed(data) => {
                self.payment.set_state(data.operation, OperationState::Refused, at);
            }
            Event::PaymentUnknown(data) => self.payment.set_state(data.operation, OperationState::Unknown, at),
            Event::InventoryReserved(data) => {
                self.reservation = Reservation::Held { expires_at: data.expires_at };
                self.payment.request(self.payment.next_id(OperationKind::Capture), self.payment.held(), at);
                self.enter(Status::Reserved, at);
            }
            Event::InventoryRejected(data) => self.short.clone_from(&data.short),
            Event::InventoryExpired(_) => self.reservation = Reservation::Expired,
            Event::InventoryReleased(_) => self.reservation = Reservation::Released,
            Event::PaymentCaptured(data) => {
                self.payment.captured += data.amount_minor;
                self.payment.set_state(data.operation, OperationState::Succeeded, at);
                // What is captured can no longer be voided.
                self.payment.supersede(OperationKind::Void, at);
            }
            Event::PaymentVoidRequested(data) | Event::PaymentRefundRequested(data) => {
                self.payment.request(data.operation, data.amount_minor, at);
            }
            Event::PaymentVoided(data) => {
                self.payment.voided += data.amount_minor;
                self.payment.set_state(data.operation, OperationState::Succeeded, at);
            }
            Event::PaymentExpired(data) => {
                self.payment.expired += data.amount_minor;
                self.payment.set_state(data.operation, OperationState::Refused, at);
                self.payment.supersede(OperationKind::Void, at);
            }
            Event::PaymentRefunded(data) => {
                self.payment.refunded += data.amount_minor;
                self.payment.set_state(data.operation, OperationState::Succeeded, at);
                self.owe_mail(MailKind::Refunded);
            }
            Event::PaymentVoidFailed(data) | Event::PaymentRefundFailed(data) => self.stick(data.operation, true, at),
            Event::OrderConfirmed(_) => {
                self.reservation = Reservation::Sold;
                self.enter(Status::Confirmed, at);
                self.owe_mail(MailKind::Confirmed);
            }
            Event::OrderRejected(data) => {
                self.reject_reason = Some(data.reason);
                self.end_unfulfilled(Status::Rejected, at);
                self.owe_mail(MailKind::Rejected);
            }
            Event::OrderCancelled(data) => {
                self.cancel_reason = Some(data.reason.clone());
                self.end_unfulfilled(Status::Cancelled, at);
                self.owe_mail(MailKind::Cancelled);
            }
            Event::ParcelMoved(data) => {
                self.parcel = Some(data.status);
                if data.status == ParcelStatus::DeliveryIssue && !self.status.is_called_off() {
                    self.owe_mail(MailKind::DeliveryIssue);
                }
            }
            Event::OrderShipped(_) => {
                self.enter(Status::Shipped, at);
                self.owe_mail(MailKind::Shipped);
            }
            Event::OrderDelivered(_) => {
                self.enter(Status::Delivered, at);
                self.owe_mail(MailKind::Delivered);
            }
            Event::OrderReturned(data) => {
                self.returned.extend(data.lines.iter().cloned());
                if data.complete {
                    self.enter(Status::Returned, at);
                }
            }
            Event::NotificationSent(data) => self.settle_mail(data.template, data.version, MailState::Sent),
            Event::NotificationSkipped(data) => self.settle_mail(data.template, data.version, MailState::Skipped),
            Event::NotificationFailed(data) => self.settle_mail(data.template, data.version, MailState::Failed),
            Event::OrderArchived(data) => self.archived = Some(data.version),
            Event::OrderAttention(data) => self.raise_attention(data.step, &data.reason, at),
            Event::OrderAttentionCleared(data) => self.clear_attention(data.remedy, at),
            Event::OrderOverdue(data) => self.overdue = Some(data.status),
            Event::OrderPlaced(_) | Event::ProductPut(_) | Event::StockSet(_) | Event::StockAdjusted(_) => {}
        }
    }

    fn enter(&mut self, status: Status, at: Timestamp) {
        self.status = status;
        self.status_since = at;
    }

    /// An authorize that was asked for stays to be found out: money may be held at the provider. A capture that was not asked
    /// with an unknown answer is given up; if it was under way, its result comes in late.
    fn end_unfulfilled(&mut self, status: Status, at: Timestamp) {
        self.payment.supersede(OperationKind::Capture, at);
        self.enter(status, at);
    }

    fn stick(&mut self, operation: crate::payment::OperationId, refused: bool, at: Timestamp) {
        if let Some(operation) = self.payment.operations.iter_mut().find(|entry| entry.id == operation) {
            operation.state = OperationState::Stuck;
            operation.refused = refused;
            operation.since = at;
        }
    }

    fn owe_mail(&mut self, kind: MailKind) {
        let version = self.mails.iter().filter(|mail| mail.kind == kind).count();
        let version = u16::try_from(version + 1).unwrap_or(u16::MAX);
        self.mails.push(OwedMail { kind, version, state: MailState::Due });
    }

    fn settle_mail(&mut self, kind: MailKind, version: u16, state: MailState) {
        if let Some(mail) = self.mails.iter_mut().find(|mail| mail.kind == kind && mail.version == version) {
            mail.state = state;
        }
    }

    fn raise_attention(&mut self, step: Step, reason: &str, since: Timestamp) {
        // An operation without an answer is given to a person; one that was refused is stuck already.
        for operation in &mut self.payment.operations {
            if operation.state == OperationState::Unknown && Step::of_operation(operation.id.kind) == step {
                operation.state = OperationState::Stuck;
                operation.since = since;
            }
        }
        if self.attention.is_none() {
            self.attention = Some(Attention { step, reason: reason.into(), since });
        }
    }

    fn clear_attention(&mut self, remedy: crate::event::Remedy, at: Timestamp) {
        use crate::event::Remedy;
        self.attention = None;
        for operation in &mut self.payment.operations {
            if operation.state != OperationState::Stuck {
                continue;
            }
            operation.since = at;
            operation.state = match remedy {
                // Without a definite refusal the same key goes on: a new one could do it twice.
                Remedy::Retried if !operation.refused => OperationState::Unknown,
                Remedy::Retried => {
                    operation.attempt = operation.attempt.saturating_add(1);
                    operation.refused = false;
                    OperationState::Due
                }
                Remedy::Resolved => OperationState::Superseded,
            };
        }
        for mail in &mut self.mails {
            if mail.state == MailState::Failed {
                mail.state = match remedy {
                    Remedy::Retried => MailState::Due,
                    Remedy::Resolved => MailState::Skipped,
                };
            }
        }
    }

    /// Units of each product over all lines, in the order of product ids: two lines of one product count together.
    #[must_use]
    pub fn units(&self) -> Vec<(&ProductId, i64)> {
        let mut units: Vec<(&ProductId, i64)> =
            self.placement.lines.iter().map(|line| (&line.product_id, line.quantity)).collect();
        if units.len() > 1 {
            units.sort_unstable();
            units.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                if same {
                    kept.1 = kept.1.saturating_add(next.1);
                }
                same
            });
        }
        units
    }

    /// The mails to be sent now.
    pub fn due_mails(&self) -> impl Iterator<Item = &OwedMail> {
        self.mails.iter().filter(|mail| mail.state == MailState::Due)
    }

    /// Undecided, or with an outside action pending. Only open orders are held in memory.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.status.is_undecided() || self.payment.due().is_some() || self.due_mails().next().is_some()
    }

    /// Whether it waits for nothing but time or people: what `Prefer: wait` waits for.
    #[must_use]
    pub const fn is_settled_for_caller(&self) -> bool {
        !self.status.is_undecided() || self.attention.is_some()
    }

    /// Money in the order's currency.
    #[must_use]
    pub fn money(&self, amount_minor: i64) -> Money {
        Money { amount_minor, currency: self.placement.total.currency }
    }

    /// When the sweeper has to look at this order next: a reservation that runs out, an unknown answer that takes too long, a
    /// state that lasts too long. `None` when nothing of the kind is ahead.
    #[must_use]
    pub fn deadline(&self, policy: &Policy) -> Option<Timestamp> {
        let reservation = match self.reservation {
            Reservation::Held { expires_at } if self.status == Status::Reserved => Some(expires_at),
            _ => None,
        };
        let unknown = self
            .payment
            .operations
            .iter()
            .filter(|operation| operation.state == OperationState::Unknown)
            .map(|operation| operation.since.saturating_add(policy.unknown_budget).unwrap_or(Timestamp::MAX))
            .min();
        let overdue = self
            .time_budget(policy)
            .filter(|_| self.overdue != Some(self.status))
            .map(|budget| self.status_since.saturating_add(budget).unwrap_or(Timestamp::MAX));
        [reservation, unknown, overdue].into_iter().flatten().min()
    }

    /// How long the present status may last; `None` for an end.
    #[must_use]
    pub const fn time_budget(&self, policy: &Policy) -> Option<jiff::SignedDuration> {
        match self.status {
            Status::Placed | Status::Authorized | Status::Reserved => Some(policy.undecided_budget),
            Status::Confirmed => Some(policy.shipping_budget),
            Status::Shipped => Some(policy.delivery_budget),
            Status::Delivered | Status::Rejected | Status::Cancelled | Status::Returned => None,
        }
    }
}

impl Order {
    /// Whether the archive should hold the order and does not hold its newest events. `order.archived` itself is no news.
    #[must_use]
    pub fn is_archive_due(&self) -> bool {
        let newest = match self.archived {
            // The event that says "archived" is the one behind what it names, unless something happened in between.
            Some(version) => version.saturating_add(1) < self.version,
            None => true,
        };
        newest && !self.status.is_undecided()
    }
}
