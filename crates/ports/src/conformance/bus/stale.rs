//! Settlements that come late, or come again.

use jiff::SignedDuration;
use ordermill_core::process::Role;

use crate::bus::{Delivery, Lag, Settlement};
use crate::conformance::Harness;
use crate::conformance::shop::Shop;

/// A shop with one delivery to the payments role, handed out.
async fn handed_out(harness: &dyn Harness) -> (Shop, Delivery) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    shop.place(&[("apple", 1)]).await;
    let delivery = shop.receive(Role::Payments, 10).await.remove(0);
    (shop, delivery)
}

/// Every word that a role can have on a delivery.
fn words(shop: &Shop, delivery: &Delivery) -> [Settlement; 3] {
    let due = shop.now() + SignedDuration::from_secs(1);
    let [first, second, third] = [(); 3].map(|()| delivery.clone());
    [first.ack(), second.retry(due, "busy".to_owned()), third.dead_letter("no".to_owned())]
}

async fn assert_no_dead_letter(shop: &Shop) {
    assert_eq!(shop.backend.bus.dead_letters(None, 10).await.expect("readable"), []);
}

/// A word on a try that is over changes nothing, neither while the delivery is parked nor when it is handed out for the next try.
pub async fn a_word_on_an_earlier_try_changes_nothing(harness: &dyn Harness) {
    let (shop, first) = handed_out(harness).await;
    let due = shop.now() + SignedDuration::from_mins(1);
    shop.settle([first.clone().retry(due, "busy".to_owned())]).await;
    shop.settle(words(&shop, &first)).await;
    assert_no_dead_letter(&shop).await;
    shop.advance(SignedDuration::from_secs(59));
    shop.assert_quiet(Role::Payments).await;
    shop.advance(SignedDuration::from_secs(1));
    let second = Delivery { tries: 1, ..first.clone() };
    assert_eq!(shop.receive_all(Role::Payments, 1).await, std::slice::from_ref(&second));
    for word in words(&shop, &first) {
        shop.settle([word]).await;
    }
    assert_no_dead_letter(&shop).await;
    shop.advance(SignedDuration::from_hours(1));
    shop.assert_quiet(Role::Payments).await;
    shop.backend.bus.reclaim(Role::Payments).await;
    assert_eq!(
        shop.receive_all(Role::Payments, 1).await,
        std::slice::from_ref(&second),
        "the second try is not settled by the first's words"
    );
    shop.settle([second.ack()]).await;
    shop.backend.bus.reclaim(Role::Payments).await;
    shop.assert_quiet(Role::Payments).await;
    assert_eq!(shop.backend.bus.lag(Role::Payments).await.expect("readable"), Lag::default());
}

/// Once a delivery is dealt with, or is a dead letter, no word on it changes that.
pub async fn a_word_on_what_is_settled_changes_nothing(harness: &dyn Harness) {
    let (shop, acknowledged) = handed_out(harness).await;
    shop.place(&[("apple", 1)]).await;
    let dead = shop.receive(Role::Payments, 10).await.remove(0);
    shop.settle([acknowledged.clone().ack(), dead.clone().dead_letter("first".to_owned())]).await;
    for delivery in [&acknowledged, &dead] {
        shop.settle(words(&shop, delivery)).await;
        for word in words(&shop, delivery) {
            shop.settle([word]).await;
        }
    }
    shop.advance(SignedDuration::from_hours(1));
    shop.assert_quiet(Role::Payments).await;
    let letters = shop.backend.bus.dead_letters(None, 10).await.expect("readable");
    assert_eq!(letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["first"]);
}

/// A dead letter that waits to be handed out again is not settled by a word from before.
pub async fn a_redriven_delivery_is_not_settled_from_before(harness: &dyn Harness) {
    let (shop, delivery) = handed_out(harness).await;
    shop.settle([delivery.clone().dead_letter("no".to_owned())]).await;
    let letters = shop.backend.bus.dead_letters(None, 10).await.expect("readable");
    assert_eq!(shop.backend.bus.redrive(&[letters[0].id]).await.expect("redriven"), [letters[0].id]);
    shop.settle(words(&shop, &delivery)).await;
    assert_no_dead_letter(&shop).await;
    assert_eq!(shop.receive_all(Role::Payments, 1).await, [delivery]);
}

/// What was given back or reclaimed can be settled by who had it until it is handed out and settled again.
pub async fn what_is_back_can_still_be_settled(harness: &dyn Harness) {
    let (shop, first) = handed_out(harness).await;
    for _ in 0..2 {
        shop.place(&[("apple", 1)]).await;
    }
    let mut others = shop.receive_all(Role::Payments, 2).await;
    let (third, second) = (others.remove(1), others.remove(0));
    shop.backend.bus.give_back(vec![first.clone()]).await;
    shop.backend.bus.reclaim(Role::Payments).await;
    let due = shop.now() + SignedDuration::from_mins(1);
    let dead = third.dead_letter("no".to_owned());
    shop.settle([first.ack(), second.clone().retry(due, "busy".to_owned()), dead]).await;
    shop.assert_quiet(Role::Payments).await;
    assert_eq!(shop.backend.bus.dead_letters(None, 10).await.expect("readable").len(), 1);
    shop.advance(SignedDuration::from_mins(1));
    assert_eq!(shop.receive_all(Role::Payments, 1).await, [Delivery { tries: 1, ..second }]);
}
