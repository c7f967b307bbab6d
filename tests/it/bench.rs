//! The benchmark measures what it says, and leaves nothing behind. How fast anything is, is no matter here.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Server, ordermill};

/// Runs it for a moment in a directory of its own, and gives its JSON.
fn bench(directory: &Path, arguments: &[&str]) -> Value {
    bench_for("1", directory, arguments)
}

/// The same for so many seconds, where it matters that the machine does not stand still in all of them.
fn bench_for(seconds: &str, directory: &Path, arguments: &[&str]) -> Value {
    let output = ordermill()
        .current_dir(directory)
        .args(["bench", "--json", "--duration", seconds, "--warm-up", "0.2", "--connections", "4", "--products", "20"])
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn number(figures: &Value, name: &str) -> f64 {
    figures[name].as_f64().unwrap_or_else(|| panic!("no {name} in {figures:#}"))
}

#[test]
fn orders_are_counted_by_their_mails_and_held_against_the_echo() {
    let directory = tempfile::tempdir().unwrap();
    let figures = bench_for("2", directory.path(), &["--echo", "--compare-memory", "--runs", "2", "--lines", "2"]);
    assert_eq!(figures["variant"], "sqlite");
    assert_eq!(figures["unmailed"], 0, "{figures:#}");
    assert!(number(&figures, "fulfilled_per_second") > 0.0);
    assert!(number(&figures, "database_bytes_per_order") > 0.0);
    let (accept, mailed) = (&figures["accept_ms"], &figures["mailed_ms"]);
    for times in [accept, mailed] {
        assert!(number(times, "p50") > 0.0 && number(times, "p50") <= number(times, "p99"), "{figures:#}");
        assert!(number(times, "p99") <= number(times, "max"), "{figures:#}");
    }
    let ratio = number(&figures, "fulfilled_per_second") / number(&figures, "echo_per_second");
    assert!((ratio - number(&figures, "ratio")).abs() < 1e-9, "{figures:#}");
    let [slowest, fastest] = [0, 1].map(|index| figures["spread_per_second"][index].as_f64().unwrap());
    assert!(slowest <= number(&figures, "fulfilled_per_second") && number(&figures, "fulfilled_per_second") <= fastest);
    let variants: Vec<&str> =
        figures["all_runs"].as_array().unwrap().iter().map(|run| run["variant"].as_str().unwrap()).collect();
    assert_eq!(variants, ["sqlite", "memory", "echo", "sqlite", "memory", "echo"], "the kinds take turns");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn an_open_loop_sends_at_its_rate() {
    let directory = tempfile::tempdir().unwrap();
    let figures = bench_for("4", directory.path(), &["--rate", "50", "--prefill", "30", "--data", "kept"]);
    // Those that are due within the four measured seconds; a machine that is busy with other things may not send the last of them.
    let [accepted, unsent] = ["accepted", "unsent"].map(|name| figures[name].as_u64().unwrap());
    assert!(accepted > 0 && (195..=201).contains(&(accepted + unsent)), "{figures:#}");
    assert!(directory.path().join("kept/stored/ordermill.db").exists(), "a named directory is kept");
}

#[test]
fn a_running_server_is_loaded_and_its_mails_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("shop"));
    let figures = bench(directory.path(), &["--url", &server.url, "--data", server.data.to_str().unwrap()]);
    assert_eq!((&figures["variant"], &figures["unmailed"]), (&json!("running"), &json!(0)), "{figures:#}");
    assert!(number(&figures, "fulfilled_per_second") > 0.0);
    let uncounted = bench(directory.path(), &["--url", &server.url]);
    assert_eq!(uncounted["fulfilled_per_second"], Value::Null);
    assert!(number(&uncounted, "accepted_per_second") > 0.0);
}

#[test]
fn a_file_is_imported_and_fulfilled() {
    let directory = tempfile::tempdir().unwrap();
    let product =
        json!({"product_id": "p", "name": "P", "price": {"amount_minor": 100, "currency": "USD"}, "stock": 30});
    std::fs::write(directory.path().join("products.ndjson"), format!("{product}\n")).unwrap();
    let order = |number: usize| {
        let customer = json!({"customer_id": "c", "customer_email": "c@example.com", "order_ref": number.to_string()});
        let mut order = customer;
        order["lines"] = json!([{"product_id": if number == 7 { "none" } else { "p" }, "quantity": 1}]);
        format!("{order}\n")
    };
    std::fs::write(directory.path().join("orders.ndjson"), (0..50).map(order).collect::<String>()).unwrap();
    let figures = bench(directory.path(), &["--import", "orders.ndjson", "--import-products", "products.ndjson"]);
    let import = &figures["import"];
    // Of one line no order is made; of the others as many are confirmed as there is stock, and the rest is told.
    let counts = ["products", "orders", "refused", "mails", "unmailed"].map(|name| import[name].as_u64().unwrap());
    assert_eq!(counts, [1, 49, 1, 49, 0], "{figures:#}");
    assert!(number(import, "accepted_seconds") > 0.0 && number(import, "fulfilled_seconds") > 0.0);
    let totals = json!({
        "orders": {"confirmed": 30, "rejected": 19},
        "rejected": {"out_of_stock": 19},
        "mails": 49,
        "captured_minor": {"USD": 30 * 100},
        "units_sold": 30,
    });
    assert_eq!(import["totals"], totals, "{figures:#}");
}

#[test]
fn only_what_can_be_measured_together_is() {
    let has_kafka = cfg!(feature = "kafka");
    let unfit = if has_kafka { "Kafka carries the events of a ledger on PostgreSQL" } else { "the feature `kafka`" };
    let shared = if has_kafka { "leave `prefix=` out" } else { "the feature `kafka`" };
    for (arguments, reason) in [
        (&["--processes", "2"][..], "only a ledger on PostgreSQL is shared"),
        (&["--ledger", "mysql://127.0.0.1/x"], "must be sqlite, memory or postgres://"),
        (&["--hot-product", "101"], "101 is not in 0..=100"),
        (&["--bus", "kafka://127.0.0.1:9"], unfit),
        (&["--bus", "kafka://127.0.0.1:9?prefix=shop"], shared),
        (&["--compare-ledger"], "--bus <URL>"),
        (&["--split"], "--processes <N>"),
        (&["--import", "orders.ndjson", "--echo"], "cannot be used with"),
    ] {
        let output = ordermill().arg("bench").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(reason), "{said}");
    }
    let directory = tempfile::tempdir().unwrap();
    let figures = bench(directory.path(), &["--hot-product", "100", "--lines", "2"]);
    assert_eq!((&figures["unmailed"], &figures["hot_product_percent"]), (&json!(0), &json!(100)), "{figures:#}");
}
