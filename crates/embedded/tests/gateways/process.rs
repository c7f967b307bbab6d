//! What a gateway leaves behind when its process is killed, and what it does when the disk is full: each in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ordermill_core::id::{OrderId, PaymentMethod};
use ordermill_core::input::PaymentAnswer;
use ordermill_core::mail::MailKind;
use ordermill_core::money::{Currency, Money};
use ordermill_core::payment::{OperationId, OperationKind, PaymentKey, PaymentRequest};
use ordermill_embedded::mail::{Mbox, scan_mbox};
use ordermill_embedded::sandbox::{Options, Sandbox, read_journal};
use ordermill_ports::clock::SystemClock;
use ordermill_ports::conformance::mailer::mail;
use ordermill_ports::mailer::MailError;
use ordermill_ports::payments::PaymentError;
use ordermill_ports::{Mailer, Payments};
use tempfile::TempDir;

const DIRECTORY: &str = "ORDERMILL_TEST_DIRECTORY";

/// Bytes a file may have in a process with a full disk. A shell counts in blocks of 512.
const DISK_BYTES: u64 = 16 * 512;

/// This very test again, as a process of its own that does the other half of it.
fn start(test: &str, directory: &Path, full_disk: bool) -> Child {
    let program = std::env::current_exe().unwrap();
    // A process that ignores the signal for it gets an error for what is beyond the limit, as it does on a full disk.
    let limit = if full_disk { format!("trap '' XFSZ; ulimit -f {};", DISK_BYTES / 512) } else { String::new() };
    Command::new("sh")
        .args(["-c", &format!("{limit} exec \"$0\" --exact \"$1\" --nocapture"), program.to_str().unwrap(), test])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Where a process started by [`start`] works; `None` in the test itself.
fn directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

fn sandbox(directory: &Path) -> Sandbox {
    Sandbox::open(&directory.join("sandbox.journal"), Arc::new(SystemClock), Options::default()).unwrap()
}

fn authorize(order_id: OrderId) -> PaymentRequest {
    PaymentRequest {
        key: PaymentKey { order_id, operation: OperationId { kind: OperationKind::Authorize, number: 1 }, attempt: 1 },
        amount: Money { amount_minor: 1_999, currency: Currency::USD },
        method: PaymentMethod::new("ok").unwrap(),
        authorization: None,
        unresolved: false,
    }
}

fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "said {line}").unwrap();
    out.flush().unwrap();
}

/// What a process said, without what its test harness prints.
fn said(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("said ").map(str::to_owned))
}

async fn pays_until_it_is_killed(directory: &Path) {
    let sandbox = sandbox(directory);
    loop {
        let order_id = OrderId::from_uuid(uuid::Uuid::now_v7());
        let answer = sandbox.perform(&authorize(order_id)).await.unwrap();
        assert!(matches!(answer, PaymentAnswer::Succeeded { .. }));
        say(order_id);
    }
}

#[tokio::test]
async fn a_kill_loses_no_answered_payment() {
    if let Some(directory) = directory() {
        return pays_until_it_is_killed(&directory).await;
    }
    let place = TempDir::new().unwrap();
    for round in 1..=3 {
        let mut child = start("process::a_kill_loses_no_answered_payment", place.path(), false);
        let mut lines = said(&mut child);
        let mut answered: Vec<OrderId> = lines.by_ref().take(200 * round).map(|line| line.parse().unwrap()).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        answered.extend(lines.filter_map(|line| line.parse::<OrderId>().ok()));
        assert!(answered.len() >= 200 * round);
        let sandbox = sandbox(place.path());
        for order_id in answered {
            let known = sandbox.look_up(&authorize(order_id).key).await.unwrap();
            assert!(matches!(known, Some(PaymentAnswer::Succeeded { .. })), "{order_id}");
        }
    }
}

async fn pays_until_the_disk_is_full(directory: &Path) {
    let sandbox = sandbox(directory);
    let mut failed = 0;
    for _ in 0..200 {
        let order_id = OrderId::from_uuid(uuid::Uuid::now_v7());
        match sandbox.perform(&authorize(order_id)).await {
            Ok(_) if failed == 0 => say(order_id),
            Ok(_) => panic!("a line was written behind a full disk"),
            Err(error) => {
                assert!(matches!(error, PaymentError::Unavailable(_)), "{error}");
                assert_eq!(sandbox.look_up(&authorize(order_id).key).await, Ok(None));
                failed += 1;
            }
        }
    }
    say(failed);
}

#[tokio::test]
async fn a_full_disk_refuses_payments_and_leaves_whole_lines() {
    if let Some(directory) = directory() {
        return pays_until_the_disk_is_full(&directory).await;
    }
    let place = TempDir::new().unwrap();
    let mut child = start("process::a_full_disk_refuses_payments_and_leaves_whole_lines", place.path(), true);
    let lines: Vec<String> = said(&mut child).collect();
    assert!(child.wait().unwrap().success());
    let (failed, answered) = lines.split_last().unwrap();
    assert_eq!(failed.parse::<usize>().unwrap() + answered.len(), 200);
    assert!(!answered.is_empty() && failed != "0", "{failed}");
    let path = place.path().join("sandbox.journal");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.ends_with('\n') && (text.len() as u64) <= DISK_BYTES, "a part of a line was left");
    let mut journal = Vec::new();
    let visit = &mut |entry: ordermill_ports::audit::ProviderEntry| {
        journal.push(entry.key.order_id.to_string());
        Ok(())
    };
    read_journal(&path, visit).unwrap();
    assert_eq!(journal, answered);
}

async fn sends_until_the_disk_is_full(directory: &Path) {
    let mbox = Mbox::open(&directory.join("mail.mbox"), None, "orders@example.com").unwrap();
    let mut failed = 0;
    for _ in 0..20 {
        let batch = [(); 3].map(|()| mail("household-1@example.com", MailKind::Confirmed));
        let results = mbox.deliver(&batch).await;
        if results.iter().all(Result::is_ok) {
            batch.iter().for_each(|mail| say(&mail.message_id));
        } else {
            assert!(results.iter().all(|result| matches!(result, Err(MailError::Unavailable(_)))), "{results:?}");
            failed += 1;
        }
    }
    say(failed);
}

#[tokio::test]
async fn a_full_disk_refuses_a_whole_batch_and_leaves_whole_mails() {
    if let Some(directory) = directory() {
        return sends_until_the_disk_is_full(&directory).await;
    }
    let place = TempDir::new().unwrap();
    let mut child = start("process::a_full_disk_refuses_a_whole_batch_and_leaves_whole_mails", place.path(), true);
    let lines: Vec<String> = said(&mut child).collect();
    assert!(child.wait().unwrap().success());
    let (failed, sent) = lines.split_last().unwrap();
    assert_eq!(failed.parse::<usize>().unwrap() * 3 + sent.len(), 60);
    assert!(!sent.is_empty() && failed != "0", "{failed}");
    let (path, mut stored) = (place.path().join("mail.mbox"), Vec::new());
    scan_mbox(&path, None, &mut |mail| {
        stored.push(mail.message_id);
        Ok(())
    })
    .unwrap();
    assert_eq!(stored, sent);
    assert!(std::fs::read(&path).unwrap().ends_with(b"--\n\n"), "a part of a batch was left");
}
