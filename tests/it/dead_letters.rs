//! Deliveries that a role has given up: listed, grouped by cause, shown and delivered again, by `ordermill dlq`.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::profile;
use crate::support::{Server, Shop, doctor, ordermill};

const ENVIRONMENT: [(&str, &str); 1] = [("ORDERMILL_ARCHIVE__SETTLE", "50ms")];

/// The folders of the object store that the archive and the records go to.
const FOLDERS: [&str; 2] = ["objects/archive", "objects/processed"];

/// No dead letter has this number.
const UNKNOWN: &str = "999999";

fn dlq(server: &Server, arguments: &[&str]) -> Output {
    ordermill().arg("dlq").args(arguments).args(["--url", &server.url]).output().unwrap()
}

/// What it prints with `--json`, line by line.
fn lines(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let output = dlq(server, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(letters: &[Value]) -> Vec<u64> {
    letters.iter().map(|letter| letter["id"].as_u64().unwrap()).collect()
}

/// What it says, and how it ends.
fn said(output: &Output) -> (Option<i32>, String) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// Waits until the archive and the records have met everything, and nothing of it went well.
async fn wait_until_parked(shop: &Shop) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let channels = shop.get("/v1/channels").await.body;
        let consumers = channels["channels"].as_array().unwrap().iter().flat_map(|channel| {
            let consumers = channel["consumers"].as_array().unwrap().iter();
            consumers.filter(|one| one["role"] == "archive" || one["role"] == "records")
        });
        if consumers.map(|one| (&one["lag"], &one["parked"])).all(|(lag, parked)| *lag == 0 && *parked != 0) {
            return;
        }
        assert!(Instant::now() < deadline, "{channels:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A shop with two orders and a record whose objects cannot be written, until roles have tried so often that they give up.
async fn given_up(data: &Path) -> (Server, Vec<String>, String) {
    profile::prepare(data);
    std::fs::create_dir_all(data.join("objects")).unwrap();
    for folder in FOLDERS {
        // A file, where a folder would be made.
        std::fs::write(data.join(folder), "").unwrap();
    }
    let server = Server::start_with(data, &ENVIRONMENT);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1_000, 100).await;
    let mut orders = Vec::new();
    for _ in 0..2 {
        orders.push(shop.place_and_wait(Shop::order("P1", 1)).await.order_id());
    }
    for order in &orders {
        shop.wait_for_event(order, "notification.sent").await;
    }
    let taken = shop.post("/v1/records", json!({ "data": { "colour": "blue" } })).await;
    let record = taken.body["record_id"].as_str().unwrap_or_else(|| panic!("{taken:?}")).to_owned();
    wait_until_parked(&shop).await;
    assert!(server.terminate().success());
    // One try is left of the twelve, which take an hour together.
    let parked = profile::execute(data, "UPDATE parked SET tries = 11").await;
    let server = Server::start_with(data, &ENVIRONMENT);
    let deadline = Instant::now() + Duration::from_secs(60);
    while (lines(&server, &["list", "--all"]).len() as u64) < parked {
        assert!(Instant::now() < deadline, "fewer than {parked}: {:#?}", lines(&server, &["list"]));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (server, orders, record)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_looked_at_and_delivered_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (server, orders, record) = given_up(&data).await;
    let shop = Shop::of(&server);

    let letters = lines(&server, &["list"]);
    let of_archive = ids(&lines(&server, &["list", "--role", "archive"]));
    let of_records = lines(&server, &["list", "--role", "records", "--reason", "object store"]);
    assert_eq!((of_records.len(), of_archive.len() + 1), (1, letters.len()), "{letters:#?}");
    assert!(lines(&server, &["list", "--reason", "no such reason"]).is_empty());
    shop.wait_for_metric("ordermill_dead_letters{role=\"archive\"}", &of_archive.len().to_string()).await;
    shop.wait_for_metric("ordermill_dead_letters{role=\"payments\"}", "0").await;
    let (code, text) = said(&dlq(&server, &["list", "--limit", "2"]));
    assert!(code == Some(0) && text.contains("the object store failed") && text.contains("There are more"), "{text}");

    // Two orders, so every group of the archive holds two, whatever their ids are.
    let groups = lines(&server, &["list", "--group"]);
    let confirmed: Vec<&Value> = groups.iter().filter(|group| group["event_type"] == "order.confirmed").collect();
    assert_eq!((confirmed.len(), &confirmed[0]["count"]), (1, &json!(2)), "{groups:#?}");
    assert!(!confirmed[0]["reason"].as_str().unwrap().contains("ord_"), "{groups:#?}");
    assert!(said(&dlq(&server, &["list", "--group"])).1.contains("record.received"));

    let letter = of_records[0]["id"].to_string();
    let shown = lines(&server, &["show", &letter]);
    assert_eq!((&shown[0]["event"]["data"]["data"], &shown[0]["tries"]), (&json!({ "colour": "blue" }), &json!(12)));
    let (code, text) = said(&dlq(&server, &["show", &letter]));
    assert!(code == Some(0) && text.contains(&record) && text.contains("\"colour\": \"blue\""), "{text}");
    let (code, text) = said(&dlq(&server, &["show", UNKNOWN]));
    assert!(code == Some(1) && text.contains("there is no dead letter 999999"), "{text}");

    // A dry run changes nothing.
    let would = lines(&server, &["redrive", "--all", "--dry-run"]);
    assert_eq!(would, [json!({ "would_redrive": ids(&letters), "not_found": [] })]);
    let (code, text) = said(&dlq(&server, &["redrive", &letter, UNKNOWN, "--dry-run"]));
    assert!(code == Some(3) && text.contains("nothing was done") && text.contains(UNKNOWN), "{text}");
    assert_eq!(lines(&server, &["list"]), letters);

    for folder in FOLDERS {
        std::fs::remove_file(data.join(folder)).unwrap();
    }
    let (code, text) = said(&dlq(&server, &["redrive", &letter, UNKNOWN]));
    assert!(code == Some(3) && text.contains("1 dead letter is delivered again") && text.contains(UNKNOWN), "{text}");
    let deadline = Instant::now() + Duration::from_secs(60);
    while shop.get(&format!("/v1/records/{record}")).await.body["status"] != "stored" {
        assert!(Instant::now() < deadline, "the record is not stored");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ids(&lines(&server, &["list"])), of_archive, "the others stay");
    let done = lines(&server, &["redrive", "--all", "--role", "archive", "--rate", "1000"]);
    assert_eq!(done, [json!({ "redriven": of_archive.len(), "not_found": [] })]);
    for order in &orders {
        shop.wait_for_event(order, "order.archived").await;
    }
    assert!(lines(&server, &["list"]).is_empty());
    shop.wait_for_metric("ordermill_dead_letters{role=\"archive\"}", "0").await;
    let (code, text) = said(&dlq(&server, &["redrive", "--all"]));
    assert!(code == Some(0) && text.contains("0 dead letters are delivered again"), "{text}");
    assert!(server.terminate().success());
    doctor(&data).assert_clean();
}

#[test]
fn which_dead_letters_has_to_be_said_in_one_way() {
    for arguments in [&["redrive"][..], &["redrive", "1", "--all"], &["redrive", "1", "--role", "archive"]] {
        let output = ordermill().arg("dlq").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}
