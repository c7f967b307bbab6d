//! An order that is answered once it is decided, and its promise: a client that tries again never has two kept charges.
//!
//! Each order is an errand in a task of its own, as it has to be brought to its end also when its client hangs up:
//! - It is placed, and waited for. When patience is over it is called off, unless its money is taken by then: the first commit wins, and
//!   says which of the two the client is told.
//! - A client that is gone before its answer was written will try again. Its order is called off and, if it was paid already, refunded.
//!   With an `Idempotency-Key` that is needless, as the next try finds the same order.
//! - A server that dies is a client that is gone: see [`super::recovery`].

use std::sync::Arc;
use std::time::Duration;

use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input, Key, PlaceOrder};
use ordermill_core::order::{Order, Status};
use ordermill_core::refusal::Refusal;
use ordermill_ports::queries::QueryError;
use ordermill_ports::{Outcome, Source, SubmitError};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::Instrument as _;

use crate::orders::place::order_of;
use crate::problem::Problem;
use crate::state::Shared;
use crate::submit;

/// Why an order that took too long was called off.
const SYNC_TIMEOUT: &str = "sync_timeout";
/// Why an order was called off whose client did not wait for the answer.
const CLIENT_GONE: &str = "client_gone";
/// Why an order was called off that was under way when the server was stopped.
const SERVER_CLOSING: &str = "server_closing";

/// Whether an order was called off for such a reason, and not by a person.
pub(super) fn is_ours(reason: &str) -> bool {
    [SYNC_TIMEOUT, CLIENT_GONE, SERVER_CLOSING].contains(&reason)
}

/// Before the next try of what did not work.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a server that ends still waits for a decision: the roles go on meanwhile, here or elsewhere, and nearly every order is decided.
const CLOSING_PATIENCE: Duration = Duration::from_secs(2);
/// How long one try to call an order off may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often calling off is tried while a client waits for the answer.
const TRIES_WAITED_FOR: usize = 5;
/// How often it is tried for a client that is gone: about two minutes.
const TRIES_AFTERWARDS: usize = 60;

/// What became of an order, with the receipt for its answer.
pub(super) struct Told {
    /// The order as its first decision left it.
    pub order: Arc<Order>,
    /// To be signed when the answer is written; `None` when nothing depends on it.
    pub receipt: Option<Receipt>,
}

/// Says that an answer was written. Dropped unsigned, it says that it was not.
#[derive(Debug)]
pub(super) struct Receipt(oneshot::Sender<()>);

impl Receipt {
    /// The answer was written.
    pub fn sign(self) {
        // Nobody listens any more only when the process ends.
        let _ = self.0.send(());
    }
}

/// Places an order and waits until it is decided, at most as long as the settings' patience.
///
/// Dropping the future says that the client is gone.
///
/// # Errors
/// Why there is no decided order.
pub(super) async fn run(state: &Shared, request: PlaceOrder, key: Option<Key>) -> Result<Told, Problem> {
    let (answer, told) = oneshot::channel();
    let errand = Errand { state: Shared::clone(state), order_id: request.order_id, keyed: key.is_some() };
    let under_way = state.errand();
    let task = async move {
        errand.run(request, key, answer).await;
        drop(under_way);
    };
    tokio::spawn(task.in_current_span());
    // The task panicked if there is nothing.
    told.await.unwrap_or_else(|_| Err(Problem::internal(&"the task of a synchronous order ended early")))
}

pub(super) struct Errand {
    state: Shared,
    order_id: OrderId,
    keyed: bool,
}

type Answer = oneshot::Sender<Result<Told, Problem>>;

impl Errand {
    /// An order that no client waits for.
    pub fn of_nobody(state: Shared, order_id: OrderId) -> Self {
        Self { state, order_id, keyed: false }
    }

    async fn run(mut self, request: PlaceOrder, key: Option<Key>, mut answer: Answer) {
        let deadline = Instant::now() + self.state.app.settings.wire.order_api_patience;
        let order = match timeout_at(deadline, self.place(request, key)).await {
            Ok(Ok(order)) => order,
            Ok(Err(problem)) => return drop(answer.send(Err(problem))),
            Err(_elapsed) => {
                let _ = answer.send(Err(Problem::outcome_unknown()));
                return self.abandon().await;
            }
        };
        self.order_id = order.id;
        let decided = tokio::select! {
            decided = self.decision(order, deadline) => decided,
            () = answer.closed(), if !self.keyed => return self.abandon().await,
        };
        let Some(decided) = decided else {
            let _ = answer.send(Err(Problem::outcome_unknown()));
            return self.abandon().await;
        };
        self.tell(answer, decided).await;
    }

    /// Places the order. While it is not known whether that was committed it is placed again, which gives the first answer.
    async fn place(&self, request: PlaceOrder, key: Option<Key>) -> Result<Arc<Order>, Problem> {
        let input = Input::new(Body::Place(Box::new(request))).with_key(key);
        let outcome = submit::until_known(&self.state, input).await?;
        order_of(&outcome).cloned()
    }

    /// The decided order; called off if it is not decided in time. `None` when neither can be found out.
    async fn decision(&self, order: Arc<Order>, deadline: Instant) -> Option<Arc<Order>> {
        let (mut order, mut deadline) = (order, deadline);
        let mut reason = SYNC_TIMEOUT;
        while order.status.is_undecided() {
            let changed = tokio::select! {
                changed = timeout_at(deadline, self.state.app.queries.order_changed(order.id, order.version)) => changed,
                () = self.state.closed(), if reason != SERVER_CLOSING => {
                    reason = SERVER_CLOSING;
                    deadline = deadline.min(Instant::now() + CLOSING_PATIENCE);
                    continue;
                }
            };
            match changed {
                Ok(Ok(changed)) => order = changed,
                Ok(Err(error)) => {
                    tracing::warn!(%error, order_id = %order.id, "order could not be read; reading again");
                    sleep(PAUSE).await;
                }
                Err(_elapsed) => break,
            }
        }
        if order.status.is_undecided() {
            order = self.call_off_unpaid(reason).await?;
        }
        let decided = first_decision(&self.state, order).await;
        decided.inspect_err(|error| tracing::warn!(%error, order_id = %self.order_id, "order could not be read")).ok()
    }

    /// Calls the order off unless its money is taken; the order as it is then. `None` when that could not be committed.
    async fn call_off_unpaid(&self, reason: &str) -> Option<Arc<Order>> {
        let body = Body::CancelUnpaid { order_id: self.order_id, reason: reason.into() };
        match self.insist(body, TRIES_WAITED_FOR).await? {
            Ok(outcome) => outcome.order().cloned(),
            // It was decided first.
            Err(_refusal) => self.state.app.queries.order(self.order_id).await.ok().flatten(),
        }
    }

    /// Gives the decided order to the client, and calls it off if the client is not there to take it.
    async fn tell(self, answer: Answer, order: Arc<Order>) {
        // An order that is not confirmed keeps no money, and one with a key is found again by the next try.
        if self.keyed || order.status != Status::Confirmed {
            let _ = answer.send(Ok(Told { order, receipt: None }));
            return;
        }
        let (receipt, written) = oneshot::channel();
        // Whatever becomes of the answer, its receipt is signed or dropped.
        let _ = answer.send(Ok(Told { order, receipt: Some(Receipt(receipt)) }));
        if written.await.is_err() {
            self.abandon().await;
        }
    }

    /// The client is gone without its answer: the order is called off, and refunded if it was paid already.
    pub async fn abandon(self) {
        if self.keyed {
            return;
        }
        let order_id = self.order_id;
        let body = Body::Cancel { order_id, reason: CLIENT_GONE.into() };
        match self.insist(body, TRIES_AFTERWARDS).await {
            Some(Ok(outcome)) => {
                if outcome.changed {
                    tracing::info!(%order_id, "client is gone; its order was called off");
                }
            }
            // Rejected: nothing is kept. Not found to the end: it was never placed.
            Some(Err(Refusal::NotCancellable { status: Status::Rejected } | Refusal::OrderNotFound { .. })) => {}
            Some(Err(refusal)) => tracing::warn!(%order_id, %refusal, "client is gone; its order cannot be called off"),
            None => {
                tracing::error!(%order_id, "client is gone; its order could not be called off, so it may be charged twice")
            }
        }
    }

    /// Submits until it is committed or refused; `None` after so many tries. An order that is not there yet may still be on its way.
    async fn insist(&self, body: Body, tries: usize) -> Option<Result<Outcome, Refusal>> {
        let mut pause = PAUSE;
        let mut last = None;
        for _ in 0..tries {
            match timeout(TRY_TIMEOUT, self.submit(Input::new(body.clone()))).await {
                Ok(Ok(outcome)) => return Some(Ok(outcome)),
                Ok(Err(SubmitError::Refused(refusal @ Refusal::OrderNotFound { .. }))) => last = Some(Err(refusal)),
                Ok(Err(SubmitError::Refused(refusal))) => return Some(Err(refusal)),
                // The process ends.
                Ok(Err(SubmitError::Closing)) => return None,
                Ok(Err(error)) => {
                    tracing::warn!(%error, order_id = %self.order_id, "order could not be called off yet")
                }
                Err(_elapsed) => tracing::warn!(order_id = %self.order_id, "calling off was not answered yet"),
            }
            sleep(pause).await;
            pause = (2 * pause).min(PAUSE_MAX);
        }
        last
    }

    async fn submit(&self, input: Input) -> Result<Outcome, SubmitError> {
        self.state.app.ledger.submit_one(Source::Live, input).await
    }
}

/// The order as its first decision left it: what came later changes no answer that was given before.
pub(super) async fn first_decision(state: &Shared, order: Arc<Order>) -> Result<Arc<Order>, QueryError> {
    // These two are a first decision wherever they are found.
    if order.status.is_undecided() || matches!(order.status, Status::Confirmed | Status::Rejected) {
        return Ok(order);
    }
    let events = state.app.queries.order_events(order.id, 0).await?;
    let mut decided = Order::place(order.id, Arc::clone(&order.placement), order.created_at);
    for committed in events.iter().skip(1) {
        if !decided.status.is_undecided() {
            break;
        }
        decided.evolve(&committed.recorded.event, committed.recorded.at);
    }
    Ok(Arc::new(decided))
}
