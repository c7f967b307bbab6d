//! Counts fulfilment from outside: mails as they appear in the mail store.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use uuid::Uuid;

use super::{figures, maildir};

/// How a mail's name begins in its head.
const NAME: &[u8] = b"Message-ID: <ord_";
/// How often a store that does not grow is looked at: the resolution of the latencies.
pub(super) const POLL: Duration = Duration::from_millis(1);
const CHUNK_BYTES: usize = 256 * 1024;
/// No line that matters is longer.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Where the mails go.
#[derive(Debug, Clone)]
pub(super) enum Store {
    /// Into this file.
    File(PathBuf),
    /// Into this maildir, which several processes share.
    Directory(PathBuf),
}

/// A mail store, read as it grows.
pub(super) struct Mailbox {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<io::Result<()>>>,
}

/// What the reader's thread and the others share.
pub(super) struct Shared {
    began: Instant,
    stop: AtomicBool,
    count: AtomicU64,
    /// When the newest mail was seen, in microseconds since `began`.
    newest_us: AtomicU64,
    samples: Mutex<Samples>,
}

/// Times between the answer to an order and its mail, in microseconds.
struct Samples {
    waiting: HashMap<Uuid, Seen>,
    /// From then on.
    since: Option<Instant>,
    latency_us: Histogram<u64>,
}

/// What came first of an order.
enum Seen {
    Answered(Instant),
    Mailed(Instant),
}

impl Mailbox {
    /// Follows the store from its present end; one that is not there yet is waited for.
    pub(super) fn follow(store: &Store) -> anyhow::Result<Self> {
        let samples = Samples { waiting: HashMap::new(), since: None, latency_us: Histogram::new(3)? };
        let shared = Arc::new(Shared {
            began: Instant::now(),
            stop: AtomicBool::new(false),
            count: AtomicU64::new(0),
            newest_us: AtomicU64::new(0),
            samples: Mutex::new(samples),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("mailbox".to_owned());
        let reader = match store.clone() {
            Store::File(path) => {
                let begin = std::fs::metadata(&path).map_or(0, |data| data.len());
                thread.spawn(move || theirs.read(&path, begin))?
            }
            Store::Directory(path) => {
                let mut arrivals = maildir::Arrivals::watch(&path)?;
                thread.spawn(move || arrivals.read(&theirs))?
            }
        };
        Ok(Self { shared, reader: Some(reader) })
    }

    /// Mails seen so far.
    pub(super) fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Acquire)
    }

    /// When the newest mail was seen.
    pub(super) fn newest(&self) -> Instant {
        self.shared.began + Duration::from_micros(self.shared.newest_us.load(Ordering::Acquire))
    }

    /// Orders answered from now on are measured.
    pub(super) fn begin_samples(&self) {
        self.shared.samples().since = Some(Instant::now());
    }

    /// An order was accepted; the answer was complete at `at`.
    pub(super) fn answered(&self, order: Uuid, at: Instant) {
        if is_sampled(order) {
            self.shared.samples().meet(order, Seen::Answered(at));
        }
    }

    /// Waits until that many mails were seen, and gives the time of the newest; `None` when none came for `patience`.
    pub(super) async fn wait_for(&self, count: u64, patience: Duration) -> Option<Instant> {
        let mut seen = (self.count(), Instant::now());
        while self.count() < count {
            if self.count() > seen.0 {
                seen = (self.count(), Instant::now());
            }
            if seen.1.elapsed() > patience {
                return None;
            }
            tokio::time::sleep(POLL).await;
        }
        Some(self.newest())
    }

    /// Ends, and gives the latencies in microseconds.
    pub(super) fn finish(mut self) -> anyhow::Result<Histogram<u64>> {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(reader) = self.reader.take() {
            reader.join().map_err(|_| anyhow::anyhow!("the reader of the mail file panicked"))??;
        }
        Ok(self.shared.samples().latency_us.clone())
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

/// One order in eight: enough for quantiles, little enough not to be felt.
fn is_sampled(order: Uuid) -> bool {
    order.as_bytes()[15].is_multiple_of(8)
}

impl Samples {
    /// Takes one of the two things that happen to a sampled order, in either order.
    fn meet(&mut self, order: Uuid, seen: Seen) {
        let Some(before) = self.waiting.remove(&order) else {
            self.waiting.insert(order, seen);
            return;
        };
        let (answered, mailed) = match (before, seen) {
            (Seen::Answered(answered), Seen::Mailed(mailed)) | (Seen::Mailed(mailed), Seen::Answered(answered)) => {
                (answered, mailed)
            }
            (Seen::Answered(_), Seen::Answered(_)) | (Seen::Mailed(_), Seen::Mailed(_)) => return,
        };
        if self.since.is_some_and(|since| answered >= since) {
            // A mail can be there before its answer has been read.
            let latency = mailed.saturating_duration_since(answered);
            figures::record(&mut self.latency_us, latency);
        }
    }
}

impl Shared {
    fn samples(&self) -> std::sync::MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody wants to know of more.
    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn read(&self, path: &Path, begin: u64) -> io::Result<()> {
        let mut file = loop {
            match File::open(path) {
                Ok(file) => break file,
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) if self.is_over() => return Ok(()),
                Err(_) => std::thread::sleep(POLL),
            }
        };
        file.seek(SeekFrom::Start(begin))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut lines = Lines::default();
        loop {
            let count = file.read(&mut chunk)?;
            if count > 0 {
                lines.push(&chunk[..count], &mut |name| self.see(name));
            } else if self.is_over() {
                return Ok(());
            } else {
                // A file that was cut back to its committed end goes on from there.
                let position = file.stream_position()?;
                let length = file.metadata()?.len();
                if length < position {
                    file.seek(SeekFrom::Start(length))?;
                }
                std::thread::sleep(POLL);
            }
        }
    }

    /// A mail has come; its name is that of its order, without `ord_`, and what follows.
    pub(super) fn see(&self, name: &[u8]) {
        let now = Instant::now();
        let us = now.duration_since(self.began).as_micros();
        self.newest_us.store(u64::try_from(us).unwrap_or(u64::MAX), Ordering::Release);
        self.count.fetch_add(1, Ordering::AcqRel);
        if let Some(order) = name.get(..32).and_then(|hex| Uuid::try_parse_ascii(hex).ok())
            && is_sampled(order)
        {
            self.samples().meet(order, Seen::Mailed(now));
        }
    }
}

/// Finds the lines that name a mail, over the borders of chunks.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    fn push(&mut self, mut chunk: &[u8], on_name: &mut dyn FnMut(&[u8])) {
        while let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
            let line = &chunk[..end];
            if self.begun.is_empty() {
                look(line, on_name);
            } else {
                self.begun.extend_from_slice(&line[..line.len().min(LINE_BYTES_MAX)]);
                look(&self.begun, on_name);
                self.begun.clear();
            }
            chunk = &chunk[end + 1..];
        }
        if self.begun.len() < LINE_BYTES_MAX {
            self.begun.extend_from_slice(&chunk[..chunk.len().min(LINE_BYTES_MAX)]);
        }
    }
}

fn look(line: &[u8], on_name: &mut dyn FnMut(&[u8])) {
    if let Some(name) = line.strip_prefix(NAME) {
        on_name(name);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn mail(order: Uuid) -> String {
        format!("From - today\r\nMessage-ID: <ord_{}.confirmed.1@ordermill>\r\n\r\nHello\r\n\r\n", order.as_simple())
    }

    #[test]
    fn names_are_found_however_the_text_is_cut() {
        let text = [mail(Uuid::from_u128(1)), mail(Uuid::from_u128(2))].concat();
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                lines.push(chunk, &mut |name| found.push(String::from_utf8(name[..32].to_vec()).expect("hex digits")));
            }
            let expected = [1_u128, 2].map(|number| Uuid::from_u128(number).as_simple().to_string());
            assert_eq!(found, expected, "chunks of {size}");
        }
    }

    #[tokio::test]
    async fn mails_in_a_maildir_are_counted_once_each() {
        let directory = tempfile::tempdir().expect("a directory");
        let (new, tmp) = (directory.path().join("new"), directory.path().join("tmp"));
        for part in [&new, &tmp] {
            std::fs::create_dir(part).expect("a directory");
        }
        let put = |number: u128| {
            let name = format!("ord_{}.confirmed.1@ordermill", Uuid::from_u128(number).as_simple());
            std::fs::write(tmp.join(&name), "mail").expect("room");
            std::fs::rename(tmp.join(&name), new.join(&name)).expect("the same file system");
        };
        put(8);
        let mailbox = Mailbox::follow(&Store::Directory(directory.path().to_owned())).expect("a mailbox");
        mailbox.begin_samples();
        mailbox.answered(Uuid::from_u128(16), Instant::now());
        // One from before again, a new one, and that one again.
        [8, 16, 16, 24].into_iter().for_each(put);
        assert!(mailbox.wait_for(2, Duration::from_secs(10)).await.is_some());
        assert!(mailbox.wait_for(3, Duration::from_millis(50)).await.is_none(), "one was counted twice");
        assert_eq!(mailbox.finish().expect("latencies").len(), 1);
    }

    #[tokio::test]
    async fn mails_are_counted_as_they_come_and_timed_from_the_answer() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("mail.mbox");
        std::fs::write(&path, mail(Uuid::from_u128(0))).expect("an earlier mail");
        let mailbox = Mailbox::follow(&Store::File(path.clone())).expect("a mailbox");
        mailbox.begin_samples();
        let sampled = Uuid::from_u128(8);
        mailbox.answered(sampled, Instant::now());
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut file = File::options().append(true).open(&path).expect("the file");
        file.write_all(mail(sampled).as_bytes()).expect("room");
        assert!(mailbox.wait_for(1, Duration::from_secs(10)).await.is_some());
        assert!(mailbox.wait_for(2, Duration::from_millis(20)).await.is_none(), "no second mail came");
        let latency = mailbox.finish().expect("latencies");
        assert_eq!(latency.len(), 1);
        assert!(latency.max() >= 15_000, "{}", latency.max());
    }
}
