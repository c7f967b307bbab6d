//! The payment sandbox: a provider apart from the ledger, with books of its own.
//!
//! It keeps an append-only journal, one line per completed operation, written before the answer leaves. A `kill -9` loses
//! nothing; with [`Options::fsync`] a power cut loses nothing either. Every answer is kept for ever under its key, so the same
//! request is safe to send again at any time, also after a restart.
//!
//! In memory there is one compact record per order (32 bytes with its key, 40 to 75 with the spare room of the hash maps),
//! rebuilt from the journal at open: three million paid orders take about 140 MiB. Only orders with an unusual history
//! (refusals on the way, refunds, several attempts) hold their list of operations on the heap.
//!
//! A payment method may be one of the magic words of [`Magic`].
//!
//! A journal has one process that keeps it. Where several take payments, that one offers it to them: [`service`].

mod account;
mod index;
mod journal;
mod line;
mod magic;
mod packed;
pub mod service;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::id::ProviderRef;
use ordermill_core::input::PaymentAnswer;
use ordermill_core::payment::{DeclineReason, OperationId, OperationKind, PaymentKey, PaymentRequest};
use ordermill_ports::payments::PaymentError;
use ordermill_ports::{Clock, Payments};
use thiserror::Error;

pub use self::journal::read_journal;
pub use self::magic::Magic;

use self::account::{Operation, judge};
use self::index::Index;
use self::journal::Journal;
use self::line::Line;

/// How the sandbox behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a payment with the magic method `slow` waits for each of its first answers.
    pub slow: Duration,
    /// Whether the journal is synced to the disk before each answer. Concurrent calls share one sync. Off by default: the
    /// journal then survives the end of the process, but its last lines may be lost with the power.
    pub fsync: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { slow: Duration::from_secs(2), fsync: false }
    }
}

/// The sandbox could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file system refused.
    #[error("cannot open the sandbox journal {path}: {source}", path = path.display())]
    Io {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process works on this journal.
    #[error("the sandbox journal {path} is in use by another process", path = path.display())]
    InUse {
        /// The journal.
        path: PathBuf,
    },
    /// A line cannot be read, and good lines follow it: this is no write that was cut short.
    #[error("the sandbox journal {path} is damaged at byte {offset}: {problem}", path = path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Where the bad line begins.
        offset: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A payment provider in a file.
pub struct Sandbox {
    index: Arc<Index>,
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    options: Options,
}

impl Sandbox {
    /// Opens the journal at `path`, creating it where there is none, and reads it once. The journal is locked until the
    /// sandbox is dropped. A last line that was cut short by a power cut is cut off and logged.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, clock: Arc<dyn Clock>, options: Options) -> Result<Self, OpenError> {
        let (journal, index) = Journal::open(path, options.fsync)?;
        Ok(Self { index: Arc::new(index), journal: Arc::new(journal), clock, options })
    }

    /// Answers requests and look-ups. Whatever was carried out is as durable as [`Options::fsync`] says when this returns, by one
    /// sync for all of them.
    async fn answer_all(&self, calls: &[Call]) -> Vec<Told> {
        let mut told: Vec<Told> = calls.iter().map(|call| self.answer(call)).collect();
        // What is told must not be lost with the power, whether it was done now or before.
        if let Err(error) = self.make_durable().await {
            for told in &mut told {
                *told = Told::at_once(Err(error.clone()));
            }
        }
        told
    }

    fn answer(&self, call: &Call) -> Told {
        match call {
            Call::Perform(request) => self.carry_out(request),
            Call::LookUp(key) => {
                let shard = self.index.shard(key.order_id);
                let operations = shard.operations(key.order_id);
                let known = operations.iter().find(|known| known.is(key));
                Told::at_once(Ok(known.map(|known| answer(*key, known.refused))))
            }
        }
    }

    /// What a request is told, by its magic. The write of one line goes to the page cache and takes a few microseconds, so it is done
    /// where the call runs.
    fn carry_out(&self, request: &PaymentRequest) -> Told {
        let magic = Magic::of(&request.method);
        if magic == Magic::Unknown {
            return Told::at_once(Err(PaymentError::Timeout));
        }
        match self.journalled(request, magic) {
            Ok((_, true)) if magic.loses_answer(request.key.operation.kind) => {
                Told::at_once(Err(PaymentError::Timeout))
            }
            Ok((answer, true)) if magic == Magic::Slow => Told { answer: Ok(Some(answer)), after: self.options.slow },
            Ok((answer, _)) => Told::at_once(Ok(Some(answer))),
            Err(error) => Told::at_once(Err(error)),
        }
    }

    /// The answer to a request, and whether it was carried out by this very call. Looking up, judging, writing and remembering
    /// are one step under the lock of the order's shard, so that twins get one answer.
    fn journalled(&self, request: &PaymentRequest, magic: Magic) -> Result<(PaymentAnswer, bool), PaymentError> {
        let key = request.key;
        let mut shard = self.index.shard(key.order_id);
        let mut operations = shard.operations(key.order_id);
        if let Some(known) = operations.iter().find(|known| known.is(&key)) {
            let answer = if known.asks_the_same(request) {
                answer(key, known.refused)
            } else {
                PaymentAnswer::Refused { reason: DeclineReason::Invalid }
            };
            return Ok((answer, false));
        }
        let operation = judge(&operations, request, magic);
        let line = Line { order_id: key.order_id, operation, at: self.clock.now() };
        self.journal.append(&line).map_err(|error| unavailable(&error))?;
        operations.push(operation);
        shard.store(key.order_id, &operations);
        Ok((answer(key, operation.refused), true))
    }

    /// Waits until everything written so far is on the disk, where that is asked for.
    async fn make_durable(&self) -> Result<(), PaymentError> {
        if !self.options.fsync {
            return Ok(());
        }
        let journal = Arc::clone(&self.journal);
        let synced = tokio::task::spawn_blocking(move || journal.sync()).await;
        synced.map_err(|error| PaymentError::Unavailable(error.to_string()))?.map_err(|error| unavailable(&error))
    }
}

/// What the sandbox can be asked.
#[derive(Debug, Clone)]
enum Call {
    Perform(PaymentRequest),
    LookUp(PaymentKey),
}

/// An answer, and how long its caller waits for it. `Ok(None)` is that of a look-up that found nothing.
#[derive(Debug, Clone)]
struct Told {
    answer: Result<Option<PaymentAnswer>, PaymentError>,
    after: Duration,
}

impl Told {
    const fn at_once(answer: Result<Option<PaymentAnswer>, PaymentError>) -> Self {
        Self { answer, after: Duration::ZERO }
    }
}

#[async_trait]
impl Payments for Sandbox {
    async fn perform(&self, request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
        let Told { answer, after } = self.carry_out(request);
        self.make_durable().await?;
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        Ok(answer?.expect("only a look-up finds nothing"))
    }

    async fn look_up(&self, key: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError> {
        let told = self.answer(&Call::LookUp(*key));
        self.make_durable().await?;
        told.answer
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("options", &self.options).finish_non_exhaustive()
    }
}

fn unavailable(error: &io::Error) -> PaymentError {
    PaymentError::Unavailable(format!("the sandbox journal cannot be written: {error}"))
}

fn answer(key: PaymentKey, refused: Option<DeclineReason>) -> PaymentAnswer {
    match refused {
        Some(reason) => PaymentAnswer::Refused { reason },
        None => PaymentAnswer::Succeeded { provider_ref: provider_ref(&key) },
    }
}

/// `sbx_<order hex>` for an order's first authorization, `sbx_<order hex>_capture-1` for what is done on it.
fn provider_ref(key: &PaymentKey) -> ProviderRef {
    let order = key.order_id.uuid();
    let order = order.as_simple();
    let text = match key.operation {
        OperationId { kind: OperationKind::Authorize, number: 1 } => format!("sbx_{order}"),
        operation => format!("sbx_{order}_{operation}"),
    };
    ProviderRef::new(&text).expect("a short text of letters, digits and dashes is a valid reference")
}

/// The number of the authorization a reference names within the order; `None` when it is none of this order's.
fn authorization_number(reference: &ProviderRef, key: &PaymentKey) -> Option<u16> {
    let rest = reference.as_str().strip_prefix("sbx_")?;
    let mut buffer = uuid::Uuid::encode_buffer();
    let hex: &str = key.order_id.uuid().as_simple().encode_lower(&mut buffer);
    match rest.strip_prefix(hex)? {
        "" => Some(1),
        rest => rest.strip_prefix("_authorize-")?.parse().ok(),
    }
}

impl Operation {
    fn is(&self, key: &PaymentKey) -> bool {
        self.id == key.operation && self.attempt == key.attempt
    }

    fn asks_the_same(&self, request: &PaymentRequest) -> bool {
        self.amount == request.amount
    }
}
