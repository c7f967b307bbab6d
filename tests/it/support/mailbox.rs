//! A look at the mail store from outside.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::server::PATIENCE;

/// How often each Message-ID stands in the mail file.
pub fn mails_by_id(data: &Path) -> BTreeMap<String, usize> {
    let text = std::fs::read(data.join("mail.mbox")).unwrap_or_default();
    let mut mails = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        if let Some(id) = line.strip_prefix(b"Message-ID: ").or_else(|| line.strip_prefix(b"Message-Id: ")) {
            *mails.entry(String::from_utf8_lossy(id).trim().to_owned()).or_default() += 1;
        }
    }
    mails
}

/// Waits until the mail store holds this many mails, and fails if it ever holds more.
pub fn wait_for_mails(data: &Path, expected: usize) -> BTreeMap<String, usize> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mails = mails_by_id(data);
        let count: usize = mails.values().sum();
        assert!(count <= expected, "{count} mails where {expected} were expected");
        if count == expected {
            return mails;
        }
        assert!(Instant::now() < deadline, "{count} of {expected} mails after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
