//! The codes of refusals are part of every interface: unique, and never changed.

use std::collections::BTreeSet;

use ordermill_core::money::{Currency, Money};
use ordermill_core::order::Status;
use ordermill_core::refusal::Refusal;

use crate::support::{order_id, product, record_id};

fn all() -> Vec<Refusal> {
    let (order_id, product_id, status) = (order_id(1), product("tea"), Status::Placed);
    let money = Money { amount_minor: 1, currency: Currency::USD };
    vec![
        Refusal::UnknownProduct { line: 0, product_id: product_id.clone() },
        Refusal::PriceChanged { line: 0, product_id: product_id.clone(), given: money, actual: money },
        Refusal::MixedCurrencies { line: 0, expected: Currency::USD, actual: Currency::EUR },
        Refusal::TotalTooLarge { line: 0 },
        Refusal::OrderRefTaken { order_id },
        Refusal::IdempotencyKeyReused,
        Refusal::OrderNotFound { order_id },
        Refusal::ProductNotFound { product_id: product_id.clone() },
        Refusal::CustomerNotFound { customer_id: "household-900".parse().expect("a valid customer id") },
        Refusal::RecordNotFound { record_id: record_id(1) },
        Refusal::NotCancellable { status },
        Refusal::NoAttention,
        Refusal::NotResolvable { status },
        Refusal::RefundTooLarge { requested: money, refundable: money },
        Refusal::TooManyRefunds,
        Refusal::ReturnTooLarge { product_id, requested: 2, returnable: 1 },
        Refusal::NotReturnable { status },
        Refusal::StockOutOfRange { available: 0, delta: -1 },
        Refusal::VersionConflict { expected: 1, actual: 2 },
        Refusal::ParcelOutOfOrder,
        Refusal::TooManyEvents,
    ]
}

/// A new refusal does not compile here until it is in the list above.
const fn number(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::UnknownProduct { .. } => 0,
        Refusal::PriceChanged { .. } => 1,
        Refusal::MixedCurrencies { .. } => 2,
        Refusal::TotalTooLarge { .. } => 3,
        Refusal::OrderRefTaken { .. } => 4,
        Refusal::IdempotencyKeyReused => 5,
        Refusal::OrderNotFound { .. } => 6,
        Refusal::ProductNotFound { .. } => 7,
        Refusal::CustomerNotFound { .. } => 8,
        Refusal::RecordNotFound { .. } => 9,
        Refusal::NotCancellable { .. } => 10,
        Refusal::NoAttention => 11,
        Refusal::NotResolvable { .. } => 12,
        Refusal::RefundTooLarge { .. } => 13,
        Refusal::TooManyRefunds => 14,
        Refusal::ReturnTooLarge { .. } => 15,
        Refusal::NotReturnable { .. } => 16,
        Refusal::StockOutOfRange { .. } => 17,
        Refusal::VersionConflict { .. } => 18,
        Refusal::ParcelOutOfOrder => 19,
        Refusal::TooManyEvents => 20,
    }
}

#[test]
fn codes_are_unique_and_stable() {
    let all = all();
    assert!(all.iter().enumerate().all(|(place, refusal)| number(refusal) == place));
    let codes: Vec<&str> = all.iter().map(Refusal::code).collect();
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
    let stable = "unknown_product price_changed mixed_currencies total_too_large order_ref_taken idempotency_key_reused \
                  order_not_found product_not_found customer_not_found record_not_found not_cancellable no_attention \
                  not_resolvable refund_too_large too_many_refunds return_too_large not_returnable stock_out_of_range \
                  version_conflict parcel_out_of_order too_many_events";
    assert_eq!(codes, stable.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn a_refusal_says_what_and_why_in_one_plain_sentence() {
    for refusal in all() {
        let text = refusal.to_string();
        assert!(text.len() > 10 && !text.contains("{"), "{text}");
        assert!(!text.starts_with(char::is_uppercase) && !text.ends_with('.'), "{text}");
    }
}
