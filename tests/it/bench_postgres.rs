//! The benchmark on PostgreSQL: several servers on one ledger, counted by their mails and by what PostgreSQL itself counts.

use serde_json::Value;

use crate::profile;
use crate::support::ordermill;

fn bench(arguments: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let output = ordermill()
        .current_dir(directory.path())
        .args(["bench", "--json", "--duration", "1", "--warm-up", "0.2", "--connections", "4", "--products", "20"])
        .args(["--ledger", &profile::url("postgres"), "--hot-product", "10"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "something was left behind");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn assert_sound(figures: &Value) {
    assert_eq!((&figures["variant"], &figures["unmailed"]), (&"postgres".into(), &0.into()), "{figures:#}");
    assert!(figures["fulfilled_per_second"].as_f64().unwrap() > 0.0, "{figures:#}");
    let work = &figures["postgres"];
    let [commits, syncs, bytes] = ["commits_per_order", "wal_syncs_per_order", "wal_bytes_per_order"]
        .map(|name| work[name].as_f64().unwrap_or_else(|| panic!("{work}")));
    // An order has five commits, which it shares with others; and every one of its seven events has some bytes.
    assert!(commits > 0.01 && commits < 100.0 && syncs > 0.0 && bytes > 500.0, "{work}");
}

#[test]
fn one_server_and_several_are_measured() {
    assert_sound(&bench(&[]));
    let several = bench(&["--processes", "3"]);
    assert_sound(&several);
    assert_eq!(several["processes"], 3);
}
