//! `/v1/products` and `/v1/stock`

use http::Method;
use serde_json::{Value, json};

use crate::support::{Shop, order, product_body};

#[tokio::test]
async fn a_product_is_added_read_and_changed() {
    let shop = Shop::new();
    let added = shop.put("/v1/products/chair%2F1", &[], product_body()).await;
    assert_eq!((added.status.as_u16(), added.header("etag")), (201, "\"1\""));
    let expected = json!({"product_id": "chair/1", "name": "A chair", "price": {"amount_minor": 1999, "currency": "USD"}, "active": true, "version": 1});
    assert_eq!(added.json(), expected);
    let same = shop.put("/v1/products/chair%2F1", &[], product_body()).await;
    assert_eq!((same.status.as_u16(), same.json()), (200, expected.clone()));
    assert_eq!(shop.get("/v1/products/chair%2F1").await.json(), expected);
    let unchanged = shop.send(Method::GET, "/v1/products/chair%2F1", &[("if-none-match", "\"1\"")], "").await;
    assert_eq!(unchanged.status, 304);
    let mut off = product_body();
    off["active"] = false.into();
    off["description"] = "four legs".into();
    let changed = shop.put("/v1/products/chair%2F1", &[], off).await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, "\"2\""));
    assert_eq!((&changed.json()["active"], &changed.json()["description"]), (&json!(false), &json!("four legs")));
    shop.post("/v1/orders", order("chair/1", 1)).await.assert_problem(422, "unknown_product");
    shop.get("/v1/products/table").await.assert_problem(404, "product_not_found");
}

#[tokio::test]
async fn changes_may_name_the_version_they_expect() {
    let shop = Shop::new();
    let price = |amount: i64| json!({"name": "A chair", "price": {"amount_minor": amount, "currency": "USD"}});
    let put = async |tag: (&str, &str), amount: i64| {
        let reply = shop.put("/v1/products/chair", &[tag], price(amount)).await;
        let code = if reply.status.is_success() { String::new() } else { reply.problem().1 };
        (reply.status.as_u16(), code)
    };
    let conflict = || (412, "version_conflict".to_owned());
    assert_eq!(put(("if-match", "*"), 1).await, conflict());
    assert_eq!(put(("if-match", "\"1\""), 1).await, conflict());
    assert_eq!(put(("if-none-match", "*"), 1).await, (201, String::new()));
    assert_eq!(put(("if-none-match", "*"), 2).await, conflict());
    assert_eq!(put(("if-match", "\"2\""), 2).await, conflict());
    assert_eq!(put(("if-match", "\"1\""), 2).await, (200, String::new()));
    assert_eq!(put(("if-match", "\"1\", \"2\""), 3).await, (200, String::new()));
    assert_eq!(put(("if-match", "*"), 4).await, (200, String::new()));
    assert_eq!(put(("if-match", "nonsense"), 5).await, conflict());
    assert_eq!(shop.get("/v1/products/chair").await.json()["price"]["amount_minor"], 4);
}

#[tokio::test]
async fn a_deleted_product_is_not_sold_and_shown_to_those_who_ask() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    shop.stock("table", 10).await;
    let delete = async |headers: &[(&str, &str)]| shop.send(Method::DELETE, "/v1/products/chair", headers, "").await;
    delete(&[("if-match", "\"9\"")]).await.assert_problem(412, "version_conflict");
    let gone = delete(&[("if-match", "\"1\"")]).await;
    assert_eq!((gone.status.as_u16(), gone.header("etag"), &gone.json()["deleted"]), (200, "\"2\"", &json!(true)));
    assert_eq!(delete(&[]).await.json(), gone.json(), "deleting again changes nothing");
    shop.get("/v1/products/chair").await.assert_problem(404, "product_not_found");
    assert_eq!(shop.get("/v1/products/chair?deleted=true").await.json(), gone.json());
    shop.post("/v1/orders", order("chair", 1)).await.assert_problem(422, "unknown_product");
    let listed = async |query: &str| shop.get(&format!("/v1/products{query}")).await.json()["products"].as_array().unwrap().len();
    assert_eq!((listed("").await, listed("?deleted=true").await), (1, 2));
    shop.send(Method::DELETE, "/v1/products/lamp", &[], "").await.assert_problem(404, "product_not_found");
    let back = shop.put("/v1/products/chair", &[("if-none-match", "*")], product_body()).await;
    assert_eq!((back.status.as_u16(), back.header("etag"), back.json().get("deleted")), (200, "\"3\"", None));
    assert_eq!(shop.get("/v1/stock/chair").await.json()["available"], 10, "its stock stayed");
    shop.place("chair").await;
}

#[tokio::test]
async fn products_that_are_none() {
    let shop = Shop::new();
    let with = |field: &str, value: Value| {
        let mut body = product_body();
        body[field] = value;
        body
    };
    for (body, field) in [
        (json!({"price": {"amount_minor": 1, "currency": "USD"}}), "name"),
        (json!({"name": "n"}), "price"),
        (with("name", json!("")), "name"),
        (with("name", json!("x".repeat(501))), "name"),
        (with("price", json!({"amount_minor": -1, "currency": "USD"})), "price.amount_minor"),
        (with("price", json!({"amount_minor": 1, "currency": "ZZZ"})), "price.currency"),
        (with("price", json!({"amount_minor": 1.5, "currency": "USD"})), "price.amount_minor"),
        (with("product_id", json!("other")), "product_id"),
        (with("stock", json!(5)), "stock"),
        (with("weight", json!(5)), "weight"),
    ] {
        let reply = shop.put("/v1/products/chair", &[], body.clone()).await;
        reply.assert_problem(422, "invalid_request");
        assert_eq!(reply.fields(), [field], "{body}");
    }
    let long = "x".repeat(129);
    shop.put(&format!("/v1/products/{long}"), &[], product_body()).await.assert_problem(404, "product_not_found");
    assert_eq!(shop.get("/v1/products").await.json(), json!({"products": [], "next": null}));
}

#[tokio::test]
async fn many_products_one_a_line() {
    let shop = Shop::new();
    let line = |id: &str, stock: i64| {
        let mut body = product_body();
        body["product_id"] = id.into();
        body["stock"] = stock.into();
        format!("{body}\n")
    };
    let file = format!("{}{{\"name\":\"n\"}}\n\n{}{}", line("a", 5), line("b", -1), line("c", 7));
    let answers = shop.post_lines("/v1/products", file.clone()).await.lines();
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[0], json!({"line": 1, "product_id": "a", "version": 1, "changed": true}));
    assert_eq!(answers[1]["problem"]["code"], "invalid_request");
    assert_eq!((&answers[2]["line"], &answers[2]["problem"]["errors"][0]["field"]), (&json!(4), &json!("stock")));
    assert_eq!(answers[3]["product_id"], "c");
    assert_eq!(shop.get("/v1/stock/c").await.json()["available"], 7);
    // An opening stock never changes a stock.
    shop.put("/v1/stock/a", &[], json!({"available": 1})).await;
    let again = shop.post_lines("/v1/products", file).await.lines();
    assert_eq!(again[0], json!({"line": 1, "product_id": "a", "version": 1, "changed": false}));
    assert_eq!(shop.get("/v1/stock/a").await.json()["available"], 1);
    let reply = shop.post("/v1/products", product_body()).await;
    reply.assert_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn lists_are_paged_by_id() {
    let shop = Shop::new();
    for id in ["b", "d", "a", "c"] {
        shop.stock(id, 1).await;
    }
    for (list, key) in [("products", "products"), ("stock", "stock")] {
        let first = shop.get(&format!("/v1/{list}?limit=3")).await.json();
        let ids = |page: &Value| -> Vec<Value> {
            page[key].as_array().unwrap().iter().map(|entry| entry["product_id"].clone()).collect()
        };
        assert_eq!(ids(&first), ["a", "b", "c"]);
        let next = first["next"].as_str().unwrap();
        let second = shop.get(&format!("/v1/{list}?limit=3&cursor={next}")).await.json();
        assert_eq!((ids(&second), &second["next"]), (vec![json!("d")], &Value::Null));
        shop.get(&format!("/v1/{list}?status=x")).await.assert_problem(400, "invalid_query");
    }
}

#[tokio::test]
async fn stock_is_set_adjusted_and_moved_by_orders() {
    let shop = Shop::new();
    shop.put("/v1/products/chair", &[], product_body()).await;
    let none = shop.get("/v1/stock/chair").await;
    assert_eq!(none.json(), json!({"product_id": "chair", "available": 0, "reserved": 0, "sold": 0, "version": 0}));
    let set = shop.put("/v1/stock/chair", &[("if-none-match", "*")], json!({"available": 10})).await;
    assert_eq!((set.status.as_u16(), set.header("etag"), &set.json()["available"]), (200, "\"1\"", &json!(10)));
    let adjust = |delta: i64| json!({"delta": delta, "reason": "counted"});
    let key = [("idempotency-key", "count-1")];
    let adjusted = shop.post_with("/v1/stock/chair/adjust", &key, adjust(-3)).await;
    assert_eq!(adjusted.json(), json!({"product_id": "chair", "available": 7, "reserved": 0, "sold": 0, "version": 2}));
    let id = shop.place("chair").await;
    shop.confirm(id).await;
    let replayed = shop.post_with("/v1/stock/chair/adjust", &key, adjust(-3)).await;
    assert_eq!((replayed.bytes, replayed.headers["idempotent-replayed"].as_bytes()), (adjusted.bytes, &b"true"[..]));
    shop.post_with("/v1/stock/chair/adjust", &key, adjust(-4)).await.assert_problem(422, "idempotency_key_reused");
    let now = shop.get("/v1/stock/chair").await.json();
    assert_eq!((&now["available"], &now["reserved"], &now["sold"]), (&json!(6), &json!(0), &json!(1)));
    shop.post("/v1/stock/chair/adjust", adjust(-7)).await.assert_problem(409, "stock_out_of_range");
    shop.post("/v1/stock/chair/adjust", adjust(i64::MAX)).await.assert_problem(409, "stock_out_of_range");
}

#[tokio::test]
async fn stock_that_has_moved_is_not_overwritten() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let read = shop.get("/v1/stock/chair").await.header("etag").to_owned();
    let tag = [("if-match", read.as_str())];
    let id = shop.place("chair").await;
    shop.confirm(id).await;
    shop.put("/v1/stock/chair", &tag, json!({"available": 10})).await.assert_problem(412, "version_conflict");
    let adjust = json!({"delta": 1, "reason": "found"});
    shop.post_with("/v1/stock/chair/adjust", &tag, adjust.clone()).await.assert_problem(412, "version_conflict");
    let read = shop.get("/v1/stock/chair").await.header("etag").to_owned();
    assert_eq!(shop.post_with("/v1/stock/chair/adjust", &[("if-match", &read)], adjust).await.status, 200);
    assert_eq!(shop.get("/v1/stock/chair").await.json()["available"], 10);
}

#[tokio::test]
async fn stock_that_is_none() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    for (body, field) in [
        (json!({}), "available"),
        (json!({"available": -1}), "available"),
        (json!({"available": i64::MIN}), "available"),
        (json!({"available": i64::MAX}), "available"),
        (json!({"available": "10"}), "available"),
        (json!({"available": 1, "reserved": 1}), "reserved"),
    ] {
        let reply = shop.put("/v1/stock/chair", &[], body.clone()).await;
        reply.assert_problem(422, "invalid_request");
        assert_eq!(reply.fields(), [field], "{body}");
    }
    for (body, field) in [(json!({"delta": 1}), "reason"), (json!({"delta": 1, "reason": " "}), "reason")] {
        let reply = shop.post("/v1/stock/chair/adjust", body).await;
        reply.assert_problem(422, "invalid_request");
        assert_eq!(reply.fields(), [field]);
    }
    shop.get("/v1/stock/ghost").await.assert_problem(404, "product_not_found");
    shop.put("/v1/stock/ghost", &[], json!({"available": 1})).await.assert_problem(404, "product_not_found");
}
