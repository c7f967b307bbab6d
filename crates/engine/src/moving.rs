//! Moving house: a ledger into a file, and a file into a ledger of any backend. The file is a portable backup as well.
//!
//! ```text
//! LedgerReader ─► export ─► lines of JSON, a header first, a trailer with totals and a checksum last
//!                                  │
//! check (the whole file, nothing is written) ─► import ─► LedgerWriter ─► rows folded anew ─► audit, totals ─► a ledger
//! ```
//!
//! The format is described in `docs/moving.md`. What one version wrote is read by every later one; a golden file holds each.

mod export;
mod format;
mod import;
mod lines;

use std::io;

use ordermill_ports::audit::AuditError;
use ordermill_ports::moving::{Counts, MoveError, Totals};
use thiserror::Error;

pub use export::{About, export};
pub use format::FORMAT;
pub use import::{Imported, check, import};

/// What an export holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Its name, different for each export.
    pub export: String,
    /// How much of each kind there is.
    pub counts: Counts,
    /// What the rows of the ledger add up to.
    pub totals: Totals,
}

/// How far the work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Done so far.
    pub done: u64,
    /// Of so many, where that is known.
    pub total: Option<u64>,
}

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reading the ledger into the file: lines.
    Export,
    /// Reading the file to see whether it is whole: lines.
    Check,
    /// Writing what is carried: lines.
    Import,
    /// Making rows: subjects.
    Derive,
    /// Auditing.
    Audit(crate::audit::Phase),
}

/// Why a file could not become a ledger.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("the export cannot be read: {0}")]
    Input(#[source] io::Error),
    /// The file ends before its end.
    #[error("the export is cut off: it ends after line {lines}, without a trailer")]
    CutOff {
        /// Whole lines that are there.
        lines: u64,
    },
    /// The file does not begin as an export does.
    #[error("the file is no export of `ordermill export`, or damaged: its line 1 is no header")]
    NoExport,
    /// The file is not what it was.
    #[error("the export is damaged: line {line}: {problem}")]
    Damaged {
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A newer program wrote the file.
    #[error(
        "the export is of format {found}; this program knows formats up to {FORMAT}, so a newer one must import it"
    )]
    Newer {
        /// The file's format.
        found: u64,
    },
    /// The target holds the beginning of a file with other content.
    #[error(
        "what was imported before does not agree with the first {lines} lines of this file: it was another file, or one of them is damaged; empty the target to begin anew"
    )]
    OtherFile {
        /// Lines that were imported.
        lines: u64,
    },
    /// The ledger cannot be written.
    #[error(transparent)]
    Target(#[from] MoveError),
    /// The ledger cannot be audited.
    #[error("the audit could not be ended: {0}")]
    Audit(#[from] AuditError),
}
