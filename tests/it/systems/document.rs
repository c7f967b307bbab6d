//! The OpenAPI document, tried out: schemathesis makes requests from it, good and bad, and holds every answer against it.

use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::json;

use super::client;
use crate::support::{Server, Shop};

/// Makes one of everything, and tells the tester its id, so that its requests reach more than the answer that there is no such thing.
async fn known(shop: &Shop) -> String {
    shop.stock_product("chair-1", 1_999, 1_000_000).await;
    let placed = shop.place_and_wait(Shop::order("chair-1", 1)).await.order_id();
    let customer = json!({ "name": "Ann", "email": "ann@example.com" });
    assert!(shop.send(Method::PUT, "/v1/customers/ann", &[], Some(customer)).await.status.is_success());
    let record = shop.post("/v1/records", json!({ "data": { "a": 1 } })).await;
    let record = record.body["record_id"].as_str().unwrap_or_else(|| panic!("{record:?}")).to_owned();
    let parcel =
        json!({ "event": [{ "orderId": placed, "status": "OUT_FOR_DELIVERY", "eventTs": "2026-03-01T00:00:00Z" }] });
    assert_eq!(shop.post("/order/tracking", parcel).await.status, 202);
    let known = [
        ("/v1/orders/", placed.as_str()),
        ("/orders/", &placed),
        ("/v1/tracking/", &placed),
        ("/v1/products/", "chair-1"),
        ("/v1/stock/", "chair-1"),
        ("/v1/customers/", "ann"),
        ("/v1/users/", "ann"),
        ("/v1/records/", &record),
        ("/v1/channels/", "order_queue"),
        ("/2015-03-31/functions/", "order-management"),
    ];
    let operation = |(path, id): &(&str, &str)| {
        format!(
            "[[operations]]\ninclude-path-regex = \"^{path}[{{]\"\nparameters = {{ \"path.id\" = \"{id}\", \"path.name\" = \"{id}\" }}\n"
        )
    };
    known.iter().map(operation).collect()
}

#[tokio::test]
async fn no_answer_is_undocumented_and_none_is_a_failure_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "let-me-in").unwrap();
    let token = format!("file:{}", folder.path().join("token").display());
    let tokens = "[{token=\"env:SELLER\", subject=\"user-1\", scopes=[\"orders:write\", \"orders:read\"]}]";
    let environment = [
        ("ORDERMILL_RECORDS__TOKEN", token.as_str()),
        ("ORDERMILL_AUTH__TOKENS", tokens),
        ("SELLER", "seller-token"),
        ("ORDERMILL_WIRE__ORDER_API__PATIENCE", "500ms"),
        // A payment method of the tester's own making may be `slow` or `unknown`; its orders are called off soon.
        ("ORDERMILL_HTTP__WAIT_MAX", "1s"),
    ];
    let server = Server::start_with(&folder.path().join("data"), &environment);
    let shop = Shop::of(&server);
    std::fs::write(folder.path().join("schemathesis.toml"), known(&shop).await).unwrap();
    let output = Command::new(client("schemathesis").join("bin/schemathesis"))
        .args(["run", &format!("{}/openapi.json", server.url)])
        .args(["--header", "Authorization: Bearer seller-token"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "25", "--seed", "20261121"])
        // One worker: CPython 3.11 can lose count of its recursion when threads parse at once.
        .args(["--workers", "1", "--request-timeout", "30", "--suppress-health-check", "all", "--continue-on-failure"])
        // A live stream has no end that a tester could wait for.
        .args(["--exclude-path-regex", "/stream$"])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/it/clients/schemathesis"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(server.terminate().success());
}
