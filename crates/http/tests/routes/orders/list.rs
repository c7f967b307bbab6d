//! `GET /v1/orders` and `GET /v1/orders/{id}`

use http::Method;
use serde_json::{Value, json};

use crate::support::{Reply, Shop, order};

fn ids(reply: &Reply) -> Vec<String> {
    let orders = reply.json()["orders"].as_array().unwrap().clone();
    orders.iter().map(|order| order["order_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pages_hold_every_order_once_newest_first() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let mut placed = Vec::new();
    for _ in 0..7 {
        placed.push(shop.place("chair").await.to_string());
    }
    placed.reverse();
    let mut seen = Vec::new();
    let mut address = "/v1/orders?limit=3".to_owned();
    loop {
        let page = shop.get(&address).await;
        assert!(ids(&page).len() <= 3);
        seen.extend(ids(&page));
        let Some(next) = page.json()["next"].as_str().map(str::to_owned) else { break };
        assert!(next.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{next}");
        // What comes in meanwhile is newer, and disturbs nothing.
        shop.place("chair").await;
        address = format!("/v1/orders?limit=3&cursor={next}");
    }
    assert_eq!(seen, placed);
}

#[tokio::test]
async fn filters_are_joined() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let mut other = order("chair", 1);
    other["customer_id"] = "customer 2/ä".into();
    other["order_ref"] = "R-2".into();
    let first = shop.place("chair").await;
    let second = shop.post("/v1/orders", other).await.order_id();
    let third = shop.place("chair").await;
    shop.confirm(first).await;
    shop.give_up(third).await;
    let (first, second, third) = (first.to_string(), second.to_string(), third.to_string());
    for (query, expected) in [
        ("", vec![&third, &second, &first]),
        ("status=confirmed", vec![&first]),
        ("status=placed", vec![&third, &second]),
        ("status=placed,confirmed", vec![&third, &second, &first]),
        ("status=placed&status=confirmed&attention=false", vec![&second, &first]),
        ("status=shipped", vec![]),
        ("attention=true", vec![&third]),
        ("customer_id=customer%202%2F%C3%A4", vec![&second]),
        ("customer_id=customer+2%2f%c3%a4&status=confirmed", vec![]),
        ("q=R-2", vec![&second]),
        ("q=customer-1", vec![&third, &first]),
        ("q=R", vec![]),
        ("from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", vec![&third, &second, &first]),
        ("from=2026-01-02T00:00:00%2B00:00", vec![]),
        ("to=2026-01-01T00:00:00Z", vec![]),
    ] {
        let reply = shop.get(&format!("/v1/orders?{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        assert_eq!(ids(&reply), expected.into_iter().cloned().collect::<Vec<_>>(), "{query}");
    }
    let by_id = shop.get(&format!("/v1/orders?q={second}")).await;
    assert_eq!(ids(&by_id), [second]);
}

#[tokio::test]
async fn a_slip_in_a_filter_is_no_list_of_everything() {
    let shop = Shop::new();
    for (query, field) in [
        ("statuss=placed", "statuss"),
        ("status=lost", "status"),
        ("attention=maybe", "attention"),
        ("from=yesterday", "from"),
        ("to=2026", "to"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("cursor=abc", "cursor"),
        ("q=a&q=b", "q"),
    ] {
        let reply = shop.get(&format!("/v1/orders?{query}")).await;
        reply.assert_problem(400, "invalid_query");
        assert_eq!(reply.fields(), [field]);
    }
    // A cursor of another list is none of this one.
    shop.stock("chair", 1).await;
    let feed = shop.get("/v1/events").await.json()["next"].as_str().unwrap().to_owned();
    shop.get(&format!("/v1/orders?cursor={feed}")).await.assert_problem(400, "invalid_query");
}

#[tokio::test]
async fn one_order_with_its_version() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let id = shop.place("chair").await;
    let address = format!("/v1/orders/{id}");
    let placed = shop.get(&address).await;
    assert_eq!((placed.status.as_u16(), placed.header("etag")), (200, "\"1\""));
    let same = shop.send(Method::GET, &address, &[("if-none-match", "\"1\"")], "").await;
    assert_eq!((same.status.as_u16(), same.bytes.len(), same.header("etag")), (304, 0, "\"1\""));
    shop.confirm(id).await;
    let confirmed = shop.send(Method::GET, &address, &[("if-none-match", "\"1\"")], "").await;
    assert_eq!(confirmed.status, 200);
    let order = confirmed.json();
    assert_eq!(order["status"], "confirmed");
    assert_eq!(confirmed.header("etag"), format!("\"{}\"", order["version"]));
    assert_eq!(order["links"]["refund"], json!(format!("/v1/orders/{id}/refund")));
    assert_eq!(order["links"].get("retry"), None);
    let head = shop.send(Method::HEAD, &address, &[], "").await;
    assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0));
    let unknown = shop.get("/v1/orders/ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f").await;
    unknown.assert_problem(404, "order_not_found");
    assert_eq!(unknown.json().get("errors"), None::<&Value>);
}
