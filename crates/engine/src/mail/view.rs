//! What a template can name.

use ordermill_core::mail::{MailKind, OwedMail};
use ordermill_core::money::Money;
use ordermill_core::order::{Order, RejectReason};
use ordermill_core::payment::{OperationKind, OperationState};
use serde::Serialize;

/// Lines shown in a mail; of a longer order the rest is counted.
const LINES_SHOWN: usize = 50;

/// The values of one mail.
#[derive(Debug, Serialize)]
pub(super) struct View<'a> {
    order_id: String,
    /// The shop's number where there is one, else ours: what the customer knows the order by.
    order_number: String,
    customer_id: &'a str,
    lines: Vec<LineView<'a>>,
    more_lines: usize,
    total: String,
    /// Why it was rejected, in words for the customer.
    reject_reason: &'static str,
    cancel_reason: &'a str,
    short: Vec<ShortView<'a>>,
    /// Whether money that was taken goes back.
    refund_follows: bool,
    /// How much went back, in a mail about that.
    refund: String,
}

#[derive(Debug, Serialize)]
struct LineView<'a> {
    product_id: &'a str,
    name: &'a str,
    quantity: i64,
    unit_price: String,
}

#[derive(Debug, Serialize)]
struct ShortView<'a> {
    product_id: &'a str,
    name: &'a str,
    missing: i64,
}

impl<'a> View<'a> {
    pub(super) fn new(order: &'a Order, owed: OwedMail, names: &'a [Box<str>]) -> Self {
        let placement = &order.placement;
        let name_of = |index: usize| names.get(index).map_or(placement.lines[index].product_id.as_str(), |name| name);
        let order_id = order.id.to_string();
        let line = |(index, line): (usize, &'a ordermill_core::order::Line)| LineView {
            product_id: line.product_id.as_str(),
            name: name_of(index),
            quantity: line.quantity,
            unit_price: order.money(line.unit_price_minor).to_string(),
        };
        let short = |entry: &'a ordermill_core::event::Shortage| {
            let index = placement.lines.iter().position(|line| line.product_id == entry.product_id);
            let name = index.map_or(entry.product_id.as_str(), name_of);
            ShortView { product_id: entry.product_id.as_str(), name, missing: entry.missing }
        };
        Self {
            order_number: placement.order_ref.as_ref().map_or_else(|| order_id.clone(), ToString::to_string),
            order_id,
            customer_id: placement.customer_id.as_str(),
            lines: placement.lines.iter().enumerate().take(LINES_SHOWN).map(line).collect(),
            more_lines: placement.lines.len().saturating_sub(LINES_SHOWN),
            total: placement.total.to_string(),
            reject_reason: order.reject_reason.map_or("", in_words),
            cancel_reason: order.cancel_reason.as_deref().unwrap_or_default(),
            short: order.short.iter().map(short).collect(),
            refund_follows: order.payment.kept() > 0,
            refund: refund(order, owed).map_or_else(String::new, |money| money.to_string()),
        }
    }
}

/// The refund this mail is about: the first mail is about the first refund that went through, and so on.
fn refund(order: &Order, owed: OwedMail) -> Option<Money> {
    if owed.kind != MailKind::Refunded {
        return None;
    }
    let done =
        order.payment.operations.iter().filter(|operation| {
            operation.id.kind == OperationKind::Refund && operation.state == OperationState::Succeeded
        });
    let index = usize::from(owed.version).saturating_sub(1);
    done.skip(index).map(|operation| order.money(operation.amount_minor)).next()
}

const fn in_words(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::PaymentDeclined => "the payment was declined",
        RejectReason::InsufficientFunds => "the account does not hold enough money",
        RejectReason::OutOfStock => "we do not have enough in stock",
        RejectReason::CaptureFailed => "the payment could not be completed",
        RejectReason::ReservationExpired => "the payment took too long",
        RejectReason::PriceChanged => "the price has changed",
        RejectReason::UnknownProduct => "a product is no longer in our catalogue",
    }
}
