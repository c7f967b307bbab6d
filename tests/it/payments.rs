//! Each magic word of the payment sandbox ends in its documented state.

use serde_json::{Value, json};

use crate::support::{Server, Shop};

/// Time budgets short enough for a test.
const HASTY: &[(&str, &str)] = &[
    ("ORDERMILL_PROCESS__UNKNOWN_BUDGET", "2s"),
    ("ORDERMILL_PROVIDER__TIMEOUT", "1s"),
    ("ORDERMILL_SANDBOX__SLOW", "1500ms"),
];

async fn shop(folder: &tempfile::TempDir, environment: &[(&str, &str)]) -> (Server, Shop) {
    let server = Server::start_with(&folder.path().join("data"), environment);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 100).await;
    shop.stock_product("NONE", 1000, 0).await;
    (server, shop)
}

fn ends_as(order: &Value, status: &str, reason: Option<&str>) {
    assert_eq!(order["status"], status, "{order:#}");
    assert_eq!(order["reason"].as_str(), reason, "{order:#}");
}

#[tokio::test]
async fn outcomes_the_provider_gives() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, shop) = shop(&folder, &[("ORDERMILL_SANDBOX__SLOW", "300ms")]).await;
    for (method, status, reason) in [
        ("ok", "confirmed", None),
        ("declined", "rejected", Some("payment_declined")),
        ("insufficient_funds", "rejected", Some("insufficient_funds")),
        ("timeout_then_ok", "confirmed", None),
        ("timeout_then_declined", "rejected", Some("payment_declined")),
        ("slow", "confirmed", None),
        ("capture_fails", "rejected", Some("capture_failed")),
        ("void_fails", "confirmed", None),
        ("refund_fails", "confirmed", None),
    ] {
        let answer = shop.place_and_wait(Shop::order_paid_by("P1", 1, method)).await;
        assert_eq!(answer.status, 200, "{method}: {answer:?}");
        ends_as(&answer.body, status, reason);
        if method == "capture_fails" {
            shop.wait_for_event(&answer.order_id(), "payment.voided").await;
        }
    }
    let stock = shop.stock("P1").await;
    assert_eq!((&stock["sold"], &stock["reserved"], &stock["available"]), (&json!(5), &json!(0), &json!(95)));
}

#[tokio::test]
async fn an_answer_that_never_comes_waits_for_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, shop) = shop(&folder, HASTY).await;
    let answer = shop.place_and_wait(Shop::order_paid_by("P1", 1, "unknown")).await;
    assert_eq!(answer.status, 200);
    ends_as(&answer.body, "placed", None);
    assert_eq!(answer.body["attention"]["step"], "authorize", "{answer:?}");
    assert_eq!(shop.stock("P1").await["available"], 100, "nothing is held for an order that is not paid");

    let listed = shop.get("/v1/orders?attention=true").await;
    assert_eq!(listed.body["orders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_void_that_fails_waits_for_a_person_and_retry_clears_it() {
    let folder = tempfile::tempdir().unwrap();
    let (server, shop) = shop(&folder, &[]).await;
    let answer = shop.place_and_wait(Shop::order_paid_by("NONE", 1, "void_fails")).await;
    ends_as(&answer.body, "rejected", Some("out_of_stock"));
    let id = answer.order_id();
    let order = shop.wait_for(&id, |order| order["attention"].is_object()).await;
    assert_eq!(order["attention"]["step"], "void");

    let run = |arguments: &[&str]| {
        let output = crate::support::ordermill().args(arguments).args(["--url", &server.url]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    shop.wait_for_metric("ordermill_attention_orders", "1").await;
    let listed = run(&["order", "list", "--attention"]);
    assert!(
        listed.contains(&id) && listed.contains("out_of_stock; void: "),
        "why it ended, and what is left: {listed}"
    );
    run(&["order", "retry", &id]);

    let timeline = shop.wait_for_event(&id, "payment.voided").await;
    assert!(timeline.contains(&"order.attention_cleared".to_owned()), "{timeline:?}");
    assert!(shop.order_now(&id).await["attention"].is_null());
    let again = shop.post(&format!("/v1/orders/{id}/retry"), json!({})).await;
    assert_eq!((again.status.as_u16(), again.code()), (409, "no_attention"), "{again:?}");
}

#[tokio::test]
async fn a_refund_that_fails_waits_for_a_person_and_retry_clears_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, shop) = shop(&folder, &[]).await;
    let id = shop.place_and_wait(Shop::order_paid_by("P1", 1, "refund_fails")).await.order_id();
    shop.post(&format!("/v1/orders/{id}/cancel"), json!({})).await;
    let order = shop.wait_for(&id, |order| order["attention"].is_object()).await;
    assert_eq!(order["attention"]["step"], "refund");
    shop.post(&format!("/v1/orders/{id}/retry"), json!({})).await;
    shop.wait_for_event(&id, "payment.refunded").await;
}

/// The cancel comes while the provider still thinks about the authorization: the hold is found out and let go of.
#[tokio::test]
async fn a_cancel_before_the_authorization_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, shop) = shop(&folder, &[("ORDERMILL_SANDBOX__SLOW", "5s")]).await;
    let placed = shop.post("/v1/orders", Shop::order_paid_by("P1", 1, "slow")).await;
    assert_eq!(placed.status, 202);
    let id = placed.order_id();
    let cancelled = shop.post(&format!("/v1/orders/{id}/cancel"), json!({})).await;
    assert_eq!(cancelled.body["status"], "cancelled", "{cancelled:?}");

    let timeline = shop.wait_for_event(&id, "payment.voided").await;
    assert!(timeline.contains(&"payment.authorized".to_owned()), "{timeline:?}");
    assert!(!timeline.contains(&"payment.captured".to_owned()), "{timeline:?}");
    assert_eq!(shop.stock("P1").await["available"], 100);
}

/// The cancel comes anywhere between the authorization and the confirmation, at a provider that fails before and after it acts.
/// Whoever is first there, no money is kept.
#[tokio::test]
async fn a_cancel_races_with_the_capture_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let flaky = [("ORDERMILL_SANDBOX__FAIL_BEFORE_RATE", "0.2"), ("ORDERMILL_SANDBOX__LOSE_ANSWER_RATE", "0.3")];
    let (_server, shop) = shop(&folder, &flaky).await;
    let (mut before, mut after) = (0, 0);
    for round in 0..60_u64 {
        let id = shop.post("/v1/orders", Shop::order("P1", 1)).await.order_id();
        if round % 10 == 9 {
            // After the capture, however slow the machine is.
            shop.wait_for(&id, |order| order["payment"]["captured_minor"] == json!(1000)).await;
        } else {
            tokio::time::sleep(std::time::Duration::from_millis(round * 7 % 150)).await;
        }
        let cancelled = shop.post(&format!("/v1/orders/{id}/cancel"), json!({})).await;
        assert_eq!(cancelled.body["status"], "cancelled", "{cancelled:?}");
        let order = shop
            .wait_for(&id, |order| {
                let amount = |name: &str| order["payment"][name].as_i64().unwrap();
                let free = amount("captured_minor") + amount("voided_minor") == amount("authorized_minor");
                amount("authorized_minor") == 1000 && free && amount("captured_minor") == amount("refunded_minor")
            })
            .await;
        if order["payment"]["captured_minor"] == json!(0) { before += 1 } else { after += 1 }
    }
    assert!(before > 0 && after > 0, "both ways were met: {before} before the capture, {after} after");
    let stock = shop.stock("P1").await;
    assert_eq!((&stock["available"], &stock["reserved"], &stock["sold"]), (&json!(100), &json!(0), &json!(0)));
}

/// A provider that answers one customer slowly does not hold up the others.
#[tokio::test]
async fn a_slow_payment_holds_up_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("ORDERMILL_SANDBOX__SLOW", "90s"), ("ORDERMILL_PROVIDER__TIMEOUT", "120s")];
    let (_server, shop) = shop(&folder, &environment).await;
    for _ in 0..5 {
        shop.post("/v1/orders", Shop::order_paid_by("P1", 1, "slow")).await;
    }
    let began = std::time::Instant::now();
    for _ in 0..20 {
        let answer = shop.place_and_wait(Shop::order("P1", 1)).await;
        ends_as(&answer.body, "confirmed", None);
    }
    assert!(began.elapsed().as_secs() < 60, "twenty orders took {:?}", began.elapsed());
}
