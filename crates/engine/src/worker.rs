//! What every role does alike: receive until told to stop, commit results, give back what could not be committed.

use std::collections::{BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ordermill_core::Timestamp;
use ordermill_core::event::Subject;
use ordermill_core::id::{OrderId, ProductId};
use ordermill_core::limits::SUBMIT_INPUTS_MAX;
use ordermill_core::order::Order;
use ordermill_core::process::{Role, Step};
use ordermill_ports::queries::QueryError;
use ordermill_ports::{Delivery, Outcome, Settlement, Source, Submission, SubmitError};
use tokio::sync::watch;

use crate::{Parts, Settings};

/// Between two tries of something that failed as the backend did.
const BACKEND_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause that a role makes for others at a time.
const SHARE_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Products asked for in one query.
const PRODUCTS_AT_ONCE: usize = 1_000;

/// Why a delivery is tried again after a panic.
pub(crate) const PANICKED: &str = "the role panicked";

/// A role's hands.
pub(crate) struct Worker {
    pub role: Role,
    pub parts: Arc<Parts>,
    pub settings: Arc<Settings>,
    stopping: watch::Receiver<bool>,
    handled: metrics::Counter,
    retried: metrics::Counter,
    given_up: metrics::Counter,
}

impl Worker {
    pub(crate) fn new(role: Role, parts: Arc<Parts>, settings: Arc<Settings>, stopping: watch::Receiver<bool>) -> Self {
        let name = role.as_str();
        Self {
            role,
            parts,
            settings,
            stopping,
            handled: metrics::counter!("ordermill_role_deliveries_total", "role" => name),
            retried: metrics::counter!("ordermill_role_retries_total", "role" => name),
            given_up: metrics::counter!("ordermill_role_dead_letters_total", "role" => name),
        }
    }

    /// A hand of the same role for its next life, after a panic.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.role, Arc::clone(&self.parts), Arc::clone(&self.settings), self.stopping.clone())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Returns when the role is told to stop.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // An error means the engine is gone, which is a reason to stop as well.
        let _ = stopping.wait_for(|stop| *stop).await;
    }

    /// The next deliveries, or `None` when the role is told to stop. A bus that fails is asked again. Safe to cancel.
    pub(crate) async fn receive(&self, max: usize) -> Option<Vec<Delivery>> {
        loop {
            tokio::select! {
                biased;
                () = self.stopped() => return None,
                received = self.parts.bus.receive(self.role, max) => match received {
                    Ok(deliveries) => return Some(deliveries),
                    Err(error) => tracing::error!(role = self.role.as_str(), %error, "the bus failed"),
                },
            }
            tokio::time::sleep(BACKEND_PAUSE).await;
        }
    }

    /// The orders of these deliveries as the ledger has them now. What the ledger cannot read now was given back; an order whose
    /// records are damaged is put off alone, so that it never keeps the others back.
    pub(crate) async fn look_up(&self, step: Step, deliveries: Vec<Delivery>) -> Vec<(Delivery, Option<Arc<Order>>)> {
        let ids: Vec<OrderId> = deliveries.iter().filter_map(order_id).collect();
        match self.parts.queries.orders(&ids).await {
            Ok(orders) => {
                let mut orders = orders.into_iter();
                let with_order = |delivery: Delivery| {
                    let order = order_id(&delivery).and_then(|_| orders.next().flatten());
                    (delivery, order)
                };
                deliveries.into_iter().map(with_order).collect()
            }
            Err(QueryError::Unreadable(_)) => self.look_up_each(step, deliveries).await,
            Err(error) => {
                tracing::error!(role = self.role.as_str(), %error, "orders could not be read");
                self.give_back(deliveries).await;
                Vec::new()
            }
        }
    }

    async fn look_up_each(&self, step: Step, deliveries: Vec<Delivery>) -> Vec<(Delivery, Option<Arc<Order>>)> {
        let mut found = Vec::with_capacity(deliveries.len());
        let mut damaged = Vec::new();
        for delivery in deliveries {
            let Some(id) = order_id(&delivery) else {
                found.push((delivery, None));
                continue;
            };
            match self.parts.queries.order(id).await {
                Ok(order) => found.push((delivery, order)),
                Err(error) => {
                    tracing::error!(role = self.role.as_str(), order_id = %id, %error, "an order cannot be read");
                    damaged.push(self.put_off(step, delivery, error.to_string()));
                }
            }
        }
        self.commit_all(damaged).await;
        found
    }

    /// Commits submissions; what was not committed is given back to the bus, and comes again. Returns the results.
    pub(crate) async fn commit(&self, submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
        let settlements: Vec<Option<Settlement>> = submissions.iter().map(|entry| entry.settles.clone()).collect();
        let results = self.parts.ledger.submit(Source::Results, submissions).await;
        let mut settled = Vec::with_capacity(settlements.len());
        let mut failed = Vec::new();
        for (settlement, result) in settlements.into_iter().zip(&results) {
            if let Err(SubmitError::Refused(refusal)) = result {
                tracing::warn!(role = self.role.as_str(), %refusal, "a result was refused");
            }
            let committed = matches!(result, Ok(_) | Err(SubmitError::Refused(_)));
            match settlement {
                Some(settlement) if committed => settled.push(settlement),
                Some(settlement) => failed.push(settlement.delivery),
                None => {}
            }
        }
        self.count(&settled);
        if let Err(error) = self.parts.bus.settled(&settled).await {
            tracing::error!(role = self.role.as_str(), %error, "settlements did not reach the bus; the deliveries come again");
        }
        if !failed.is_empty() {
            tracing::warn!(role = self.role.as_str(), deliveries = failed.len(), "results were not committed");
            self.give_back(failed).await;
        }
        results
    }

    /// [`Self::commit`] of any number of submissions: one call to a ledger takes a bounded number, so they are committed one
    /// bounded part after the other. Submissions that settle nothing belong to the next one that does, and are in one part with it,
    /// so that no delivery is settled without what came of it.
    pub(crate) async fn commit_all(&self, submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
        let mut results = Vec::with_capacity(submissions.len());
        let mut rest = submissions;
        while !rest.is_empty() {
            let later = rest.split_off(first_part(&rest));
            results.extend(self.commit(rest).await);
            rest = later;
        }
        results
    }

    /// Puts a delivery off by the step's own rule: parked for a while, in the end a dead letter where the step says so.
    pub(crate) fn put_off(&self, step: Step, delivery: Delivery, reason: String) -> Submission {
        let tries = delivery.tries.saturating_add(1);
        let wait = step.row().retry.delay_after(tries, self.parts.random.unit());
        Submission::settle(match wait {
            Some(wait) => delivery.retry(after(self.now(), wait), reason),
            None => delivery.dead_letter(reason),
        })
    }

    /// Runs work on deliveries. Should it panic, they are put off: one broken delivery must not end the role.
    pub(crate) async fn guard(&self, step: Step, deliveries: &[Delivery], work: impl Future<Output = ()>) {
        if AssertUnwindSafe(work).catch_unwind().await.is_ok() {
            return;
        }
        self.report_panic();
        let put_off = |delivery: &Delivery| self.put_off(step, delivery.clone(), PANICKED.to_owned());
        self.commit_all(deliveries.iter().map(put_off).collect()).await;
    }

    pub(crate) fn report_panic(&self) {
        metrics::counter!("ordermill_role_panics_total", "role" => self.role.as_str()).increment(1);
        tracing::error!(role = self.role.as_str(), "the role panicked; what it was working on is tried again later");
    }

    /// Puts deliveries back after a pause, so that a backend that is down is not asked without end.
    pub(crate) async fn give_back(&self, deliveries: Vec<Delivery>) {
        tokio::time::sleep(BACKEND_PAUSE).await;
        self.parts.bus.give_back(deliveries).await;
    }

    /// The names of all products of these orders. Those that cannot be had are left out.
    pub(crate) async fn product_names(&self, orders: impl Iterator<Item = &Order>) -> ProductNames {
        let lines = orders.flat_map(|order| &order.placement.lines);
        let ids: Vec<ProductId> =
            lines.map(|line| &line.product_id).collect::<BTreeSet<_>>().into_iter().cloned().collect();
        let mut names = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(PRODUCTS_AT_ONCE) {
            match self.parts.queries.products(ids).await {
                Ok(products) => names.extend(products.iter().map(|product| (product.id.clone(), product.name.clone()))),
                Err(error) => tracing::debug!(%error, "mails call products by their ids"),
            }
        }
        ProductNames(names)
    }

    /// While orders are on their way, pauses for the rest of the time that is not this role's `share_percent`, after it has worked
    /// for so long: writing and syncing many small files costs the commits of others their place at the processor and the disk.
    /// What is left over is caught up with when it is quiet.
    pub(crate) async fn keep_to_share(&self, share_percent: u32, worked: Duration) {
        let share = share_percent.clamp(1, 100);
        if share < 100 && self.orders_are_on_their_way().await {
            let pause = worked.mul_f64(f64::from(100 - share) / f64::from(share)).min(SHARE_PAUSE_MAX);
            self.pause(pause).await;
        }
    }

    /// Waits; being told to stop ends it.
    pub(crate) async fn pause(&self, pause: Duration) {
        // Over, or cut short: both are the end of the pause.
        let _ = tokio::time::timeout(pause, self.stopped()).await;
    }

    async fn orders_are_on_their_way(&self) -> bool {
        for role in [Role::Payments, Role::Notifications] {
            // A bus that cannot say is no bus to be hard on.
            if self.parts.bus.lag(role).await.map_or(true, |lag| lag.events > 0) {
                return true;
            }
        }
        false
    }

    fn count(&self, settlements: &[Settlement]) {
        use ordermill_ports::Settle;
        let of = |matches: fn(&Settle) -> bool| settlements.iter().filter(|entry| matches(&entry.how)).count() as u64;
        self.handled.increment(settlements.len() as u64);
        self.retried.increment(of(|how| matches!(how, Settle::Retry { .. })));
        self.given_up.increment(of(|how| matches!(how, Settle::DeadLetter { .. })));
    }
}

/// How many of these are committed in one call.
fn first_part(submissions: &[Submission]) -> usize {
    let Some(fitting) = submissions.get(..SUBMIT_INPUTS_MAX) else { return submissions.len() };
    let last = fitting.iter().rposition(|entry| entry.settles.is_some());
    last.map_or(SUBMIT_INPUTS_MAX, |last| last + 1)
}

/// What products are called.
pub(crate) struct ProductNames(HashMap<ProductId, Box<str>>);

impl ProductNames {
    /// The names of the order's products, by line. A product without a name is called by its id.
    pub(crate) fn of(&self, order: &Order) -> Vec<Box<str>> {
        let name = |id: &ProductId| self.0.get(id).cloned().unwrap_or_else(|| id.as_str().into());
        order.placement.lines.iter().map(|line| name(&line.product_id)).collect()
    }
}

/// The order a delivery is about.
pub(crate) const fn order_id(delivery: &Delivery) -> Option<OrderId> {
    match delivery.subject {
        Subject::Order(id) => Some(id),
        Subject::Product(_) | Subject::Customer(_) | Subject::Parcel(_) | Subject::Record(_) => None,
    }
}

/// A point in time after a wait.
pub(crate) fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}
