//! The OpenAPI document, tried out: schemathesis makes requests from it, good and bad, and holds every answer against it.

use std::process::{Command, Stdio};

use super::client;
use crate::support::{Server, Shop};

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
    shop.stock_product("chair-1", 1_999, 1_000_000).await;
    let output = Command::new(client("schemathesis").join("bin/schemathesis"))
        .args(["run", &format!("{}/openapi.json", server.url)])
        .args(["--header", "Authorization: Bearer seller-token"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "25", "--seed", "20261121"])
        .args(["--workers", "2", "--request-timeout", "30", "--suppress-health-check", "all", "--continue-on-failure"])
        // A live stream has no end that a tester could wait for.
        .args(["--exclude-path-regex", "/stream$"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(server.terminate().success());
}
