//! Hears everything that is logged in this program: notices secrets, and keeps what an operator is told.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tracing_subscriber::filter::LevelFilter;

use super::security::broker::{SHA_256, SHA_512, WRONG};

/// Lines with a secret, and lines of the client's.
static SECRETS: AtomicUsize = AtomicUsize::new(0);
static OF_THE_CLIENT: AtomicUsize = AtomicUsize::new(0);

/// Warnings and errors.
static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// Words in such a line that end the thread that tells it, each once.
static TRAPS: Mutex<Vec<String>> = Mutex::new(Vec::new());

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
        if ["ERROR", "WARN"].iter().any(|level| text.contains(level)) {
            let trapped = TRAPS.lock().extract_if(.., |words| text.contains(words.as_str())).count();
            TOLD.lock().push(text.into_owned());
            assert_eq!(trapped, 0, "the test wants it so");
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The warnings and errors with these words in them.
pub fn told(words: &[&str]) -> Vec<String> {
    let told = TOLD.lock();
    told.iter().filter(|line| words.iter().all(|words| line.contains(words))).cloned().collect()
}

/// The thread that next tells of this in a warning or an error panics.
pub fn trap(words: &str) {
    listen();
    TRAPS.lock().push(words.to_owned());
}

/// Listens from now on, at the most talkative level.
pub fn listen() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let log = tracing_subscriber::fmt().with_ansi(false).with_max_level(LevelFilter::TRACE).with_writer(|| Ear);
        log.init();
    });
}

/// How many lines had a secret in them, and how many told of the client's troubles.
pub fn heard() -> (usize, usize) {
    (SECRETS.load(Ordering::SeqCst), OF_THE_CLIENT.load(Ordering::SeqCst))
}
