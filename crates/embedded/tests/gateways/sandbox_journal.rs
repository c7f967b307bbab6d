//! The sandbox's journal: what a crash leaves behind, and what is no crash.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use ordermill_core::payment::OperationKind;
use ordermill_embedded::sandbox::{OpenError, Options, Sandbox, read_journal};
use ordermill_ports::audit::AuditError;
use ordermill_ports::clock::SystemClock;

use crate::sandbox_magic::{Shop, worked};

fn append(shop: &Shop, bytes: &[u8]) {
    OpenOptions::new().append(true).open(shop.path()).unwrap().write_all(bytes).unwrap();
}

fn open(shop: &Shop) -> Result<Sandbox, OpenError> {
    Sandbox::open(&shop.path(), Arc::new(SystemClock), Options::default())
}

#[tokio::test]
async fn a_line_is_in_the_file_when_the_answer_is_given() {
    let shop = Shop::new("ok");
    let mut lines = 1;
    for (kind, attempt) in [(OperationKind::Authorize, 1), (OperationKind::Capture, 1), (OperationKind::Refund, 1)] {
        assert!(worked(&shop.ask(kind, attempt).await));
        lines += 1;
        // Read past the sandbox, as after a kill: nothing may wait in a buffer of the process.
        let text = fs::read_to_string(shop.path()).unwrap();
        assert_eq!(text.lines().count(), lines);
        assert!(text.ends_with('\n') && text.contains(&format!("{}-1/{attempt} 1 1999 USD ok ", kind.as_str())));
    }
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_wherever_it_is_torn() {
    let mut shop = Shop::new("ok");
    assert!(worked(&shop.ask(OperationKind::Authorize, 1).await));
    let whole = fs::read(shop.path()).unwrap();
    assert!(worked(&shop.ask(OperationKind::Capture, 1).await));
    let both = fs::read(shop.path()).unwrap();
    shop.sandbox = None;
    for end in whole.len()..both.len() {
        fs::write(shop.path(), &both[..end]).unwrap();
        assert_eq!(shop.journal(), ["authorize-1/1 ok"], "the auditor leaves it out");
        shop.reopen();
        assert_eq!(fs::read(shop.path()).unwrap(), whole, "torn at {end}");
        assert_eq!(shop.look_up(OperationKind::Capture, 1).await, None);
        assert!(worked(&shop.ask(OperationKind::Capture, 1).await));
        assert_eq!(shop.journal(), ["authorize-1/1 ok", "capture-1/1 ok"]);
        shop.sandbox = None;
    }
}

#[tokio::test]
async fn a_header_torn_anywhere_is_begun_anew() {
    let mut shop = Shop::new("ok");
    let header = fs::read(shop.path()).unwrap();
    shop.sandbox = None;
    for end in 0..header.len() {
        fs::write(shop.path(), &header[..end]).unwrap();
        drop(open(&shop).unwrap());
        assert_eq!(fs::read(shop.path()).unwrap(), header, "torn at {end}");
    }
}

#[tokio::test]
async fn zeros_from_a_power_cut_are_cut_off() {
    let mut shop = Shop::new("ok");
    assert!(worked(&shop.ask(OperationKind::Authorize, 1).await));
    let whole = fs::read(shop.path()).unwrap();
    append(&shop, &vec![0; 600_000]);
    append(&shop, b"\n0193a5\n");
    shop.reopen();
    assert_eq!(fs::read(shop.path()).unwrap(), whole);
    assert!(worked(&shop.ask(OperationKind::Authorize, 1).await));
}

#[tokio::test]
async fn damage_before_good_lines_is_an_error_and_changes_nothing() {
    let mut shop = Shop::new("ok");
    assert!(worked(&shop.ask(OperationKind::Authorize, 1).await));
    assert!(worked(&shop.ask(OperationKind::Capture, 1).await));
    shop.sandbox = None;
    let mut bytes = fs::read(shop.path()).unwrap();
    let place = bytes.windows(9).position(|window| window == b"authorize").unwrap();
    bytes[place] = b'x';
    fs::write(shop.path(), &bytes).unwrap();
    let error = open(&shop).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { offset, .. } if offset > 0), "{error}");
    assert!(read_journal(&shop.path(), &mut |_| Ok(())).is_err());
    assert_eq!(fs::read(shop.path()).unwrap(), bytes);
}

#[tokio::test]
async fn a_file_of_another_kind_is_left_alone() {
    let mut shop = Shop::new("ok");
    shop.sandbox = None;
    for text in ["a letter, in one line", "a letter\nin lines\n", "# ordermill payment sandbox journal, version 2\n"] {
        fs::write(shop.path(), text).unwrap();
        assert!(matches!(open(&shop), Err(OpenError::Damaged { offset: 0, .. })), "{text:?}");
        assert_eq!(fs::read_to_string(shop.path()).unwrap(), text);
    }
}

#[test]
fn one_process_at_a_time() {
    let mut shop = Shop::new("ok");
    assert!(matches!(open(&shop), Err(OpenError::InUse { .. })));
    shop.sandbox = None;
    assert!(open(&shop).is_ok());
}

#[tokio::test]
async fn the_auditor_reads_a_live_journal_and_can_stop() {
    let shop = Shop::new("ok");
    assert!(worked(&shop.ask(OperationKind::Authorize, 1).await));
    assert!(worked(&shop.ask(OperationKind::Capture, 1).await));
    let mut entries = Vec::new();
    let stopped = read_journal(&shop.path(), &mut |entry| {
        entries.push(entry);
        Err(AuditError("enough".to_owned()))
    });
    assert_eq!(stopped.unwrap_err().to_string(), "enough");
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].key, entries[0].amount_minor), (shop.key(OperationKind::Authorize, 1), 1_999));
    let missing = shop.directory.path().join("none");
    assert!(read_journal(&missing, &mut |_| panic!("there is nothing")).is_ok());
}
