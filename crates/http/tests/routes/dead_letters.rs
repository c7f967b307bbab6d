//! `/v1/dead-letters`

use ordermill_core::process::Role;
use ordermill_ports::{Bus as _, Ledger as _, Source, Submission};
use serde_json::json;

use crate::support::Shop;

/// Has the payments role give up on what it receives.
async fn give_up(shop: &Shop, reason: &str) {
    let deliveries = shop.store.receive(Role::Payments, 10).await.unwrap();
    let settlements =
        deliveries.into_iter().map(|delivery| Submission::settle(delivery.dead_letter(reason.to_owned())));
    for result in shop.store.submit(Source::Results, settlements.collect()).await {
        result.unwrap();
    }
}

#[tokio::test]
async fn dead_letters_are_listed_and_driven_again() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    assert_eq!(shop.get("/v1/dead-letters").await.json(), json!({"dead_letters": [], "next": null}));
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.push(shop.place("chair").await);
    }
    give_up(&shop, "the provider is gone").await;
    let page = shop.get("/v1/dead-letters?limit=2").await.json();
    let first = &page["dead_letters"][0];
    assert_eq!(
        (&first["role"], &first["reason"], &first["order_id"]),
        (&json!("payments"), &json!("the provider is gone"), &json!(orders[0].to_string()))
    );
    assert_eq!(first["event"]["id"], format!("{}/1", orders[0]));
    assert_eq!(first["event"]["type"], "order.placed");
    assert!(first["since"].is_string() && first["tries"].is_u64(), "{first}");
    let next = page["next"].as_str().unwrap();
    let rest = shop.get(&format!("/v1/dead-letters?limit=2&cursor={next}")).await.json();
    assert_eq!(rest["dead_letters"].as_array().unwrap().len(), 1);
    assert_eq!(rest["next"], json!(null));

    let ids = [first["id"].clone(), json!(999_999)];
    let reply = shop.post("/v1/dead-letters/redrive", json!({"ids": ids})).await;
    assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({"redriven": 1, "not_found": [999_999]})));
    let again = shop.store.receive(Role::Payments, 10).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].subject, ordermill_core::event::Subject::Order(orders[0]));
}

#[tokio::test]
async fn dead_letters_are_filtered_by_role_and_reason() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    for reason in ["the provider is gone", "the disk is full"] {
        shop.place("chair").await;
        give_up(&shop, reason).await;
    }
    let reasons = async |query: &str| {
        let page = shop.get(&format!("/v1/dead-letters?{query}")).await.json();
        assert_eq!(page["next"], json!(null), "{page}");
        let letters = page["dead_letters"].as_array().unwrap();
        letters.iter().map(|letter| letter["reason"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(reasons("role=payments").await.len(), 2);
    assert_eq!(reasons("role=payments&reason=disk+is&limit=1").await, ["the disk is full"]);
    assert!(reasons("role=archive").await.is_empty() && reasons("reason=fire").await.is_empty());
    let reply = shop.get("/v1/dead-letters?role=nobody").await;
    reply.assert_problem(400, "invalid_query");
    assert_eq!(reply.fields(), ["role"]);
}

#[tokio::test]
async fn a_dead_letter_is_shown_with_what_its_event_says() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let order = shop.place("chair").await;
    give_up(&shop, "the provider is gone").await;
    let listed = shop.get("/v1/dead-letters").await.json()["dead_letters"][0].clone();
    let mut shown = shop.get(&format!("/v1/dead-letters/{}", listed["id"])).await.json();
    let data = shown["event"].as_object_mut().unwrap().remove("data").unwrap();
    assert_eq!(data["lines"][0]["product_id"], "chair");
    assert_eq!(shown, listed, "the rest is what the list says");
    assert_eq!(listed["order_id"], order.to_string());
    for id in ["999999", "0", "18446744073709551615", "-1", "first"] {
        shop.get(&format!("/v1/dead-letters/{id}")).await.assert_problem(404, "dead_letter_not_found");
    }
}

#[tokio::test]
async fn a_redrive_is_checked() {
    let shop = Shop::new();
    for (body, field) in [
        (json!({}), "ids"),
        (json!({"ids": "all"}), "ids"),
        (json!({"ids": [-1]}), "ids[0]"),
        (json!({"ids": vec![1; 501]}), "ids"),
    ] {
        let reply = shop.post("/v1/dead-letters/redrive", body).await;
        reply.assert_problem(422, "invalid_request");
        assert_eq!(reply.fields(), [field]);
    }
}
