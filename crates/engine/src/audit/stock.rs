//! Stock: what the events of products and orders add up to, against the rows.

use std::collections::{BTreeSet, HashMap};

use ordermill_core::event::{Event, Subject};
use ordermill_core::id::ProductId;
use ordermill_core::invariant::{Invariant, StockTotals};
use ordermill_core::product::Product;
use ordermill_core::reservation::Reservation;
use ordermill_ports::audit::{OrderHistory, ProductHistory};

use super::history::find_gap;
use super::orders::Judged;
use super::report::{Finding, Report};

/// What the orders do to the stock of each product.
#[derive(Default)]
pub(super) struct StockBook {
    by_product: HashMap<ProductId, StockTotals>,
    /// Products of orders of which it cannot be told what they hold.
    unknown: BTreeSet<ProductId>,
    /// Products the ledger has.
    known: BTreeSet<ProductId>,
}

impl StockBook {
    /// Adds what one order holds, has sold and has brought back.
    pub(super) fn add(&mut self, judged: &Judged, history: &OrderHistory) {
        let Some(order) = &judged.order else {
            return;
        };
        if !judged.stock_known {
            self.unknown.extend(order.placement.lines.iter().map(|line| line.product_id.clone()));
            return;
        }
        match order.reservation {
            Reservation::Held { .. } => order.units().into_iter().for_each(|(id, units)| self.of(id).reserved += units),
            Reservation::Sold => order.units().into_iter().for_each(|(id, units)| self.of(id).sold += units),
            Reservation::None | Reservation::Released | Reservation::Expired => {}
        }
        if order.returned.is_empty() {
            return;
        }
        for recorded in &history.events {
            if let Event::OrderReturned(data) = &recorded.event
                && data.restocked
            {
                data.lines.iter().for_each(|line| self.of(&line.product_id).returned += line.quantity);
            }
        }
    }

    fn of(&mut self, id: &ProductId) -> &mut StockTotals {
        // Looked up twice rather than cloning an id for each of millions of lines.
        if !self.by_product.contains_key(id) {
            self.by_product.insert(id.clone(), StockTotals::default());
        }
        self.by_product.get_mut(id).expect("it was put there if it was missing")
    }

    /// Holds one product's rows against its events and the orders.
    pub(super) fn check(&mut self, history: &ProductHistory, report: &mut Report<'_>) {
        self.known.insert(history.id.clone());
        report.totals.events += history.events.len() as u64;
        report.totals.stock.products += 1;
        let mut expected = self.by_product.remove(&history.id).unwrap_or_default();
        history.events.iter().for_each(|recorded| expected.add_event(&recorded.event));
        let row = history.stock.as_ref().map_or((0, 0, 0), |level| (level.available, level.reserved, level.sold));
        add_to_sum(report, &expected, row);
        if let Some(detail) = find_gap(&Subject::Product(history.id.clone()), &history.events) {
            report.find(Finding::of_product(Invariant::EventsWithoutGap, &history.id, &detail));
            return;
        }
        if let Some(detail) = product_differs(history) {
            report.find(Finding::of_product(Invariant::ProductMatchesEvents, &history.id, &detail));
        }
        if self.unknown.contains(&history.id) {
            return;
        }
        let by_events = (expected.available(), expected.reserved, expected.sold);
        let negative = by_events.0 < 0 || by_events.1 < 0 || by_events.2 < 0;
        if row != by_events || negative {
            let detail = format!(
                "{} available, {} reserved, {} sold in its row; {}, {}, {} by the events of {} brought in and {} returned",
                row.0, row.1, row.2, by_events.0, by_events.1, by_events.2, expected.brought_in, expected.returned
            );
            report.find(Finding::of_product(Invariant::StockBalance, &history.id, &detail));
        }
    }

    /// Whether the ledger has this product. Meaningful once every product was checked.
    pub(super) fn knows(&self, id: &ProductId) -> bool {
        self.known.contains(id)
    }

    /// Reports products that orders hold and the ledger does not have.
    pub(super) fn finish(&mut self, report: &mut Report<'_>) {
        let mut left: Vec<_> = self.by_product.drain().filter(|(id, _)| !self.unknown.contains(id)).collect();
        left.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (id, totals) in left {
            let StockTotals { returned, reserved, sold, .. } = totals;
            let detail =
                format!("orders hold {reserved}, bought {sold} and gave back {returned} of it, but it is unknown");
            report.find(Finding::of_product(Invariant::StockBalance, &id, &detail));
        }
    }
}

fn add_to_sum(report: &mut Report<'_>, expected: &StockTotals, row: (i64, i64, i64)) {
    let sum = &mut report.totals.stock;
    sum.brought_in += i128::from(expected.brought_in);
    sum.returned += i128::from(expected.returned);
    sum.available += i128::from(row.0);
    sum.reserved += i128::from(row.1);
    sum.sold += i128::from(row.2);
}

/// The catalogue's row must be what the product's events make of it.
fn product_differs(history: &ProductHistory) -> Option<String> {
    let folded = history.events.iter().fold(None, |present, recorded| Product::after(present, &recorded.event));
    match (&history.product, &folded) {
        (Some(row), Some(product)) if row == product => None,
        (None, None) => None,
        (Some(_), None) => Some("its row comes from no event".to_owned()),
        (None, Some(_)) => Some("its events put it into the catalogue, but it has no row".to_owned()),
        (Some(row), Some(product)) => {
            Some(format!("its row is {}, its events make it {}", describe(row), describe(product)))
        }
    }
}

fn describe(product: &Product) -> String {
    format!("version {} at {}{}", product.version, product.price, if product.deleted { ", deleted" } else { "" })
}
