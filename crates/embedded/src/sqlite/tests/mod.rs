//! What only this adapter promises; everything else is in the suites of the ports.

mod audit;
mod deliveries;
mod faults;
mod indexes;
mod opening;
mod parcels;
mod subjects;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input, MailResult, PaymentResult};
use ordermill_core::mail::MailKind;
use ordermill_core::payment::{DeclineReason, OperationId, OperationKind, PaymentKey};
use ordermill_ports::conformance::shop::{Shop, refused};
use ordermill_ports::conformance::{Backend, Harness, Settings};
use ordermill_ports::ledger::Outcome;
use ordermill_ports::{Clock, Source, Submission, SubmitError};
use parking_lot::Mutex;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::writer::lanes::Command;
use super::{Options, SqliteLedger};

/// A place for a ledger, with the hands to reach into it.
pub(super) struct Place {
    dir: TempDir,
    open: Mutex<std::sync::Weak<SqliteLedger>>,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { dir: TempDir::new().expect("a directory can be made"), open: Mutex::default() }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("ordermill.db")
    }

    pub(super) fn options(&self, settings: &Settings) -> Options {
        let mut options = Options::new(self.path(), Arc::clone(&settings.clock) as Arc<dyn Clock>);
        options.policy = settings.policy.clone();
        options.undecided_max = settings.undecided_max;
        options
    }

    /// The ledger that is open.
    pub(super) fn ledger(&self) -> Arc<SqliteLedger> {
        self.open.lock().upgrade().expect("the ledger is open")
    }

    /// A copy of the files as a crash at this moment would leave them.
    pub(super) fn crashed(&self) -> Self {
        let copy = Self::new();
        for name in ["ordermill.db", "ordermill.db-wal"] {
            std::fs::copy(self.dir.path().join(name), copy.dir.path().join(name)).expect("the files are there");
        }
        copy
    }

    /// Runs SQL on the writer's own connection, between two commits.
    pub(super) async fn on_writer(&self, sql: &str) {
        let (reply, done) = oneshot::channel();
        assert!(self.ledger().shared().lanes.command(Command::Sql { sql: sql.to_owned(), reply }));
        done.await.expect("the writer is there").expect("the test's SQL is sound");
    }

    /// Runs SQL on a connection of its own.
    pub(super) fn sql(&self, sql: &str) {
        let conn = Connection::open(self.path()).expect("the database opens");
        conn.execute_batch(sql).expect("the test's SQL is sound");
    }

    /// One number from the database.
    pub(super) fn number(&self, sql: &str) -> i64 {
        let conn = Connection::open(self.path()).expect("the database opens");
        conn.query_row(sql, [], |row| row.get(0)).expect("the test's SQL is sound")
    }
}

#[async_trait]
impl Harness for Place {
    async fn open(&self, settings: &Settings) -> Backend {
        let ledger = SqliteLedger::open(self.options(settings)).expect("the ledger opens");
        *self.open.lock() = Arc::downgrade(&ledger);
        Backend::of(&ledger)
    }
}

/// Places this many orders of one apple, for one customer after the other.
pub(super) async fn place_many(shop: &Shop, count: usize, customers: usize) -> Vec<OrderId> {
    let mut ids = Vec::new();
    let mut inputs = Vec::new();
    for number in 0..count {
        let mut request = shop.request(&[("apple", 1)]);
        request.customer_id = format!("customer-{}", number % customers).parse().expect("a sound id");
        ids.push(request.order_id);
        inputs.push(Submission::new(Input::new(Body::Place(Box::new(request)))));
    }
    take_all(shop, inputs).await;
    ids
}

/// Brings placed orders to rest, the short way: declined, and nobody to mail.
pub(super) async fn put_to_rest(shop: &Shop, ids: &[OrderId]) {
    let operation = OperationId { kind: OperationKind::Authorize, number: 1 };
    let decline = |id: &OrderId| {
        let key = PaymentKey { order_id: *id, operation, attempt: 1 };
        let answer = refused(DeclineReason::InsufficientFunds);
        Submission::new(Input::new(Body::PaymentResult(PaymentResult { key, answer })))
    };
    take_all(shop, ids.iter().map(decline).collect()).await;
    let skip = |id: &OrderId| {
        let (kind, result) = (MailKind::Rejected, MailResult::Skipped);
        Submission::new(Input::new(Body::MailResult { order_id: *id, kind, version: 1, result }))
    };
    take_all(shop, ids.iter().map(skip).collect()).await;
}

async fn take_all(shop: &Shop, inputs: Vec<Submission>) {
    for result in shop.backend.ledger.submit(Source::Results, inputs).await {
        assert!(result.expect("the input is taken").changed);
    }
}

/// Whether an input came to nothing, as its commit failed.
pub(super) fn is_not_committed(result: &Result<Outcome, SubmitError>) -> bool {
    matches!(result, Err(SubmitError::NotCommitted { .. }))
}
