//! What has to hold in the end, whatever happened before.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use serde_json::json;

use super::load::{Order, ends};
use super::plant::Plant;

/// Orders looked at at a time.
const LOOKS: usize = 8;

/// Every acknowledged order is there once and has ended as it had to, its customer has one mail of it, stock and totals agree, and the
/// auditor finds nothing.
pub async fn assert_in_balance(plant: &Plant, orders: &[Order]) {
    plant.until_ready().await;
    let shop = plant.front();
    let mut told = BTreeSet::new();
    for order in orders {
        assert!(told.insert(&order.id), "{} was given to two orders", order.id);
    }
    let ended = stream::iter(orders).for_each_concurrent(LOOKS, async |order| {
        shop.wait_for(&order.id, |found| found["status"] == order.end).await;
        shop.wait_for_event(&order.id, "notification.sent").await;
    });
    ended.await;
    let ends = ends(orders);
    let sold = ends.get("confirmed").copied().unwrap_or(0);
    assert_eq!(shop.stock("P1").await["sold"], json!(sold), "an order was lost, or doubled");
    assert_eq!(shop.stock("P1").await["reserved"], json!(0));
    assert_mails(plant, orders);
    plant.close();
    let diagnosis = plant.doctor();
    diagnosis.assert_clean();
    for (status, count) in ends {
        assert_eq!(diagnosis.totals()[status], json!(count), "{diagnosis:#?}");
    }
}

/// A maildir has a file for each mail that was handed over; one that was handed over twice replaced itself.
fn assert_mails(plant: &Plant, orders: &[Order]) {
    let mut mails: BTreeMap<&str, usize> = orders.iter().map(|order| (order.id.as_str(), 0)).collect();
    for mail in plant.mails() {
        let about = mails.iter_mut().find(|(id, _)| mail.contains(**id));
        let Some((_, count)) = about else { panic!("{mail} is about no order that was acknowledged") };
        *count += 1;
    }
    let wrong: Vec<_> = mails.iter().filter(|(_, count)| **count != 1).collect();
    assert!(wrong.is_empty(), "these orders have not one mail each: {wrong:?}");
}
