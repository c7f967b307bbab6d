//! Who is let in: everybody, or who has a token for it.

use ordermill_http::{Settings, WireAuth, WireSettings};
use serde_json::json;

use super::{WIRE, at, batch, event};
use crate::support::Shop;

const WRITER: (&str, &str) = ("authorization", "Bearer writer-secret");
const READER: (&str, &str) = ("authorization", "Bearer tracker-secret");
const NOBODY: (&str, &str) = ("authorization", "Bearer nobody-secret");

fn guarded() -> Shop {
    let wire = WireSettings { tracking_auth: WireAuth::Token, ..WireSettings::default() };
    Shop::with(Settings { wire, ..Settings::default() }, 100)
}

#[tokio::test]
async fn reports_need_the_scope_to_write() {
    let shop = guarded();
    let wire = batch(vec![event("A", "DELIVERED", &at(8, 0))]);
    let canonical = json!({"reports": [{"parcel_id": "A", "status": "delivered", "seen_at": at(8, 0)}]});
    for (address, body) in [(WIRE, &wire), ("/v1/tracking", &canonical)] {
        let reply = shop.post(address, body.clone()).await;
        reply.assert_problem(401, "unauthenticated");
        assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"ordermill\"");
        shop.post_with(address, &[NOBODY], body.clone()).await.assert_problem(401, "unauthenticated");
        let reply = shop.post_with(address, &[READER], body.clone()).await;
        reply.assert_problem(403, "forbidden");
        assert!(reply.header("www-authenticate").contains("scope=\"tracking:write\""));
        // Who is not let in learns nothing of what is wrong with the body.
        shop.post(address, json!("nonsense")).await.assert_problem(401, "unauthenticated");
    }
    assert_eq!(shop.post_with(WIRE, &[WRITER], wire.clone()).await.status, 202);
    assert_eq!(
        shop.post_with("/v1/tracking", &[WRITER], canonical.clone()).await.json()["results"][0]["verdict"],
        "duplicate"
    );
    shop.secrets.set_away(true);
    shop.post_with(WIRE, &[WRITER], wire).await.assert_problem(503, "auth_unavailable");
    shop.post_with("/v1/tracking", &[WRITER], canonical).await.assert_problem(503, "auth_unavailable");
}

#[tokio::test]
async fn reading_needs_the_scope_to_read() {
    let shop = guarded();
    let body = batch(vec![event("A", "DELIVERED", &at(8, 0))]);
    assert_eq!(shop.post_with(WIRE, &[WRITER], body).await.status, 202);
    for address in
        ["/v1/tracking", "/v1/tracking/A", "/v1/tracking/A/events", "/v1/tracking/A/stream", "/v1/tracking/B"]
    {
        shop.get(address).await.assert_problem(401, "unauthenticated");
        let reply = shop.send(http::Method::GET, address, &[WRITER], "").await;
        reply.assert_problem(403, "forbidden");
        assert!(reply.header("www-authenticate").contains("scope=\"tracking:read\""));
    }
    assert_eq!(shop.send(http::Method::GET, "/v1/tracking/A", &[READER], "").await.json()["status"], "delivered");
    shop.send(http::Method::GET, "/v1/tracking/B", &[READER], "").await.assert_problem(404, "parcel_not_found");
    // Whoever watches the process needs no token.
    for address in ["/actuator/health", "/actuator/info", "/actuator/prometheus"] {
        assert_eq!(shop.get(address).await.status, 200, "{address}");
    }
}

#[tokio::test]
async fn without_the_setting_everybody_is_let_in() {
    let shop = Shop::new();
    let body = batch(vec![event("A", "DELIVERED", &at(8, 0))]);
    assert_eq!(shop.post_with(WIRE, &[NOBODY], body).await.status, 202);
    assert_eq!(shop.send(http::Method::GET, "/v1/tracking/A", &[NOBODY], "").await.status, 200);
}
