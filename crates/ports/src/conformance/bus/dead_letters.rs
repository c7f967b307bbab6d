//! What is given up is kept, and can be tried again.

use jiff::SignedDuration;
use ordermill_core::order::Status;
use ordermill_core::process::Role;

use crate::bus::{DeadLetter, Delivery};
use crate::conformance::Harness;
use crate::conformance::shop::{QUIET, Shop};

async fn letters(shop: &Shop) -> Vec<DeadLetter> {
    shop.backend.bus.dead_letters(None, 100).await.expect("dead letters can be read")
}

/// A shop with these many deliveries to the payments role given up, each for a reason of its own.
async fn given_up(harness: &dyn Harness, count: usize) -> (Shop, Vec<Delivery>) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 1_000).await;
    for _ in 0..count {
        shop.place(&[("apple", 1)]).await;
    }
    let deliveries = shop.receive_all(Role::Payments, count).await;
    let settlement = |(number, delivery): (usize, &Delivery)| delivery.clone().dead_letter(format!("reason {number}"));
    shop.settle(deliveries.iter().enumerate().map(settlement)).await;
    (shop, deliveries)
}

/// A dead letter is kept with its reason, its time and its tries, and is not delivered any more.
pub async fn a_dead_letter_is_kept(harness: &dyn Harness) {
    let (shop, deliveries) = given_up(harness, 1).await;
    let kept = letters(&shop).await;
    assert_eq!(kept.len(), 1);
    let expected = Delivery { tries: 1, ..deliveries[0].clone() };
    assert_eq!((&kept[0].delivery, kept[0].reason.as_str(), kept[0].since), (&expected, "reason 0", shop.now()));
    shop.advance(SignedDuration::from_hours(24));
    shop.assert_quiet(Role::Payments).await;
    let lag = shop.backend.bus.lag(Role::Payments).await.expect("readable");
    assert_eq!((lag.parked, lag.oldest), (0, None), "what is given up is no backlog");
}

/// All tries are counted in the dead letter.
pub async fn a_dead_letter_counts_its_tries(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.sell("apple", 10).await;
    shop.place(&[("apple", 1)]).await;
    for _ in 0..3 {
        let batch = shop.receive(Role::Payments, 10).await;
        shop.settle(batch.into_iter().map(|delivery| delivery.retry(shop.now(), "busy".to_owned()))).await;
    }
    let batch = shop.receive(Role::Payments, 10).await;
    shop.settle(batch.into_iter().map(|delivery| delivery.dead_letter("enough".to_owned()))).await;
    assert_eq!(letters(&shop).await[0].delivery.tries, 4);
}

/// Dead letters are listed by id, page by page, whichever role they are of.
pub async fn dead_letters_are_listed(harness: &dyn Harness) {
    let (shop, deliveries) = given_up(harness, 5).await;
    let id = shop.place(&[("apple", 1)]).await.id;
    shop.drive(id, Status::Authorized).await;
    let inventory = shop.receive_all(Role::Inventory, 1).await;
    shop.settle(inventory.into_iter().map(|delivery| delivery.dead_letter("reason 5".to_owned()))).await;
    let all = letters(&shop).await;
    assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id));
    let mut reasons: Vec<_> = all.iter().map(|letter| letter.reason.clone()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, (0..=5).map(|number| format!("reason {number}")).collect::<Vec<_>>());
    assert_eq!(all.iter().filter(|letter| letter.delivery.role == Role::Payments).count(), deliveries.len());
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = shop.backend.bus.dead_letters(after, 2).await.expect("readable");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

/// What is redriven is delivered again with no tries counted, and is no dead letter any more; the others stay. Ids that are
/// gone are passed over, and what was found is told, once.
pub async fn a_dead_letter_can_be_redriven(harness: &dyn Harness) {
    let (shop, _) = given_up(harness, 4).await;
    let all = letters(&shop).await;
    let bus = &shop.backend.bus;
    let ids = [all[2].id, all[0].id, all[3].id + 1_000, all[2].id];
    let mut found = bus.redrive(&ids).await.expect("redriven");
    found.sort_unstable();
    assert_eq!(found, [all[0].id, all[2].id]);
    assert!(bus.redrive(&ids).await.expect("redriven").is_empty());
    assert!(bus.redrive(&[]).await.expect("redriven").is_empty());
    let mut again = shop.receive_all(Role::Payments, 2).await;
    again.sort_by_key(|delivery| delivery.position);
    let fresh = |letter: &DeadLetter| Delivery { tries: 0, ..letter.delivery.clone() };
    assert_eq!(again, [fresh(&all[0]), fresh(&all[2])]);
    assert_eq!(letters(&shop).await, [all[1].clone(), all[3].clone()]);
    shop.settle([again[0].clone().ack()]).await;
    shop.settle([again[1].clone().dead_letter("still".to_owned())]).await;
    let left = letters(&shop).await;
    assert_eq!(left.len(), 3);
    assert!(left[2].id > all[3].id, "a letter that dies again is a new one");
    assert_eq!((left[2].reason.as_str(), left[2].delivery.tries), ("still", 1));
    shop.assert_quiet(Role::Payments).await;
}

/// A waiting receiver is woken by a redrive.
pub async fn a_redrive_wakes_the_receiver(harness: &dyn Harness) {
    let (shop, deliveries) = given_up(harness, 1).await;
    let bus = std::sync::Arc::clone(&shop.backend.bus);
    let waiting = tokio::spawn(async move { bus.receive(Role::Payments, 10).await.expect("receivable") });
    tokio::time::sleep(QUIET).await;
    assert!(!waiting.is_finished());
    let id = letters(&shop).await[0].id;
    assert_eq!(shop.backend.bus.redrive(&[id]).await.expect("redriven"), [id]);
    let woken = tokio::time::timeout(shop.patience, waiting).await.expect("it is woken");
    assert_eq!(woken.expect("it ends well"), deliveries);
}
