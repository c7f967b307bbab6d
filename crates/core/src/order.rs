//! An order: what was asked for, and how far it has come. A fold of its events.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::event::{Placement, ReturnedLine, Shortage};
use crate::id::{OrderId, ProductId};
use crate::mail::{MailState, OwedMail};
use crate::money::Money;
use crate::parcel::{LastSeen, ParcelStatus};
use crate::payment::{OperationKind, OperationState, Payment};
use crate::policy::Policy;
use crate::process::Step;
use crate::reservation::Reservation;

mod evolve;
mod status;

pub use self::status::{RejectReason, Status};

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
    /// Every step that asked for a person since attention was last cleared; [`attention`](Self::attention) shows the first.
    pub attention_steps: Vec<Step>,
    /// Its money.
    pub payment: Payment,
    /// Its stock.
    pub reservation: Reservation,
    /// The mails its customer is owed.
    pub mails: Vec<OwedMail>,
    /// Where its parcel is.
    pub parcel: Option<ParcelStatus>,
    /// When the carrier saw it last.
    pub parcel_seen: LastSeen,
    /// What came back, one line a product.
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
            attention_steps: Vec::new(),
            payment,
            reservation: Reservation::None,
            mails: Vec::new(),
            parcel: None,
            parcel_seen: LastSeen::default(),
            returned: Vec::new(),
            overdue: None,
            archived: None,
            version: 1,
            created_at: at,
            updated_at: at,
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
