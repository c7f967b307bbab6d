//! The call of the AWS SDKs.

use http::Method;
use ordermill_http::{Settings, WireAuth, WireSettings};
use serde_json::{Value, json};

use super::{INVOKE, invalid, order, processed, sandbox, shop, stored};
use crate::support::{Fault, Reply, Shop};

#[track_caller]
fn assert_error(reply: &Reply, status: u16, name: &str) {
    assert_eq!((reply.status.as_u16(), reply.header("x-amzn-errortype")), (status, name), "{}", reply.text());
    let body = reply.json();
    assert!(body["Message"].is_string(), "{body}");
    assert_eq!(body["Type"], if status >= 500 { "Service" } else { "User" });
    assert_eq!(reply.headers.get("x-amz-function-error"), None);
}

#[tokio::test]
async fn a_function_is_found_by_each_of_its_names() {
    let shop = shop(sandbox()).await;
    let names = [
        "order-management",
        "order-management:$LATEST",
        "order-management%3A%24LATEST",
        "order-management:prod",
        "123456789012:function:order-management",
        "arn:aws:lambda:eu-central-1:123456789012:function:order-management",
        "arn%3Aaws%3Alambda%3Aeu-central-1%3A123456789012%3Afunction%3Aorder-management%3A7",
        "order-management/invocations?Qualifier=prod",
    ];
    for (number, name) in names.into_iter().enumerate() {
        let path = match name.split_once('/') {
            Some(_) => format!("/2015-03-31/functions/{name}"),
            None => format!("/2015-03-31/functions/{name}/invocations"),
        };
        let transaction = format!("T-{number}");
        let reply = shop.post(&path, order(&transaction)).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (200, processed()), "{name}");
        assert_eq!(reply.header("x-amz-executed-version"), "$LATEST");
        assert_eq!(reply.header("x-amzn-requestid").len(), 36);
        assert_eq!(reply.headers.get("x-amz-function-error"), None);
        assert_eq!(stored(&shop, &transaction).await["status"], "placed");
    }
}

#[tokio::test]
async fn what_is_no_function_is_told_as_aws_does() {
    let shop = shop(sandbox()).await;
    for (name, status, error) in [
        ("no-such-function", 404, "ResourceNotFoundException"),
        ("arn:aws:lambda:eu-central-1:123456789012:function:payment", 404, "ResourceNotFoundException"),
        ("arn:aws:sns:eu-central-1:123456789012:function:order-management", 400, "InvalidParameterValueException"),
        ("order%20management", 400, "InvalidParameterValueException"),
        ("%FF", 400, "InvalidParameterValueException"),
    ] {
        let reply = shop.post(&format!("/2015-03-31/functions/{name}/invocations"), order("T-1")).await;
        assert_error(&reply, status, error);
        assert_eq!(reply.header("x-amzn-requestid").len(), 36);
    }
    let two = shop.post("/2015-03-31/functions/order-management:a/invocations?Qualifier=b", order("T-1")).await;
    assert_error(&two, 400, "InvalidParameterValueException");
    assert_eq!(shop.order_count().await, 0);
}

#[tokio::test]
async fn the_functions_names_are_settings() {
    let wire = WireSettings { orchestrator_functions: vec!["placeOrder".into(), "orders".into()], ..sandbox().wire };
    let shop = shop(Settings { wire, ..Settings::default() }).await;
    for (name, status) in [("placeOrder", 200), ("orders", 200), ("order-management", 404)] {
        let reply = shop.post(&format!("/2015-03-31/functions/{name}/invocations"), order(name)).await;
        assert_eq!(reply.status.as_u16(), status, "{name}");
    }
}

#[tokio::test]
async fn each_way_of_invoking_has_its_answer() {
    let shop = shop(sandbox()).await;
    let invoke = async |kind: &str, body: Value| shop.post_with(INVOKE, &[("x-amz-invocation-type", kind)], body).await;
    assert_eq!(invoke("RequestResponse", order("T-1")).await.json(), processed());
    let event = invoke("Event", order("T-2")).await;
    assert_eq!((event.status.as_u16(), event.text()), (202, ""));
    assert_eq!(stored(&shop, "T-2").await["status"], "placed", "durable when it is answered");
    let dry = invoke("DryRun", order("T-3")).await;
    assert_eq!((dry.status.as_u16(), dry.text()), (204, ""));
    assert_error(&invoke("Later", order("T-4")).await, 400, "InvalidParameterValueException");
    assert_eq!(invoke("Event", json!({})).await.status, 202, "nobody waits to hear that it is none");
    assert_eq!(shop.order_count().await, 2);
}

#[tokio::test]
async fn a_payload_that_is_no_json_is_not_given_to_the_function() {
    let shop = shop(sandbox()).await;
    for text in ["{", "nul", "{} x", "\u{feff}{}"] {
        assert_error(&shop.post_bytes(INVOKE, text.to_owned()).await, 400, "InvalidRequestContentException");
    }
    assert_eq!(shop.post_bytes(INVOKE, "").await.json(), invalid(), "no payload is an empty event");
    let large = order("T-1").to_string().replace("Main", &"x".repeat(300_000));
    assert_error(&shop.post_bytes(INVOKE, large).await, 413, "RequestTooLargeException");
}

/// What the SDKs send along: signatures, types, contexts.
#[tokio::test]
async fn signatures_are_accepted_and_not_checked() {
    let shop = shop(sandbox()).await;
    let headers = [
        ("content-type", "application/octet-stream"),
        ("x-amz-date", "20260101T000000Z"),
        ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("x-amz-log-type", "Tail"),
        ("x-amz-client-context", "e30="),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-central-1/lambda/aws4_request, SignedHeaders=host, Signature=0",
        ),
    ];
    let reply = shop.send(Method::POST, INVOKE, &headers, order("T-1").to_string()).await;
    assert_eq!(reply.json(), processed());
}

#[tokio::test]
async fn what_fails_is_returned_by_the_function_or_told_by_the_service() {
    let shop = shop(sandbox()).await;
    shop.faults.set(Some(Fault::NotCommitted));
    let reply = shop.post(INVOKE, order("T-1")).await;
    let failed = json!({ "statusCode": 500, "body": "Error processing order" });
    assert_eq!((reply.status.as_u16(), reply.json()), (200, failed));
    let event = shop.post_with(INVOKE, &[("x-amz-invocation-type", "Event")], order("T-1")).await;
    assert_error(&event, 500, "ServiceException");
    shop.faults.set(Some(Fault::Panic));
    assert_error(&shop.post(INVOKE, order("T-1")).await, 500, "ServiceException");
    assert_error(&shop.get(INVOKE).await, 405, "InvalidRequestContentException");
    let narrow = Shop::with(Settings { requests_max: 0, ..sandbox() }, 1_000);
    let reply = narrow.post(INVOKE, order("T-1")).await;
    assert_error(&reply, 429, "TooManyRequestsException");
    assert_eq!(reply.header("retry-after"), "1");
}

#[tokio::test]
async fn a_token_is_asked_for_where_that_is_set() {
    let wire = WireSettings { orchestrator_auth: WireAuth::Token, ..sandbox().wire };
    let shop = shop(Settings { wire, ..Settings::default() }).await;
    let invoke = async |header: &str| shop.post_with(INVOKE, &[("authorization", header)], order("T-1")).await;
    assert_error(&invoke("AWS4-HMAC-SHA256 Credential=x").await, 401, "UnrecognizedClientException");
    assert_error(&invoke("Bearer viewer-secret").await, 403, "AccessDeniedException");
    assert_eq!(invoke("Bearer writer-secret").await.json(), processed());
}
