//! Hears everything that is logged in this program, and notices secrets.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing_subscriber::filter::LevelFilter;

use super::broker::{SHA_256, SHA_512, WRONG};

/// Lines with a secret, and lines of the client's.
static SECRETS: AtomicUsize = AtomicUsize::new(0);
static OF_THE_CLIENT: AtomicUsize = AtomicUsize::new(0);

/// One line of the log.
struct Ear;

impl Write for Ear {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        if [SHA_256.1, SHA_512.1, WRONG].iter().any(|secret| text.contains(secret)) {
            SECRETS.fetch_add(1, Ordering::SeqCst);
        }
        if text.contains("kafka client") {
            OF_THE_CLIENT.fetch_add(1, Ordering::SeqCst);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Listens from now on, at the most talkative level.
pub fn listen() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(|| Ear);
        log.init();
    });
}

/// How many lines had a secret in them, and how many told of the client's troubles.
pub fn heard() -> (usize, usize) {
    (SECRETS.load(Ordering::SeqCst), OF_THE_CLIENT.load(Ordering::SeqCst))
}
