//! Whatever these routes answer is in the document: its status, and each field of its body.

use http::Method;
use ordermill_http::{Settings, WireAuth, WireSettings};
use serde_json::{Value, json};

use crate::support::{Fault, Reply, Shop};

/// The answer is one that the document gives for this route.
#[track_caller]
fn assert_documented(document: &Value, method: &Method, route: &str, reply: &Reply) {
    let operation = &document["paths"][route][method.as_str().to_lowercase()];
    assert!(operation.is_object(), "{method} {route} is not in the document");
    let response = &operation["responses"][reply.status.as_str()];
    assert!(response.is_object(), "{method} {route}: {} is not documented: {}", reply.status, reply.text());
    let Some(schema) = response["content"]["application/json"]["schema"]["$ref"].as_str() else {
        assert!(reply.bytes.is_empty(), "{method} {route}: {}", reply.text());
        return;
    };
    assert_eq!(reply.header("content-type"), "application/json");
    let schema = document.pointer(schema.trim_start_matches('#')).unwrap_or_else(|| panic!("{schema} leads nowhere"));
    let body = reply.json();
    let fields = body.as_object().unwrap();
    for field in fields.keys() {
        assert!(schema["properties"].get(field).is_some(), "{method} {route}: {field} is not described in {schema}");
    }
    for required in schema["required"].as_array().unwrap() {
        assert!(fields.contains_key(required.as_str().unwrap()), "{method} {route}: {required} is missing in {body}");
    }
}

struct Checker {
    shop: Shop,
    document: Value,
    seen: Vec<(String, u16)>,
}

const INVOCATIONS: &str = "/2015-03-31/functions/{name}/invocations";
const INVOKE: &str = "/2015-03-31/functions/order-management/invocations";

impl Checker {
    async fn of(settings: Settings) -> Self {
        let shop = Shop::with(settings, 1_000);
        shop.stock("7", 100).await;
        let document = shop.get("/openapi.json").await.json();
        Self { shop, document, seen: Vec::new() }
    }

    async fn post(&mut self, path: &str, headers: &[(&str, &str)], body: impl ToString) {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        let reply = self.shop.send(Method::POST, path, &all, body.to_string()).await;
        let route = if path.starts_with("/2015") { INVOCATIONS } else { path };
        assert_documented(&self.document, &Method::POST, route, &reply);
        self.seen.push((route.to_owned(), reply.status.as_u16()));
    }

    async fn get(&mut self, path: &str, route: &str) {
        let reply = self.shop.get(path).await;
        assert_documented(&self.document, &Method::GET, route, &reply);
        self.seen.push((route.to_owned(), reply.status.as_u16()));
    }
}

fn orchestrated(transaction: &str) -> Value {
    json!({
        "transactionId": transaction, "customerId": 42, "customerEmail": "buyer@example.com", "productId": 7, "quantity": 2,
        "price": 19.99, "transactionTime": "2024-05-01T12:00:00", "shippingAddress": "1 Main Street", "paymentMethod": "ok",
    })
}

const ROUTES: [&str; 6] = ["/v1/order/", "/orders/", "/orders", "/process-order", "/order-management", INVOKE];

fn good(route: &str) -> Value {
    match route {
        "/order-management" | INVOKE => orchestrated("T-1"),
        "/v1/order/" => json!({ "product_id": "7", "quantity": 1 }),
        _ => json!({ "product_id": "7", "quantity": 1, "customer_id": "CUST001" }),
    }
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_documented() {
    let writer = ("authorization", "Bearer writer-secret");
    let mut checker = Checker::of(Settings::default()).await;
    for route in ROUTES {
        for body in ["", "{", "[]", "{}", "null", "{\"quantity\":0}"] {
            checker.post(route, &[writer], body).await;
        }
        checker.post(route, &[writer], format!("\"{}\"", "x".repeat(300_000))).await;
        checker.post(route, &[writer, ("x-long", &"x".repeat(17_000))], good(route)).await;
        for fault in [Fault::NotCommitted, Fault::Overloaded, Fault::Closing, Fault::Panic, Fault::Silent] {
            checker.shop.faults.set(Some(fault));
            checker.post(route, &[writer], good(route)).await;
        }
        checker.shop.faults.set(None);
        // Nobody decides it, so where it is waited for it is called off.
        checker.post(route, &[writer], good(route)).await;
        checker.post(route, &[writer, ("idempotency-key", "\"")], good(route)).await;
    }
    checker.post("/v1/order/", &[writer], json!({ "product_id": "ghost", "quantity": 1 })).await;
    checker.post("/orders/", &[], json!({ "product_id": "ghost", "quantity": 1, "customer_id": "c" })).await;
    for kind in ["Event", "DryRun", "Later"] {
        checker.post(INVOKE, &[("x-amz-invocation-type", kind)], orchestrated("T-2")).await;
    }
    checker.post("/2015-03-31/functions/ghost/invocations", &[], orchestrated("T-3")).await;
    let id = checker.shop.place("7").await;
    for id in [id.to_string(), "nonsense".to_owned()] {
        checker.get(&format!("/orders/{id}"), "/orders/{id}").await;
    }
    for path in ["/health", "/v1/health/"] {
        checker.get(path, path).await;
    }
    let seen = |route: &str| {
        let mut seen: Vec<u16> =
            checker.seen.iter().filter(|(path, _)| path == route).map(|(_, status)| *status).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    assert_eq!(seen("/v1/order/"), [200, 400, 404, 413, 431, 500, 503]);
    assert_eq!(seen("/orders/"), [400, 413, 422, 431, 500, 503, 504]);
    assert_eq!(seen("/order-management"), [200, 400, 413, 431, 500]);
    assert_eq!(seen(INVOCATIONS), [200, 202, 204, 400, 404, 413, 431, 500]);
}

#[tokio::test]
async fn what_is_said_to_who_may_not_is_documented() {
    let wire =
        WireSettings { order_api_auth: WireAuth::Token, orchestrator_auth: WireAuth::Token, ..WireSettings::default() };
    let mut checker = Checker::of(Settings { wire, ..Settings::default() }).await;
    for away in [false, true] {
        checker.shop.secrets.set_away(away);
        for route in ROUTES {
            checker.post(route, &[], good(route)).await;
            checker.post(route, &[("authorization", "Bearer reader-secret")], good(route)).await;
        }
    }
    checker.get("/orders/ord_1", "/orders/{id}").await;
    let mut statuses: Vec<u16> = checker.seen.iter().map(|(_, status)| *status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    assert_eq!(statuses, [401, 403, 503]);
}
