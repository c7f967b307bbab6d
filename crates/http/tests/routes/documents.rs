//! `/openapi.json`, `/docs`, `/errors`

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Shop, order};

/// The committed document. `UPDATE_GOLDEN=1` writes it anew.
#[test]
fn openapi_is_the_committed_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let document = ordermill_http::openapi();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == document,
        "docs/openapi.json is out of date: UPDATE_GOLDEN=1 cargo test -p ordermill-http openapi"
    );
}

/// Everything that can be asked of the server.
const OPERATIONS: [&str; 62] = [
    "actuator_health",
    "actuator_info",
    "actuator_prometheus",
    "adjust_stock",
    "cancel_order",
    "delete_customer",
    "delete_product",
    "delete_user",
    "enterprise_health",
    "enterprise_place_order",
    "follow_channel",
    "follow_events",
    "follow_order_events",
    "follow_parcel",
    "get_customer",
    "get_dead_letter",
    "get_order",
    "get_parcel",
    "get_product",
    "get_record",
    "get_stock",
    "get_user",
    "health",
    "import_products",
    "invoke_function",
    "list_channel_messages",
    "list_channels",
    "list_customers",
    "list_dead_letters",
    "list_events",
    "list_order_events",
    "list_orders",
    "list_parcel_events",
    "list_parcels",
    "list_products",
    "list_records",
    "list_stock",
    "list_users",
    "metrics",
    "order_api_get",
    "order_api_health",
    "order_api_place",
    "order_api_place_without_slash",
    "order_management",
    "place_order",
    "process_order",
    "put_customer",
    "put_product",
    "put_user",
    "queue_health",
    "queue_send",
    "queue_send_message",
    "ready",
    "redrive_dead_letters",
    "refund_order",
    "report_parcels",
    "resolve_order",
    "retry_order",
    "return_order",
    "set_stock",
    "take_record",
    "track_orders",
];

#[tokio::test]
async fn the_document_is_served_and_whole() {
    let shop = Shop::new();
    let document = shop.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{verb} {path} has no name"));
            operations.push(name.to_owned());
            assert!(operation["summary"].is_string(), "{name} says nothing of itself");
        }
    }
    operations.sort_unstable();
    assert_eq!(operations, OPERATIONS);
    assert_references_lead_somewhere(&document, &document);
}

fn assert_references_lead_somewhere(document: &Value, value: &Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                let target = document.pointer(reference.trim_start_matches('#'));
                assert!(target.is_some(), "{reference} leads nowhere");
            }
            fields.values().for_each(|field| assert_references_lead_somewhere(document, field));
        }
        Value::Array(values) => values.iter().for_each(|value| assert_references_lead_somewhere(document, value)),
        _ => {}
    }
}

/// What an order looks like is what the document says: every field is described, and every required one is there.
#[tokio::test]
async fn an_order_has_the_documented_fields() {
    let shop = Shop::new();
    shop.stock("chair", 10).await;
    let document = shop.get("/openapi.json").await.json();
    let mut body = order("chair", 1);
    body["order_ref"] = "R-1".into();
    body["metadata"] = json!({"a": 1});
    let id = shop.post("/v1/orders", body).await.order_id();
    shop.give_up(id).await;
    let order = shop.get(&format!("/v1/orders/{id}")).await.json();
    let customer = json!({"name": "n", "email": "a@example.com", "address": {}, "metadata": {}});
    let customer = shop.put("/v1/customers/c", &[], customer).await.json();
    for (schema, value) in [
        ("Order", &order),
        ("Money", &order["total"]),
        ("OrderLine", &order["lines"][0]),
        ("PaymentSummary", &order["payment"]),
        ("Attention", &order["attention"]),
        ("OrderLinks", &order["links"]),
        ("CloudEvent", &shop.get("/v1/events").await.json()["events"][0]),
        ("Problem", &shop.post("/v1/orders", json!({})).await.json()),
        ("Product", &shop.get("/v1/products/chair").await.json()),
        ("Stock", &shop.get("/v1/stock/chair").await.json()),
        ("Customer", &customer),
        ("Record", &shop.post("/v1/records", json!({"data": {}})).await.json()),
        ("Channel", &shop.get("/v1/channels").await.json()["channels"][0]),
        ("ChannelConsumer", &shop.get("/v1/channels").await.json()["channels"][0]["consumers"][0]),
    ] {
        let described = &document["components"]["schemas"][schema];
        let fields = described["properties"].as_object().unwrap_or_else(|| panic!("{schema} is not described"));
        for field in value.as_object().unwrap().keys() {
            assert!(fields.contains_key(field), "{schema}.{field} is not described");
        }
        for required in described["required"].as_array().unwrap() {
            assert!(value.get(required.as_str().unwrap()).is_some(), "{schema}.{required} is missing in {value}");
        }
    }
}

#[tokio::test]
async fn every_problem_leads_to_its_page() {
    let shop = Shop::new();
    let problem = shop.post("/v1/orders", json!({})).await.json();
    let page = shop.get(problem["type"].as_str().unwrap()).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/markdown; charset=utf-8"));
    assert!(page.text().starts_with("# invalid_order\n"));
    shop.get("/errors/no_such_code").await.assert_problem(404, "not_found");
    let list = shop.get("/errors").await;
    assert!(list.text().contains("[idempotency_key_reused](/errors/idempotency_key_reused) (422)"));
}

#[tokio::test]
async fn the_page_for_people_stands_alone() {
    let shop = Shop::new();
    let page = shop.get("/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    assert!(page.text().contains("/v1/orders/{id}/cancel"));
}
