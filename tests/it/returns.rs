//! Money goes back in part and goods come back unit by unit, each once, and the books agree.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Server, Shop, doctor, ordermill};

/// An order of three units, shipped.
async fn shipped(shop: &Shop) -> String {
    shop.stock_product("P1", 1000, 10).await;
    let id = shop.place_and_wait(Shop::order("P1", 3)).await.order_id();
    let early = shop.post(&format!("/v1/orders/{id}/return"), back(1, true)).await;
    assert_eq!((early.status.as_u16(), early.code()), (409, "not_returnable"), "nothing is shipped yet");
    let report = json!({ "parcel_id": id, "status": "picked_up", "seen_at": "2026-02-01T08:00:00Z" });
    let answer = shop.post("/v1/tracking", json!({ "reports": [report] })).await;
    assert_eq!(answer.body["results"][0]["verdict"], "moved", "{answer:?}");
    shop.wait_for(&id, |order| order["status"] == "shipped").await;
    id
}

fn back(units: i64, restock: bool) -> Value {
    json!({ "lines": [{ "product_id": "P1", "quantity": units }], "restock": restock })
}

async fn available(shop: &Shop) -> Value {
    shop.stock("P1").await["available"].clone()
}

/// What was done is there after a restart, and adds up.
fn end(server: Server, data: &Path, units_returned: i64) {
    assert!(server.terminate().success());
    let diagnosis = doctor(data);
    diagnosis.assert_clean();
    let stock = &diagnosis.lines.last().unwrap()["stock"];
    assert_eq!(stock["returned"], units_returned, "{stock:#}");
}

#[tokio::test]
async fn money_and_goods_of_a_shipped_order_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let shop = Shop::of(&server);
    let id = shipped(&shop).await;
    let (refund, give_back) = (format!("/v1/orders/{id}/refund"), format!("/v1/orders/{id}/return"));
    let twice = async |path: &str, key: &str, body: Value| {
        let first = shop.send(reqwest::Method::POST, path, &[("Idempotency-Key", key)], Some(body.clone())).await;
        assert!(first.status.is_success(), "{first:?}");
        let again = shop.send(reqwest::Method::POST, path, &[("Idempotency-Key", key)], Some(body)).await;
        assert_eq!(
            (again.status, again.headers.get("idempotent-replayed").unwrap().as_bytes()),
            (first.status, &b"true"[..])
        );
    };

    twice(&refund, "refund-1", json!({ "amount_minor": 1000, "reason": "scratched" })).await;
    let order = shop.wait_for(&id, |order| order["payment"]["refunded_minor"] == 1000).await;
    assert_eq!((&order["status"], &order["payment"]["refunds_pending_minor"]), (&json!("shipped"), &json!(0)));
    let too_much = shop.post(&refund, json!({ "amount_minor": 2001 })).await;
    assert_eq!((too_much.status.as_u16(), too_much.code()), (409, "refund_too_large"));

    twice(&give_back, "return-1", back(1, true)).await;
    assert_eq!(available(&shop).await, 8, "one unit is in stock again, once");
    let too_many = shop.post(&give_back, back(3, true)).await;
    assert_eq!((too_many.status.as_u16(), too_many.code()), (409, "return_too_large"));
    twice(&give_back, "return-2", back(2, false)).await;
    let order = shop.order_now(&id).await;
    assert_eq!((&order["status"], &order["returned"]), (&json!("returned"), &back(3, false)["lines"]));
    assert_eq!(available(&shop).await, 8, "the others are not to be sold");
    assert_eq!(order["payment"]["refunded_minor"], 1000, "a return moves no money");
    shop.post(&refund, json!({})).await;
    shop.wait_for(&id, |order| order["payment"]["refunded_minor"] == 3000).await;
    let timeline = shop.timeline(&id).await;
    let count = |kind| timeline.iter().filter(|event| *event == kind).count();
    assert_eq!((count("order.returned"), count("payment.refund_requested")), (2, 2), "{timeline:?}");
    end(server, &data, 1);
}

#[tokio::test]
async fn support_refunds_and_takes_back_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let shop = Shop::of(&server);
    let id = shipped(&shop).await;
    let run = |action: &str, more: &[&str]| -> Output {
        let mut command = ordermill();
        command.args(["order", action, &id, "--url", &server.url]).args(more).output().unwrap()
    };
    let shown = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    let code = |output: &Output| output.status.code();

    for _ in 0..2 {
        let refunded = run("refund", &["--amount", "1000", "--reason", "scratched", "--key", "ticket-1", "--json"]);
        assert_eq!(code(&refunded), Some(0), "{refunded:?}");
        let order: Value = serde_json::from_str(&shown(&refunded)).unwrap();
        assert_eq!(order["order_id"], json!(id));
    }
    shop.wait_for(&id, |order| order["payment"]["refunded_minor"] == 1000).await;
    let refused = run("refund", &["--amount", "2001"]);
    assert_eq!(code(&refused), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("refund_too_large"), "{refused:?}");

    for _ in 0..2 {
        let taken = run("return", &["--product", "P1", "--restock", "--key", "ticket-2"]);
        assert_eq!(code(&taken), Some(0), "{taken:?}");
        let text = shown(&taken);
        assert!(text.contains("refunded   10.00 USD") && text.contains("returned   1 x P1"), "{text}");
    }
    assert_eq!(available(&shop).await, 8);
    let refused = run("return", &["--product", "P1", "--quantity", "3"]);
    assert_eq!(code(&refused), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("return_too_large"), "{refused:?}");
    assert_eq!(code(&run("return", &[])), Some(2), "what came back has to be said");
    for call in [&["refund", "1001"][..], &["return", "1001", "--product", "P1"]] {
        let output = ordermill().arg("order").args(call).args(["--url", &server.url]).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains("order list --text 1001"), "{output:?}");
    }
    assert_eq!(code(&run("return", &["--product", "P1", "--quantity", "1", "--quantity", "1"])), Some(2));
    let rest = run("return", &["--product", "P1", "--quantity", "2"]);
    assert!(shown(&rest).contains("status     returned"), "{rest:?}");
    assert_eq!(available(&shop).await, 8);
    end(server, &data, 1);
}
