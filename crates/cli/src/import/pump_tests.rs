//! Imports against a server that breaks off, has no room, and refuses.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::*;

/// What the server does with one line it has read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Take,
    Say(&'static str, u16),
    /// Takes the line and breaks the connection instead of answering.
    TakeAndBreak,
    /// Ends the answer with this problem, as a server that is shutting down does.
    End(&'static str),
}

/// A server with a plan: the n-th line it reads, over all requests, meets the n-th act; further ones are taken.
struct Fake {
    plan: Vec<Act>,
    read: AtomicUsize,
    /// How often each line was taken.
    taken: Mutex<BTreeMap<String, usize>>,
}

impl Fake {
    fn act(&self, line: &str) -> Act {
        let act = self.plan.get(self.read.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or(Act::Take);
        if matches!(act, Act::Take | Act::TakeAndBreak) {
            *self.taken.lock().expect("no test panics here").entry(line.to_owned()).or_default() += 1;
        }
        act
    }
}

async fn bulk(State(fake): State<Arc<Fake>>, body: Body) -> Body {
    // The whole answer is made before it is sent: the client may have sent everything by then.
    let text = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => String::from_utf8(bytes.to_vec()).expect("the test sends text"),
        Err(_) => return Body::empty(),
    };
    let mut pieces: Vec<Result<Bytes, std::io::Error>> = Vec::new();
    let problem = |line: usize, code: &str, status: u16| json!({ "line": line, "problem": { "type": format!("/errors/{code}"), "title": code, "status": status } });
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let answer = match fake.act(line) {
            Act::Take => json!({ "line": number, "order_id": format!("ord_{line}") }),
            Act::Say(code, status) => problem(number, code, status),
            Act::TakeAndBreak => {
                pieces.push(Err(std::io::Error::other("broken on purpose")));
                break;
            }
            Act::End(code) => {
                pieces.push(Ok(format!("{}\n", problem(number, code, 503)).into()));
                break;
            }
        };
        pieces.push(Ok(format!("{answer}\n").into()));
    }
    // One piece at a time, so that what comes before a break is not lost in the same write.
    let paced = futures_util::stream::iter(pieces).then(|piece| async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        piece
    });
    Body::from_stream(paced)
}

/// Imports these lines into a server with this plan.
async fn run(lines: &[Value], plan: Vec<Act>) -> (Imported, BTreeMap<String, usize>, Vec<Value>) {
    let fake = Arc::new(Fake { plan, read: AtomicUsize::new(0), taken: Mutex::default() });
    let router = Router::new()
        .route("/readyz", get(|| async { "" }))
        .route("/v1/orders", post(bulk))
        .with_state(Arc::clone(&fake));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let dir = tempfile::tempdir().expect("a directory can be made");
    let (path, refused) = (dir.path().join("orders"), dir.path().join("refused"));
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, text).expect("the file can be written");
    let client = Client::new(&url).expect("a URL");
    let imported =
        import(&client, Kind::Orders, &Input::File(path), refused.clone(), true, true).await.expect("the import ends");
    server.abort();
    let refused = std::fs::read_to_string(refused).unwrap_or_default();
    let refused = refused.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let taken = fake.taken.lock().expect("no test panics here").clone();
    (imported, taken, refused)
}

fn named(count: usize) -> Vec<Value> {
    (0..count).map(|number| json!({ "order_ref": number.to_string() })).collect()
}

#[tokio::test]
async fn a_break_loses_nothing_that_names_itself() {
    let plan = vec![Act::Take, Act::Take, Act::TakeAndBreak, Act::Take, Act::TakeAndBreak];
    let (imported, taken, refused) = run(&named(6), plan).await;
    assert_eq!(taken.len(), 6);
    // What was taken without an answer is sent once more; the server knows it by its reference.
    assert_eq!(taken.values().filter(|times| **times > 1).count(), 2);
    let tally = imported.tally;
    assert_eq!((tally.answered, tally.taken, tally.unknown, refused.len()), (6, 6, 0, 0));
    assert_eq!(tally.order_ids.map(|ids| ids.len()), Some(6));
}

#[tokio::test]
async fn a_break_doubles_nothing_that_does_not_name_itself() {
    let lines = [json!({ "n": 1 }), json!({ "n": 2 }), json!({ "n": 3, "order_ref": "3" })];
    let (imported, taken, refused) = run(&lines, vec![Act::Take, Act::TakeAndBreak]).await;
    assert!(taken.iter().all(|(line, times)| line.contains("order_ref") || *times == 1), "{taken:?}");
    let tally = imported.tally;
    assert_eq!((tally.answered, tally.unknown, imported.unnamed), (3, 1, 1));
    assert_eq!((refused.len(), &refused[0]["line"], &refused[0]["input"]["n"]), (1, &json!(2), &json!(2)));
    assert_eq!(refused[0]["problem"]["type"], "/errors/outcome_unknown");
}

#[tokio::test]
async fn lines_that_found_no_room_are_sent_again_and_refused_ones_are_not() {
    let plan =
        vec![Act::Say("overloaded", 503), Act::Say("unknown_product", 422), Act::Take, Act::Say("not_committed", 503)];
    let (imported, taken, refused) = run(&named(3), plan).await;
    assert_eq!(taken.len(), 2);
    let tally = imported.tally;
    assert_eq!((tally.taken, tally.refused_count(), refused.len()), (2, 1, 1));
    assert_eq!(tally.refused.get("unknown_product"), Some(&1));
    assert_eq!(refused[0]["line"], 2);
}

#[tokio::test]
async fn what_a_stopping_server_has_not_read_is_sent_again_even_without_a_name() {
    let lines = [json!({ "n": 1 }), json!({ "n": 2 })];
    let (imported, taken, refused) = run(&lines, vec![Act::Take, Act::End("closing")]).await;
    assert!(taken.len() == 2 && taken.values().all(|times| *times == 1), "{taken:?}");
    assert_eq!((imported.tally.taken, imported.tally.unknown, refused.len()), (2, 0, 0));
}

#[tokio::test]
async fn a_server_that_is_not_there_ends_the_import_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    let client = Client::new(&url).expect("a URL");
    let began = std::time::Instant::now();
    let outcome = import(&client, Kind::Orders, &Input::Embedded(b"{}\n"), "x".into(), false, true).await;
    let error = outcome.err().expect("nobody listens");
    assert!(error.downcast_ref::<Error>().is_some_and(Error::is_connection), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10));
}
