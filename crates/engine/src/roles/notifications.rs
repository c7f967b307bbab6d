//! Notifications: one mail per order, kind and version.
//!
//! Mails go out a batch at a time: handed over, then committed, then the next, which is written meanwhile. A local mail file is cut
//! back to its last committed mail when the commit fails, so each mail is in it once. What needs no mail is committed apart: it is of
//! any number, and must not take the mails of others along when it fails.

use std::collections::HashSet;
use std::sync::Arc;

use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input, MailResult};
use ordermill_core::limits::SUBMIT_INPUTS_MAX;
use ordermill_core::mail::OwedMail;
use ordermill_core::order::Order;
use ordermill_core::process::Step;
use ordermill_ports::mailer::{Mail, MailError, Receipt};
use ordermill_ports::{Delivery, Settlement, Submission, SubmitError};

use crate::worker::{ProductNames, Worker, after};

/// Mails written on end while the round before is handed over: a fraction of a millisecond.
const WRITTEN_AT_ONCE: usize = 32;

pub(super) async fn run(worker: Worker) {
    // The results of a round are committed in one call.
    let max = worker.settings.mail_batch.min(worker.parts.mailer.batch_max()).clamp(1, SUBMIT_INPUTS_MAX);
    let mut next = Batch::default();
    loop {
        if next.deliveries.is_empty() {
            let Some(deliveries) = worker.receive(max).await else { return };
            next.deliveries.extend_from_slice(&deliveries);
            next = next.filled(&worker, deliveries, max).await;
        }
        // What is handed over and not committed may have to be taken back, which ends with the role; nothing may come behind it.
        if worker.is_stopping() {
            return worker.parts.bus.give_back(next.deliveries).await;
        }
        next = hand_over(&worker, next, max).await;
    }
}

/// Hands a batch over, and fills the next one meanwhile with what comes in.
async fn hand_over(worker: &Worker, batch: Batch, max: usize) -> Batch {
    let deliveries = batch.deliveries.clone();
    let mut next = Batch { under_way: batch.orders.clone(), ..Batch::default() };
    let handing_over = worker.guard(Step::Notify, &deliveries, batch.hand_over(worker));
    tokio::pin!(handing_over);
    let mut is_over = false;
    while !is_over {
        let room = max.saturating_sub(next.deliveries.len());
        let received = tokio::select! {
            biased;
            _ = &mut handing_over => break,
            received = worker.receive(room), if room > 0 && !worker.is_stopping() => received,
        };
        let Some(deliveries) = received else { continue };
        next.deliveries.extend_from_slice(&deliveries);
        let filling = next.filled(worker, deliveries, max);
        tokio::pin!(filling);
        next = loop {
            tokio::select! {
                biased;
                _ = &mut handing_over, if !is_over => is_over = true,
                filled = &mut filling => break filled,
            }
        };
    }
    // What was handed over is committed now, or taken back.
    next.under_way.clear();
    match std::mem::take(&mut next.later) {
        later if later.is_empty() => next,
        later => next.filled(worker, later, max).await,
    }
}

/// One owed mail with the delivery it belongs to.
struct Entry {
    order_id: OrderId,
    owed: OwedMail,
    delivery: Delivery,
    /// Why it could not even be written; otherwise it is the next of the batch's mails.
    unwritable: Option<String>,
    /// Whether the delivery is settled with this mail: the last one of its order in this round.
    is_last: bool,
    /// Whether the order owes no mail beyond this round.
    is_complete: bool,
}

impl Entry {
    /// The delivery, once the last mail of its order in this round is dealt with.
    fn done(self, worker: &Worker) -> Settlement {
        done(worker, self.delivery, self.is_complete)
    }
}

/// A delivery whose order owes nothing more, or more than fits into a round.
fn done(worker: &Worker, delivery: Delivery, is_complete: bool) -> Settlement {
    if is_complete {
        delivery.ack()
    } else {
        delivery.retry(worker.now(), "more mails are due than fit into a round".to_owned())
    }
}

/// The mails of one round.
#[derive(Default)]
struct Batch {
    /// Everything that is dealt with in this round.
    deliveries: Vec<Delivery>,
    mails: Vec<Mail>,
    entries: Vec<Entry>,
    /// What needs no mail server.
    submissions: Vec<Submission>,
    orders: HashSet<OrderId>,
    /// Orders in the round before this one, while it is not committed: what they owe is not known yet.
    under_way: HashSet<OrderId>,
    /// Deliveries of these orders, to be looked at when it is.
    later: Vec<Delivery>,
}

impl Batch {
    /// With the mails of these deliveries, which are among its own; empty when that has panicked, as all of them are put off then.
    async fn filled(mut self, worker: &Worker, deliveries: Vec<Delivery>, max: usize) -> Self {
        let (all, under_way) = (self.deliveries.clone(), self.under_way.clone());
        let mut filled = None;
        let work = async {
            let looked_up = worker.look_up(Step::Notify, deliveries).await;
            let orders = looked_up.iter().filter_map(|(_, order)| order.as_deref());
            let names = worker.product_names(orders.filter(|order| order.due_mails().next().is_some())).await;
            for (number, (delivery, order)) in looked_up.into_iter().enumerate() {
                // Lets the round before this one go on.
                if number % WRITTEN_AT_ONCE == WRITTEN_AT_ONCE - 1 {
                    tokio::task::yield_now().await;
                }
                self.add(worker, delivery, order, &names, max);
            }
            filled = Some(self);
        };
        worker.guard(Step::Notify, &all, work).await;
        filled.unwrap_or(Self { under_way, ..Self::default() })
    }

    fn add(
        &mut self,
        worker: &Worker,
        delivery: Delivery,
        order: Option<Arc<Order>>,
        names: &ProductNames,
        max: usize,
    ) {
        let Some(order) = order else { return self.submissions.push(Submission::settle(delivery.ack())) };
        if self.under_way.contains(&order.id) {
            return self.later.push(delivery);
        }
        // More than fit into one round are sent in the next ones.
        let due: Vec<OwedMail> = order.due_mails().copied().take(max).collect();
        let is_complete = due.len() == order.due_mails().count();
        if due.is_empty() {
            return self.submissions.push(Submission::settle(delivery.ack()));
        }
        let Some(to) = &order.placement.customer_email else {
            return self.skip(worker, &order, delivery);
        };
        // Two deliveries of one order in a round: the first sends what is due. A full round leaves the rest to the next.
        if self.entries.len() + due.len() > max || !self.orders.insert(order.id) {
            let settlement = delivery.retry(worker.now(), "left to the next round".to_owned());
            return self.submissions.push(Submission::settle(settlement));
        }
        let names = names.of(&order);
        let last = due.len() - 1;
        for (index, owed) in due.into_iter().enumerate() {
            let rendered = worker.parts.templates.render(&order, owed, to, &names, worker.now());
            let unwritable = rendered.map(|mail| self.mails.push(mail)).err().map(|error| error.to_string());
            let (delivery, is_last) = (delivery.clone(), index == last);
            self.entries.push(Entry { order_id: order.id, owed, delivery, unwritable, is_last, is_complete });
        }
    }

    /// Needs no mail server, so only the bound of a call counts. The last of what is due settles the delivery.
    fn skip(&mut self, worker: &Worker, order: &Order, delivery: Delivery) {
        let due = order.due_mails().take(SUBMIT_INPUTS_MAX);
        let skip = |owed: &OwedMail| submission(order.id, *owed, MailResult::Skipped, &delivery);
        let mut skipped: Vec<Submission> = due.map(skip).collect();
        let is_complete = skipped.len() == order.due_mails().count();
        if let Some(last) = skipped.last_mut() {
            last.settles = Some(done(worker, delivery, is_complete));
        }
        self.submissions.append(&mut skipped);
    }

    async fn hand_over(mut self, worker: &Worker) {
        let others = std::mem::take(&mut self.submissions);
        tokio::join!(worker.commit_all(others), self.send(worker));
    }

    /// Hands the mails over and commits what became of them, in one call: what of it is lost is taken back as a whole.
    async fn send(self, worker: &Worker) {
        if self.entries.is_empty() {
            return;
        }
        let mut submissions = Vec::with_capacity(self.entries.len());
        let results = if self.mails.is_empty() { Vec::new() } else { worker.parts.mailer.deliver(&self.mails).await };
        let mut results = results.into_iter();
        let mut waits: Option<Settlement> = None;
        let mut sent = 0_usize;
        for entry in self.entries {
            let result = match &entry.unwritable {
                Some(reason) => Err(MailError::Refused(reason.clone())),
                None => results
                    .next()
                    .unwrap_or_else(|| Err(MailError::Unavailable("the mailer gave no answer".to_owned()))),
            };
            if result.is_ok() {
                sent += 1;
                metrics::counter!("ordermill_mails_sent_total", "kind" => entry.owed.kind.as_str()).increment(1);
            }
            let mut submission = match conclude(worker, &entry, result) {
                Conclusion::Report(result) => submission(entry.order_id, entry.owed, result, &entry.delivery),
                Conclusion::Wait(settlement) => {
                    waits = Some(settlement);
                    Submission::new(Input::new(Body::Nothing))
                }
            };
            if entry.is_last {
                submission.settles = Some(waits.take().unwrap_or_else(|| entry.done(worker)));
            }
            submissions.push(submission);
        }
        let results = worker.commit(submissions).await;
        if sent > 0 && results.iter().any(is_lost) {
            roll_back(worker).await;
        }
    }
}

/// Whether the ledger does not have it, for all that is known. A result that was refused is dealt with.
const fn is_lost<T>(result: &Result<T, SubmitError>) -> bool {
    !matches!(result, Ok(_) | Err(SubmitError::Refused(_)))
}

/// Brings the mail store back to what is committed, however long that takes: without it a mail could be in it twice.
///
/// It waits until the ledger can commit again. Only then is it certain that a commit of unknown outcome is not there: until the
/// next one is written over it, a restart may find it, and then the mails have to be there too.
async fn roll_back(worker: &Worker) {
    if !worker.parts.mailer.is_exactly_once() {
        return;
    }
    loop {
        match restore(worker).await {
            Ok(()) => return,
            Err(error) => tracing::error!(error, "the mail store could not be brought back to the last commit"),
        }
        if tokio::time::timeout(std::time::Duration::from_secs(1), worker.stopped()).await.is_ok() {
            return;
        }
    }
}

async fn restore(worker: &Worker) -> Result<(), String> {
    worker.parts.ledger.ready().await?;
    let end = worker.parts.queries.mailbox_end().await.map_err(|error| error.to_string())?;
    worker.parts.mailer.roll_back(end).await.map_err(|error| error.to_string())
}

/// What becomes of one mail.
enum Conclusion {
    /// The ledger is told.
    Report(MailResult),
    /// It is tried again.
    Wait(Settlement),
}

fn conclude(worker: &Worker, entry: &Entry, result: Result<Receipt, MailError>) -> Conclusion {
    match result {
        Ok(receipt) => Conclusion::Report(MailResult::Sent { mailbox_end: receipt.mailbox_end }),
        Err(MailError::Refused(reason)) => Conclusion::Report(MailResult::Failed { reason: reason.into() }),
        Err(error @ MailError::Unavailable(_)) => {
            let tries = entry.delivery.tries.saturating_add(1);
            let reason = error.to_string();
            match Step::Notify.row().retry.delay_after(tries, worker.parts.random.unit()) {
                Some(wait) => Conclusion::Wait(entry.delivery.clone().retry(after(worker.now(), wait), reason)),
                None => Conclusion::Report(MailResult::Failed { reason: reason.into() }),
            }
        }
    }
}

fn submission(order_id: OrderId, owed: OwedMail, result: MailResult, delivery: &Delivery) -> Submission {
    let body = Body::MailResult { order_id, kind: owed.kind, version: owed.version, result };
    Submission::new(Input::new(body).caused_by(delivery.version))
}
