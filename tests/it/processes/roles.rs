//! A process with some roles: what it opens, and where it listens.

use std::time::{Duration, Instant};

use super::installation::{Installation, start_roles};
use crate::support::{Server, Shop, doctor, ordermill, run_to_end};

#[tokio::test]
async fn a_process_without_the_interface_can_be_watched_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = start_roles(ordermill(), &data, &["inventory", "sweeper,tracking"]);
    let shop = Shop::of(&server);
    assert_eq!(shop.get("/healthz").await.status, 200);
    shop.wait_until_ready().await;
    let metrics = shop.get("/metrics").await;
    assert!(metrics.status == 200 && metrics.text.contains("ordermill_"), "{metrics:?}");
    for path in ["/v1/orders", "/openapi.json", "/health", "/"] {
        let answer = shop.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, "not_found"), "{path}: {answer:?}");
    }
    let placed = shop.post("/v1/orders", Shop::order("P1", 1)).await;
    assert_eq!(placed.status, 404, "{placed:?}");
    let left: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    for name in ["mail.mbox", "sandbox.journal"] {
        assert!(!left.iter().any(|file| file == name), "{name} belongs to a role that does not run: {left:?}");
    }
    assert!(server.terminate().success());
}

#[tokio::test]
async fn undecided_orders_are_counted_also_where_nothing_is_committed() {
    let installation = Installation::new();
    let (first, idle) = (installation.start("first", &["api"]), installation.start("idle", &["api"]));
    let shop = Shop::of(&first);
    shop.stock_product("P1", 1_000, 10).await;
    // Nobody runs the roles that would decide them.
    for _ in 0..2 {
        assert_eq!(shop.post("/v1/orders", Shop::order("P1", 1)).await.status, 202);
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let idle = Shop::of(&idle);
    loop {
        let metrics = idle.get("/metrics").await.text;
        if metrics.lines().any(|line| line == "ordermill_undecided_orders 2") {
            break;
        }
        assert!(Instant::now() < deadline, "{metrics}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_process_without_the_interface_listens_only_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    crate::profile::prepare(folder.path());
    let mut child = ordermill()
        .args(["serve", "--role", "inventory", "--data"])
        .arg(folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("ready without an interface"), "{line}");
}

/// A mail file has one writer. The second process says so, and what to do.
#[tokio::test]
async fn two_processes_do_not_write_one_mail_file() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let _server = Server::start(&first);
    std::fs::create_dir_all(&second).unwrap();
    std::fs::copy(first.join("ordermill.toml"), second.join("ordermill.toml")).unwrap();
    let mut command = ordermill();
    command.args(["serve", "--role", "notifications", "--data"]).arg(&second);
    let mail = format!("mail=mbox:{}", first.join("mail.mbox").display());
    let output = run_to_end(command.args(["--set", &mail]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("mail.mbox is in use by another process"), "{complaint}");
}

/// Nothing of the shop lies in it but what the configuration puts there, and that refuses a second writer itself.
#[tokio::test]
async fn processes_may_be_given_one_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = Server::start(&data);
    let front = Server::spawn_with(ordermill(), &data, &["--role", "api"]);
    for (role, what) in [("notifications", "mail.mbox"), ("payments", "sandbox.journal")] {
        let output = run_to_end(ordermill().args(["serve", "--role", role, "--data"]).arg(&data));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert!(complaint.contains(&format!("{what} is in use by another process")), "{complaint}");
    }
    let shop = Shop::of(&front);
    shop.stock_product("P1", 1_000, 10).await;
    assert_eq!(shop.place_and_wait(Shop::order("P1", 1)).await.body["status"], "confirmed");
    assert!(front.terminate().success() && first.terminate().success());
    doctor(&data).assert_clean();
}
