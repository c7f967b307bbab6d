//! Taking an order: known products at the catalogue's prices, in one currency, once per reference.

use std::sync::Arc;

use crate::decide::Decision;
use crate::event::{Event, Rejected};
use crate::facts::Facts;
use crate::idempotency::{Answer, Fingerprint};
use crate::input::{Admission, PlaceOrder};
use crate::money::{Currency, Money};
use crate::order::{Line, RejectReason};
use crate::refusal::Refusal;

pub(super) fn place(
    facts: &impl Facts,
    request: &PlaceOrder,
    fingerprint: Option<Fingerprint>,
) -> Result<Decision, Refusal> {
    // A reference is compared by the order's own content, whatever else a key stands for.
    let fingerprint = fingerprint.filter(|_| request.order_ref.is_none()).unwrap_or_else(|| request.fingerprint());
    if let Some(present) = facts.order(request.order_id) {
        return if present.placement.fingerprint == fingerprint {
            Ok(Decision::replay(Answer::Order(request.order_id)))
        } else {
            Err(Refusal::IdempotencyKeyReused)
        };
    }
    if let Some(order_ref) = &request.order_ref
        && let Some(taken) = facts.order_ref(order_ref)
    {
        return if taken.fingerprint == fingerprint {
            Ok(Decision::replay(Answer::Order(taken.order_id)))
        } else {
            Err(Refusal::OrderRefTaken { order_id: taken.order_id })
        };
    }
    let (priced, rejected) = match price(facts, request) {
        Ok(priced) => (priced, None),
        Err(refusal) => match (request.admission, rejection(&refusal)) {
            (Admission::Reject, Some(reason)) => (price_as_given(request)?, Some(reason)),
            _ => return Err(refusal),
        },
    };
    let (lines, total) = priced;
    let placement = request.to_placement(lines, total, fingerprint);
    let mut events = vec![Event::OrderPlaced(Arc::new(placement))];
    events.extend(rejected.map(|reason| Event::OrderRejected(Rejected { reason })));
    Ok(Decision::order(request.order_id, events))
}

type Priced = (Vec<Line>, Money);

/// Prices every line from the catalogue.
fn price(facts: &impl Facts, request: &PlaceOrder) -> Result<Priced, Refusal> {
    let catalogue_price = |line: usize| {
        let requested = &request.lines[line];
        let product = facts.product(&requested.product_id).filter(|product| product.is_for_sale());
        let product =
            product.ok_or_else(|| Refusal::UnknownProduct { line, product_id: requested.product_id.clone() })?;
        match requested.unit_price {
            Some(given) if given != product.price => Err(Refusal::PriceChanged {
                line,
                product_id: requested.product_id.clone(),
                given,
                actual: product.price,
            }),
            _ => Ok(product.price),
        }
    };
    sum(request, request.currency, catalogue_price)
}

/// Prices every line as the caller did; a line without a price counts nothing. For orders that are rejected at once.
fn price_as_given(request: &PlaceOrder) -> Result<Priced, Refusal> {
    let given = request.lines.iter().find_map(|line| line.unit_price);
    let currency = request.currency.or(given.map(|price| price.currency)).unwrap_or(Currency::USD);
    let zero = Money { amount_minor: 0, currency };
    sum(request, Some(currency), |line| Ok(request.lines[line].unit_price.unwrap_or(zero)))
}

fn sum(
    request: &PlaceOrder,
    currency: Option<Currency>,
    price_of: impl Fn(usize) -> Result<Money, Refusal>,
) -> Result<Priced, Refusal> {
    let mut total: Option<Money> = currency.map(|currency| Money { amount_minor: 0, currency });
    let mut lines = Vec::with_capacity(request.lines.len());
    for (line, requested) in request.lines.iter().enumerate() {
        let price = price_of(line)?;
        let so_far = total.unwrap_or(Money { amount_minor: 0, ..price });
        if so_far.currency != price.currency {
            return Err(Refusal::MixedCurrencies { line, expected: so_far.currency, actual: price.currency });
        }
        let amount = price.times(requested.quantity).and_then(|amount| so_far.plus(amount));
        total = Some(amount.ok_or(Refusal::TotalTooLarge { line })?);
        lines.push(Line {
            product_id: requested.product_id.clone(),
            quantity: requested.quantity,
            unit_price_minor: price.amount_minor,
        });
    }
    let currency = currency.unwrap_or(Currency::USD);
    Ok((lines, total.unwrap_or(Money { amount_minor: 0, currency })))
}

/// What an order taken without a waiting caller is rejected with. Mixed currencies and overflow have no sensible total, so
/// they are refused everywhere.
const fn rejection(refusal: &Refusal) -> Option<RejectReason> {
    match refusal {
        Refusal::UnknownProduct { .. } => Some(RejectReason::UnknownProduct),
        Refusal::PriceChanged { .. } => Some(RejectReason::PriceChanged),
        _ => None,
    }
}
