//! Mail on the local disk: one [`Mbox`] file, or a [`Maildir`].
//!
//! Both compose the same mail: text and HTML as alternatives, in plain lines that end with a line feed, as mail stores on this
//! system have them. Two local parts of an address are magic, so that failures can be shown without a mail server:
//!
//! - `bounce@…` is refused for good;
//! - `slow@…` is answered "not available" the first time and taken the next time. The one mail is late, by the wait before the
//!   caller's second try, and nothing else in its batch is: a store that really waited would hold up the whole batch, as a batch
//!   has one sync. What was tried is remembered in memory only; after a restart such a mail is late once more.

mod compose;
mod encode;
mod magic;
mod maildir;
mod mbox;
mod scan;
mod tail;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub use self::maildir::Maildir;
pub use self::mbox::Mbox;
pub use self::scan::{scan_maildir, scan_mbox};

/// Mails in one call to [`deliver`](ordermill_ports::Mailer::deliver) at the most. Enough that one sync serves many mails, few
/// enough that a batch is composed and written within a few milliseconds.
pub const BATCH_MAILS_MAX: usize = 512;

/// Bytes of one composed mail. An order of 500 lines with long product names stays far below; what is longer is refused.
pub const MAIL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The mail store could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file system refused.
    #[error("cannot open the mail store {path}: {source}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process writes this mail file.
    #[error("the mail file {path} is in use by another process", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file ends before the last mail the ledger knows of: it was cut, replaced or removed.
    #[error(
        "the mail file {path} has {length} bytes, but the ledger knows of mails up to byte {committed_end}; \
         put the right file back", path = path.display()
    )]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Its length, in bytes.
        length: u64,
        /// Where the last committed mail ends, in bytes.
        committed_end: u64,
    },
    /// There is more behind the last committed mail than one interrupted batch could have left.
    #[error(
        "the mail file {path} goes on behind byte {committed_end}, where the last mail the ledger knows of ends, with \
         {problem}; it does not belong to this ledger, or the ledger is an older copy", path = path.display()
    )]
    ForeignTail {
        /// The file.
        path: PathBuf,
        /// Where the last committed mail ends, in bytes.
        committed_end: u64,
        /// What was found there.
        problem: String,
    },
    /// The sender is no mail address.
    #[error("the sender must be a mail address such as orders@example.com or Shop <orders@example.com>")]
    BadSender,
}
