//! A directory with one file per mail.
//!
//! A mail's file name follows from its Message-ID, so that one handed over twice replaces itself instead of appearing twice,
//! unless a mail program has moved the first one to `cur` meanwhile. The files of a batch are made durable by one `syncfs`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use ordermill_ports::Mailer;
use ordermill_ports::mailer::{Mail, MailError, Receipt};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::compose::{Sender, compose};
use super::magic::Magic;
use super::{BATCH_MAILS_MAX, OpenError};

/// Unfinished files older than this are of nobody's work under way (the time the maildir format names).
const UNFINISHED_KEPT: Duration = Duration::from_secs(36 * 3_600);

/// A maildir.
#[derive(Debug)]
pub struct Maildir {
    sender: Sender,
    magic: Mutex<Magic>,
    folder: Arc<Folder>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Any file of the file system will do for `syncfs`.
    handle: File,
}

/// A composed mail with its place in the text of the batch.
struct Composed {
    /// Which mail of the batch.
    number: usize,
    name: String,
    end: usize,
}

impl Maildir {
    /// Opens the maildir at `path`, creating it where there is none. `from` is the sender, `orders@example.com` or
    /// `Shop <orders@example.com>`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, from: &str) -> Result<Self, OpenError> {
        let sender = Sender::new(from)?;
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(path.join(part)).map_err(failed)?;
        }
        remove_unfinished(&path.join("tmp")).map_err(failed)?;
        let handle = File::open(path).map_err(failed)?;
        Ok(Self { sender, magic: Mutex::default(), folder: Arc::new(Folder { path: path.to_owned(), handle }) })
    }

    fn compose(&self, mails: &[Mail], text: &mut Vec<u8>) -> (Vec<Result<Receipt, MailError>>, Vec<Composed>) {
        let mut composed = Vec::with_capacity(mails.len());
        let results = mails.iter().enumerate().map(|(number, mail)| {
            if number >= BATCH_MAILS_MAX {
                let problem = format!("at most {BATCH_MAILS_MAX} mails are taken at once");
                return Err(MailError::Unavailable(problem));
            }
            self.magic.lock().admit(mail)?;
            compose(&self.sender, mail, text)?;
            composed.push(Composed { number, name: file_name(&mail.message_id), end: text.len() });
            Ok(Receipt::default())
        });
        (results.collect(), composed)
    }
}

#[async_trait]
impl Mailer for Maildir {
    async fn deliver(&self, mails: &[Mail]) -> Vec<Result<Receipt, MailError>> {
        let mut text = Vec::with_capacity(mails.len() * 3_000);
        let (mut results, composed) = self.compose(mails, &mut text);
        if composed.is_empty() {
            return results;
        }
        let numbers: Vec<usize> = composed.iter().map(|mail| mail.number).collect();
        let folder = Arc::clone(&self.folder);
        let written = tokio::task::spawn_blocking(move || folder.write(&composed, &text)).await;
        let failed = match written {
            Ok(failed) => failed,
            Err(error) => numbers.into_iter().map(|number| (number, io::Error::other(error.to_string()))).collect(),
        };
        for (number, error) in failed {
            results[number] = Err(MailError::Unavailable(format!("the mail cannot be written: {error}")));
        }
        results
    }

    fn batch_max(&self) -> usize {
        BATCH_MAILS_MAX
    }
}

impl Folder {
    /// Writes the mails and syncs once; returns the ones that failed.
    fn write(&self, mails: &[Composed], text: &[u8]) -> Vec<(usize, io::Error)> {
        let mut failed = Vec::new();
        let mut begin = 0;
        for mail in mails {
            if let Err(error) = self.write_one(&mail.name, &text[begin..mail.end]) {
                failed.push((mail.number, error));
            }
            begin = mail.end;
        }
        if let Err(error) = rustix::fs::syncfs(&self.handle) {
            return mails.iter().map(|mail| (mail.number, error.into())).collect();
        }
        failed
    }

    fn write_one(&self, name: &str, text: &[u8]) -> io::Result<()> {
        // The process id keeps two processes that send the same mail from writing into one file.
        let unfinished = self.path.join("tmp").join(format!("{name}.{}", std::process::id()));
        let written = File::create(&unfinished)
            .and_then(|mut file| file.write_all(text))
            .and_then(|()| fs::rename(&unfinished, self.path.join("new").join(name)));
        if written.is_err() {
            // What is left is no mail yet; should it stay, the next open removes it.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }
}

/// The Message-ID without its brackets where that is a safe file name, else its hash.
fn file_name(message_id: &str) -> String {
    let inner = message_id.trim_start_matches('<').trim_end_matches('>');
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@');
    if inner.bytes().all(safe) && inner.len() <= 200 && !inner.starts_with('.') {
        return inner.to_owned();
    }
    Sha256::digest(message_id).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn remove_unfinished(directory: &Path) -> io::Result<()> {
    let now = SystemTime::now();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let age = entry.metadata()?.modified().ok().and_then(|modified| now.duration_since(modified).ok());
        if age.is_some_and(|age| age > UNFINISHED_KEPT) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
