//! The catalogue of what must always hold. The property tests, the auditor and the simulator all check these.

use std::fmt;

use crate::event::Event;
use crate::mail::MailState;
use crate::order::{Order, Status};
use crate::payment::{OperationKind, OperationState};
use crate::reservation::Reservation;

/// One rule that no fault may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// `authorized = held + captured + voided + expired`, none of them negative.
    AuthorizedMoney,
    /// `captured = kept + refunded`, none of them negative.
    CapturedMoney,
    /// A confirmed order has paid its total; an order that was called off keeps nothing in the end.
    MoneyMatchesStatus,
    /// An order holds stock when and only when it is reserved, and has it sold when and only when it is paid.
    StockMatchesStatus,
    /// `opening + adjustments + returned = available + reserved + sold`, none of them negative, for each product.
    StockBalance,
    /// The order's row is the fold of its events.
    OrderMatchesEvents,
    /// The product's row is what its newest events say.
    ProductMatchesEvents,
    /// The customer's row is what its newest events say.
    CustomerMatchesEvents,
    /// The parcel's row is the fold of its events.
    ParcelMatchesEvents,
    /// The record's row is the fold of its events.
    RecordMatchesEvents,
    /// The events of one subject are counted without a gap.
    EventsWithoutGap,
    /// An order reference and an idempotency key lead to an order that exists.
    KeysLeadToOrders,
    /// What we say the provider did is in the provider's own journal, and the other way round.
    ProviderAgrees,
    /// Each mail we say was sent is in the mail store, once, and no other is.
    MailStoreAgrees,
    /// Each object we say was archived is there and holds what the ledger holds.
    ArchiveAgrees,
    /// Each record we say was stored has its object, which holds what was handed over.
    RecordsAgree,
    /// A mail was sent for every outcome the customer must hear of, once nothing is pending.
    OutcomeWasMailed,
    /// The storage reports no damage to its own files.
    StorageIntact,
}

impl Invariant {
    /// Every rule.
    pub const ALL: [Self; 18] = [
        Self::AuthorizedMoney,
        Self::CapturedMoney,
        Self::MoneyMatchesStatus,
        Self::StockMatchesStatus,
        Self::StockBalance,
        Self::OrderMatchesEvents,
        Self::ProductMatchesEvents,
        Self::CustomerMatchesEvents,
        Self::ParcelMatchesEvents,
        Self::RecordMatchesEvents,
        Self::EventsWithoutGap,
        Self::KeysLeadToOrders,
        Self::ProviderAgrees,
        Self::MailStoreAgrees,
        Self::ArchiveAgrees,
        Self::RecordsAgree,
        Self::OutcomeWasMailed,
        Self::StorageIntact,
    ];

    /// The name the auditor prints.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizedMoney => "authorized_money",
            Self::CapturedMoney => "captured_money",
            Self::MoneyMatchesStatus => "money_matches_status",
            Self::StockMatchesStatus => "stock_matches_status",
            Self::StockBalance => "stock_balance",
            Self::OrderMatchesEvents => "order_matches_events",
            Self::ProductMatchesEvents => "product_matches_events",
            Self::CustomerMatchesEvents => "customer_matches_events",
            Self::ParcelMatchesEvents => "parcel_matches_events",
            Self::RecordMatchesEvents => "record_matches_events",
            Self::EventsWithoutGap => "events_without_gap",
            Self::KeysLeadToOrders => "keys_lead_to_orders",
            Self::ProviderAgrees => "provider_agrees",
            Self::MailStoreAgrees => "mail_store_agrees",
            Self::ArchiveAgrees => "archive_agrees",
            Self::RecordsAgree => "records_agree",
            Self::OutcomeWasMailed => "outcome_was_mailed",
            Self::StorageIntact => "storage_intact",
        }
    }
}

/// A rule that is broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub invariant: Invariant,
    /// What was found.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.as_str(), self.detail)
    }
}

/// Checks the rules that one order can show by itself.
#[must_use]
pub fn check_order(order: &Order) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut hold = |invariant, holds: bool, detail: &dyn Fn() -> String| {
        if !holds {
            violations.push(Violation { invariant, detail: format!("order {}: {}", order.id, detail()) });
        }
    };
    let payment = &order.payment;
    let parts = [payment.held(), payment.captured, payment.voided, payment.expired];
    let is_sound = parts.iter().all(|part| *part >= 0) && (payment.held() == 0 || payment.authorization_open);
    hold(Invariant::AuthorizedMoney, is_sound, &|| {
        let [held, captured, voided, expired] = parts;
        format!(
            "authorized {}, held {held}, captured {captured}, voided {voided}, expired {expired}",
            payment.authorized
        )
    });
    let pending = payment.refunds_pending();
    let sound = payment.refunded >= 0 && payment.kept() >= 0 && payment.refunded + pending <= payment.captured;
    hold(Invariant::CapturedMoney, sound, &|| {
        format!("captured {}, refunded {}, refunds pending {pending}", payment.captured, payment.refunded)
    });
    hold(Invariant::MoneyMatchesStatus, money_matches_status(order), &|| {
        let (held, kept) = (payment.held(), payment.kept());
        format!("{} with {held} held and {kept} kept of {}", order.status.as_str(), order.placement.total.amount_minor)
    });
    hold(Invariant::StockMatchesStatus, stock_matches_status(order), &|| {
        format!("{} with its stock {:?}", order.status.as_str(), order.reservation)
    });
    hold(Invariant::OutcomeWasMailed, outcome_was_mailed(order), &|| {
        format!("{} without a mail about it", order.status.as_str())
    });
    violations
}

/// Money that is neither free nor kept for a fulfilled order must have an operation under way, or a person who dealt with it.
fn money_matches_status(order: &Order) -> bool {
    let payment = &order.payment;
    let total = order.placement.total.amount_minor;
    match order.status {
        Status::Placed => payment.authorized == 0 && !payment.authorization_open,
        Status::Authorized | Status::Reserved => {
            payment.authorization_open && payment.held() == total && payment.captured == 0
        }
        Status::Confirmed | Status::Shipped | Status::Delivered | Status::Returned => payment.captured == total,
        Status::Rejected | Status::Cancelled => {
            // While the authorization is open, a void is superseded by nothing but a person.
            let is_void_asked = payment.operations.iter().any(|operation| {
                operation.id.kind == OperationKind::Void
                    && (operation.is_open() || operation.state == OperationState::Superseded)
            });
            (!payment.authorization_open || is_void_asked) && payment.kept() == payment.refunds_pending()
        }
    }
}

const fn stock_matches_status(order: &Order) -> bool {
    match order.status {
        Status::Placed | Status::Authorized => matches!(order.reservation, Reservation::None),
        Status::Reserved => matches!(order.reservation, Reservation::Held { .. }),
        Status::Confirmed | Status::Shipped | Status::Delivered | Status::Returned => {
            matches!(order.reservation, Reservation::Sold)
        }
        Status::Rejected | Status::Cancelled => {
            matches!(order.reservation, Reservation::None | Reservation::Released | Reservation::Expired)
        }
    }
}

fn outcome_was_mailed(order: &Order) -> bool {
    use crate::mail::MailKind;
    let kind = match order.status {
        Status::Confirmed => MailKind::Confirmed,
        Status::Rejected => MailKind::Rejected,
        Status::Cancelled => MailKind::Cancelled,
        Status::Shipped => MailKind::Shipped,
        Status::Delivered => MailKind::Delivered,
        _ => return true,
    };
    // Owed is enough here: whether a mail that is due gets sent in time is for the deadlines to watch.
    order.mails.iter().any(|mail| {
        mail.kind == kind
            && matches!(mail.state, MailState::Due | MailState::Sent | MailState::Skipped | MailState::Failed)
    })
}

/// What the history of one product's stock adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StockTotals {
    /// Opening and adjustments.
    pub brought_in: i64,
    /// Units that came back and can be sold again.
    pub returned: i64,
    /// Units that open reservations hold.
    pub reserved: i64,
    /// Units of paid orders.
    pub sold: i64,
}

impl StockTotals {
    /// What must be available.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.brought_in + self.returned - self.reserved - self.sold
    }

    /// Adds an event of the product itself.
    pub fn add_event(&mut self, event: &Event) {
        match event {
            Event::StockSet(data) => self.brought_in += data.to - data.from,
            Event::StockAdjusted(data) => self.brought_in += data.delta,
            _ => {}
        }
    }
}
