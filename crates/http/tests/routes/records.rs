//! `/v1/records`

use http::Method;
use ordermill_core::input::Body as InputBody;
use ordermill_core::record::Stored;
use serde_json::{Value, json};

use crate::support::Shop;

async fn take(shop: &Shop, data: Value) -> String {
    let reply = shop.post("/v1/records", json!({ "data": data })).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    reply.json()["record_id"].as_str().unwrap().to_owned()
}

async fn store(shop: &Shop, id: &str) {
    let stored = Stored { key: format!("processed/2026/01/01/00/{id}.json").into(), attempts: 2 };
    shop.submit(InputBody::RecordStored { record_id: id.parse().unwrap(), stored }).await;
}

#[tokio::test]
async fn a_record_is_taken_and_read_until_it_is_stored() {
    let shop = Shop::new();
    let body = json!({"data": {"a": [1, {"b": null}]}, "occurred_at": "2026-01-31T12:00:00Z"});
    let reply = shop.post_with("/v1/records", &[("x-correlation-id", "web-1")], body).await;
    assert_eq!(reply.status, 202);
    let taken = reply.json();
    let id = taken["record_id"].as_str().unwrap();
    assert_eq!(reply.header("location"), format!("/v1/records/{id}"));
    assert_eq!((&taken["status"], &taken["correlation_id"]), (&json!("queued"), &json!("web-1")));
    assert_eq!((&taken["data"], &taken["occurred_at"]), (&json!({"a": [1, {"b": null}]}), &json!("2026-01-31T12:00:00Z")));
    let address = format!("/v1/records/{id}");
    assert_eq!(shop.get(&address).await.json(), taken);
    store(&shop, id).await;
    let read = shop.get(&address).await;
    let stored = read.json();
    assert_eq!((&stored["status"], &stored["attempts"]), (&json!("stored"), &json!(2)));
    assert_eq!(stored["key"], format!("processed/2026/01/01/00/{id}.json"));
    assert!(stored["stored_at"].is_string());
    let unchanged = shop.send(Method::GET, &address, &[("if-none-match", read.header("etag"))], "").await;
    assert_eq!(unchanged.status, 304);
    for unknown in ["rec_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f", "nonsense", "ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f"] {
        shop.get(&format!("/v1/records/{unknown}")).await.assert_problem(404, "record_not_found");
    }
}

#[tokio::test]
async fn a_key_makes_it_safe_to_send_again() {
    let shop = Shop::new();
    let send = async |data: Value| shop.post_with("/v1/records", &[("idempotency-key", "k")], json!({"data": data})).await;
    let first = send(json!({"a": 1})).await;
    store(&shop, first.json()["record_id"].as_str().unwrap()).await;
    let again = send(json!({"a": 1})).await;
    assert_eq!((again.status.as_u16(), again.json()), (202, first.json()));
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    send(json!({"a": 2})).await.assert_problem(422, "idempotency_key_reused");
    assert_eq!(shop.get("/v1/records").await.json()["records"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_no_record_is_refused() {
    let shop = Shop::new();
    for (body, field) in [
        (json!({}), "data"),
        (json!({"data": "text"}), "data"),
        (json!({"data": null}), "data"),
        (json!({"data": {"x": "x".repeat(130_000)}}), "data"),
        (json!({"data": {}, "occurred_at": "yesterday"}), "occurred_at"),
        (json!({"data": {}, "token": "t"}), "token"),
    ] {
        let reply = shop.post("/v1/records", body).await;
        reply.assert_problem(422, "invalid_request");
        assert_eq!(reply.fields(), [field]);
    }
    shop.post("/v1/records", json!({"data": {"x": "x".repeat(300_000)}})).await.assert_problem(413, "body_too_large");
    shop.post_lines("/v1/records", "{}").await.assert_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn records_are_listed_newest_first() {
    let shop = Shop::new();
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(take(&shop, json!({ "number": number })).await);
    }
    store(&shop, &ids[1]).await;
    let list = async |query: &str| {
        let page = shop.get(&format!("/v1/records?{query}")).await.json();
        let found: Vec<String> = page["records"].as_array().unwrap().iter().map(|record| record["record_id"].as_str().unwrap().to_owned()).collect();
        (found, page["next"].as_str().map(str::to_owned))
    };
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    let (first, next) = list("limit=3").await;
    assert_eq!(first, newest_first[..3]);
    let (rest, end) = list(&format!("limit=3&cursor={}", next.unwrap())).await;
    assert_eq!((rest, end), (newest_first[3..].to_vec(), None));
    assert_eq!(list("stored=true").await.0, [ids[1].clone()]);
    assert_eq!(list("stored=false").await.0.len(), 4);
    let at = shop.get(&format!("/v1/records/{}", ids[2])).await.json()["received_at"].as_str().unwrap().to_owned();
    assert_eq!(list(&format!("from={at}")).await.0, newest_first[..3]);
    assert_eq!(list(&format!("to={at}")).await.0, newest_first[3..]);
    for bad in ["stored=maybe", "from=x", "cursor=x", "limit=0", "colour=1"] {
        shop.get(&format!("/v1/records?{bad}")).await.assert_problem(400, "invalid_query");
    }
}
