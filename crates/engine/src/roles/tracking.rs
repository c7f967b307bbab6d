//! Tracking: moves an order with what the carrier reports of its parcel.
//!
//! A parcel is followed by itself, whether or not its order is known. When it has moved, this role finds the order of ours by what
//! the carrier calls it (our order id, otherwise the shop's reference) and hands it everything of the parcel that it has missed. So
//! deliveries may come doubled, late and in any order: what counts is the parcel and the order as they are now.
//!
//! A parcel of an order that we do not know is dealt with at once. **An order that is placed later than the first reports of its
//! parcel catches up with the next one**, which brings the earlier ones with it: until then the order does not show them.
//!
//! Orders are moved by one commit at a time: two that overlap would read the same order and hand it the same moves. Should that happen
//! all the same (two processes, a commit of unknown outcome), the order takes each of them once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{Fuse, FusedFuture, join_all, try_join};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use ordermill_core::event::{Event, ParcelMove, Subject};
use ordermill_core::id::{OrderId, OrderRef, ParcelId};
use ordermill_core::input::{Body, Input};
use ordermill_core::parcel::Parcel;
use ordermill_core::process::Step;
use ordermill_ports::queries::{Committed, QueryError};
use ordermill_ports::{Delivery, Submission};

use crate::worker::Worker;

/// Deliveries looked up together, and acknowledged in one commit where there is nothing to move.
const BATCH: usize = 1_024;
/// Commits of mere acknowledgements under way at once.
const COMMITS: usize = 3;
/// Parcels read at once.
const READS: usize = 32;

pub(super) async fn run(worker: Worker) {
    let mut commits = FuturesUnordered::new();
    let mut stopping = false;
    // Kept from one turn to the next: a read of the backlog that is begun is not thrown away because a commit has ended.
    let receiving = Fuse::terminated();
    tokio::pin!(receiving);
    loop {
        if !stopping && commits.len() < COMMITS && receiving.is_terminated() {
            receiving.set(worker.receive(BATCH).fuse());
        }
        tokio::select! {
            Some(_) = commits.next(), if !commits.is_empty() => {}
            received = &mut receiving, if !receiving.is_terminated() => match received {
                Some(deliveries) => {
                    let mut done = Vec::new();
                    let work = async { done = follow(&worker, deliveries.clone()).await };
                    worker.guard(Step::Track, &deliveries, work).await;
                    if !done.is_empty() {
                        commits.push(worker.commit(done));
                    }
                }
                None => stopping = true,
            },
            else => break,
        }
    }
}

/// A parcel of an order of ours, with the deliveries about it.
struct Known {
    parcel_id: ParcelId,
    order_id: OrderId,
    deliveries: Vec<Delivery>,
}

/// Moves the orders of ours that these deliveries are about. Returns the acknowledgements of all other deliveries, one for each.
async fn follow(worker: &Worker, deliveries: Vec<Delivery>) -> Vec<Submission> {
    let mut done = Vec::new();
    let mut by_parcel: BTreeMap<ParcelId, Vec<Delivery>> = BTreeMap::new();
    for delivery in deliveries {
        match &delivery.subject {
            Subject::Parcel(id) => by_parcel.entry(id.clone()).or_default().push(delivery),
            _ => done.push(Submission::settle(delivery.ack())),
        }
    }
    let ids: Vec<ParcelId> = by_parcel.keys().cloned().collect();
    let found = match find_orders(worker, &ids).await {
        Ok(found) => found.into_iter().map(Ok).collect(),
        Err(QueryError::Unreadable(_)) => find_each_order(worker, &ids).await,
        Err(error) => vec![Err(error); ids.len()],
    };
    let mut known = Vec::new();
    let mut lost = Vec::new();
    let mut unknown = 0_u64;
    for ((parcel_id, deliveries), order_id) in by_parcel.into_iter().zip(found) {
        match order_id {
            Ok(Some(order_id)) => known.push(Known { parcel_id, order_id, deliveries }),
            Ok(None) => {
                unknown += deliveries.len() as u64;
                done.extend(deliveries.into_iter().map(|delivery| Submission::settle(delivery.ack())));
            }
            Err(error) => unread(worker, deliveries, &error, &mut done, &mut lost),
        }
    }
    metrics::counter!("ordermill_tracking_unmatched_total").increment(unknown);
    if !lost.is_empty() {
        worker.give_back(lost).await;
    }
    move_orders(worker, known).await;
    done
}

/// The orders that carriers call so, in the order of `ids`.
async fn find_orders(worker: &Worker, ids: &[ParcelId]) -> Result<Vec<Option<OrderId>>, QueryError> {
    let queries = &worker.parts.queries;
    let mut found: Vec<Option<OrderId>> = ids.iter().map(|id| id.as_str().parse().ok()).collect();
    let named: Vec<OrderId> = found.iter().flatten().copied().collect();
    if !named.is_empty() {
        let mut orders = queries.orders(&named).await?.into_iter();
        for slot in found.iter_mut().filter(|slot| slot.is_some()) {
            *slot = orders.next().flatten().map(|order| order.id);
        }
    }
    // A parcel's name is checked as a reference is, so each of them can be one.
    let missing = || ids.iter().zip(&found).filter(|(_, order)| order.is_none());
    let order_refs: Vec<OrderRef> = missing().filter_map(|(id, _)| OrderRef::new(id.as_str()).ok()).collect();
    if order_refs.len() != missing().count() {
        return Err(QueryError::Unreadable("the name of a parcel cannot be an order reference".to_owned()));
    }
    let mut by_ref = queries.orders_by_ref(&order_refs).await?.into_iter();
    for slot in found.iter_mut().filter(|slot| slot.is_none()) {
        *slot = by_ref.next().flatten();
    }
    Ok(found)
}

/// The same one by one, as one that cannot be read must not keep the others back.
async fn find_each_order(worker: &Worker, ids: &[ParcelId]) -> Vec<Result<Option<OrderId>, QueryError>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.push(find_orders(worker, std::slice::from_ref(id)).await.map(|found| found.into_iter().next().flatten()));
    }
    found
}

/// Hands each order what it has missed. Two parcels of one order (by its id, and by its reference) take their turns.
async fn move_orders(worker: &Worker, mut known: Vec<Known>) {
    while !known.is_empty() {
        let mut taken = BTreeSet::new();
        let (now, later): (Vec<_>, Vec<_>) = known.into_iter().partition(|entry| taken.insert(entry.order_id));
        known = later;
        let mut submissions = Vec::new();
        let mut lost = Vec::new();
        let mut rest = now.into_iter();
        loop {
            let batch: Vec<Known> = rest.by_ref().take(READS).collect();
            if batch.is_empty() {
                break;
            }
            let reads = join_all(batch.iter().map(|entry| read_missing(worker, entry))).await;
            for (entry, missing) in batch.into_iter().zip(reads) {
                match missing {
                    Ok(missing) => submissions.extend(hand_over(entry, missing)),
                    Err(error) => unread(worker, entry.deliveries, &error, &mut submissions, &mut lost),
                }
            }
        }
        let results = worker.commit_all(submissions).await;
        let moved = results.iter().flatten().filter(|outcome| outcome.changed && outcome.order().is_some()).count();
        metrics::counter!("ordermill_tracking_moves_total").increment(moved as u64);
        if !lost.is_empty() {
            worker.give_back(lost).await;
        }
    }
}

/// What the order has not seen yet of the parcel, oldest first.
async fn read_missing(worker: &Worker, entry: &Known) -> Result<Vec<ParcelMove>, QueryError> {
    let queries = &worker.parts.queries;
    let (parcel, events) = try_join(queries.parcel(&entry.parcel_id), queries.order_events(entry.order_id, 0)).await?;
    Ok(parcel.map_or_else(Vec::new, |parcel| missing(&parcel, &events)))
}

/// The parcel's reports behind the newest one that the order has. Late ones moved nothing, so they move no order either.
fn missing(parcel: &Parcel, order_events: &[Committed]) -> Vec<ParcelMove> {
    let seen: Vec<&ParcelMove> = order_events
        .iter()
        .filter_map(|event| match &event.recorded.event {
            Event::ParcelMoved(data) => Some(data),
            _ => None,
        })
        .collect();
    let moves = parcel.sightings.iter().filter(|sighting| !sighting.is_late);
    let moves: Vec<ParcelMove> =
        moves.map(|sighting| ParcelMove { status: sighting.status, seen_at: sighting.seen_at }).collect();
    let known = moves.iter().rposition(|one| seen.contains(&one)).map_or(0, |newest| newest + 1);
    moves[known..].to_vec()
}

/// The moves of one order in their order. The last one settles a delivery, so that there is one until all of them are committed.
fn hand_over(entry: Known, missing: Vec<ParcelMove>) -> Vec<Submission> {
    let Known { order_id, mut deliveries, .. } = entry;
    let mut submissions: Vec<Submission> = missing
        .into_iter()
        .map(|ParcelMove { status, seen_at }| {
            Submission::new(Input::new(Body::ParcelMoved { order_id, status, seen_at }))
        })
        .collect();
    if let Some(last) = submissions.last_mut() {
        last.settles = deliveries.pop().map(Delivery::ack);
    }
    submissions.extend(deliveries.into_iter().map(|delivery| Submission::settle(delivery.ack())));
    submissions
}

/// What the ledger cannot read now comes again; what is damaged is put off alone.
fn unread(
    worker: &Worker,
    deliveries: Vec<Delivery>,
    error: &QueryError,
    put_off: &mut Vec<Submission>,
    lost: &mut Vec<Delivery>,
) {
    tracing::error!(role = worker.role.as_str(), %error, deliveries = deliveries.len(), "a parcel or its order cannot be read");
    match error {
        QueryError::Backend(_) => lost.extend(deliveries),
        QueryError::Unreadable(_) => {
            let put_off_one = |delivery| worker.put_off(Step::Track, delivery, error.to_string());
            put_off.extend(deliveries.into_iter().map(put_off_one));
        }
    }
}
