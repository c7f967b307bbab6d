//! Payments: asks the provider for what an order's state says is due, and reports the answer.
//!
//! Every call carries a key of order, operation and attempt, so a delivery that comes twice asks the same thing twice and gets the
//! same answer. A missing answer is never taken for a no: it is looked up, then asked again under the same key. Such follow-ups have at
//! most half of the calls: each of them may take as long as a call can, and they come back until they are answered.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::future::{Fuse, FusedFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use ordermill_core::input::{Body, Input, PaymentAnswer, PaymentResult};
use ordermill_core::order::Order;
use ordermill_core::payment::{OperationState, PaymentRequest, due_request};
use ordermill_core::process::Step;
use ordermill_ports::payments::PaymentError;
use ordermill_ports::{Delivery, Submission};

use tokio::sync::Semaphore;

use crate::worker::{PANICKED, Worker};

/// Results in one commit.
const BATCH: usize = 512;
/// Commits under way at once.
const COMMITS: usize = 3;

pub(super) async fn run(worker: Worker) {
    let concurrency = worker.settings.payments_concurrency;
    let follow_ups = Semaphore::new((concurrency / 2).max(1));
    let mut calls = FuturesUnordered::new();
    let mut commits = FuturesUnordered::new();
    let mut results: Vec<Submission> = Vec::new();
    let mut stopping = false;
    // Kept from one turn to the next: a read of the backlog that is begun is not thrown away because a call has ended.
    let receiving = Fuse::terminated();
    tokio::pin!(receiving);
    loop {
        // A provider that answers at once is served in whole batches.
        while let Some(Some(result)) = calls.next().now_or_never() {
            results.push(result);
        }
        while !results.is_empty() && commits.len() < COMMITS {
            let batch = results.drain(..results.len().min(BATCH)).collect();
            commits.push(worker.commit(batch));
        }
        let room = concurrency.saturating_sub(calls.len() + results.len());
        if !stopping && room > 0 && receiving.is_terminated() {
            receiving.set(worker.receive(room).fuse());
        }
        tokio::select! {
            Some(_) = commits.next(), if !commits.is_empty() => {}
            Some(result) = calls.next(), if !calls.is_empty() => results.push(result),
            received = &mut receiving, if !receiving.is_terminated() => match received {
                Some(deliveries) => {
                    for (delivery, order) in worker.look_up(Step::Authorize, deliveries).await {
                        calls.push(handle(&worker, &follow_ups, delivery, order));
                    }
                }
                None => stopping = true,
            },
            else => break,
        }
    }
}

/// [`act`], with a panic turned into another try of this delivery alone.
async fn handle(worker: &Worker, follow_ups: &Semaphore, delivery: Delivery, order: Option<Arc<Order>>) -> Submission {
    let acting = AssertUnwindSafe(act(worker, follow_ups, delivery.clone(), order)).catch_unwind();
    acting.await.unwrap_or_else(|_| {
        worker.report_panic();
        worker.put_off(Step::Authorize, delivery, PANICKED.to_owned())
    })
}

/// Does what is due for the order, if anything, and says what becomes of the delivery.
async fn act(worker: &Worker, follow_ups: &Semaphore, delivery: Delivery, order: Option<Arc<Order>>) -> Submission {
    let Some((order, request)) = order.and_then(|order| due_request(&order).map(|request| (order, request))) else {
        return Submission::settle(delivery.ack());
    };
    let Ok(_place) = request.unresolved.then(|| follow_ups.try_acquire()).transpose() else {
        let step = Step::of_operation(request.key.operation.kind);
        return worker.put_off(step, delivery, "as many missing answers are found out as may be at once".to_owned());
    };
    match ask(worker, &request).await {
        Ok(answer) => {
            let input = result_input(&request, answer, delivery.version);
            // What else is due has no delivery of its own when it waited for this answer.
            let settlement = if has_more_due(&order, &request) {
                delivery.retry(worker.now(), "another operation of the order is due".to_owned())
            } else {
                delivery.ack()
            };
            Submission::settling(input, settlement)
        }
        Err(error) => follow_up(worker, delivery, &request, &error),
    }
}

/// Asks the provider. An operation whose answer is missing is looked up first; a look-up that finds nothing proves nothing, so the
/// same key is asked again.
async fn ask(worker: &Worker, request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
    let payments = &worker.parts.payments;
    if request.unresolved
        && let Some(answer) = payments.look_up(&request.key).await?
    {
        return Ok(answer);
    }
    payments.perform(request).await
}

/// No answer: the delivery is parked, and the order says so unless nothing was sent.
fn follow_up(worker: &Worker, delivery: Delivery, request: &PaymentRequest, error: &PaymentError) -> Submission {
    let step = Step::of_operation(request.key.operation.kind);
    tracing::debug!(order_id = %request.key.order_id, operation = %request.key.operation, %error, "no answer");
    let version = delivery.version;
    let mut submission = worker.put_off(step, delivery, error.to_string());
    if !matches!(error, PaymentError::BreakerOpen) {
        submission.input = result_input(request, PaymentAnswer::Unknown, version);
    }
    submission
}

fn result_input(request: &PaymentRequest, answer: PaymentAnswer, cause: u32) -> Input {
    let result = PaymentResult { key: request.key, answer };
    Input::new(Body::PaymentResult(result)).caused_by(cause)
}

fn has_more_due(order: &Order, done: &PaymentRequest) -> bool {
    order.payment.operations.iter().any(|operation| {
        operation.id != done.key.operation && matches!(operation.state, OperationState::Due | OperationState::Unknown)
    })
}
