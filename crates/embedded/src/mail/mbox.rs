//! One mail file in the mboxrd format.
//!
//! A batch is one append and one sync; the ledger commits where the last mail ends together with the fact that the mails were
//! sent. What was appended and not committed is cut off again, at once or at the next open, so no mail is ever in the file twice.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_ports::Mailer;
use ordermill_ports::mailer::{Mail, MailError, Receipt};
use parking_lot::Mutex;

use super::compose::{Sender, compose};
use super::magic::Magic;
use super::{BATCH_MAILS_MAX, OpenError, tail};

/// Mails composed before others get their turn on this thread.
const COMPOSE_AT_ONCE: usize = 32;

/// A mail file, locked for its one writer.
#[derive(Debug)]
pub struct Mbox {
    sender: Sender,
    magic: Mutex<Magic>,
    store: Arc<Mutex<Store>>,
}

impl Mbox {
    /// Opens the mail file at `path`, creating it where there is none, and locks it until the mailbox is dropped.
    /// `committed_end` is where the last mail ends that the ledger knows of, in bytes; what is behind it is cut off.
    /// `from` is the sender, `orders@example.com` or `Shop <orders@example.com>`.
    ///
    /// # Errors
    /// [`OpenError`]; the file is then as it was.
    pub fn open(path: &Path, committed_end: Option<u64>, from: &str) -> Result<Self, OpenError> {
        let sender = Sender::new(from)?;
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory).map_err(failed)?;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let end = committed_end.unwrap_or(0);
        let length = file.metadata().map_err(failed)?.len();
        if length < end {
            return Err(OpenError::TooShort { path: path.to_owned(), length, committed_end: end });
        }
        if length > end {
            if let Some(problem) = tail::foreign(&file, end, length).map_err(failed)? {
                return Err(OpenError::ForeignTail { path: path.to_owned(), committed_end: end, problem });
            }
            tracing::info!(end, cut_bytes = length - end, "mails that were not committed are cut off the mail file");
            file.set_len(end).map_err(failed)?;
            file.sync_all().map_err(failed)?;
        }
        // The file's own name has to survive a power cut too.
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        let store = Store { file, path: path.to_owned(), end, floor: end, torn: false };
        Ok(Self { sender, magic: Mutex::default(), store: Arc::new(Mutex::new(store)) })
    }

    /// Composes what may go into one text, with the end of each mail within it.
    async fn compose(&self, mails: &[Mail]) -> (Vec<u8>, Vec<Result<usize, MailError>>) {
        let (mut batch, mut mail_text) = (Vec::with_capacity(mails.len() * 3_000), Vec::with_capacity(8_000));
        let mut ends = Vec::with_capacity(mails.len());
        for (number, mail) in mails.iter().enumerate() {
            if number % COMPOSE_AT_ONCE == COMPOSE_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let admitted = if number < BATCH_MAILS_MAX {
                self.magic.lock().admit(mail)
            } else {
                Err(MailError::Unavailable(format!("at most {BATCH_MAILS_MAX} mails are taken at once")))
            };
            mail_text.clear();
            let composed = admitted.and_then(|()| compose(&self.sender, mail, &mut mail_text));
            ends.push(composed.map(|()| {
                frame(self.sender.address(), mail.at, &mail_text, &mut batch);
                batch.len()
            }));
        }
        (batch, ends)
    }
}

#[async_trait]
impl Mailer for Mbox {
    async fn deliver(&self, mails: &[Mail]) -> Vec<Result<Receipt, MailError>> {
        let (batch, ends) = self.compose(mails).await;
        if batch.is_empty() {
            return ends.into_iter().map(|end| end.map(|_| Receipt::default())).collect();
        }
        let store = Arc::clone(&self.store);
        let appended = tokio::task::spawn_blocking(move || store.lock().append(&batch)).await;
        let begin = match appended {
            Ok(Ok(begin)) => Ok(begin),
            Ok(Err(error)) => Err(MailError::Unavailable(format!("the mail file cannot be written: {error}"))),
            Err(error) => Err(MailError::Unavailable(error.to_string())),
        };
        let receipt = |end: usize| begin.clone().map(|begin| Receipt { mailbox_end: Some(begin + end as u64) });
        ends.into_iter().map(|end| end.and_then(receipt)).collect()
    }

    async fn roll_back(&self, mailbox_end: Option<u64>) -> Result<(), MailError> {
        let store = Arc::clone(&self.store);
        let cut = tokio::task::spawn_blocking(move || store.lock().roll_back(mailbox_end.unwrap_or(0))).await;
        match cut {
            Ok(cut) => {
                cut.map_err(|error| MailError::Unavailable(format!("the mail file cannot be cut back: {error}")))
            }
            Err(error) => Err(MailError::Unavailable(error.to_string())),
        }
    }

    fn batch_max(&self) -> usize {
        BATCH_MAILS_MAX
    }

    fn is_exactly_once(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Store {
    file: File,
    path: PathBuf,
    /// Where the last whole mail ends, in bytes.
    end: u64,
    /// Where the last batch begins: everything before it is committed.
    floor: u64,
    /// A part of a batch is behind `end`, and could not be cut off yet.
    torn: bool,
}

impl Store {
    /// Appends a batch and syncs it; returns where it begins. On an error the file ends where it did before.
    fn append(&mut self, batch: &[u8]) -> io::Result<u64> {
        if self.torn {
            self.file.set_len(self.end)?;
            self.torn = false;
        }
        let begin = self.end;
        let written = self.file.write_all_at(batch, begin).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A failed sync too: whether the mails are on the disk is not known, so they are written anew by the next try.
            if let Err(error) = self.file.set_len(begin) {
                self.torn = true;
                tracing::error!(path = %self.path.display(), %error, "a part of a batch cannot be cut off the mail file yet");
            }
            return Err(error);
        }
        self.floor = begin;
        self.end = begin + batch.len() as u64;
        Ok(begin)
    }

    fn roll_back(&mut self, end: u64) -> io::Result<()> {
        if end < self.floor || end > self.end {
            let (floor, own) = (self.floor, self.end);
            let problem = format!("byte {end} is not within the last batch, which reaches from {floor} to {own}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        self.file.set_len(end)?;
        self.end = end;
        self.torn = false;
        Ok(())
    }
}

/// Adds a mail in the mboxrd format: a separator before it, an empty line behind it, and every line in it that could be taken
/// for a separator, or for one that was quoted, quoted once more.
fn frame(sender: &str, at: Timestamp, mail: &[u8], out: &mut Vec<u8>) {
    let date = at.strftime("%a %b %e %H:%M:%S %Y");
    writeln!(out, "From {sender} {date}").expect("writing to memory cannot fail");
    let mut copied = 0;
    for place in memchr::memmem::find_iter(mail, b"From ") {
        let line = memchr::memrchr(b'\n', &mail[..place]).map_or(0, |end| end + 1);
        if line >= copied && mail[line..place].iter().all(|byte| *byte == b'>') {
            out.extend_from_slice(&mail[copied..line]);
            out.push(b'>');
            copied = line;
        }
    }
    out.extend_from_slice(&mail[copied..]);
    out.push(b'\n');
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn framed(mail: &str) -> String {
        let mut out = Vec::new();
        frame("a@b", Timestamp::UNIX_EPOCH, mail.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_lines_that_look_like_separators_are_quoted() {
        let body = "Subject: From here\n\nFrom me\n>From me\n>>From x\n From y\nFrom: z\n> From q\nFrom From \nFrom\n";
        let expected = "From a@b Thu Jan  1 00:00:00 1970\nSubject: From here\n\n>From me\n>>From me\n>>>From x\n From y\n\
                        From: z\n> From q\n>From From \nFrom\n\n";
        assert_eq!(framed(body), expected);
    }
}
