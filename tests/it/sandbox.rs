//! The payment sandbox as a process of its own, with servers that call it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Server, Shop, ordermill};

/// How long anything may take; test machines are shared.
const PATIENCE: Duration = Duration::from_secs(60);

/// A sandbox process; killed when dropped.
struct Sandbox {
    child: Child,
    url: String,
    data: PathBuf,
}

impl Sandbox {
    /// Starts it and waits until it is ready.
    fn start(data: &Path, listen: &str) -> Self {
        std::fs::create_dir_all(data).unwrap();
        let log = data.join("sandbox.log");
        let output = File::create(&log).unwrap();
        let mut command = ordermill();
        command.args(["sandbox", "--listen", listen, "--data"]).arg(data);
        command.env("ORDERMILL_SANDBOX__SLOW", "20s");
        let mut child = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let url = loop {
            let said = std::fs::read_to_string(&log).unwrap();
            if let Some(line) = said.lines().find(|line| line.starts_with("ready on ") && said.ends_with('\n')) {
                break line.split_whitespace().nth(2).unwrap().to_owned();
            }
            assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline, "no sandbox:\n{said}");
            std::thread::sleep(Duration::from_millis(5));
        };
        Self { child, url, data: data.to_owned() }
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and waits until it has, with the exit code it gives.
    fn terminate(mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// The lines of its journal, without the first.
    fn journal(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.data.join("sandbox.journal")).unwrap();
        text.lines().skip(1).map(str::to_owned).collect()
    }

    fn payments(&self) -> String {
        format!("sandbox:{}", self.url)
    }

    /// A server that pays with it.
    fn server(&self, data: &Path, more: &[(&str, &str)]) -> Server {
        let payments = self.payments();
        let environment = [&[("ORDERMILL_PAYMENTS", payments.as_str())], more].concat();
        Server::start_with(data, &environment)
    }

    /// Asks it by hand, as a gateway does.
    async fn call(&self, calls: &Value) -> Vec<Value> {
        let request = reqwest::Client::new().post(format!("{}/calls", self.url)).json(calls);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn authorize(number: u32, method: &str) -> Value {
    let key = json!({"order_id": format!("ord_{number:032x}"), "operation": "authorize-1", "attempt": 1});
    json!({"perform": {"key": key, "amount": {"amount_minor": 500, "currency": "USD"}, "method": method}})
}

async fn stocked(server: &Server) -> Shop {
    let shop = Shop::of(server);
    shop.stock_product("P1", 1000, 1_000).await;
    shop
}

/// What doctor says of a server's books, the sandbox's journal among them.
fn audit(sandbox: &Sandbox, data: &Path) -> (Option<i32>, Value) {
    let output = ordermill()
        .env("ORDERMILL_PAYMENTS", sandbox.payments())
        .args(["doctor", "--json", "--data"])
        .arg(data)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_else(|| panic!("{output:?}"));
    (output.status.code(), serde_json::from_str(last).unwrap())
}

/// Killed between a call and its answer: the call is in the journal, and the same key gives the same result.
#[tokio::test]
async fn a_kill_between_call_and_answer_changes_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::start(&folder.path().join("sandbox"), "127.0.0.1:0");
    let address = sandbox.address().to_owned();
    // Carried out at once, and answered long after.
    let request = reqwest::Client::new().post(format!("{}/calls", sandbox.url)).json(&json!([authorize(1, "slow")]));
    let answer = tokio::spawn(async move { request.send().await.unwrap().text().await });
    let deadline = Instant::now() + PATIENCE;
    while sandbox.journal().is_empty() {
        assert!(Instant::now() < deadline, "it was not carried out");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sandbox.kill();
    assert!(answer.await.unwrap().is_err(), "the answer had left already");

    let journal = sandbox.journal();
    let sandbox = Sandbox::start(&folder.path().join("sandbox"), &address);
    let told = sandbox.call(&json!([authorize(1, "slow"), authorize(2, "declined")])).await;
    let reference = format!("sbx_{:032x}", 1);
    assert_eq!(told[0], json!({"call": 0, "outcome": "succeeded", "provider_ref": reference}));
    assert_eq!(told[1], json!({"call": 1, "outcome": "refused", "reason": "declined"}));
    assert_eq!(sandbox.journal()[..1], journal, "it was carried out once");
    assert_eq!(sandbox.terminate(), Some(0));
}

/// Two servers with ledgers of their own pay at one sandbox. While it is gone their orders wait; when it is back they go on. Its books
/// agree with both.
#[tokio::test]
async fn two_servers_share_one_sandbox_and_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::start(&folder.path().join("sandbox"), "127.0.0.1:0");
    let address = sandbox.address().to_owned();
    let hasty = [("ORDERMILL_PROVIDER__BREAKER_OPEN_FOR", "300ms"), ("ORDERMILL_PROVIDER__BREAKER_CALLS_MIN", "5")];
    let data = ["one", "two"].map(|name| folder.path().join(name));
    let servers = data.each_ref().map(|data| sandbox.server(data, &hasty));
    let shops = [stocked(&servers[0]).await, stocked(&servers[1]).await];
    for shop in &shops {
        let answer = shop.place_and_wait(Shop::order("P1", 1)).await;
        assert_eq!(answer.body["status"], "confirmed", "{answer:?}");
    }
    sandbox.kill();
    let mut waiting = Vec::new();
    for _ in 0..30 {
        for shop in &shops {
            waiting.push((shop, shop.post("/v1/orders", Shop::order("P1", 1)).await.order_id()));
        }
    }
    // Long enough for the breaker to open; nothing is given up meanwhile.
    let deadline = Instant::now() + PATIENCE;
    while !servers.iter().all(|server| server.log_text().contains("calls are held back")) {
        assert!(Instant::now() < deadline, "{}", servers[0].log_text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (shop, id) in &waiting {
        let order = shop.order_now(id).await;
        assert_eq!((&order["status"], &order["attention"]), (&json!("placed"), &Value::Null));
    }
    let sandbox = Sandbox::start(&folder.path().join("sandbox"), &address);
    for (shop, id) in &waiting {
        shop.wait_for(id, |order| order["status"] == "confirmed").await;
    }
    assert_eq!(sandbox.journal().len(), 2 * 2 * 31, "each order was authorized and captured once");
    for data in &data {
        let (code, last) = audit(&sandbox, data);
        // The other server's payments are of orders this ledger does not know.
        assert_eq!(last["provider_entries"], 124, "{last:#}");
        assert_eq!(code, Some(4), "{last:#}");
        assert_eq!(last["orders"], 31, "{last:#}");
    }
}

/// Doctor reads the journal where it is kept, and says when it cannot.
#[tokio::test]
async fn doctor_reads_the_journal_through_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::start(&folder.path().join("sandbox"), "127.0.0.1:0");
    let data = folder.path().join("data");
    let server = sandbox.server(&data, &[]);
    let shop = stocked(&server).await;
    for method in ["ok", "declined", "timeout_then_ok", "capture_fails"] {
        shop.place_and_wait(Shop::order_paid_by("P1", 1, method)).await;
    }
    assert!(server.terminate().success());
    assert!(!data.join("sandbox.journal").exists(), "the server keeps no books of its own");
    let (code, last) = audit(&sandbox, &data);
    assert_eq!((code, &last["orders"]), (Some(0), &json!(4)), "{last:#}");
    assert_eq!(last["provider_entries"], sandbox.journal().len(), "{last:#}");
    sandbox.kill();
    let output = ordermill()
        .env("ORDERMILL_PAYMENTS", sandbox.payments())
        .args(["doctor", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the journal of the payment sandbox at http://127.0.0.1"), "{said}");
}

fn refused(arguments: &[&str], environment: &[(&str, &str)], data: &Path) -> (Option<i32>, String) {
    let mut command: Command = ordermill();
    command.envs(environment.iter().copied()).arg("sandbox").args(arguments).arg("--data").arg(data);
    let output = command.stdout(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn wrong_starts_and_wrong_calls_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("sandbox");
    let (code, said) = refused(&["--listen", "0.0.0.0:0"], &[], &data);
    assert!(code == Some(2) && said.contains("beyond loopback"), "{said}");
    let sandbox = Sandbox::start(&data, "127.0.0.1:0");
    let (code, said) = refused(&["--listen", sandbox.address()], &[], &data);
    assert!(code == Some(1) && said.contains("cannot listen on"), "{said}");
    let (code, said) = refused(&["--listen", "127.0.0.1:0"], &[], &data);
    assert!(code == Some(1) && said.contains("is in use by another process"), "{said}");

    let get = async |path: &str| {
        let answer = reqwest::get(format!("{}{path}", sandbox.url)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get("/journal").await.1, std::fs::read_to_string(data.join("sandbox.journal")).unwrap());
    assert_eq!(get("/journal?after=3").await.0, 400);
    assert_eq!(get("/journal?after=999999").await.0, 400);
    assert_eq!(get("/orders").await.0, 404);
    for body in ["", "{}", "[{\"perform\": {}}]", "[{\"pay\": 1}]"] {
        let answer = reqwest::Client::new().post(format!("{}/calls", sandbox.url)).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{body}");
        let error: Value = answer.json().await.unwrap();
        assert!(error["error"].as_str().unwrap().contains("cannot be read"), "{error}");
    }
    assert!(sandbox.journal().is_empty());
}
