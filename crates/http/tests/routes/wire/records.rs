//! The queue frontend: `GET /`, `POST /` and `POST /message`.

use http::Method;
use ordermill_http::{Settings, WireSettings};
use serde_json::{Value, json};

use crate::support::{Fault, Reply, Shop};

const TOKEN: &str = "records-secret";

fn shop(strict: bool) -> Shop {
    let token = Some("env:records".parse().unwrap());
    let wire = WireSettings { records_token: token, records_strict: strict, ..WireSettings::default() };
    Shop::with(Settings { wire, ..Settings::default() }, 100)
}

fn message(timestream: Value) -> Value {
    json!({"token": TOKEN, "data": {"email_subject": "S", "email_timestream": timestream}})
}

#[track_caller]
fn assert_refused(reply: &Reply, status: u16, error: &str) {
    assert_eq!((reply.status.as_u16(), reply.json()), (status, json!({"error": error})));
    assert_eq!(reply.header("content-type"), "application/json");
}

async fn records(shop: &Shop) -> Vec<Value> {
    shop.get("/v1/records").await.json()["records"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_message_becomes_a_record_without_its_token() {
    let shop = shop(false);
    for path in ["/", "/message"] {
        let reply = shop.post(path, message(json!("2023-01-01T00:00:00Z"))).await;
        let body = reply.json();
        assert_eq!((reply.status.as_u16(), &body["message"]), (200, &json!("Message sent to SQS")));
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        let id = body["message_id"].as_str().unwrap();
        let record = shop.get(&format!("/v1/records/{id}")).await;
        assert!(!record.text().contains(TOKEN));
        let record = record.json();
        assert_eq!(record["data"], json!({"email_subject": "S", "email_timestream": "2023-01-01T00:00:00Z"}));
        assert_eq!((&record["occurred_at"], &record["status"]), (&json!("2023-01-01T00:00:00Z"), &json!("queued")));
    }
    assert_eq!(records(&shop).await.len(), 2);
    let events = shop.get("/v1/events").await;
    assert!(!events.text().contains(TOKEN), "the token is nowhere");
}

#[tokio::test]
async fn checks_come_in_their_order() {
    let shop = shop(false);
    for payload in [
        json!([]),
        json!("text"),
        json!(null),
        json!({}),
        json!({"token": TOKEN}),
        json!({"data": {"email_timestream": 1}}),
        json!({"token": null, "data": {"email_timestream": 1}}),
        json!({"token": TOKEN, "data": null}),
        json!({"token": TOKEN, "data": "text"}),
        json!({"token": "wrong", "data": []}),
    ] {
        assert_refused(&shop.post("/", payload).await, 400, "Invalid payload");
    }
    for bad in ["", "{", "not json", &"[".repeat(100_000)] {
        assert_refused(&shop.post_bytes("/message", bad.to_owned()).await, 400, "Invalid payload");
    }
    for token in [json!("wrong"), json!(""), json!(7), json!({}), json!(format!("{TOKEN} ")), json!("records-secreT")] {
        // The token is looked at before the time.
        assert_refused(&shop.post("/message", json!({"token": token, "data": {}})).await, 401, "Invalid token");
    }
    for data in [
        json!({}),
        json!({"email_timestream": null}),
        json!({"email_timestream": ""}),
        json!({"email_timestream": "  "}),
    ] {
        let reply = shop.post("/message", json!({"token": TOKEN, "data": data})).await;
        assert_refused(&reply, 400, "Missing email_timestream");
    }
    for bad in [
        json!("yesterday"),
        json!("2023-01-01"),
        json!("2023-01-01T00:00:00"),
        json!(true),
        json!([1]),
        json!({}),
        json!(1e300),
    ] {
        assert_refused(&shop.post("/", message(bad)).await, 400, "Invalid email_timestream format");
    }
    assert!(records(&shop).await.is_empty(), "nothing was taken");
}

#[tokio::test]
async fn times_come_in_many_forms() {
    let shop = shop(false);
    for (given, expected) in [
        (json!("2023-01-01T00:00:00Z"), "2023-01-01T00:00:00Z"),
        (json!("2023-01-01T01:00:00+01:00"), "2023-01-01T00:00:00Z"),
        (json!("2023-01-01T00:00:00.250Z"), "2023-01-01T00:00:00.25Z"),
        (json!(1_672_531_200), "2023-01-01T00:00:00Z"),
        (json!(1_672_531_200.5), "2023-01-01T00:00:00.5Z"),
        (json!("1672531200"), "2023-01-01T00:00:00Z"),
        (json!("1672531200.5"), "2023-01-01T00:00:00.5Z"),
        (json!("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z"),
        (json!("9999-12-31T23:59:59Z"), "9999-12-30T22:00:00.999999999Z"),
        (json!(0), "1970-01-01T00:00:00Z"),
    ] {
        let reply = shop.post("/message", message(given.clone())).await;
        assert_eq!(reply.status, 200, "{given}: {}", reply.text());
        let id = reply.json()["message_id"].as_str().unwrap().to_owned();
        let record = shop.get(&format!("/v1/records/{id}")).await.json();
        assert_eq!(record["occurred_at"], expected, "{given}");
        assert_eq!(record["data"]["email_timestream"], given, "the data stays as it was sent");
    }
}

#[tokio::test]
async fn strict_mode_asks_for_a_whole_mail() {
    let shop = shop(true);
    let whole =
        json!({"email_subject": "S", "email_sender": "a@example.com", "email_timestream": 1, "email_content": "C"});
    let send = async |data: &Value| shop.post("/", json!({"token": TOKEN, "data": data})).await;
    assert_eq!(send(&whole).await.status, 200);
    for field in ["email_subject", "email_sender", "email_timestream", "email_content"] {
        for gone in [Value::Null, json!(""), json!(" \n")] {
            let mut data = whole.clone();
            data[field] = gone;
            assert_refused(&send(&data).await, 400, &format!("Missing {field}"));
        }
        let mut data = whole.clone();
        data.as_object_mut().unwrap().remove(field);
        assert_refused(&send(&data).await, 400, &format!("Missing {field}"));
    }
}

#[tokio::test]
async fn without_token_or_queue_nothing_is_taken() {
    let shop = shop(false);
    shop.secrets.set_away(true);
    let reply = shop.post("/message", message(json!(1))).await;
    assert_refused(&reply, 503, "Token unavailable");
    assert_eq!(reply.header("retry-after"), "1");
    shop.secrets.set_away(false);
    for fault in [Fault::NotCommitted, Fault::Overloaded, Fault::Closing] {
        shop.faults.set(Some(fault));
        assert_refused(&shop.post("/message", message(json!(1))).await, 503, "Queue unavailable");
    }
    shop.faults.set(None);
    assert!(records(&shop).await.is_empty());
    let nothing_configured = Shop::new();
    assert_refused(&nothing_configured.post("/", message(json!(1))).await, 503, "Token unavailable");
    assert_refused(&nothing_configured.post("/", json!({})).await, 400, "Invalid payload");
}

/// Its client has nothing to ask with, so it would send the message again.
#[tokio::test]
async fn a_message_whose_commit_was_not_heard_of_is_taken_once() {
    let shop = shop(false);
    shop.faults.set(Some(Fault::LostOnce));
    let reply = shop.post("/message", message(json!(1))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let records = records(&shop).await;
    assert_eq!((records.len(), &records[0]["record_id"]), (1, &reply.json()["message_id"]));
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let shop = shop(false);
    let sized = |bytes: usize| json!({"token": TOKEN, "data": {"email_timestream": 1, "x": "x".repeat(bytes)}});
    assert_eq!(shop.post("/", sized(100_000)).await.status, 200);
    assert_refused(&shop.post("/", sized(130_000)).await, 413, "Payload too large");
    assert_refused(&shop.post("/", sized(300_000)).await, 413, "Payload too large");
}

#[tokio::test]
async fn the_type_of_the_body_does_not_matter() {
    let shop = shop(false);
    let body = message(json!(1)).to_string();
    for headers in
        [&[][..], &[("content-type", "text/plain")], &[("content-type", "application/x-www-form-urlencoded")]]
    {
        assert_eq!(shop.send(Method::POST, "/message", headers, body.clone()).await.status, 200);
    }
}

#[tokio::test]
async fn health_is_json_unless_a_page_is_liked_better() {
    let shop = shop(false);
    let reply = shop.get("/").await;
    assert_eq!((reply.header("content-type"), reply.json()), ("application/json", json!({"status": "healthy"})));
    let page = shop.send(Method::GET, "/", &[("accept", "text/html,*/*;q=0.8")], "").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.text().contains("healthy"));
    let wrong = shop.send(Method::PUT, "/message", &[], "").await;
    assert_refused(&wrong, 405, "The method is not possible here");
    assert!(wrong.header("allow").contains("POST"));
}
