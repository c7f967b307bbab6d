//! What only a broker can show: topics under `ordermill bus`, roles that several processes share through it, and what is refused.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::profile;
use crate::support::{Diagnosis, PATIENCE, Server, Shop, doctor, doctor_by, ordermill, run_to_end, wait_for_mails};

const ORDERS: usize = 60;

/// The channels, as `ordermill bus list` shows them. A broker that is busy is asked again.
fn channels(server: &Server) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    let output = loop {
        let output = ordermill().args(["bus", "list", "--json", "--url", &server.url]).output().unwrap();
        if output.status.success() {
            break output;
        }
        assert!(Instant::now() < deadline, "{output:?}");
    };
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Audits the shop, by its ledger's own feed: the broker is not asked.
fn audit(data: &Path) -> Diagnosis {
    let mut program = ordermill();
    program.env("ORDERMILL_LOG__LEVEL", "warn");
    doctor_by(program, data)
}

fn lag(channel: &Value) -> u64 {
    channel["consumers"].as_array().unwrap().iter().map(|consumer| consumer["lag"].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn the_bus_is_looked_into_as_ever() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1_000, 100).await;
    for _ in 0..5 {
        assert_eq!(shop.place_and_wait(Shop::order("P1", 1)).await.status, 200);
    }
    wait_for_mails(&data, 5);
    let deadline = Instant::now() + Duration::from_secs(60);
    // The archive takes its time, on purpose.
    while channels(&server).iter().any(|channel| lag(channel) > 0) {
        assert!(Instant::now() < deadline, "{:?}", channels(&server));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let peek = ordermill().args(["bus", "peek", "order_queue", "--json", "--url", &server.url]).output().unwrap();
    assert_eq!(String::from_utf8(peek.stdout).unwrap().lines().count(), 5);
    // Measured once a second.
    loop {
        let metrics = reqwest::get(format!("{}/metrics", server.url)).await.unwrap().text().await.unwrap();
        let lags: Vec<&str> = metrics.lines().filter(|line| line.starts_with("ordermill_role_lag{")).collect();
        let is_zero = |role: &str| lags.contains(&&*format!("ordermill_role_lag{{role=\"{role}\"}} 0"));
        if ["relay", "payments", "archive"].into_iter().all(is_zero) {
            assert!(metrics.contains("ordermill_relay_events_total"));
            break;
        }
        assert!(Instant::now() < deadline, "{lags:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(server.terminate().success());
    doctor(&data).assert_clean();
}

#[tokio::test]
async fn a_process_that_shares_a_role_is_killed_and_nobody_notices() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    profile::prepare(&data);
    std::fs::create_dir_all(&other).unwrap();
    std::fs::copy(data.join("ordermill.toml"), other.join("ordermill.toml")).unwrap();
    let server = Server::start(&data);
    let share = || Server::spawn_with(ordermill(), &other, &["--role", "inventory"]);
    let mut helper = share();
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1_000, 1_000).await;
    let mut placed = Vec::new();
    for number in 0..ORDERS {
        placed.push(shop.post("/v1/orders", Shop::order("P1", 1)).await.order_id());
        if number == ORDERS / 3 {
            helper.kill();
        }
        if number == 2 * ORDERS / 3 {
            helper = share();
        }
    }
    for id in &placed {
        let order = shop.wait_for(id, |order| order["status"] == "confirmed").await;
        assert_eq!(order["status"], "confirmed");
    }
    assert_eq!(shop.stock("P1").await["sold"], ORDERS);
    wait_for_mails(&data, ORDERS);
    assert!(helper.terminate().success());
    let open = audit(&data);
    assert_eq!(open.invariants(), Vec::<&str>::new(), "also while it is open nothing is broken: {}", open.complaint);
    assert!(server.terminate().success());
    let closed = audit(&data);
    closed.assert_clean();
    assert!(closed.totals().is_object());
}

/// No role gets anything then, so it is seen where operators look, and there is nothing to be seen at its own process.
#[tokio::test]
async fn a_relay_that_nobody_runs_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    profile::prepare(&data);
    std::fs::create_dir_all(&other).unwrap();
    std::fs::copy(data.join("ordermill.toml"), other.join("ordermill.toml")).unwrap();
    let others = "api,payments,inventory,notifications,tracking,archive,records,sweeper";
    let server = Server::spawn_with(ordermill(), &data, &["--role", others]);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1_000, 100).await;
    let id = shop.post("/v1/orders", Shop::order("P1", 1)).await.order_id();
    let relay_lags = || {
        let of_channel = |channel: &Value| {
            (channel["consumers"][0]["role"] == "relay").then(|| channel["consumers"][0]["lag"].as_u64())
        };
        channels(&server).iter().map(|channel| of_channel(channel).flatten()).collect::<Option<Vec<u64>>>().unwrap()
    };
    assert!(relay_lags().iter().all(|lag| *lag > 0), "{:?}", channels(&server));
    let deadline = Instant::now() + Duration::from_secs(60);
    let until_metrics_have = async |wanted: fn(&str) -> bool| loop {
        let metrics = shop.get("/metrics").await.text;
        if metrics.lines().filter_map(|line| line.strip_prefix("ordermill_role_lag{role=\"relay\"} ")).any(wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    until_metrics_have(|lag| lag != "0").await;
    let relay = Server::spawn_with(ordermill(), &other, &["--role", "relay"]);
    shop.wait_for(&id, |order| order["status"] == "confirmed").await;
    until_metrics_have(|lag| lag == "0").await;
    // The archive takes its time.
    while relay_lags().into_iter().sum::<u64>() > 0 {
        assert!(Instant::now() < deadline, "{:?}", channels(&server));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(relay.terminate().success());
    assert!(server.terminate().success());
}

#[test]
fn a_broker_needs_a_ledger_that_processes_share() {
    let folder = tempfile::tempdir().unwrap();
    let serve = |bus: &str| {
        let mut command = ordermill();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path()).env("ORDERMILL_BUS", bus);
        let output = run_to_end(&mut command);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = serve("kafka://127.0.0.1:1");
    assert!(said.contains("set ledger = \"postgres://"), "{said}");
    let said = serve("kafka://shop:hunter2@127.0.0.1:1");
    assert!(said.contains("env:NAME") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_broker_that_is_away_is_named_by_whoever_asks_how_far_the_roles_are() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = format!("ledger = \"{}\"\n", profile::fresh_ledger());
    // Port 1 of the loopback has no broker; a process that takes orders alone starts all the same.
    std::fs::write(folder.path().join("ordermill.toml"), ledger + "bus = \"kafka://127.0.0.1:1\"\n").unwrap();
    let server = Server::spawn_with(ordermill(), folder.path(), &["--role", "api"]);
    let output = ordermill().args(["bus", "list", "--url", &server.url]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the broker does not answer"), "{said}");
}
