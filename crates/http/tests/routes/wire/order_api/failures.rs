//! What a client hears when something behind the interface fails.

use std::time::Duration;

use ordermill_http::Settings;
use serde_json::json;

use super::ledger::{Play, race};
use super::{cancelled, patient, request, send, shop};
use crate::support::{Fault, Shop};

#[tokio::test]
async fn a_ledger_that_cannot_is_503() {
    let shop = shop(patient()).await;
    for (fault, retry_after) in [(Fault::NotCommitted, "1"), (Fault::Overloaded, "2"), (Fault::Closing, "1")] {
        shop.faults.set(Some(fault));
        for path in ["/orders/", "/process-order"] {
            let reply = shop.post(path, request("PROD001", 1)).await;
            assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, retry_after), "{fault:?}");
            assert!(reply.json()["detail"].is_string() && !reply.text().contains("secret"), "{}", reply.text());
        }
    }
    shop.faults.set(None);
    assert_eq!(shop.order_count().await, 0);
}

#[tokio::test]
async fn a_panic_is_500_with_a_detail() {
    let shop = shop(patient()).await;
    shop.faults.set(Some(Fault::Panic));
    let reply = shop.post("/orders/", request("PROD001", 1)).await;
    assert_eq!(reply.status, 500);
    assert!(reply.json()["detail"].is_string() && !reply.text().contains("42"), "{}", reply.text());
}

#[tokio::test]
async fn too_many_undecided_orders_and_too_many_waits_are_503() {
    let crowded = Shop::with(patient(), 1);
    crowded.stock("chair", 10).await;
    crowded.place("chair").await;
    let reply = crowded.post("/orders/", request("chair", 1)).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(!reply.header("retry-after").is_empty() && reply.json()["detail"].is_string());

    let narrow = shop(Settings { waits_max: 1, ..patient() }).await;
    let (waiting, _) = send(&narrow, "/orders/", &[], request("PROD001", 1)).await;
    let reply = narrow.post("/orders/", request("PROD001", 1)).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1"));
    assert!(reply.json()["detail"].is_string());
    assert_eq!(narrow.get("/health").await.status, 200);
    waiting.abort();
}

/// The commit's answer was lost: the order is asked for again instead of being placed twice.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_out() {
    let shop = shop(Settings::default()).await;
    let racing = race(&shop, Play::LosePlaced(3));
    let (waiting, id) = send(&racing, "/orders/", &[], request("PROD001", 1)).await;
    shop.confirm(id).await;
    let reply = waiting.await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.order_id()), (200, id));
    assert_eq!(shop.order_count().await, 1);
}

/// The first commit went through unheard, and after it the ledger takes nothing: its later no must not pass for the first answer, or the
/// client would try again while its order goes on.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_not_answered_by_a_later_failure() {
    let shop = shop(Settings::default()).await;
    let racing = race(&shop, Play::LoseThenFail);
    let (waiting, id) = send(&racing, "/orders/", &[], request("PROD001", 1)).await;
    let reply = waiting.await.unwrap();
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(cancelled(&shop, id).await["reason"], "client_gone");
}

/// Nothing was ever heard of the commit: the client hears that, and the order does not go on without it.
#[tokio::test(start_paused = true)]
async fn an_order_of_which_nothing_is_heard_is_called_off() {
    let shop = shop(Settings::default()).await;
    shop.faults.set(Some(Fault::Silent));
    let (waiting, id) = send(&shop, "/orders/", &[], request("PROD001", 1)).await;
    let reply = waiting.await.unwrap();
    assert_eq!(reply.status, 503, "{}", reply.text());
    shop.faults.set(None);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(cancelled(&shop, id).await["reason"], "client_gone");
}

#[tokio::test]
async fn what_is_too_large_is_413() {
    let shop = shop(patient()).await;
    let mut body = request("PROD001", 1);
    body["note"] = json!("x".repeat(300_000));
    let reply = shop.post("/orders/", body).await;
    assert_eq!(reply.status, 413);
    assert!(reply.json()["detail"].is_string());
}
