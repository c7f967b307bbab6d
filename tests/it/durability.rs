//! An answer goes out after the commit is on the disk: shown by a trace of the system calls of a server that places one order.

use std::process::Command;

use crate::support::{Server, Shop, ordermill};

/// The places of the four moments in a trace, each the first behind the one before; `None` from the first that is missing.
fn moments(trace: &str) -> Option<[usize; 4]> {
    let lines: Vec<&str> = trace.lines().collect();
    let position = |from: usize, matches: &dyn Fn(&str) -> bool| {
        lines.iter().enumerate().skip(from).find(|(_, line)| matches(line)).map(|(index, _)| index)
    };
    let asked = position(0, &|line| line.contains("\"POST /v1/orders"))?;
    let written = position(asked, &|line| line.contains("pwrite64(") && line.contains("ordermill.db-wal"))?;
    // A call that another thread interrupted in the trace ends in a line of its own, which no longer names the file.
    let synced = position(written, &|line| {
        line.contains("fdatasync")
            && line.ends_with("= 0")
            && (line.contains("ordermill.db-wal") || line.contains("resumed"))
    })?;
    let answered = position(asked, &|line| line.contains("\"HTTP/1.1 202"))?;
    Some([asked, written, synced, answered])
}

fn is_durable(trace: &str) -> bool {
    moments(trace).is_some_and(|moments| moments.is_sorted())
}

#[tokio::test]
async fn the_answer_goes_out_after_the_log_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let trace = folder.path().join("trace");
    let program = ordermill();
    let mut command = Command::new("strace");
    // The tracer beside the server, not above it: so the server is the process that is started, and killed.
    command.args([
        "-D",
        "-f",
        "-y",
        "-s",
        "64",
        "-e",
        "trace=read,recvfrom,write,writev,sendto,pwrite64,fdatasync,fsync",
        "-o",
    ]);
    command.arg(&trace).arg(program.get_program());
    for (name, value) in program.get_envs() {
        if value.is_none() {
            command.env_remove(name);
        }
    }
    let server = Server::spawn(command, &data);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 10).await;
    // Mails, archive and checkpoints are idle by now.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let answer = shop.post("/v1/orders", Shop::order("P1", 1)).await;
    assert_eq!(answer.status, 202);
    shop.wait_for_event(&answer.order_id(), "notification.sent").await;
    drop(server);

    // The tracer ends a moment behind the server.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let trace = loop {
        let text = std::fs::read_to_string(&trace).unwrap();
        if text.contains("+++ killed by SIGKILL +++") || std::time::Instant::now() > deadline {
            break text;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(is_durable(&trace), "{:?} in\n{trace}", moments(&trace));
}

#[test]
fn a_trace_without_the_sync_or_with_the_answer_before_it_fails() {
    let asked = "7 read(9<TCP:[a]>, \"POST /v1/orders HTTP/1.1\", 64) = 64";
    let written = "8 pwrite64(5</d/ordermill.db-wal>, \"x\", 4096, 32) = 4096";
    let synced = "8 fdatasync(5</d/ordermill.db-wal>) = 0";
    let answered = "7 write(9<TCP:[a]>, \"HTTP/1.1 202 Accepted\", 64) = 64";
    assert!(is_durable(&[asked, written, synced, answered].join("\n")));
    assert!(!is_durable(&[asked, written, answered].join("\n")), "synchronous=OFF");
    assert!(!is_durable(&[asked, written, answered, synced].join("\n")), "answered too early");
    assert!(!is_durable(&[asked, synced, written, answered].join("\n")), "synced before it was written");
}
