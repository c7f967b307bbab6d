//! The way of the events is changed under a shop with orders under way: from the ledger to the broker, back, and there again.

use crate::processes::installation::{HOLDS_ON, Installation};
use crate::support::{Server, Shop, doctor, wait_for_mails};

/// Orders of each turn that are decided when its server is killed, and orders that have just been taken.
const DECIDED: usize = 5;
const UNDER_WAY: usize = 15;

async fn until_confirmed(shop: &Shop, orders: &[String]) {
    for id in orders {
        shop.wait_for(id, |order| order["status"] == "confirmed").await;
    }
}

#[tokio::test]
async fn the_event_path_may_be_changed_with_orders_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (by_ledger, by_broker) = (&[("ORDERMILL_BUS", "ledger")][..], &[][..]);
    let mut placed = Vec::new();
    for path in [by_ledger, by_broker, by_ledger, by_broker] {
        let mut server = Server::start_with(&data, path);
        let shop = Shop::of(&server);
        if placed.is_empty() {
            shop.stock_product("P1", 1_000, 1_000).await;
        }
        // What was under way on the other.
        until_confirmed(&shop, &placed).await;
        for _ in 0..DECIDED {
            let answer = shop.place_and_wait(Shop::order("P1", 1)).await;
            assert_eq!(answer.body["status"], "confirmed", "{answer:?}");
            placed.push(answer.order_id());
        }
        for _ in 0..UNDER_WAY {
            placed.push(shop.post("/v1/orders", Shop::order("P1", 1)).await.order_id());
        }
        server.kill();
    }
    let server = Server::start_with(&data, by_ledger);
    let shop = Shop::of(&server);
    until_confirmed(&shop, &placed).await;
    wait_for_mails(&data, placed.len());
    assert_eq!(shop.stock("P1").await["sold"], placed.len());
    assert!(server.terminate().success());
    doctor(&data).assert_clean();
}

/// Each would keep its share of the events from the other.
#[test]
fn a_process_whose_events_come_on_another_way_is_refused() {
    let installation = Installation::new();
    let back = installation.start_with("back", &["notifications"], &[HOLDS_ON]);
    let said = installation.refused("other", &["notifications"], &[("ORDERMILL_BUS", "ledger")]);
    assert!(said.contains("another process runs notifications with bus = kafka with prefix="), "{said}");
    assert!(said.contains("and this one with bus = ledger"), "{said}");
    assert!(back.terminate().success());
}
