//! S4: carriers report parcels.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Server, Shop, doctor, wait_for_mails};

const PICKED_UP: &str = "PICKED_UP_AT_WAREHOUSE";
const OUT: &str = "OUT_FOR_DELIVERY";
const ISSUE: &str = "DELIVERY_ISSUE";
const DELIVERED: &str = "DELIVERED";

fn event(order: &str, status: &str, at: &str) -> Value {
    json!({ "orderId": order, "status": status, "eventTs": at })
}

/// Minute `minute` of a day.
fn at(minute: u32) -> String {
    format!("2026-03-01T{:02}:{:02}:00Z", minute / 60, minute % 60)
}

async fn report(shop: &Shop, events: Vec<Value>) -> Answer {
    shop.post("/order/tracking", json!({ "event": events })).await
}

async fn report_xml(shop: &Shop, xml: impl Into<Vec<u8>>) -> Answer {
    let headers = [("Content-Type", "application/xml")];
    shop.try_send(Method::POST, "/order/tracking", &headers, Some(xml.into())).await.unwrap()
}

/// What became of each event: accepted, published, reason.
fn results(answer: &Answer) -> Vec<(bool, bool, Option<&str>)> {
    assert_eq!(answer.status, 202, "{answer:?}");
    let results = answer.body.as_array().unwrap_or_else(|| panic!("{answer:?}"));
    let flag = |result: &Value, name: &str| result[name].as_bool().unwrap_or_else(|| panic!("{result}"));
    results
        .iter()
        .map(|result| (flag(result, "accepted"), flag(result, "published"), result["reason"].as_str()))
        .collect()
}

#[tokio::test]
async fn the_published_samples_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    let json = report(&shop, vec![event("ORD-1", PICKED_UP, "2025-08-24T10:15:30Z")]).await;
    assert_eq!(results(&json), [(true, true, None)]);
    assert_eq!(json.body[0]["orderId"], "ORD-1");
    let xml = "<events><event><orderId>ORD-2</orderId><status>PICKED_UP_AT_WAREHOUSE</status>\
               <eventTs>2025-08-24T10:15:30Z</eventTs></event></events>";
    let answer = report_xml(&shop, xml).await;
    assert_eq!(results(&answer), [(true, true, None)]);
    for id in ["ORD-1", "ORD-2"] {
        let parcel = shop.get(&format!("/v1/tracking/{id}")).await;
        assert_eq!((parcel.status.as_u16(), &parcel.body["status"]), (200, &json!("picked_up")), "{parcel:?}");
    }
    let listed = shop.get("/v1/tracking?status=picked_up").await;
    assert!(listed.text.contains("ORD-1") && listed.text.contains("ORD-2"), "{listed:?}");
    for path in ["/actuator/health", "/actuator/info", "/actuator/prometheus"] {
        assert_eq!(shop.get(path).await.status, 200, "{path}");
    }
    assert_eq!(shop.get("/actuator/health").await.body["status"], "UP");
}

#[tokio::test]
async fn every_pair_of_statuses_is_answered_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    let all = [PICKED_UP, OUT, ISSUE, DELIVERED];
    let allowed =
        [(PICKED_UP, OUT), (PICKED_UP, ISSUE), (OUT, ISSUE), (OUT, DELIVERED), (ISSUE, OUT), (ISSUE, DELIVERED)];
    for from in all {
        for to in all {
            let id = format!("{from}-{to}");
            let answer = report(&shop, vec![event(&id, from, &at(0)), event(&id, to, &at(1))]).await;
            let results = results(&answer);
            assert_eq!(results[0], (true, true, None), "none -> {from}");
            let (accepted, published, reason) = results[1];
            let is_allowed = allowed.contains(&(from, to));
            assert_eq!((accepted, published), (is_allowed, is_allowed), "{from} -> {to}");
            assert_eq!(reason.is_none(), is_allowed, "{from} -> {to}");
            let parcel = shop.get(&format!("/v1/tracking/{id}")).await.body;
            let is_delivered = to == DELIVERED && is_allowed || from == DELIVERED;
            assert_eq!(parcel["delivered_at"].is_string(), is_delivered, "{parcel}");
            // What was refused is kept with its reason.
            let events = shop.get(&format!("/v1/tracking/{id}/events")).await;
            assert_eq!(events.body["events"].as_array().unwrap().len(), 2, "{events:?}");
            assert_eq!(events.text.contains("tracking.refused"), !is_allowed, "{events:?}");
        }
    }
}

#[tokio::test]
async fn duplicates_and_late_events_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    let batch = vec![
        event("A", PICKED_UP, &at(10)),
        event("B", OUT, &at(5)),
        event("A", OUT, &at(20)),
        event("A", OUT, &at(20)),
        event("A", ISSUE, &at(15)),
        event("B", DELIVERED, &at(6)),
        // The same instant by another clock.
        event("B", DELIVERED, "2026-03-01T02:06:00+02:00"),
    ];
    let answer = report(&shop, batch).await;
    assert_eq!(
        results(&answer),
        [
            (true, true, None),
            (true, true, None),
            (true, true, None),
            (true, false, Some("duplicate")),
            (true, true, Some("late")),
            (true, true, None),
            (true, false, Some("duplicate")),
        ]
    );
    let order: Vec<&str> =
        answer.body.as_array().unwrap().iter().map(|result| result["orderId"].as_str().unwrap()).collect();
    assert_eq!(order, ["A", "B", "A", "A", "A", "B", "B"], "a result per event, in order");
    assert_eq!(shop.get("/v1/tracking/A").await.body["status"], "out_for_delivery", "a late event moves nothing back");
}

#[tokio::test]
async fn a_batch_that_is_not_right_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    let good = event("A", PICKED_UP, &at(0));
    for bad in [
        json!({ "event": [] }),
        json!({}),
        json!([]),
        json!({ "event": [good, event("", OUT, &at(1))] }),
        json!({ "event": [good, event("  ", OUT, &at(1))] }),
        json!({ "event": [good, event("B", "LOST_AT_SEA", &at(1))] }),
        json!({ "event": [good, event("B", "delivered", &at(1))] }),
        json!({ "event": [good, event("B", OUT, "yesterday")] }),
        json!({ "event": [good, event("B", OUT, "2026-02-30T00:00:00Z")] }),
        json!({ "event": [good, { "orderId": "B", "status": OUT }] }),
        json!({ "event": [good, { "orderId": null, "status": OUT, "eventTs": at(1) }] }),
    ] {
        let answer = shop.post("/order/tracking", bad.clone()).await;
        assert_eq!(answer.status, 400, "{bad}: {answer:?}");
    }
    assert_eq!(shop.get("/v1/tracking/A").await.status, 404, "nothing of a refused batch is taken");
    for media in ["text/plain", "application/x-www-form-urlencoded", "application/x-ndjson"] {
        let headers = [("Content-Type", media)];
        let answer = shop.try_send(Method::POST, "/order/tracking", &headers, Some(b"{}".to_vec())).await.unwrap();
        assert_eq!(answer.status, 415, "{media}");
    }
}

#[tokio::test]
async fn ten_thousand_events_are_taken_and_one_more_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    let batch =
        |count: u32| (0..count).map(|number| event(&format!("P{number}"), PICKED_UP, &at(1))).collect::<Vec<_>>();
    assert_eq!(report(&shop, batch(10_001)).await.status, 413);
    assert_eq!(shop.get("/v1/tracking/P0").await.status, 404);
    let answer = report(&shop, batch(10_000)).await;
    let results = results(&answer);
    assert_eq!(results.len(), 10_000);
    assert!(results.iter().all(|result| *result == (true, true, None)));
    let xml: String = (0..10_001)
        .map(|number| {
            format!("<event><orderId>X{number}</orderId><status>{OUT}</status><eventTs>{}</eventTs></event>", at(1))
        })
        .collect();
    assert_eq!(report_xml(&shop, format!("<events>{xml}</events>")).await.status, 413);
}

#[tokio::test]
async fn xml_bombs_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret.txt");
    std::fs::write(&secret, "top-secret").unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    let wrapped = |prolog: &str, id: &str| {
        format!(
            "{prolog}<events><event><orderId>{id}</orderId><status>{OUT}</status><eventTs>{}</eventTs></event></events>",
            at(1)
        )
    };
    let mut laughs = String::from("<!DOCTYPE lolz [<!ENTITY lol0 \"lol\">");
    for level in 1..10 {
        laughs += &format!("<!ENTITY lol{level} \"{}\">", format!("&lol{};", level - 1).repeat(10));
    }
    laughs += "]>";
    let external = format!("<!DOCTYPE x [<!ENTITY secret SYSTEM \"file://{}\">]>", secret.display());
    let deep = format!("{}{}", "<events>".repeat(200_000), "</events>".repeat(200_000));
    let bombs = [
        wrapped(&laughs, "&lol9;"),
        wrapped(&external, "&secret;"),
        wrapped("", "&undefined;"),
        deep,
        format!("<events {}=\"1\"/>", "a".repeat(1_000_000)),
        "<events><event><orderId>A</orderId>".to_owned(),
        "<events></events>".to_owned(),
        "<events/>".to_owned(),
        String::new(),
        wrapped("<?xml version=\"1.0\" encoding=\"UTF-16\"?>", "A"),
    ];
    for bomb in bombs {
        let start: String = bomb.chars().take(80).collect();
        let answer = report_xml(&shop, bomb).await;
        assert!(matches!(answer.status.as_u16(), 400 | 413), "{start}: {answer:?}");
        assert!(!answer.text.contains("top-secret"));
    }
    // What looks odd and is sound.
    let odd = wrapped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- a comment -->\n", "<![CDATA[A&B]]>&#33;");
    let answer = report_xml(&shop, odd).await;
    assert_eq!(results(&answer), [(true, true, None)]);
    assert_eq!(answer.body[0]["orderId"], "A&B!");
}

#[tokio::test]
async fn instants_far_away_are_instants() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    for (number, time) in
        ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "9999-12-30T00:00:00Z", "2026-03-01T00:00:00.5-11:30"]
            .iter()
            .enumerate()
    {
        let answer = report(&shop, vec![event(&format!("T{number}"), OUT, time)]).await;
        assert_eq!(results(&answer), [(true, true, None)], "{time}");
    }
}

#[tokio::test]
async fn an_order_of_ours_moves_and_its_customer_hears_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1_000, 10).await;
    let by_id = shop.place_and_wait(Shop::order("P1", 1)).await.order_id();
    let mut named = Shop::order("P1", 1);
    named["order_ref"] = json!("shop-77");
    let by_ref = shop.place_and_wait(named).await.order_id();
    let answer = report(
        &shop,
        vec![
            event(&by_id, PICKED_UP, &at(1)),
            event("shop-77", PICKED_UP, &at(1)),
            event(&by_id, ISSUE, &at(2)),
            event(&by_id, DELIVERED, &at(3)),
            event("shop-77", OUT, &at(2)),
        ],
    )
    .await;
    assert!(results(&answer).iter().all(|result| *result == (true, true, None)), "{answer:?}");
    shop.wait_for(&by_id, |order| order["status"] == "delivered").await;
    shop.wait_for(&by_ref, |order| order["status"] == "shipped").await;
    // Two confirmations; shipped, issue and delivered of the one; shipped of the other.
    let mails = wait_for_mails(folder.path(), 6);
    for kind in ["confirmed", "shipped", "delivery_issue", "delivered"] {
        assert!(mails.contains_key(&format!("<{by_id}.{kind}.1@ordermill>")), "{kind}: {mails:?}");
    }
    for (name, order_id) in [(by_id.as_str(), &by_id), ("shop-77", &by_ref), (by_ref.as_str(), &by_ref)] {
        let parcel = shop.get(&format!("/v1/tracking/{name}")).await;
        assert_eq!(parcel.body["order_id"], json!(order_id), "{name}: {parcel:?}");
    }
    assert!(server.terminate().success());
    doctor(folder.path()).assert_clean();
}

/// An order has two names and one parcel: a carrier may use either at any time.
#[tokio::test]
async fn both_names_of_an_order_are_one_parcel() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1_000, 10).await;
    let mut named = Shop::order("P1", 1);
    named["order_ref"] = json!("shop-88");
    let id = shop.place_and_wait(named).await.order_id();
    let way = [("shop-88", PICKED_UP), (id.as_str(), OUT), ("shop-88", OUT), (id.as_str(), DELIVERED)];
    let events = way.iter().zip(1..).map(|((name, status), minute)| event(name, status, &at(minute))).collect();
    let answer = report(&shop, events).await;
    let taken: Vec<bool> = results(&answer).iter().map(|(accepted, ..)| *accepted).collect();
    assert_eq!(taken, [true, true, false, true], "{answer:?}");
    let names: Vec<&str> =
        answer.body.as_array().unwrap().iter().map(|result| result["orderId"].as_str().unwrap()).collect();
    assert_eq!(names, way.map(|(name, _)| name), "each is answered by the name it came under");
    shop.wait_for(&id, |order| order["status"] == "delivered").await;
    wait_for_mails(folder.path(), 3);
    assert!(server.terminate().success());
    doctor(folder.path()).assert_clean();
}

#[tokio::test]
async fn a_parcel_survives_a_kill_and_knows_what_came_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let shop = Shop::of(&server);
    let batch = vec![event("A", PICKED_UP, &at(1)), event("A", OUT, &at(2))];
    report(&shop, batch.clone()).await;
    server.kill();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    let again = report(&shop, batch).await;
    assert_eq!(results(&again), [(true, false, Some("duplicate")); 2]);
    // What is published is in the channel once, keyed and in the agreed form.
    let messages = shop.get("/v1/channels/order-tracking.events/messages").await;
    assert_eq!(messages.body["messages"].as_array().unwrap().len(), 2, "{messages:?}");
    assert!(messages.text.contains("\"schemaVersion\":\"v1\""), "{messages:?}");
    assert!(server.terminate().success());
    doctor(folder.path()).assert_clean();
}
