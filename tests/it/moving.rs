//! Moving house: a ledger into a file, and the file into another ledger, of the profile's backend and back.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

use crate::profile;
use crate::support::{Server, Shop, doctor, mails_by_id, order_line, ordermill, wait_for_mails};

/// A ledger in SQLite, whatever the profile.
const EMBEDDED: &str = "ledger = \"sqlite:ordermill.db\"\n";

fn embedded_place(data: &Path) {
    fs::create_dir_all(data).unwrap();
    fs::write(data.join("ordermill.toml"), EMBEDDED).unwrap();
}

/// A place for the ledger of `from`, of the profile's backend or in SQLite: mails, objects and the sandbox's books stay where they are.
fn new_house(data: &Path, from: &Path, in_sqlite: bool) {
    if !in_sqlite {
        profile::prepare(data);
    }
    fs::create_dir_all(data).unwrap();
    let file = data.join("ordermill.toml");
    let prepared = fs::read_to_string(&file).unwrap_or_default();
    let (top, sections) = match prepared.find("\n[") {
        Some(at) => prepared.split_at(at),
        None => (prepared.as_str(), ""),
    };
    let from = from.display();
    let stay = format!("mail = \"mbox:{from}/mail.mbox\"\nobjects = \"file:{from}/objects\"\n");
    let journal = format!("\n[sandbox]\njournal = \"{from}/sandbox.journal\"\n");
    fs::write(&file, format!("{top}{stay}{sections}{journal}")).unwrap();
}

fn run(arguments: &[&str], data: &Path) -> Output {
    ordermill().args(arguments).arg("--data").arg(data).output().unwrap()
}

fn export(data: &Path, to: &Path) {
    let output = run(&["export", to.to_str().unwrap()], data);
    assert!(output.status.success(), "{output:?}");
}

/// Imports, and gives what was printed.
fn import(data: &Path, from: &Path) -> Value {
    let output = run(&["import-ledger", "--json", from.to_str().unwrap()], data);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let imported: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&imported["finished"], &imported["differences"]), (&json!(true), &json!([])), "{imported}");
    imported
}

/// Fails with this exit code, and says this.
fn assert_fails(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

async fn events(shop: &Shop, order: &str) -> Value {
    shop.get(&format!("/v1/orders/{order}/events")).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_moves_house_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new, third] = ["old", "new", "third"].map(|name| dir.path().join(name));
    embedded_place(&old);
    let server = Server::start(&old);
    let shop = Shop::of(&server);
    shop.stock_product("tea", 500, 1_000).await;
    let keyed = [("Idempotency-Key", "move-1"), ("Prefer", "wait=30")];
    let first = shop.send(Method::POST, "/v1/orders", &keyed, Some(Shop::order("tea", 2))).await;
    let declined = shop.place_and_wait(Shop::order_paid_by("tea", 1, "declined")).await.order_id();
    let slow = shop.post("/v1/orders", Shop::order_paid_by("tea", 3, "timeout_then_ok")).await.order_id();
    let orders = [first.order_id(), declined, slow];
    for order in &orders[..2] {
        shop.wait_for_event(order, "order.archived").await;
    }
    assert!(server.terminate().success());

    let file = dir.path().join("ledger.ndjson.gz");
    export(&old, &file);
    new_house(&new, &old, false);
    import(&new, &file);
    doctor(&new).assert_clean();
    assert_eq!(doctor(&new).totals(), doctor(&old).totals());
    assert_fails(&run(&["import-ledger", file.to_str().unwrap()], &new), 1, "already");

    let server = Server::start(&new);
    let shop = Shop::of(&server);
    let again = shop.send(Method::POST, "/v1/orders", &keyed, Some(Shop::order("tea", 2))).await;
    assert_eq!(again.order_id(), first.order_id(), "the key is known");
    for order in &orders {
        shop.wait_for_event(order, "notification.sent").await;
    }
    shop.place_and_wait(Shop::order("tea", 5)).await;
    wait_for_mails(&old, 4);
    let timeline = events(&shop, &orders[0]).await;
    assert!(server.terminate().success());
    assert!(mails_by_id(&old).values().all(|count| *count == 1), "no mail comes twice");
    doctor(&new).assert_clean();

    let back = dir.path().join("back.ndjson");
    export(&new, &back);
    new_house(&third, &old, true);
    import(&third, &back);
    doctor(&third).assert_clean();
    assert_eq!(doctor(&third).totals(), doctor(&new).totals());
    let server = Server::start(&third);
    let shop = Shop::of(&server);
    assert_eq!(events(&shop, &orders[0]).await, timeline, "event for event");
    shop.place_and_wait(Shop::order("tea", 1)).await;
    wait_for_mails(&old, 5);
    assert!(server.terminate().success());
    doctor(&third).assert_clean();
}

/// The first events of this many orders are more than one commit of an import takes, with much behind them.
const MANY: usize = 2_600;

async fn busy_ledger(data: &Path) {
    embedded_place(data);
    let server = Server::start(data);
    let shop = Shop::of(&server);
    shop.stock_product("tea", 500, 1_000_000).await;
    let line = |number: usize| {
        let order = json!({
            "order_ref": format!("many-{number}"), "customer_id": format!("c-{}", number % 50),
            "lines": [order_line("tea", 1)],
        });
        order.to_string() + "\n"
    };
    let lines: String = (0..MANY).map(line).collect();
    let headers = [("Content-Type", "application/x-ndjson")];
    let answer = shop.try_send(Method::POST, "/v1/orders", &headers, Some(lines.into_bytes())).await.unwrap();
    assert!(answer.status.is_success(), "{answer:?}");
    let last = format!("/v1/orders?q=many-{}", MANY - 1);
    let last = shop.get(&last).await.body["orders"][0]["order_id"].as_str().unwrap().to_owned();
    shop.wait_for(&last, |order| order["status"] == "confirmed").await;
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
    busy_ledger(&old).await;
    let file = dir.path().join("ledger.ndjson");
    export(&old, &file);
    new_house(&new, &old, false);
    let content = fs::read(&file).unwrap();
    let mut child = ordermill()
        .args(["import-ledger", "-", "--data"])
        .arg(&new)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // When all but the trailer has gone into the pipe, the first commit is long over. It waits for the rest, and is killed at that.
    let end = content[..content.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(&content[..end]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(pipe);

    let refused = ordermill().args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&new).output().unwrap();
    assert_fails(&refused, 1, "ordermill import-ledger");
    assert_fails(&run(&["doctor"], &new), 1, "import");
    let another = dir.path().join("another.ndjson");
    export(&old, &another);
    assert_fails(&run(&["import-ledger", another.to_str().unwrap()], &new), 1, "another export");

    let imported = import(&new, &file);
    assert!(imported["resumed_behind"].as_u64().unwrap() >= 10_000, "{imported}");
    doctor(&new).assert_clean();
    assert_eq!(doctor(&new).totals(), doctor(&old).totals());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_whole_is_not_imported() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
    embedded_place(&old);
    let server = Server::start(&old);
    let shop = Shop::of(&server);
    shop.stock_product("tea", 500, 1_000).await;
    shop.place_and_wait(Shop::order("tea", 2)).await;
    let [plain, packed] = ["ledger.ndjson", "ledger.ndjson.gz"].map(|name| dir.path().join(name));
    assert_fails(&run(&["export", plain.to_str().unwrap()], &old), 1, "--live");
    let live = run(&["export", "--live", plain.to_str().unwrap()], &old);
    assert!(live.status.success() && String::from_utf8_lossy(&live.stderr).contains("nothing later"), "{live:?}");
    assert!(server.terminate().success());
    assert_fails(&run(&["export", plain.to_str().unwrap()], &old), 2, "is there already");
    export(&old, &packed);

    new_house(&new, &old, false);
    let damaged = dir.path().join("damaged");
    let refuse = |content: &[u8], words: &str| {
        fs::write(&damaged, content).unwrap();
        assert_fails(&run(&["import-ledger", damaged.to_str().unwrap()], &new), 1, words);
    };
    let (plain_bytes, packed_bytes) = (fs::read(&plain).unwrap(), fs::read(&packed).unwrap());
    let text = String::from_utf8(plain_bytes.clone()).unwrap();
    refuse(&plain_bytes[..plain_bytes.len() / 2], "cut off");
    let without_trailer: String =
        text.lines().rev().skip(1).collect::<Vec<_>>().into_iter().rev().map(|line| format!("{line}\n")).collect();
    refuse(without_trailer.as_bytes(), "cut off");
    refuse(&packed_bytes[..packed_bytes.len() / 2], "cut off");
    refuse(text.replacen("Product tea", "Product toe", 1).as_bytes(), "checksum");
    refuse(text.replacen("\"format\":1", "\"format\":2", 1).as_bytes(), "a newer one must import it");
    refuse(b"", "cut off");
    refuse(b"{\"order_ref\":\"4711\"}\n", "line 1");
    let mut flipped = packed_bytes.clone();
    flipped[packed_bytes.len() / 2] ^= 0xff;
    refuse(&flipped, "the export is damaged: line ");
    // Nothing of it was written, except for what came through a pipe: that is gone on with.
    let mut piped = ordermill();
    piped.args(["import-ledger", "-", "--data"]).arg(&new).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&packed_bytes[..packed_bytes.len() / 2]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_fails(&output, 1, "cut off");
    assert_fails(&output, 1, "import the whole file to go on where this ended, or");
    import(&new, &packed);
    doctor(&new).assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_of_the_old_ledger_are_taken_along_only_when_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
    embedded_place(&old);
    let server = Server::start(&old);
    let shop = Shop::of(&server);
    shop.stock_product("tea", 500, 1_000).await;
    shop.place_and_wait(Shop::order("tea", 2)).await;
    assert!(server.terminate().success());
    // A unit more than the events say: the totals of both ledgers agree, and both are wrong.
    let database = rusqlite::Connection::open(old.join("ordermill.db")).unwrap();
    assert_eq!(database.execute("UPDATE stock SET available = available + 1", []).unwrap(), 1);
    drop(database);
    let before = doctor(&old);
    assert_eq!((before.exit_code, before.invariants()), (Some(4), vec!["stock_balance"]), "{before:#?}");

    let file = dir.path().join("ledger.ndjson");
    export(&old, &file);
    new_house(&new, &old, false);
    let path = file.to_str().unwrap();
    let refused = run(&["import-ledger", "--json", path], &new);
    assert_fails(&refused, 4, "");
    let said = String::from_utf8(refused.stdout).unwrap();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["finding"]["invariant"], "stock_balance", "{said}");
    let end = lines.last().unwrap();
    assert_eq!((&end["finished"], &end["differences"]), (&json!(false), &json!([])), "{said}");
    let advised = run(&["import-ledger", path], &new);
    assert_fails(&advised, 4, "--accept-findings");
    let closed = ordermill().args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&new).output().unwrap();
    assert_fails(&closed, 1, "ordermill import-ledger");

    let accepted = run(&["import-ledger", "--json", "--accept-findings", path], &new);
    assert!(accepted.status.success(), "{accepted:?}");
    let said = String::from_utf8(accepted.stdout).unwrap();
    let end: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&end["finished"], &end["findings"]), (&json!(true), &json!({ "stock_balance": 1 })), "{said}");
    let after = doctor(&new);
    assert_eq!((after.exit_code, after.invariants()), (Some(4), vec!["stock_balance"]), "{after:#?}");
    assert_eq!(after.totals(), before.totals());
    let server = Server::start(&new);
    Shop::of(&server).place_and_wait(Shop::order("tea", 1)).await;
    assert!(server.terminate().success());
}

/// Earlier programs took the character U+0000 in texts. PostgreSQL keeps none; it is no reason to leave the old house behind.
#[tokio::test(flavor = "multi_thread")]
async fn texts_that_no_other_database_keeps_are_no_hindrance() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new, third] = ["old", "new", "third"].map(|name| dir.path().join(name));
    embedded_place(&old);
    let server = Server::start(&old);
    let shop = Shop::of(&server);
    shop.stock_product("tea", 500, 1_000).await;
    let price = json!({ "amount_minor": 100, "currency": "USD" });
    let cup = json!({ "name": "Cup", "price": price, "description": "for@tea" });
    assert!(shop.send(Method::PUT, "/v1/products/cup", &[], Some(cup)).await.status.is_success());
    shop.place_and_wait(Shop::order("tea", 2)).await;
    assert!(server.terminate().success());
    let database = rusqlite::Connection::open(old.join("ordermill.db")).unwrap();
    let texts = "
        UPDATE events SET data = replace(data, 'for@tea', 'for\\u0000tea') WHERE subject = 'cup';
        UPDATE products SET description = 'for' || char(0) || 'tea' WHERE id = 'cup';
        INSERT INTO parked SELECT 'webhooks', position, 1e17, 3, 'a' || char(0) || 'b' FROM events WHERE subject = 'cup';
        INSERT INTO dead_letters SELECT 7, 'archive', position, 3, 'a' || char(0) || 'b', 0 FROM events WHERE subject = 'cup';";
    database.execute_batch(texts).unwrap();
    drop(database);
    doctor(&old).assert_clean();

    let [file, back] = ["ledger.ndjson", "back.ndjson"].map(|name| dir.path().join(name));
    export(&old, &file);
    new_house(&new, &old, false);
    import(&new, &file);
    doctor(&new).assert_clean();
    let server = Server::start(&new);
    let shop = Shop::of(&server);
    let cup = shop.get("/v1/products/cup").await.body;
    assert!(["for\0tea", "for\u{fffd}tea"].map(Value::from).contains(&cup["description"]), "{cup}");
    let letters = shop.get("/v1/dead-letters").await.body.to_string();
    assert!(["a\\u0000b", "a\u{fffd}b"].iter().any(|reason| letters.contains(reason)), "{letters}");
    shop.place_and_wait(Shop::order("tea", 1)).await;
    assert!(server.terminate().success());
    doctor(&new).assert_clean();

    export(&new, &back);
    new_house(&third, &old, true);
    import(&third, &back);
    doctor(&third).assert_clean();
    let moved = |file: &Path| body(file).into_iter().find(|line| line.contains("for\\u0000tea")).unwrap();
    assert_eq!(moved(&back), moved(&file), "the event is what it was, byte for byte");
}

/// Files that earlier programs wrote.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/it/golden").join(name)
}

/// Lines but the first, which names the export.
fn body(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap().lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_file_of_the_first_format_is_imported() {
    let dir = tempfile::tempdir().unwrap();
    let [here, there] = ["here", "there"].map(|name| dir.path().join(name));
    new_house(&here, dir.path(), false);
    let imported = import(&here, &golden("ledger.v1.ndjson"));
    assert_eq!(imported["counts"]["events"], 37);
    let file = dir.path().join("again.ndjson");
    export(&here, &file);
    new_house(&there, dir.path(), true);
    import(&there, &file);
    let again = dir.path().join("there.ndjson");
    export(&there, &again);
    let is_event = |line: &&String| line.starts_with("{\"event\":");
    let (first, second) = (body(&golden("ledger.v1.ndjson")), body(&again));
    let events = |lines: &[String]| lines.iter().filter(is_event).cloned().collect::<Vec<_>>();
    assert_eq!(events(&first), events(&second), "event for event, byte for byte");
    let others = |lines: &[String]| {
        // The checksum is of the header as well; a relay's cursor is made where it was missing.
        let is_other = |line: &&String| !is_event(line) && !line.contains("\"trailer\"") && !line.contains("\"relay\"");
        lines.iter().filter(is_other).cloned().collect::<Vec<_>>()
    };
    assert_eq!(others(&first), others(&second), "and so is the rest");
}
