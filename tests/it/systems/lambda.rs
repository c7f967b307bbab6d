//! S3 by the AWS SDK for JavaScript: a script that invokes the function, with our address as the SDK's endpoint.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{client, orchestrator};
use crate::support::{Server, Shop, wait_for_mails};

/// What the SDK's client made of the answer.
fn invoke(server: &Server, function: &str, kind: &str, payload: &str) -> Value {
    let dir = client("lambda");
    let mut node = Command::new("node")
        .arg(dir.join("invoke.mjs"))
        .args([&server.url, function, kind])
        .current_dir(&dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(payload.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_script_of_the_sdk_works_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    shop.stock_product("7", 1_999, 100).await;
    let order = |transaction| orchestrator::order(transaction).to_string();
    let processed = json!({ "statusCode": 200, "body": "Order processed successfully" });
    let answer = invoke(&server, "order-management", "RequestResponse", &order("T-1"));
    assert_eq!((&answer["status"], &answer["payload"]), (&json!(200), &processed), "{answer}");
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:order-management";
    let answer = invoke(&server, arn, "RequestResponse", &order("T-2"));
    assert_eq!((&answer["status"], &answer["payload"]), (&json!(200), &processed), "{answer}");
    let answer = invoke(&server, "order-management", "Event", &order("T-3"));
    assert_eq!((&answer["status"], &answer["payload"]), (&json!(202), &json!(null)), "{answer}");
    let answer = invoke(&server, "order-management", "DryRun", &order("T-4"));
    assert_eq!(answer["status"], 204, "{answer}");
    let answer = invoke(&server, "order-management", "RequestResponse", "{}");
    assert_eq!(answer["payload"], json!({ "statusCode": 400, "body": "Invalid order data" }), "{answer}");
    let answer = invoke(&server, "no-such-function", "RequestResponse", &order("T-5"));
    assert_eq!((&answer["status"], &answer["error"]), (&json!(404), &json!("ResourceNotFoundException")), "{answer}");
    // Three were taken, and each customer has a mail.
    wait_for_mails(folder.path(), 3);
}
