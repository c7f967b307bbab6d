//! The client and a server of the same build speak the same language.

use std::time::Duration;

use ordermill_client::{Client, Event, Live, Placing, RecordListing};
use serde_json::json;
use tokio::time::timeout;

use crate::assembly::testing::Shop;

/// Far longer than anything here takes, also on a machine with other work to do.
const PATIENCE: Duration = Duration::from_secs(60);

async fn stock_up(client: &Client) {
    let product = json!({ "name": "Tea", "price": { "amount_minor": 1999, "currency": "USD" } });
    client.put_product("tea", &product).await.expect("it can be added");
    client.set_stock("tea", 10).await.expect("it has stock");
}

async fn place(client: &Client) -> String {
    let order = json!({ "customer_id": "ann", "lines": [{ "product_id": "tea", "quantity": 1 }] });
    let placing = Placing { wait: Some(PATIENCE), ..Placing::default() };
    let order = client.place(&order, &placing).await.expect("it can be placed");
    assert_eq!(order.status, "confirmed");
    order.order_id
}

async fn next(live: &mut Live<Event>) -> Event {
    timeout(PATIENCE, live.next()).await.expect("something happens").expect("the stream holds")
}

fn subject(message: &Event) -> &str {
    message.other["subject"].as_str().expect("a message is about something")
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_listed_peeked_and_tailed() {
    let shop = Shop::open().await;
    let client = &shop.client;
    stock_up(client).await;
    let first = place(client).await;
    let page = client.last_messages("order_queue", 5).await.expect("there is such a channel");
    assert_eq!(page.messages.iter().map(subject).collect::<Vec<_>>(), [first.as_str()]);
    let mut live = client.tail("order_queue", page.next.as_deref());
    let second = place(client).await;
    let message = next(&mut live).await;
    assert_eq!((message.kind.as_str(), subject(&message)), ("order.placed", second.as_str()));
    let one = client.messages("order_queue", None, Some(1)).await.expect("a page");
    assert_eq!((one.messages.len(), subject(&one.messages[0])), (1, first.as_str()));
    let rest = client.messages("order_queue", one.next.as_deref(), None).await.expect("a page");
    assert_eq!(rest.messages.iter().map(subject).collect::<Vec<_>>(), [second.as_str()]);
    let channels = client.channels().await.expect("channels");
    let queue = channels.iter().find(|channel| channel.name == "order_queue").expect("it is there");
    assert_eq!((queue.dead_letters, &*queue.consumers[0].role), (0, "payments"));
    let dead = client.messages(&queue.dead_letter_channel, None, None).await.expect("it can be looked into");
    assert!(dead.messages.is_empty() && dead.next.is_none());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parcels_are_reported_followed_and_move_their_order() {
    let shop = Shop::open().await;
    let client = &shop.client;
    stock_up(client).await;
    let order = place(client).await;
    let mut live = client.follow_parcel(&order);
    for (status, seen_at) in [("picked_up", "2026-01-01T08:00:00Z"), ("out_for_delivery", "2026-01-01T09:00:00Z")] {
        let result = client.report_parcel(&order, status, seen_at).await.expect("it is taken").expect("a result");
        assert_eq!((&*result.verdict, result.reason), ("moved", None));
        assert_eq!(next(&mut live).await.data["status"], status);
    }
    let refused = client.report_parcel(&order, "picked_up", "2026-01-01T10:00:00Z").await.expect("it is answered");
    let refused = refused.expect("a result");
    assert_eq!((&*refused.verdict, refused.reason.as_deref()), ("refused", Some("out_of_order")));
    let parcel = client.parcel(&order).await.expect("it is known");
    assert_eq!((&*parcel.status, parcel.other["order_id"].as_str()), ("out_for_delivery", Some(&*order)));
    assert_eq!(client.parcel_events(&order).await.expect("it has a timeline").events.len(), 3);
    let listed = client.parcels(&["out_for_delivery".to_owned()], None, None).await.expect("a page");
    assert_eq!(listed.parcels, [parcel]);
    let mut order = client.follow(&order);
    while next(&mut order).await.kind != "order.shipped" {}
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_are_put_listed_and_deleted() {
    let shop = Shop::open().await;
    let client = &shop.client;
    let ann =
        client.put_customer("ann", &json!({ "name": "Ann", "email": "ann@example.com" })).await.expect("a customer");
    assert_eq!((&*ann.name, ann.email.as_deref(), ann.version), ("Ann", Some("ann@example.com"), 1));
    client.put_customer("bob", &json!({ "name": "Bob" })).await.expect("a customer");
    assert!(client.delete_customer("bob").await.expect("he was there").deleted);
    let ids = async |deleted| {
        let page = client.customers(deleted, None, None).await.expect("a page");
        page.customers.into_iter().map(|customer| customer.customer_id).collect::<Vec<_>>()
    };
    assert_eq!((ids(false).await, ids(true).await), (vec!["ann".to_owned()], vec!["ann".to_owned(), "bob".to_owned()]));
    assert_eq!(client.customer("ann", false).await.expect("she is there"), ann);
    let gone = client.customer("bob", false).await.expect_err("he was deleted");
    assert_eq!(gone.problem().map(|problem| problem.code()), Some("customer_not_found"));
    assert!(client.customer("bob", true).await.is_ok());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_invoked_and_says_what_it_gives_back() {
    let shop = Shop::open().await;
    let client = &shop.client;
    stock_up(client).await;
    let order = json!({
        "transactionId": "t-1", "customerId": 1, "customerEmail": "ann@example.com", "productId": "tea", "quantity": 1,
        "price": 19.99, "transactionTime": "2026-01-31T12:00:00", "shippingAddress": "1 Main St", "paymentMethod": "card",
    });
    let result = client.invoke("order-management", order.to_string().into_bytes()).await.expect("it is invoked");
    assert_eq!(result, json!({ "statusCode": 200, "body": "Order processed successfully" }));
    let result = client.invoke("order-management", b"{}".to_vec()).await.expect("it is invoked");
    assert_eq!(result, json!({ "statusCode": 400, "body": "Invalid order data" }));
    let error = client.invoke("nope", b"{}".to_vec()).await.expect_err("there is no such function");
    assert!(error.to_string().starts_with("nope was not invoked (404)"), "{error}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_listed_by_how_far_they_have_come() {
    let shop = Shop::open().await;
    let client = &shop.client;
    let listing = |stored| RecordListing { stored: Some(stored), ..RecordListing::default() };
    assert!(client.records(&listing(true), None, None).await.expect("a page").records.is_empty());
    let taken =
        reqwest::Client::new().post(format!("{}/v1/records", client.base())).json(&json!({ "data": { "a": 1 } }));
    assert_eq!(taken.send().await.expect("an answer").status(), 202);
    let stored = async {
        loop {
            let page = client.records(&listing(true), None, None).await.expect("a page");
            if let [record] = page.records.as_slice() {
                return record.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let record = timeout(PATIENCE, stored).await.expect("its object is written");
    assert_eq!((&*record.status, record.attempts, &record.data), ("stored", Some(1), &json!({ "a": 1 })));
    assert_eq!(client.record(&record.record_id).await.expect("it is there"), record);
    assert!(client.records(&listing(false), None, None).await.expect("a page").records.is_empty());
    shop.close().await;
}
