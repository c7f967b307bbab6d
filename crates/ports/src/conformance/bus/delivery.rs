//! Which deliveries reach which role, and when.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ordermill_core::input::{Body, Input};
use ordermill_core::order::Status;
use ordermill_core::process::Role;

use crate::bus::Delivery;
use crate::conformance::Harness;
use crate::conformance::shop::{QUIET, Shop};
use crate::ledger::{Source, Submission};
use crate::queries::Position;

/// The events of the feed that a role reacts to, as they have to reach it the first time.
async fn expected(shop: &Shop, role: Role) -> Vec<Delivery> {
    let kinds = role.reacts_to();
    let feed = shop.feed(Position(0)).await.into_iter();
    let mine = feed.filter(|(_, recorded)| kinds.contains(&recorded.event.kind()));
    let delivery = mine.map(|(position, recorded)| Delivery {
        role,
        position,
        subject: recorded.subject,
        version: recorded.version,
        kind: recorded.event.kind(),
        at: recorded.at,
        tries: 0,
    });
    delivery.collect()
}

fn sorted(mut deliveries: Vec<Delivery>) -> Vec<Delivery> {
    deliveries.sort_by_key(|delivery| delivery.position);
    deliveries
}

async fn place_many(shop: &Shop, count: usize) {
    let inputs = (0..count).map(|_| Submission::new(shop.placing(&[("apple", 1)])));
    assert!(shop.submit(inputs.collect()).await.iter().all(Result::is_ok));
}

/// Each role is given every event of the types it reacts to, and no other.
pub async fn each_role_gets_what_it_reacts_to(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 100).await;
    for status in [Status::Placed, Status::Authorized, Status::Reserved, Status::Confirmed, Status::Delivered] {
        let id = shop.place(&[("apple", 2)]).await.id;
        shop.drive(id, status).await;
        if status != Status::Delivered {
            shop.cancel(id).await;
        }
    }
    let mut given = 0;
    for role in Role::ALL {
        let expected = expected(&shop, role).await;
        given += expected.len();
        assert_eq!(sorted(shop.receive_all(role, expected.len()).await), expected, "{}", role.as_str());
        shop.assert_quiet(role).await;
    }
    assert!(given > 30, "the orders gave the roles something to do");
}

/// What is handed out is not handed out again while it is not settled; new events come all the same.
pub async fn a_laggard_does_not_block_the_rest(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    place_many(&shop, 1).await;
    let laggard = shop.receive(Role::Payments, 10).await;
    for _ in 0..20 {
        place_many(&shop, 10).await;
        let batch = shop.receive_all(Role::Payments, 10).await;
        assert_eq!(batch.len(), 10);
        assert!(!batch.contains(&laggard[0]));
        shop.settle(batch.into_iter().map(Delivery::ack)).await;
    }
    shop.settle(laggard.into_iter().map(Delivery::ack)).await;
    shop.assert_quiet(Role::Payments).await;
}

/// However much is due again, and however little is asked for at a time, what is new gets its turn.
pub async fn what_is_due_does_not_starve_what_is_new(harness: &dyn Harness) {
    const DUE: usize = 24;
    const NEW: usize = 12;
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    let not_yet = |delivery: Delivery| delivery.retry(shop.now(), "not yet".to_owned());
    for max in [1, 2, 7] {
        place_many(&shop, DUE).await;
        let due = shop.receive_all(Role::Payments, DUE).await;
        shop.settle(due.into_iter().map(not_yet)).await;
        place_many(&shop, NEW).await;
        let deadline = Instant::now() + shop.patience;
        let mut left = NEW;
        while left > 0 {
            assert!(Instant::now() < deadline, "{left} of {NEW} still wait, {max} at a time");
            let (due, new): (Vec<Delivery>, Vec<Delivery>) =
                shop.receive(Role::Payments, max).await.into_iter().partition(|delivery| delivery.tries > 0);
            left -= new.len();
            shop.settle(due.into_iter().map(not_yet).chain(new.into_iter().map(Delivery::ack))).await;
        }
        let due = shop.receive_all(Role::Payments, DUE).await;
        assert_eq!(due.len(), DUE);
        shop.settle(due.into_iter().map(Delivery::ack)).await;
    }
}

/// Nor has what is due to wait until nothing new comes any more.
pub async fn what_is_new_does_not_starve_what_is_due(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    for max in [1, 2] {
        place_many(&shop, 1).await;
        let first = shop.receive(Role::Payments, 1).await;
        shop.settle(first.into_iter().map(|delivery| delivery.retry(shop.now(), "not yet".to_owned()))).await;
        let deadline = Instant::now() + shop.patience;
        let (mut is_back, mut left) = (false, 1);
        while !is_back {
            assert!(Instant::now() < deadline, "it still waits, {max} at a time");
            place_many(&shop, 2 * max).await;
            let batch = shop.receive(Role::Payments, max).await;
            left += 2 * max - batch.len();
            is_back = batch.iter().any(|delivery| delivery.tries > 0);
            shop.settle(batch.into_iter().map(Delivery::ack)).await;
        }
        let rest = shop.receive_all(Role::Payments, left).await;
        assert_eq!(rest.len(), left);
        shop.settle(rest.into_iter().map(Delivery::ack)).await;
    }
}

/// A batch is never larger than asked for, and nothing is lost between two.
pub async fn batches_are_bounded(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    place_many(&shop, 50).await;
    let mut received = Vec::new();
    for max in [1, 7, 2, 30, 5, 4, 1] {
        // `receive` itself holds that a batch is within its bound.
        let batch = shop.receive(Role::Payments, max).await;
        assert!(batch.len() == max || received.len() + batch.len() <= 50);
        received.extend(batch);
    }
    received.extend(shop.receive_all(Role::Payments, 50 - received.len()).await);
    assert_eq!(sorted(received), expected(&shop, Role::Payments).await);
}

/// Several receivers of one role share what there is: each delivery goes to one of them.
pub async fn receivers_share_a_role(harness: &dyn Harness) {
    const EVENTS: usize = 300;
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    let (given, deadline) = (Arc::new(AtomicUsize::new(0)), Instant::now() + shop.patience);
    let mut receivers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (shop, given) = (shop.share(), Arc::clone(&given));
        receivers.spawn(async move {
            let mut mine = Vec::new();
            while given.load(Ordering::SeqCst) < EVENTS && Instant::now() < deadline {
                if let Ok(batch) = tokio::time::timeout(QUIET, shop.receive(Role::Payments, 7)).await {
                    given.fetch_add(batch.len(), Ordering::SeqCst);
                    mine.extend(batch);
                }
                tokio::task::yield_now().await;
            }
            mine
        });
    }
    for _ in 0..EVENTS / 10 {
        place_many(&shop, 10).await;
    }
    let received = receivers.join_all().await.concat();
    assert_eq!(sorted(received), expected(&shop, Role::Payments).await);
    shop.assert_quiet(Role::Payments).await;
}

/// A receiver that waits is woken by the commit it waits for, and not by one that is none of its business.
pub async fn a_commit_wakes_the_receiver(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    let order = shop.place(&[("apple", 1)]).await;
    let bus = Arc::clone(&shop.backend.bus);
    let waiting = tokio::spawn(async move { bus.receive(Role::Inventory, 10).await.expect("receivable") });
    tokio::time::sleep(QUIET).await;
    assert!(!waiting.is_finished(), "inventory does not react to order.placed");
    shop.drive(order.id, Status::Authorized).await;
    let woken = tokio::time::timeout(shop.patience, waiting).await.expect("it is woken");
    assert_eq!(woken.expect("it ends well"), expected(&shop, Role::Inventory).await);
}

/// A receive that is given up has handed out nothing.
pub async fn a_receive_can_be_given_up(harness: &dyn Harness) {
    const EVENTS: usize = 200;
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    let placing = shop.share();
    let placing = tokio::spawn(async move {
        for _ in 0..EVENTS {
            let placed = placing.backend.ledger.submit_one(Source::Live, placing.placing(&[("apple", 1)])).await;
            assert!(placed.is_ok());
        }
    });
    let mut received = Vec::new();
    let mut given_up = 0;
    while received.len() < EVENTS {
        let wait = Duration::from_micros(50 * (given_up % 8));
        match tokio::time::timeout(wait, shop.receive(Role::Payments, 3)).await {
            Ok(batch) => received.extend(batch),
            Err(_) => given_up += 1,
        }
    }
    placing.await.expect("everything is placed");
    assert_eq!(sorted(received), expected(&shop, Role::Payments).await);
    shop.assert_quiet(Role::Payments).await;
}

/// What is given back is handed out again, with no try counted; the rest of the batch is not.
pub async fn what_is_given_back_comes_again(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    place_many(&shop, 6).await;
    let batch = shop.receive_all(Role::Payments, 6).await;
    let (kept, back) = batch.split_at(3);
    for _ in 0..3 {
        shop.backend.bus.give_back(back.to_vec()).await;
        assert_eq!(sorted(shop.receive_all(Role::Payments, 3).await), back);
    }
    shop.backend.bus.give_back(back.to_vec()).await;
    shop.settle(kept.iter().cloned().map(Delivery::ack)).await;
    // What was settled meanwhile is not given back by it.
    shop.backend.bus.give_back(kept.to_vec()).await;
    let again = sorted(shop.receive_all(Role::Payments, 3).await);
    assert_eq!(again, back);
    shop.settle(again.into_iter().map(Delivery::ack)).await;
    shop.assert_quiet(Role::Payments).await;
}

/// What a role was handed and has not settled comes again when it is reclaimed, with no try counted, to a receiver that waits as
/// well; what is settled or parked does not, and no other role's.
pub async fn what_is_reclaimed_comes_again(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    let order = shop.place(&[("apple", 1)]).await;
    shop.drive(order.id, Status::Authorized).await;
    place_many(&shop, 6).await;
    let others = shop.receive_all(Role::Inventory, 1).await;
    assert_eq!(others.len(), 1, "inventory reacts to the authorized one");
    let batch = sorted(shop.receive_all(Role::Payments, 7).await);
    let [settled, parked, back, lost @ ..] = &batch[..] else { panic!("seven orders were placed: {batch:?}") };
    let later = shop.now() + jiff::SignedDuration::from_hours(1);
    shop.settle([settled.clone().ack(), parked.clone().retry(later, "not now".to_owned())]).await;
    shop.backend.bus.give_back(vec![back.clone()]).await;
    let reclaimed = batch[2..].to_vec();
    for _ in 0..2 {
        shop.backend.bus.reclaim(Role::Payments).await;
        assert_eq!(
            sorted(shop.receive_all(Role::Payments, reclaimed.len()).await),
            reclaimed,
            "all that is not settled"
        );
    }
    shop.assert_quiet(Role::Inventory).await;
    shop.settle(std::iter::once(back).chain(&lost[1..]).cloned().map(Delivery::ack)).await;
    let bus = Arc::clone(&shop.backend.bus);
    let waiting = tokio::spawn(async move { bus.receive(Role::Payments, 10).await.expect("receivable") });
    tokio::time::sleep(QUIET).await;
    shop.backend.bus.reclaim(Role::Payments).await;
    let woken = tokio::time::timeout(shop.patience, waiting).await.expect("it is woken");
    let woken = woken.expect("it ends well");
    assert_eq!(woken, lost[..1]);
    shop.settle(woken.into_iter().map(Delivery::ack)).await;
    shop.backend.bus.reclaim(Role::Payments).await;
    shop.assert_quiet(Role::Payments).await;
}

/// A waiting receiver is woken by what another gives back.
pub async fn giving_back_wakes_the_receiver(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    place_many(&shop, 1).await;
    let batch = shop.receive(Role::Payments, 10).await;
    let bus = Arc::clone(&shop.backend.bus);
    let waiting = tokio::spawn(async move { bus.receive(Role::Payments, 10).await.expect("receivable") });
    tokio::time::sleep(QUIET).await;
    shop.backend.bus.give_back(batch.clone()).await;
    let woken = tokio::time::timeout(shop.patience, waiting).await.expect("it is woken");
    assert_eq!(woken.expect("it ends well"), batch);
}

/// Roles that work while orders come in and settle what they did, some of it given back or tried again, deal with every event.
pub async fn nothing_is_lost_under_load(harness: &dyn Harness) {
    const ORDERS: usize = 400;
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10_000).await;
    let placing = shop.share();
    let placing = tokio::spawn(async move {
        for _ in 0..ORDERS / 20 {
            place_many(&placing, 20).await;
        }
    });
    let mut dealt_with = BTreeSet::new();
    let mut turn = 0_usize;
    while dealt_with.len() < ORDERS {
        for delivery in shop.receive(Role::Payments, 16).await {
            turn += 1;
            match turn % 5 {
                0 => shop.backend.bus.give_back(vec![delivery]).await,
                1 => shop.settle([delivery.retry(shop.now(), "not now".to_owned())]).await,
                _ => {
                    assert!(dealt_with.insert(delivery.position), "what is settled does not come again: {delivery:?}");
                    let cancel = match &delivery.subject {
                        ordermill_core::event::Subject::Order(order_id) => {
                            Body::Cancel { order_id: *order_id, reason: "no".into() }
                        }
                        product => panic!("{product:?} is nothing to pay"),
                    };
                    let submission = Submission::settling(Input::new(cancel), delivery.ack());
                    let results = shop.backend.ledger.submit(Source::Results, vec![submission]).await;
                    assert!(results[0].as_ref().is_ok_and(|outcome| outcome.changed));
                }
            }
        }
    }
    placing.await.expect("everything is placed");
    shop.assert_quiet(Role::Payments).await;
    let books = shop.audit().await;
    assert!(books.orders.values().all(|order| order.status == Status::Cancelled) && books.orders.len() == ORDERS);
}
