//! Inventory: reserves the lines of orders whose money is held. The ledger decides; there is nothing outside to ask.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ordermill_core::input::{Body, Input};
use ordermill_ports::{Delivery, Submission};

use crate::worker::{Worker, order_id};

/// Deliveries in one commit.
const BATCH: usize = 512;
/// Commits under way at once: while one is being written, the next is being put together.
const COMMITS: usize = 3;

pub(super) async fn run(worker: Worker) {
    let mut commits = FuturesUnordered::new();
    let mut stopping = false;
    while !stopping || !commits.is_empty() {
        tokio::select! {
            Some(_) = commits.next(), if !commits.is_empty() => {}
            received = worker.receive(BATCH), if !stopping && commits.len() < COMMITS => match received {
                Some(deliveries) => commits.push(worker.commit(deliveries.into_iter().map(reserve).collect())),
                None => stopping = true,
            },
        }
    }
}

fn reserve(delivery: Delivery) -> Submission {
    match order_id(&delivery) {
        Some(order_id) => {
            let input = Input::new(Body::Reserve { order_id }).caused_by(delivery.version);
            Submission::settling(input, delivery.ack())
        }
        None => Submission::settle(delivery.ack()),
    }
}
