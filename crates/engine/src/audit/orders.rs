//! One order by itself: its events, its row, its money, its stock, its mails.

use ordermill_core::event::{Event, Subject};
use ordermill_core::invariant::{Invariant, check_order};
use ordermill_core::order::Order;
use ordermill_ports::audit::{OrderHistory, OrderRow};

use super::history::find_gap;
use super::report::{Finding, Report};

/// What one order's own records show.
pub(super) struct Judged {
    /// The fold of its events, where they can be folded.
    pub(super) order: Option<Order>,
    /// Whether its records agree with each other, so that the outside stores can be held against them.
    pub(super) comparable: bool,
    /// Whether it can be told from them what stock it holds.
    pub(super) stock_known: bool,
}

/// Judges one order, and counts it.
pub(super) fn judge(history: &OrderHistory, report: &mut Report<'_>) -> Judged {
    report.totals.orders += 1;
    report.totals.events += history.events.len() as u64;
    let order = fold(history);
    if let Some(order) = &order {
        report.totals.add_order(order);
    }
    if let Some(detail) = find_gap(&Subject::Order(history.id), &history.events) {
        report.of_order(Invariant::EventsWithoutGap, history.id, &detail);
        return Judged { order, comparable: false, stock_known: false };
    }
    let Some(order) = order else {
        report.of_order(Invariant::OrderMatchesEvents, history.id, "its events do not begin with order.placed");
        return Judged { order: None, comparable: false, stock_known: false };
    };
    let complete = match &history.row {
        None => {
            report.of_order(Invariant::OrderMatchesEvents, history.id, "events are stored for it, but no row");
            false
        }
        Some(row) => {
            if let Some(detail) = row_differs(row, &order) {
                report.of_order(Invariant::OrderMatchesEvents, history.id, &detail);
            }
            row.version == order.version
        }
    };
    let (mut sound, mut stock_known) = (true, true);
    let violations = check_order(&order);
    let sums_broken = violations.iter().any(|violation| is_sum(violation.invariant));
    for violation in violations {
        sound = false;
        stock_known &= violation.invariant != Invariant::StockMatchesStatus;
        // Sums that do not add up match no status either; that is told once.
        if !(sums_broken && violation.invariant == Invariant::MoneyMatchesStatus) {
            report.find(Finding::of_violation(history.id, violation));
        }
    }
    if order.placement.customer_email.is_some() && was_skipped_for_no_address(history) {
        sound = false;
        let detail = "a mail was skipped as there was no address, but there is one";
        report.of_order(Invariant::OutcomeWasMailed, history.id, detail);
    }
    Judged { order: Some(order), comparable: complete && sound, stock_known: complete && stock_known }
}

const fn is_sum(invariant: Invariant) -> bool {
    matches!(invariant, Invariant::AuthorizedMoney | Invariant::CapturedMoney)
}

/// Folds an order's events.
pub(super) fn fold(history: &OrderHistory) -> Option<Order> {
    Order::fold(history.id, history.events.iter().map(|recorded| (&recorded.event, recorded.at)))
}

fn row_differs(row: &OrderRow, order: &Order) -> Option<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, in_row: &dyn std::fmt::Display, folded: &dyn std::fmt::Display| {
        let (in_row, folded) = (in_row.to_string(), folded.to_string());
        if in_row != folded {
            differences.push(format!("{what} is {in_row} in its row and {folded} by its events"));
        }
    };
    compare("the status", &row.status.as_str(), &order.status.as_str());
    compare("attention", &row.attention, &order.attention.is_some());
    compare("the customer", &row.customer_id, &order.placement.customer_id);
    compare("open", &row.open, &order.is_open());
    compare("the version", &row.version, &order.version);
    (!differences.is_empty()).then(|| differences.join("; "))
}

fn was_skipped_for_no_address(history: &OrderHistory) -> bool {
    history.events.iter().any(|recorded| matches!(recorded.event, Event::NotificationSkipped(_)))
}
