//! How far a role is behind.

use jiff::SignedDuration;
use ordermill_core::process::Role;

use crate::bus::{Delivery, Lag};
use crate::conformance::Harness;
use crate::conformance::shop::Shop;

async fn lag(shop: &Shop, role: Role) -> Lag {
    shop.backend.bus.lag(role).await.expect("the lag can be read")
}

/// The lag counts what is not settled, tells how old it is, and is gone when everything is dealt with.
pub async fn the_lag_follows_the_work(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    assert_eq!(lag(&shop, Role::Payments).await, Lag::default());
    shop.sell("apple", 100).await;
    let began = shop.now();
    for _ in 0..4 {
        shop.place(&[("apple", 1)]).await;
        shop.advance(SignedDuration::from_mins(1));
    }
    let waiting = lag(&shop, Role::Payments).await;
    assert!((4..=6).contains(&waiting.events), "four orders, and two events of the product: {waiting:?}");
    assert_eq!((waiting.parked, waiting.oldest), (0, Some(began)));
    let deliveries = shop.receive_all(Role::Payments, 4).await;
    let handed_out = lag(&shop, Role::Payments).await;
    assert!(handed_out.events >= 4, "handed out is not dealt with: {handed_out:?}");
    assert_eq!(handed_out.oldest, Some(began));
    shop.settle(deliveries[..2].iter().cloned().map(Delivery::ack)).await;
    let half = lag(&shop, Role::Payments).await;
    assert_eq!((half.events, half.oldest), (2, Some(began + SignedDuration::from_mins(2))));
    shop.settle(deliveries[2..].iter().cloned().map(Delivery::ack)).await;
    assert_eq!(lag(&shop, Role::Payments).await, Lag::default());
}

/// A parked delivery is counted as that, and keeps its age; the cursor moves on past it.
pub async fn parked_deliveries_are_counted(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100).await;
    let began = shop.now();
    shop.place(&[("apple", 1)]).await;
    shop.advance(SignedDuration::from_mins(1));
    shop.place(&[("apple", 1)]).await;
    let deliveries = shop.receive_all(Role::Payments, 2).await;
    let due = shop.now() + SignedDuration::from_mins(5);
    shop.settle([deliveries[0].clone().retry(due, "busy".to_owned()), deliveries[1].clone().ack()]).await;
    let parked = lag(&shop, Role::Payments).await;
    assert_eq!(parked, Lag { events: 0, parked: 1, oldest: Some(began) });
    shop.advance(SignedDuration::from_mins(5));
    let again = shop.receive(Role::Payments, 10).await;
    let handed_out = lag(&shop, Role::Payments).await;
    assert_eq!((handed_out.parked, handed_out.oldest), (0, Some(began)), "handed out again is not dealt with");
    shop.settle(again.into_iter().map(Delivery::ack)).await;
    assert_eq!(lag(&shop, Role::Payments).await, Lag::default());
}

/// A role is not behind for events that are none of its business.
pub async fn other_roles_events_are_no_lag(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100).await;
    shop.place(&[("apple", 1)]).await;
    for role in [Role::Inventory, Role::Notifications, Role::Sweeper, Role::Api] {
        shop.assert_quiet(role).await;
        assert_eq!(lag(&shop, role).await.oldest, None, "{}", role.as_str());
    }
    assert_eq!(lag(&shop, Role::Inventory).await, Lag::default());
}
