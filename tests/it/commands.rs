//! The command line, as people use it.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::{Server, Shop, ordermill};

fn run(server: &Server, arguments: &[&str]) -> Output {
    ordermill().args(arguments).args(["--url", &server.url]).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_file_is_imported_once_however_often_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    let products = folder.path().join("products.ndjson");
    std::fs::write(
        &products,
        "{\"product_id\":\"A\",\"name\":\"Tea\",\"price\":{\"amount_minor\":500,\"currency\":\"USD\"},\"stock\":100}\n",
    )
    .unwrap();
    let output = run(&server, &["product", "import", products.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let orders = folder.path().join("orders.ndjson");
    let line = |reference: &str, product: &str| {
        format!(
            "{{\"order_ref\":\"{reference}\",\"customer_id\":\"c\",\"lines\":[{{\"product_id\":\"{product}\",\"quantity\":1}}]}}\n"
        )
    };
    std::fs::write(&orders, [line("1", "A"), line("2", "GHOST"), line("3", "A")].concat()).unwrap();

    let first = run(&server, &["order", "import", orders.to_str().unwrap()]);
    assert_eq!(first.status.code(), Some(3), "some lines were refused: {first:?}");
    let refused = std::fs::read_to_string(folder.path().join("orders.ndjson.refused.ndjson")).unwrap();
    assert!(refused.contains("unknown_product") && refused.lines().count() == 1, "{refused}");
    let second = run(&server, &["order", "import", orders.to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(3));
    assert_eq!(shop.get("/v1/orders").await.body["orders"].as_array().unwrap().len(), 2);

    let mut piped = ordermill();
    piped.args(["order", "import", "-", "--url", &server.url]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(line("4", "A").as_bytes()).unwrap();
    child.stdin.take().unwrap().write_all(&gzip.finish().unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(shop.get("/v1/orders").await.body["orders"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_order_is_placed_watched_listed_and_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let shop = Shop::of(&server);
    shop.stock_product("A", 500, 10).await;
    let place = ["order", "place", "--product", "A", "--quantity", "2", "--customer", "c", "--email", "c@example.com"];
    let output = run(&server, &[&place[..], &["--watch"]].concat());
    assert!(output.status.success(), "{output:?}");
    let shown = text(&output);
    for expected in ["order.placed", "order.confirmed", "notification.sent"] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    let nothing = run(&server, &["order", "list", "--attention"]);
    assert!(nothing.status.success() && nothing.stdout.is_empty(), "no bare header: {nothing:?}");
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("There are none"), "{nothing:?}");
    let nothing = run(&server, &["order", "list", "--attention", "--json"]);
    assert!(nothing.status.success() && nothing.stdout.is_empty() && nothing.stderr.is_empty(), "{nothing:?}");
    let by_reference = run(&server, &["order", "get", "1001"]);
    let hint = String::from_utf8_lossy(&by_reference.stderr);
    assert!(by_reference.status.code() == Some(2) && hint.contains("ordermill order list --text 1001"), "{hint}");
    let output = run(&server, &["order", "list", "--json"]);
    let listed: Value = serde_json::from_str(text(&output).lines().next().unwrap()).unwrap();
    let id = listed["order_id"].as_str().or_else(|| listed["orders"][0]["order_id"].as_str()).unwrap().to_owned();
    let shown = text(&run(&server, &["order", "get", &id]));
    assert!(shown.contains("confirmed") && shown.contains("paid       10.00 USD"), "{shown}");
    assert!(run(&server, &["order", "cancel", &id]).status.success());
    assert_eq!(shop.order_now(&id).await["status"], "cancelled");
    let refused = run(&server, &["order", "retry", &id]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no_attention"), "{refused:?}");
}

#[test]
fn ends_that_scripts_can_tell_apart() {
    let code = |arguments: &[&str]| ordermill().args(arguments).output().unwrap().status.code();
    assert_eq!(code(&["version"]), Some(0));
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["completions", "bash"]), Some(0));
    assert_eq!(code(&["config", "default"]), Some(0));
    assert_eq!(code(&["fly"]), Some(2));
    // Port 1 of the loopback has no server.
    assert_eq!(code(&["order", "list", "--url", "http://127.0.0.1:1"]), Some(5));
}
