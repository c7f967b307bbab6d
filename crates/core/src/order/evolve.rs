//! The fold: what each event does to an order.

use std::sync::Arc;

use crate::Timestamp;
use crate::event::{Event, Remedy, ReturnedLine};
use crate::id::OrderId;
use crate::mail::{MailKind, MailState, OwedMail};
use crate::order::{Attention, Order, Status};
use crate::parcel::ParcelStatus;
use crate::payment::{OperationId, OperationKind, OperationState};
use crate::process::Step;
use crate::reservation::Reservation;

impl Order {
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

    /// Takes one more event of this order. Total: an event of any type is taken in any state.
    pub fn evolve(&mut self, event: &Event, at: Timestamp) {
        self.version += 1;
        self.updated_at = at;
        self.evolve_money(event, at);
        self.evolve_status(event, at);
        match event {
            Event::InventoryReserved(data) => self.reservation = Reservation::Held { expires_at: data.expires_at },
            Event::InventoryRejected(data) => self.short.clone_from(&data.short),
            Event::InventoryExpired(_) => self.reservation = Reservation::Expired,
            Event::InventoryReleased(_) => self.reservation = Reservation::Released,
            Event::OrderConfirmed(_) => self.reservation = Reservation::Sold,
            Event::ParcelMoved(data) => {
                self.parcel = Some(data.status);
                self.parcel_seen.see(data.status, data.seen_at);
            }
            Event::OrderReturned(data) => data.lines.iter().for_each(|line| self.take_back(line)),
            Event::NotificationSent(data) => self.settle_mail(data.template, data.version, MailState::Sent),
            Event::NotificationSkipped(data) => self.settle_mail(data.template, data.version, MailState::Skipped),
            Event::NotificationFailed(data) => self.settle_mail(data.template, data.version, MailState::Failed),
            Event::OrderArchived(data) => self.archived = Some(data.version),
            Event::OrderAttention(data) => self.raise_attention(data.step, &data.reason, at),
            Event::OrderAttentionCleared(data) => self.clear_attention(data.remedy, at),
            Event::OrderOverdue(data) => self.overdue = Some(data.status),
            // All that these do is in the two above. Listed, so that a new type of event is not forgotten here.
            Event::OrderPlaced(_)
            | Event::PaymentAuthorized(_)
            | Event::PaymentDeclined(_)
            | Event::PaymentUnknown(_)
            | Event::PaymentCaptured(_)
            | Event::PaymentCaptureFailed(_)
            | Event::PaymentVoidRequested(_)
            | Event::PaymentVoided(_)
            | Event::PaymentVoidFailed(_)
            | Event::PaymentExpired(_)
            | Event::PaymentRefundRequested(_)
            | Event::PaymentRefunded(_)
            | Event::PaymentRefundFailed(_)
            | Event::OrderRejected(_)
            | Event::OrderCancelled(_)
            | Event::OrderShipped(_)
            | Event::OrderDelivered(_)
            | Event::ProductPut(_)
            | Event::StockSet(_)
            | Event::StockAdjusted(_)
            | Event::ProductDeleted(_)
            | Event::CustomerPut(_)
            | Event::CustomerDeleted(_)
            | Event::TrackingMoved(_)
            | Event::TrackingLate(_)
            | Event::TrackingRefused(_)
            | Event::RecordReceived(_)
            | Event::RecordStored(_) => {}
        }
        self.owe_mail_about(event);
    }

    fn evolve_money(&mut self, event: &Event, at: Timestamp) {
        let payment = &mut self.payment;
        match event {
            Event::PaymentAuthorized(data) => {
                payment.set_state(data.operation, OperationState::Succeeded, at);
                payment.authorized += data.amount_minor;
                payment.authorization = Some(data.provider_ref.clone());
                payment.authorization_open = true;
            }
            Event::PaymentDeclined(data) | Event::PaymentCaptureFailed(data) => {
                payment.set_state(data.operation, OperationState::Refused, at);
            }
            Event::PaymentUnknown(data) => payment.set_state(data.operation, OperationState::Unknown, at),
            Event::InventoryReserved(_) => {
                payment.request(payment.next_id(OperationKind::Capture), payment.held(), at);
            }
            Event::PaymentCaptured(data) => {
                payment.captured += data.amount_minor;
                payment.close_authorization(data.operation, OperationState::Succeeded, at);
            }
            Event::PaymentVoided(data) => {
                payment.voided += data.amount_minor;
                payment.close_authorization(data.operation, OperationState::Succeeded, at);
            }
            Event::PaymentExpired(data) => {
                payment.expired += data.amount_minor;
                payment.close_authorization(data.operation, OperationState::Refused, at);
            }
            Event::PaymentVoidRequested(data) | Event::PaymentRefundRequested(data) => {
                payment.request(data.operation, data.amount_minor, at);
            }
            Event::PaymentRefunded(data) => {
                payment.refunded += data.amount_minor;
                payment.set_state(data.operation, OperationState::Succeeded, at);
            }
            Event::PaymentVoidFailed(data) | Event::PaymentRefundFailed(data) => self.stick(data.operation, at),
            // An authorize that may have been asked for stays to be found out, as money may be held at the provider. A capture
            // without a missing answer is given up: the void that is asked for instead finds out what became of it.
            Event::OrderCancelled(_) => payment.supersede(OperationKind::Capture, at),
            Event::OrderRejected(data) => {
                payment.supersede(OperationKind::Capture, at);
                if data.reason.is_of_placement() {
                    payment.supersede(OperationKind::Authorize, at);
                }
            }
            _ => {}
        }
    }

    fn evolve_status(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::PaymentAuthorized(_) if self.status == Status::Placed => self.enter(Status::Authorized, at),
            Event::InventoryReserved(_) => self.enter(Status::Reserved, at),
            Event::OrderConfirmed(_) => self.enter(Status::Confirmed, at),
            Event::OrderRejected(data) => {
                self.reject_reason = Some(data.reason);
                self.enter(Status::Rejected, at);
            }
            Event::OrderCancelled(data) => {
                self.cancel_reason = Some(data.reason.clone());
                self.enter(Status::Cancelled, at);
            }
            Event::OrderShipped(_) => self.enter(Status::Shipped, at),
            Event::OrderDelivered(_) => self.enter(Status::Delivered, at),
            Event::OrderReturned(data) if data.complete => self.enter(Status::Returned, at),
            _ => {}
        }
    }

    /// One line a product, however often units of it come back: an order never has more of them than lines.
    fn take_back(&mut self, back: &ReturnedLine) {
        match self.returned.iter_mut().find(|line| line.product_id == back.product_id) {
            Some(line) => line.quantity += back.quantity,
            None => self.returned.push(back.clone()),
        }
    }

    fn enter(&mut self, status: Status, at: Timestamp) {
        self.status = status;
        self.status_since = at;
    }

    fn stick(&mut self, operation: OperationId, at: Timestamp) {
        if let Some(operation) = self.payment.operations.iter_mut().find(|entry| entry.id == operation) {
            operation.state = OperationState::Stuck;
            operation.refused = true;
            operation.since = at;
        }
    }

    fn owe_mail_about(&mut self, event: &Event) {
        let kind = match event {
            Event::OrderConfirmed(_) => MailKind::Confirmed,
            Event::OrderRejected(_) => MailKind::Rejected,
            Event::OrderCancelled(_) => MailKind::Cancelled,
            Event::PaymentRefunded(_) => MailKind::Refunded,
            Event::OrderShipped(_) => MailKind::Shipped,
            Event::OrderDelivered(_) => MailKind::Delivered,
            Event::ParcelMoved(data) if data.status == ParcelStatus::DeliveryIssue && !self.status.is_called_off() => {
                MailKind::DeliveryIssue
            }
            _ => return,
        };
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
        if !self.attention_steps.contains(&step) {
            self.attention_steps.push(step);
        }
        if self.attention.is_none() {
            self.attention = Some(Attention { step, reason: reason.into(), since });
        }
    }

    fn clear_attention(&mut self, remedy: Remedy, at: Timestamp) {
        self.attention = None;
        self.attention_steps.clear();
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
}
