//! `GET /v1/events`, at once, waiting and live

use http::Method;
use serde_json::{Value, json};

use crate::support::{Live, Shop, order};

#[tokio::test]
async fn the_feed_holds_every_event_once_and_goes_on() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let placed = shop.post_with("/v1/orders", &[("x-correlation-id", "web-1")], order("chair", 1)).await.order_id();
    shop.confirm(placed).await;
    let mut seen: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = shop.get(&format!("/v1/events?limit=2&cursor={cursor}")).await.json();
        let events = page["events"].as_array().unwrap().clone();
        cursor = page["next"].as_str().unwrap().to_owned();
        if events.is_empty() {
            break;
        }
        assert!(events.len() <= 2);
        seen.extend(events);
    }
    let names: Vec<&str> = seen.iter().map(|event| event["id"].as_str().unwrap()).collect();
    let expected: Vec<String> = ["product/chair/1".to_owned(), "product/chair/2".to_owned()]
        .into_iter()
        .chain((1..=5).map(|version| format!("{placed}/{version}")))
        .collect();
    assert_eq!(names, expected);
    assert_eq!(seen[1]["type"], "stock.set");
    assert_eq!(seen[0].get("correlationid"), None);
    assert!(seen[2..].iter().all(|event| event["correlationid"] == "web-1" && event["subject"] == placed.to_string()));
    // The end of the feed is a place to come back to.
    let again = shop.get(&format!("/v1/events?cursor={cursor}")).await.json();
    assert_eq!(again["next"], cursor);
    let news = shop.place("chair").await;
    let page = shop.get(&format!("/v1/events?cursor={cursor}")).await.json();
    assert_eq!(page["events"][0]["id"], format!("{news}/1"));
    shop.get("/v1/events?cursor=nonsense").await.assert_problem(400, "invalid_query");
}

async fn ids(shop: &Shop, query: &str) -> Vec<String> {
    let page = shop.get(&format!("/v1/events?{query}")).await.json();
    page["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_poller_sees_what_is_new_and_nothing_else() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let order = shop.place("chair").await;
    shop.confirm(order).await;
    shop.put("/v1/customers/c", &[], json!({"name": "n"})).await;
    shop.send(Method::DELETE, "/v1/customers/c", &[], "").await;
    shop.put("/v1/customers/c", &[], json!({"name": "n"})).await;
    assert_eq!(ids(&shop, "subject=order&change=insert").await, [format!("{order}/1")]);
    assert_eq!(ids(&shop, "subject=order&change=INSERT").await.len(), 1, "as a table's change stream writes it");
    assert_eq!(ids(&shop, "change=insert").await, ["product/chair/1".to_owned(), format!("{order}/1"), "customer/c/1".to_owned()]);
    assert_eq!(ids(&shop, "change=remove").await, ["customer/c/2"]);
    assert_eq!(ids(&shop, "subject=customer&change=modify").await, ["customer/c/3"]);
    assert_eq!(ids(&shop, "subject=order&change=modify").await.len(), 4);
    assert_eq!(ids(&shop, "type=payment.captured&type=order.placed").await, [format!("{order}/1"), format!("{order}/4")]);
    assert_eq!(ids(&shop, "type=payment.captured,order.placed&subject=customer").await, Vec::<String>::new());
    for bad in ["subject=shoe", "type=order.lost", "change=maybe", "wait=-1", "wait=x"] {
        shop.get(&format!("/v1/events?{bad}")).await.assert_problem(400, "invalid_query");
    }
}

#[tokio::test]
async fn a_filtered_page_has_its_next_also_when_it_is_empty() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let page = shop.get("/v1/events?subject=order").await.json();
    assert_eq!(page["events"], json!([]));
    let next = page["next"].as_str().unwrap();
    let order = shop.place("chair").await;
    assert_eq!(ids(&shop, &format!("subject=order&cursor={next}")).await, [format!("{order}/1")]);
}

#[tokio::test]
async fn a_request_looks_at_so_many_events_and_no_more() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let body = json!({"name": "n", "price": {"amount_minor": 1, "currency": "USD"}});
    let mut line = body.clone();
    let lines = (0..12_000).map(|number| {
        line["product_id"] = format!("p-{number}").into();
        line.to_string()
    });
    shop.post_lines("/v1/products", lines.collect::<Vec<_>>().join("\n")).await;
    let order = shop.place("chair").await;
    let page = shop.get("/v1/events?subject=order").await.json();
    assert_eq!(page["events"], json!([]), "it is too far behind for one look");
    assert_eq!(ids(&shop, &format!("subject=order&cursor={}", page["next"].as_str().unwrap())).await, [format!("{order}/1")]);
}

#[tokio::test]
async fn news_are_waited_for() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let next = shop.get("/v1/events").await.json()["next"].as_str().unwrap().to_owned();
    let waiting = {
        let (shop, address) = (shop.clone(), format!("subject=order&wait=60&cursor={next}"));
        tokio::spawn(async move { ids(&shop, &address).await })
    };
    tokio::task::yield_now().await;
    // What does not fit does not end the wait.
    shop.put("/v1/stock/chair", &[], json!({"available": 5})).await;
    let order = shop.place("chair").await;
    assert_eq!(waiting.await.unwrap(), [format!("{order}/1")]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_also_without_news() {
    let shop = Shop::new();
    let begun = tokio::time::Instant::now();
    assert_eq!(ids(&shop, "wait=40").await, Vec::<String>::new());
    assert_eq!(begun.elapsed().as_secs(), 40, "longer than other requests may take");
    assert_eq!(ids(&shop, "wait=99999").await, Vec::<String>::new());
    assert_eq!(begun.elapsed().as_secs(), 100);
}

#[tokio::test]
async fn the_feed_is_followed() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let old = shop.place("chair").await;
    let mut live = Live::open(&shop, "/v1/events/stream?change=insert", &[]).await;
    let order = shop.place("chair").await;
    shop.confirm(order).await;
    let (id, kind, event) = live.next_of_feed().await.unwrap();
    assert_eq!((kind.as_str(), &event["subject"]), ("order.placed", &json!(order.to_string())), "it begins with what is new");
    let mut again = Live::open(&shop, "/v1/events/stream?subject=order", &[("last-event-id", &id)]).await;
    assert_eq!(again.next_of_feed().await.unwrap().2["id"], format!("{order}/2"));
    let begin = shop.get("/v1/events?limit=2").await.json()["next"].as_str().unwrap().to_owned();
    let mut all = Live::open(&shop, &format!("/v1/events/stream?cursor={begin}"), &[]).await;
    assert_eq!(all.next_of_feed().await.unwrap().2["subject"], old.to_string());
    for (query, header) in [("cursor=x", ""), ("", "x"), ("subject=shoe", "")] {
        let headers: &[(&str, &str)] = if header.is_empty() { &[] } else { &[("last-event-id", header)] };
        assert_eq!(Live::open(&shop, &format!("/v1/events/stream?{query}"), headers).await.status, 400);
    }
}
