//! The auditor on real data: all is well in a healthy shop, also while it is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;

use crate::support::{PATIENCE, Server, Shop, doctor};

#[tokio::test(flavor = "multi_thread")]
async fn an_open_shop_is_audited_without_false_alarms() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_with(&directory.path().join("shop"), &[("ORDERMILL_ARCHIVE__SETTLE", "20ms")]);
    let shop = Shop::of(&server);
    shop.stock_product("kettle", 1999, 1_000_000).await;
    shop.stock_product("teapot", 1999, 200).await;
    let stop = Arc::new(AtomicBool::new(false));
    let placed = Arc::new(AtomicUsize::new(0));
    let customers = (0..8_usize).map(|number| {
        let (shop, stop, placed) = (shop.clone(), Arc::clone(&stop), Arc::clone(&placed));
        tokio::spawn(async move {
            for turn in number.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let product = if turn % 5 == 0 { "teapot" } else { "kettle" };
                let method = if turn % 7 == 0 { "timeout_then_ok" } else { "ok" };
                let answer = shop.post("/v1/orders", Shop::order_paid_by(product, 1, method)).await;
                assert!(answer.status.is_success(), "{answer:?}");
                placed.fetch_add(1, Ordering::Relaxed);
                if turn % 3 == 0 {
                    // Wherever the order is by now; an order that has been rejected already cannot be cancelled.
                    let path = format!("/v1/orders/{}/cancel", answer.order_id());
                    shop.post(&path, json!({ "reason": "changed my mind" })).await;
                }
            }
        })
    });
    let customers: Vec<_> = customers.collect();
    // A machine that stands still does so for the customers as well: such an audit does not count.
    let (mut beside_orders, deadline) = (0, Instant::now() + PATIENCE);
    while beside_orders < 5 {
        let before = placed.load(Ordering::Relaxed);
        let data = server.data.clone();
        let diagnosis = tokio::task::spawn_blocking(move || doctor(&data)).await.unwrap();
        diagnosis.assert_clean();
        beside_orders += usize::from(placed.load(Ordering::Relaxed) > before);
        assert!(Instant::now() < deadline, "orders were placed during {beside_orders} audits");
    }
    stop.store(true, Ordering::Relaxed);
    for customer in customers {
        customer.await.unwrap();
    }
    assert!(server.terminate().success());
    let diagnosis = doctor(&directory.path().join("shop"));
    diagnosis.assert_clean();
    let counted: u64 = diagnosis.totals().as_object().unwrap().values().map(|number| number.as_u64().unwrap()).sum();
    assert_eq!(counted, placed.load(Ordering::Relaxed) as u64, "{diagnosis:#?}");
}
