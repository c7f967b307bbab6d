//! The one place where anything durable changes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::input::{Body, Input};
use ordermill_core::order::Order;
use ordermill_core::parcel::{Parcel, Verdict};
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::refusal::Refusal;
use ordermill_core::stock::StockLevel;
use thiserror::Error;

use crate::bus::Settlement;

/// One input, with the delivery it settles: effect and acknowledgement are one commit.
#[derive(Debug, Clone)]
pub struct Submission {
    /// What is to be decided.
    pub input: Input,
    /// The delivery that is dealt with by it.
    pub settles: Option<Settlement>,
}

impl Submission {
    /// An input that settles nothing.
    #[must_use]
    pub const fn new(input: Input) -> Self {
        Self { input, settles: None }
    }

    /// An input that settles a delivery.
    #[must_use]
    pub const fn settling(input: Input, settlement: Settlement) -> Self {
        Self { input, settles: Some(settlement) }
    }

    /// A settlement alone: the delivery has nothing left to do, has to wait, or is given up.
    #[must_use]
    pub const fn settle(settlement: Settlement) -> Self {
        Self { input: Input::new(Body::Nothing), settles: Some(settlement) }
    }
}

/// Where inputs come from. Results of work begun go before new intake, and each kind of intake has its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Roles with results and acknowledgements; never refused for load.
    Results,
    /// Callers that wait for one answer.
    Live,
    /// Bulk requests and imports.
    Import,
}

/// What came of an input, after its commit.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the input was about, as it is after the commit.
    pub subject: OutcomeSubject,
    /// Whether anything changed.
    pub changed: bool,
    /// Whether this is the first answer to an input that came before.
    pub replayed: bool,
    /// Until when the key that came with the input gives this answer; told of orders. `None` when none came with it.
    pub key_expires_at: Option<Timestamp>,
}

/// What an input was about.
#[derive(Debug, Clone)]
pub enum OutcomeSubject {
    /// An order.
    Order(Arc<Order>),
    /// A product, with its stock where it was ever set.
    Product {
        /// The product.
        product: Arc<Product>,
        /// Its stock.
        stock: Option<StockLevel>,
    },
    /// Stock; on a replay as it was then.
    Stock(StockLevel),
    /// A customer.
    Customer(Arc<Customer>),
    /// A parcel, with what came of the carrier's report.
    Parcel {
        /// The parcel.
        parcel: Arc<Parcel>,
        /// What came of the report.
        verdict: Verdict,
    },
    /// A record.
    Record(Arc<Record>),
    /// Nothing: the input only carried a settlement.
    Nothing,
}

impl Outcome {
    /// The order, when it was about one.
    #[must_use]
    pub const fn order(&self) -> Option<&Arc<Order>> {
        match &self.subject {
            OutcomeSubject::Order(order) => Some(order),
            _ => None,
        }
    }
}

/// Why an input has no outcome. In every case but [`Unknown`](Self::Unknown) nothing has changed.
#[derive(Debug, Clone, Error)]
pub enum SubmitError {
    /// The order process says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too many orders are undecided.
    #[error("too many orders are under way; try again in {} s", retry_after.as_secs())]
    Overloaded {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The commit failed; nothing of it is kept.
    #[error("the ledger could not commit: {reason}")]
    NotCommitted {
        /// What the backend said.
        reason: String,
    },
    /// The connection was lost during the commit. The same input again is safe and gives the first answer.
    #[error("it is not known whether the ledger committed: {reason}")]
    Unknown {
        /// What the backend said.
        reason: String,
    },
    /// The ledger takes no more inputs, as the process is ending.
    #[error("the ledger is closing")]
    Closing,
}

/// The ledger: decides and commits.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Decides every input and commits it with its settlement in one atomic unit; many inputs share one commit. Inputs of one
    /// call that touch the same subject take effect in the order given. Answers only when durable, one result per submission,
    /// in order. An `Err` of one says nothing of the others. A refused input commits its settlement all the same: the delivery
    /// is dealt with.
    ///
    /// Submitting the same input again is safe at any time and gives the first answer.
    ///
    /// At most [`ordermill_core::limits::SUBMIT_INPUTS_MAX`] submissions in one call.
    async fn submit(&self, source: Source, submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>>;

    /// Submits one input that settles nothing.
    async fn submit_one(&self, source: Source, input: Input) -> Result<Outcome, SubmitError> {
        let results = self.submit(source, vec![Submission::new(input)]).await;
        let closing = Err(SubmitError::Closing);
        results.into_iter().next().unwrap_or(closing)
    }

    /// Whether it can commit at present.
    ///
    /// # Errors
    /// Why not, for an operator.
    async fn ready(&self) -> Result<(), String>;

    /// Returns only when the ledger has failed for good and only a restart of the process helps, with the reason for an
    /// operator. Stays pending while it works, while commits fail for a time, and after [`close`](Self::close). A ledger that
    /// cannot fail so need not tell.
    async fn failed(&self) -> String {
        std::future::pending().await
    }

    /// Commits what has been submitted, takes nothing more, and returns when everything durable is in its place.
    async fn close(&self);
}
