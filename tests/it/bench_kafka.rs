//! The benchmark with Kafka between ledger and roles: beside the same ledger without it, with the roles apart, and what it leaves behind,
//! also when it is ended.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::profile;
use crate::support::ordermill;

/// The broker of the tests, without a prefix: that is the benchmark's.
fn bus() -> String {
    let line = profile::event_path();
    let (_, url) = line.split_once("kafka://").unwrap();
    let (brokers, _) = url.split_once('?').unwrap();
    format!("kafka://{brokers}?partitions=2&replication=1&min_isr=1&session=1s")
}

async fn connect(database: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(&profile::url(database), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A database of a test's own, so that it sees what is left there by nobody else.
async fn database(name: &str) -> Client {
    connect("postgres").await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    connect(name).await
}

async fn schemas(client: &Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'bench_%'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Short, in a directory of its own, on this database.
fn bench(directory: &Path, database: &str, arguments: &[&str]) -> Command {
    let mut program = ordermill();
    program.current_dir(directory).args([
        "bench",
        "--json",
        "--duration",
        "1",
        "--warm-up",
        "0.2",
        "--connections",
        "4",
    ]);
    program.args(["--products", "20", "--ledger", &profile::url(database), "--bus", &bus()]).args(arguments);
    program
}

fn figures(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Fifty orders of one unit, of which there are thirty.
fn write_orders(directory: &Path) {
    let product =
        json!({"product_id": "p", "name": "P", "price": {"amount_minor": 150, "currency": "USD"}, "stock": 30});
    std::fs::write(directory.join("products.ndjson"), format!("{product}\n")).unwrap();
    let order = |number: usize| {
        let mut order = json!({"customer_id": "c", "customer_email": "c@example.com", "order_ref": number.to_string()});
        order["lines"] = json!([{"product_id": "p", "quantity": 1}]);
        format!("{order}\n")
    };
    std::fs::write(directory.join("orders.ndjson"), (0..50).map(order).collect::<String>()).unwrap();
}

#[tokio::test]
async fn with_kafka_and_without_take_turns() {
    let client = database("turns").await;
    let directory = tempfile::tempdir().unwrap();
    let output =
        bench(directory.path(), "turns", &["--compare-ledger", "--processes", "1", "--split"]).output().unwrap();
    let figures = figures(&output);
    assert_eq!((&figures["variant"], &figures["unmailed"]), (&json!("postgres+kafka"), &json!(0)), "{figures:#}");
    assert_eq!((&figures["processes"], &figures["split"]), (&json!(1), &json!(true)));
    let runs = figures["all_runs"].as_array().unwrap();
    let variants: Vec<&str> = runs.iter().map(|run| run["variant"].as_str().unwrap()).collect();
    assert_eq!(variants, ["postgres+kafka", "postgres"]);
    let [own, other, ratio] = ["fulfilled_per_second", "ledger_per_second", "ledger_ratio"]
        .map(|name| figures[name].as_f64().unwrap_or_else(|| panic!("no {name} in {figures:#}")));
    assert!(own > 0.0 && (own / other - ratio).abs() < 1e-9, "{figures:#}");
    assert!(figures["postgres"]["commits_per_order"].as_f64().unwrap() > 0.0, "{figures:#}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "something was left behind");
    assert_eq!(schemas(&client).await, 0, "a schema was left behind");
}

#[tokio::test]
async fn imports_come_to_the_same_with_kafka_and_without() {
    let client = database("imports").await;
    let directory = tempfile::tempdir().unwrap();
    write_orders(directory.path());
    let import = ["--import", "orders.ndjson", "--import-products", "products.ndjson", "--processes", "2"];
    let arguments = [&import[..], &["--compare-ledger"]].concat();
    let figures = figures(&bench(directory.path(), "imports", &arguments).output().unwrap());
    assert_eq!((&figures["ledger"], &figures["import"]["unmailed"]), (&json!("postgres+kafka"), &json!(0)));
    assert_eq!(figures["compared"][0]["variant"], "postgres");
    assert!(figures["ledger_ratio"].as_f64().unwrap() > 0.0, "{figures:#}");
    let totals = json!({
        "orders": {"confirmed": 30, "rejected": 20},
        "rejected": {"out_of_stock": 20},
        "mails": 50,
        "captured_minor": {"USD": 30 * 150},
        "units_sold": 30,
    });
    for run in figures["all_runs"].as_array().unwrap() {
        assert_eq!(run["totals"], totals, "{figures:#}");
    }
    assert_eq!(schemas(&client).await, 0, "a schema was left behind");
}

#[tokio::test]
async fn a_run_that_fails_or_is_ended_is_removed_as_well() {
    let client = database("ended").await;
    let directory = tempfile::tempdir().unwrap();
    let output = bench(directory.path(), "ended", &["--import", "nothing.ndjson"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("products.ndjson.gz"), "{said}");
    assert_eq!(schemas(&client).await, 0, "a schema was left behind");

    let mut program = bench(directory.path(), "ended", &["--runs", "1000"]);
    let child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while schemas(&client).await == 0 {
        assert!(Instant::now() < deadline, "no server has made its schema");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("ended by SIGTERM"), "{said}");
    assert!(!said.contains("left behind"), "{said}");
    assert_eq!(schemas(&client).await, 0, "a schema was left behind");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "something was left behind");
}
