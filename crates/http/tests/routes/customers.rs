//! `/v1/customers` and `/v1/users`

use http::Method;
use serde_json::{Value, json};

use crate::support::{Reply, Shop};

fn body() -> Value {
    json!({"name": "Ada", "email": "ada@example.com", "address": {"city": "B"}, "metadata": {"tier": 1}})
}

async fn delete(shop: &Shop, uri: &str, headers: &[(&str, &str)]) -> Reply {
    shop.send(Method::DELETE, uri, headers, "").await
}

#[tokio::test]
async fn a_customer_is_added_read_and_changed() {
    let shop = Shop::new();
    let added = shop.put("/v1/customers/c%2F1", &[], body()).await;
    assert_eq!((added.status.as_u16(), added.header("etag")), (201, "\"1\""));
    let expected = json!({
        "customer_id": "c/1", "name": "Ada", "email": "ada@example.com", "address": {"city": "B"}, "metadata": {"tier": 1}, "version": 1,
    });
    assert_eq!(added.json(), expected);
    let same = shop.put("/v1/customers/c%2F1", &[], body()).await;
    assert_eq!((same.status.as_u16(), same.json()), (200, expected.clone()));
    assert_eq!(shop.get("/v1/customers/c%2F1").await.json(), expected);
    let unchanged = shop.send(Method::GET, "/v1/customers/c%2F1", &[("if-none-match", "\"1\"")], "").await;
    assert_eq!(unchanged.status, 304);
    let changed = shop.put("/v1/customers/c%2F1", &[("if-match", "\"1\"")], json!({"name": "Grace"})).await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, "\"2\""));
    assert_eq!(changed.json(), json!({"customer_id": "c/1", "name": "Grace", "version": 2}));
    shop.get("/v1/customers/c%2F2").await.assert_problem(404, "customer_not_found");
}

#[tokio::test]
async fn changes_may_name_the_version_they_expect() {
    let shop = Shop::new();
    let put = async |tag: (&str, &str), name: &str| shop.put("/v1/customers/c", &[tag], json!({"name": name})).await;
    put(("if-match", "*"), "a").await.assert_problem(412, "version_conflict");
    assert_eq!(put(("if-none-match", "*"), "a").await.status, 201);
    put(("if-none-match", "*"), "b").await.assert_problem(412, "version_conflict");
    put(("if-match", "\"2\""), "b").await.assert_problem(412, "version_conflict");
    assert_eq!(put(("if-match", "\"1\""), "b").await.status, 200);
    delete(&shop, "/v1/customers/c", &[("if-match", "\"1\"")]).await.assert_problem(412, "version_conflict");
    assert_eq!(delete(&shop, "/v1/customers/c", &[("if-match", "\"2\"")]).await.status, 200);
    // Deleted is not there for a precondition, and its version can still be named.
    put(("if-match", "*"), "c").await.assert_problem(412, "version_conflict");
    let back = put(("if-none-match", "*"), "c").await;
    assert_eq!((back.status.as_u16(), back.header("etag")), (200, "\"4\""));
}

#[tokio::test]
async fn a_deleted_customer_is_shown_to_those_who_ask() {
    let shop = Shop::new();
    for id in ["a", "b", "c"] {
        shop.put(&format!("/v1/customers/{id}"), &[], body()).await;
    }
    let gone = delete(&shop, "/v1/customers/b", &[]).await;
    assert_eq!((gone.status.as_u16(), gone.header("etag")), (200, "\"2\""));
    assert_eq!(gone.json()["deleted"], true);
    assert_eq!(delete(&shop, "/v1/customers/b", &[]).await.json(), gone.json(), "deleting again changes nothing");
    shop.get("/v1/customers/b").await.assert_problem(404, "customer_not_found");
    assert_eq!(shop.get("/v1/customers/b?deleted=true").await.json(), gone.json());
    delete(&shop, "/v1/customers/x", &[]).await.assert_problem(404, "customer_not_found");
    let ids = async |query: &str| {
        let page = shop.get(&format!("/v1/customers?{query}")).await.json();
        page["customers"].as_array().unwrap().iter().map(|one| one["customer_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, ["a", "c"]);
    assert_eq!(ids("deleted=true").await, ["a", "b", "c"]);
    let page = shop.get("/v1/customers?limit=1").await.json();
    assert_eq!(ids(&format!("cursor={}", page["next"].as_str().unwrap())).await, ["c"]);
    shop.get("/v1/customers?deleted=perhaps").await.assert_problem(400, "invalid_query");
    let back = shop.put("/v1/customers/b", &[], body()).await;
    assert_eq!((back.status.as_u16(), back.json().get("deleted")), (200, None));
    assert_eq!(ids("").await, ["a", "b", "c"]);
}

#[tokio::test]
async fn everything_wrong_is_told_at_once() {
    let shop = Shop::new();
    let wrong = json!({"customer_id": "other", "name": "", "email": "nobody", "address": 7, "metadata": []});
    let reply = shop.put("/v1/customers/c", &[], wrong).await;
    reply.assert_problem(422, "invalid_request");
    assert_eq!(reply.fields(), ["customer_id", "name", "email", "address", "metadata"]);
    shop.put("/v1/customers/c", &[], json!({"name": "n", "colour": 1})).await.assert_problem(422, "invalid_request");
    shop.put("/v1/customers/c", &[], json!({})).await.assert_problem(422, "invalid_request");
}

#[tokio::test]
async fn users_are_customers() {
    let shop = Shop::new();
    let mut user = body();
    user["user_id"] = "u-1".into();
    assert_eq!(shop.put("/v1/users/u-1", &[], user).await.status, 201);
    let customer = shop.get("/v1/customers/u-1").await;
    assert_eq!(shop.get("/v1/users/u-1").await.json(), customer.json());
    assert_eq!(shop.get("/v1/users").await.json(), shop.get("/v1/customers").await.json());
    assert_eq!(delete(&shop, "/v1/users/u-1", &[("if-match", "\"1\"")]).await.status, 200);
    shop.get("/v1/customers/u-1").await.assert_problem(404, "customer_not_found");
}
