//! Starting, stopping, and being looked at.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;

use crate::support::{PATIENCE, Server, Shop, doctor, ordermill, run_to_end, wait_for_mails};

#[tokio::test]
async fn a_server_that_is_told_to_end_finishes_what_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 1_000).await;
    let placing: Vec<_> = (0..100)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move {
                shop.try_send(reqwest::Method::POST, "/v1/orders", &[], Some(Shop::order("P1", 1).to_string().into()))
                    .await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(server.terminate().code(), Some(0));

    let mut accepted = 0;
    for answer in placing {
        accepted += usize::from(answer.await.unwrap().is_ok_and(|answer| answer.status == 202));
    }
    let server = Server::start(&data);
    let shop = Shop::of(&server);
    let orders = shop.get("/v1/orders?limit=500").await.body["orders"].as_array().unwrap().len();
    assert!(orders >= accepted, "{accepted} were accepted, {orders} are there");
    wait_for_mails(&data, orders);
    assert!(server.terminate().success());
    doctor(&data).assert_clean();
}

#[tokio::test]
async fn one_data_directory_has_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _server = Server::start(&data);
    let output = run_to_end(ordermill().args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data));
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("in use"), "{complaint}");
}

/// Most likely it was not told of the broker that the others use.
#[tokio::test]
async fn a_relay_without_a_broker_does_not_stand_by_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for command in [&["config", "check"][..], &["serve"]] {
        let mut alone = ordermill();
        alone.args(command).arg("--data").arg(&data).env("ORDERMILL_BUS", "ledger").env("ORDERMILL_ROLES", "relay");
        let output = alone.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains("a relay alone has nothing to do"), "{said}");
    }
    // Whoever runs all roles has not asked for it.
    assert!(Server::start_with(&data, &[("ORDERMILL_BUS", "ledger")]).terminate().success());
    let environment = [("ORDERMILL_BUS", "ledger"), ("ORDERMILL_ROLES", "api,relay")];
    let log = Server::start_with(&data, &environment).log_text();
    assert_eq!(log.matches("the relay has nothing to do").count(), 1, "{log}");
}

/// A folder that was misspelt sent the mails that are built in; a level that is none was found by `serve` alone, without its place.
#[tokio::test]
async fn what_only_the_parts_can_tell_to_be_wrong_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ordermill.toml");
    std::fs::write(&file, "[log]\nlevel = \"loud\"\n\n[notifications]\ntemplates = \"mial\"\n").unwrap();
    let said = |command: &[&str]| {
        let output = ordermill().args(command).arg("--data").arg(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for command in [&["config", "check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let (code, complaint) = said(command);
        assert_eq!(code, Some(2), "{complaint}");
        assert!(complaint.contains("ordermill.toml:2: log.level: the log level \"loud\""), "{complaint}");
        assert!(complaint.contains("ordermill.toml:5: notifications.templates: the directory"), "{complaint}");
    }
    std::fs::create_dir(folder.path().join("mial")).unwrap();
    std::fs::write(folder.path().join("mial/confirmd.txt"), "Yours\n").unwrap();
    let (code, complaint) = said(&["config", "check", "--set", "log.level=info"]);
    assert!(code == Some(2) && complaint.contains("confirmd.txt is no mail template"), "{complaint}");
    // Where no mails are written the folder need not be there.
    let (code, complaint) = said(&["config", "check", "--set", "log.level=info", "--set", "roles=api"]);
    assert_eq!(code, Some(0), "{complaint}");
}

#[tokio::test]
async fn it_does_not_listen_to_the_world_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let output = ordermill().args(["serve", "--listen", "0.0.0.0:0", "--data"]).arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("asks nobody who they are"), "{complaint}");
}

#[tokio::test]
async fn an_operator_can_look_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 1).await;
    shop.place_and_wait(Shop::order("P1", 1)).await;
    shop.place_and_wait(Shop::order("P1", 1)).await;
    wait_for_mails(&server.data, 2);
    assert_eq!(shop.get("/healthz").await.status, 200);
    shop.wait_until_ready().await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = shop.get("/metrics").await.text;
        let expected = [
            "ordermill_orders_total{outcome=\"confirmed\"} 1",
            "ordermill_orders_total{outcome=\"rejected\"} 1",
            "ordermill_mails_sent_total{kind=\"confirmed\"} 1",
            "ordermill_role_lag{role=\"notifications\"} 0",
        ];
        let missing: Vec<_> = expected.iter().filter(|line| !metrics.lines().any(|found| found == **line)).collect();
        if missing.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{missing:?} not in\n{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let document = shop.get("/openapi.json").await.body;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{document}");
    assert!(document["paths"]["/v1/orders"]["post"].is_object());
}

#[tokio::test]
async fn an_order_can_be_followed_live() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 1).await;
    let id = shop.post("/v1/orders", Shop::order("P1", 1)).await.order_id();
    let url = format!("{}/v1/orders/{id}/events/stream", server.url);
    let response = reqwest::get(url).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut chunks = response.bytes_stream();
    let mut text = String::new();
    let seen = async {
        while !text.contains("notification.sent") {
            text.push_str(&String::from_utf8_lossy(&chunks.next().await.unwrap().unwrap()));
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("the mail is reported");
    for event in ["order.placed", "payment.authorized", "inventory.reserved", "payment.captured", "order.confirmed"] {
        assert!(text.contains(event), "{event} in {text}");
    }
}

#[tokio::test]
async fn what_it_logs_gives_nobody_away() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start_with(&data, &[("ORDERMILL_LOG__LEVEL", "debug"), ("ORDERMILL_LOG__FORMAT", "json")]);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 5).await;
    let order = json!({
        "customer_id": "c-77",
        "customer_email": "private.person@example.com",
        "shipping_address": "1 Secret Street",
        "payment_method": "tok_secret_card",
        "lines": [{ "product_id": "P1", "quantity": 1 }],
    });
    shop.place_and_wait(order).await;
    let mut bounced = Shop::order("P1", 1);
    bounced["customer_email"] = "bounce@example.com".into();
    let id = shop.place_and_wait(bounced).await.order_id();
    shop.wait_for(&id, |order| order["attention"]["step"] == "notify").await;
    let log = server.log_text();
    for secret in ["private.person", "Secret Street", "tok_secret_card", "bounce@"] {
        assert!(!log.contains(secret), "{secret} in the log:\n{log}");
    }
}
