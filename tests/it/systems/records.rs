//! S5: the frontend that takes messages, and the worker that stores them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, Shop, doctor};

fn start(folder: &Path, more: &[(&str, &str)]) -> Server {
    std::fs::write(folder.join("token.txt"), "let-me-in\n").unwrap();
    let reference = format!("file:{}", folder.join("token.txt").display());
    let mut environment = vec![("ORDERMILL_RECORDS__TOKEN", reference.as_str())];
    environment.extend_from_slice(more);
    Server::start_with(&folder.join("data"), &environment)
}

fn mail(time: impl Into<Value>) -> Value {
    json!({
        "email_subject": "Happy new year!", "email_sender": "John Doe", "email_content": "Just want to say it.",
        "email_timestream": time.into(),
    })
}

fn message(time: impl Into<Value>) -> Value {
    json!({ "token": "let-me-in", "data": mail(time) })
}

/// Every object below `processed/`, with its path there.
fn objects(data: &Path) -> Vec<(String, Value)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let root = data.join("objects/processed");
    let mut files = Vec::new();
    walk(&root, &mut files);
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    };
    files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")).map(read).collect()
}

/// Waits until each of these records has an object, and gives all there are.
async fn wait_for_objects(data: &Path, ids: &[String]) -> Vec<(String, Value)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = objects(data);
        let missing = ids.iter().find(|id| !found.iter().any(|(name, _)| name.ends_with(&format!("/{id}.json"))));
        let Some(missing) = missing else { return found };
        assert!(Instant::now() < deadline, "no object of {missing} among {}", found.len());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_published_sample_becomes_an_object_without_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let shop = Shop::of(&server);
    let health = shop.get("/").await;
    assert_eq!((health.status.as_u16(), &health.body), (200, &json!({ "status": "healthy" })));
    let mut ids = Vec::new();
    for path in ["/", "/message"] {
        let answer = shop.post(path, message("2023-01-01T00:00:00Z")).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["message"]),
            (200, &json!("Message sent to SQS")),
            "{answer:?}"
        );
        ids.push(answer.body["message_id"].as_str().unwrap().to_owned());
    }
    let found = wait_for_objects(&server.data, &ids).await;
    assert_eq!(found.len(), ids.len());
    for (name, object) in &found {
        let id = ids.iter().find(|id| name.ends_with(&format!("/{id}.json"))).unwrap_or_else(|| panic!("{name}"));
        let depth: Vec<&str> = name.split('/').collect();
        assert_eq!(depth.iter().map(|part| part.len()).take(4).collect::<Vec<_>>(), [4, 2, 2, 2], "{name}");
        assert_eq!(object["message_id"], json!(id));
        assert_eq!(object["data"], mail("2023-01-01T00:00:00Z"));
        assert!(object["received_at"].is_string() && object["attempts"].is_number(), "{object}");
        assert!(!object.to_string().contains("let-me-in"));
    }
    // The object is written before the commit that names it.
    let deadline = Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let record = shop.get(&format!("/v1/records/{}", ids[0])).await;
        assert_eq!(record.status, 200, "{record:?}");
        if record.body["status"] == "stored" {
            break;
        }
        assert!(Instant::now() < deadline, "{record:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(!server.log_text().contains("let-me-in"));
    let data = server.data.clone();
    assert!(server.terminate().success());
    doctor(&data).assert_clean();
}

#[tokio::test]
async fn checks_come_in_the_order_written() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let shop = Shop::of(&server);
    let bad = "not a time";
    for (body, status, error) in [
        (json!([1]), 400, "Invalid payload"),
        (json!("text"), 400, "Invalid payload"),
        (json!({ "data": mail("1") }), 400, "Invalid payload"),
        (json!({ "token": "let-me-in" }), 400, "Invalid payload"),
        (json!({ "token": "wrong", "data": {} }), 401, "Invalid token"),
        (json!({ "token": "wrong", "data": mail(bad) }), 401, "Invalid token"),
        (json!({ "token": "let-me-in", "data": { "email_subject": "x" } }), 400, "Missing email_timestream"),
        (message(bad), 400, "Invalid email_timestream format"),
        (message("2023-01-01T00:00:00"), 400, "Invalid email_timestream format"),
        (message(json!([])), 400, "Invalid email_timestream format"),
    ] {
        for path in ["/", "/message"] {
            let answer = shop.post(path, body.clone()).await;
            assert_eq!((answer.status.as_u16(), &answer.body), (status, &json!({ "error": error })), "{path} {body}");
        }
    }
    let broken = shop.try_send(Method::POST, "/message", &[], Some(b"{\"token\":".to_vec())).await.unwrap();
    assert_eq!((broken.status.as_u16(), &broken.body), (400, &json!({ "error": "Invalid payload" })));
    assert!(shop.get("/v1/records").await.body["records"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn every_form_of_time_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]);
    let shop = Shop::of(&server);
    let times = [
        json!("2023-01-01T00:00:00Z"),
        json!("2023-01-01T02:30:00+02:30"),
        json!("2023-01-01T00:00:00.123456Z"),
        json!("2023-01-01T00:00:00-08:00"),
        json!("1693561101"),
        json!(1_693_561_101),
        json!(0),
        json!("0001-01-01T00:00:00Z"),
        json!("9999-12-30T23:59:59Z"),
    ];
    let mut ids = Vec::new();
    for time in &times {
        let answer = shop.post("/message", message(time.clone())).await;
        assert_eq!(answer.status, 200, "{time}: {answer:?}");
        ids.push(answer.body["message_id"].as_str().unwrap().to_owned());
    }
    let found = wait_for_objects(&server.data, &ids).await;
    for time in &times {
        assert!(found.iter().any(|(_, object)| object["data"]["email_timestream"] == *time), "{time} as it was given");
    }
}

#[tokio::test]
async fn strict_mode_wants_all_four_fields() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[("ORDERMILL_RECORDS__STRICT", "true")]);
    let shop = Shop::of(&server);
    assert_eq!(shop.post("/message", message("2023-01-01T00:00:00Z")).await.status, 200);
    for field in ["email_subject", "email_sender", "email_content"] {
        let mut blank = message("2023-01-01T00:00:00Z");
        blank["data"][field] = json!("  ");
        assert_eq!(shop.post("/message", blank.clone()).await.status, 400, "{field} is blank");
        blank["data"].as_object_mut().unwrap().remove(field);
        assert_eq!(shop.post("/message", blank).await.status, 400, "{field} is missing");
    }
}

#[tokio::test]
async fn without_its_token_nothing_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[("ORDERMILL_RECORDS__TOKEN_REFRESH", "50ms")]);
    let shop = Shop::of(&server);
    assert_eq!(shop.post("/message", message(1)).await.status, 200);
    std::fs::remove_file(folder.path().join("token.txt")).unwrap();
    let deadline = Instant::now() + std::time::Duration::from_secs(30);
    let answer = loop {
        let answer = shop.post("/message", message(2)).await;
        if answer.status != 200 || Instant::now() > deadline {
            break answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body["error"].is_string());
    let before = shop.get("/v1/records").await.body["records"].as_array().unwrap().len();
    assert_eq!(shop.post("/message", message(3)).await.status, 503);
    assert_eq!(shop.get("/v1/records").await.body["records"].as_array().unwrap().len(), before);
    // A new token is taken when it is there, and the old one is not any more.
    std::fs::write(folder.path().join("token.txt"), "another").unwrap();
    let mut renewed = message(4);
    renewed["token"] = json!("another");
    let deadline = Instant::now() + std::time::Duration::from_secs(30);
    while shop.post("/message", renewed.clone()).await.status != 200 {
        assert!(Instant::now() < deadline, "the new token is not taken");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(shop.post("/message", message(5)).await.status, 401);
}

#[tokio::test]
async fn a_server_without_a_token_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let shop = Shop::of(&server);
    let answer = shop.post("/message", message(1)).await;
    assert_eq!(answer.status, 503, "{answer:?}");
}

#[tokio::test]
async fn a_killed_server_stores_every_record_it_took() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path(), &[]);
    let shop = Shop::of(&server);
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let (shop, acknowledged) = (shop.clone(), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let mut taken = Vec::new();
                for number in 0..10_000 {
                    let body = message(sender * 10_000 + number).to_string().into_bytes();
                    match shop.try_send(Method::POST, "/message", &[], Some(body)).await {
                        Ok(answer) if answer.status == 200 => {
                            taken.push(answer.body["message_id"].as_str().unwrap().to_owned());
                            acknowledged.fetch_add(1, Ordering::Relaxed);
                        }
                        _ => break,
                    }
                }
                taken
            })
        })
        .collect();
    let deadline = Instant::now() + PATIENCE;
    while acknowledged.load(Ordering::Relaxed) < 20 {
        assert!(Instant::now() < deadline, "{acknowledged:?} were taken");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    server.kill();
    let mut taken = Vec::new();
    for sender in senders {
        taken.extend(sender.await.unwrap());
    }
    let server = start(folder.path(), &[]);
    let found = wait_for_objects(&server.data, &taken).await;
    for id in &taken {
        let count = found.iter().filter(|(name, _)| name.ends_with(&format!("/{id}.json"))).count();
        assert_eq!(count, 1, "record {id}");
    }
    let data = server.data.clone();
    assert!(server.terminate().success());
    doctor(&data).assert_clean();
}
