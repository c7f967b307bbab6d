//! What the broker says, and what becomes of the deliveries by it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use ordermill_core::limits::SUBMIT_INPUTS_MAX;
use ordermill_core::process::{GiveUp, Retry};
use ordermill_ports::damper::Damper;
use ordermill_ports::publisher::{Answer, PublishError};
use ordermill_ports::{Delivery, Submission};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::Asked;
use crate::worker::{Worker, after};

/// Commits of acknowledgements under way. What is answered while one is goes into the next.
const COMMITS: usize = 4;
/// While one is under way, another begins only for so many.
const WORTH_ANOTHER: usize = 256;

/// A broker that has taken nothing for so long is away. Then nothing is put off by the ledger: it would be all there is.
const AWAY_AFTER: Duration = Duration::from_secs(5);
/// How long what such a broker did not take is kept before it is given back. The first that it takes ends the wait of all.
const AWAY_PAUSE: Duration = Duration::from_secs(2);

/// At the end of the process the broker is given so long to answer for what it has been handed.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// At most so often it is told that events are not taken.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(5);

/// For what a role waits for: a broker mostly is whole again within a minute.
const FOR_ROLES: Retry = forever(60);
/// For what only readers outside wait for.
const FOR_OUTSIDE: Retry = forever(600);

/// Nothing that was committed is ever given up.
const fn forever(longest_s: u64) -> Retry {
    let (first, longest) = (Duration::from_secs(1), Duration::from_secs(longest_s));
    Retry { first, longest, tries: None, then: GiveUp::DeadLetter }
}

/// Parks a delivery in the ledger, each time for longer.
pub(super) fn put_off(worker: &Worker, delivery: Delivery, is_for_roles: bool, reason: String) -> Submission {
    let retry = if is_for_roles { FOR_ROLES } else { FOR_OUTSIDE };
    let tries = delivery.tries.saturating_add(1);
    let wait = retry.delay_after(tries, worker.parts.random.unit()).unwrap_or(retry.longest);
    Submission::settle(delivery.retry(after(worker.now(), wait), reason))
}

/// An event that the broker has not answered for.
struct Waiting {
    delivery: Option<Delivery>,
    answer: Answer,
}

impl Future for Waiting {
    type Output = (Delivery, Result<(), PublishError>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.answer.as_mut().poll(cx));
        let delivery = self.delivery.take().expect("it is polled until it is ready, and not again");
        Poll::Ready((delivery, answer))
    }
}

/// Everything that is under way.
pub(super) struct Answers<'a> {
    worker: &'a Worker,
    /// Where the places of what is settled go back.
    room: &'a Semaphore,
    waiting: FuturesUnordered<Waiting>,
    /// What became of those that are answered for, to be committed.
    answered: Vec<Submission>,
    commits: FuturesUnordered<BoxFuture<'a, usize>>,
    /// To be given back at that time, the earliest first.
    kept: VecDeque<(Instant, Delivery)>,
    taken_at: Option<Instant>,
    published: metrics::Counter,
    complaints: Damper,
}

impl<'a> Answers<'a> {
    pub(super) fn new(worker: &'a Worker, room: &'a Semaphore) -> Self {
        Self {
            worker,
            room,
            waiting: FuturesUnordered::new(),
            answered: Vec::new(),
            commits: FuturesUnordered::new(),
            kept: VecDeque::new(),
            taken_at: None,
            published: metrics::counter!("ordermill_relay_events_total"),
            complaints: Damper::new(COMPLAINT_INTERVAL),
        }
    }

    /// Settles what comes, until no more comes and all of it is settled or the broker has had its time.
    pub(super) async fn settle(mut self, mut asked: mpsc::UnboundedReceiver<Vec<Asked>>) {
        let mut end = None;
        while end.is_none() || !self.waiting.is_empty() || !self.commits.is_empty() {
            let back_at = self.kept.front().map(|(at, _)| *at);
            tokio::select! {
                more = asked.recv(), if end.is_none() => match more {
                    Some(more) => self.waiting.extend(more.into_iter().map(|(delivery, answer)| {
                        Waiting { delivery: Some(delivery), answer }
                    })),
                    None => end = Some(Instant::now() + LAST_ANSWERS),
                },
                Some((delivery, answer)) = self.waiting.next() => {
                    self.take(delivery, answer);
                    self.take_ready();
                }
                Some(count) = self.commits.next() => self.room.add_permits(count),
                () = until(back_at) => self.give_back(Instant::now()).await,
                () = until(end) => break,
            }
            self.commit();
        }
        self.leave().await;
    }

    /// Takes what else is answered for, so that it is committed together.
    fn take_ready(&mut self) {
        while self.answered.len() < SUBMIT_INPUTS_MAX
            && let Some(Some((delivery, answer))) = self.waiting.next().now_or_never()
        {
            self.take(delivery, answer);
        }
    }

    fn take(&mut self, delivery: Delivery, answer: Result<(), PublishError>) {
        let now = Instant::now();
        match answer {
            Ok(()) => {
                self.taken_at = Some(now);
                self.published.increment(1);
                self.answered.push(Submission::settle(delivery.ack()));
                // The broker is back.
                self.kept.iter_mut().for_each(|(at, _)| *at = now.min(*at));
            }
            Err(error) => {
                if let Some(kept_back) = self.complaints.pass() {
                    let events = kept_back + 1;
                    tracing::error!(events, %error, "events were not published; they are published again");
                }
                if self.taken_at.is_some_and(|at| now.duration_since(at) < AWAY_AFTER) {
                    let is_for_roles = !error.is_told_to_roles;
                    self.answered.push(put_off(self.worker, delivery, is_for_roles, error.reason));
                } else {
                    self.kept.push_back((now + AWAY_PAUSE, delivery));
                }
            }
        }
    }

    /// Commits what is answered for: at once when nothing is being committed, else once it is worth it.
    fn commit(&mut self) {
        while !self.answered.is_empty()
            && (self.commits.is_empty() || self.answered.len() >= WORTH_ANOTHER && self.commits.len() < COMMITS)
        {
            let later = self.answered.split_off(self.answered.len().min(SUBMIT_INPUTS_MAX));
            let now = std::mem::replace(&mut self.answered, later);
            let worker = self.worker;
            let commit = async move {
                let count = now.len();
                worker.commit(now).await;
                count
            };
            self.commits.push(commit.boxed());
        }
    }

    /// Gives back what was kept until now.
    async fn give_back(&mut self, now: Instant) {
        let due = self.kept.iter().take_while(|(at, _)| *at <= now).count();
        let back: Vec<Delivery> = self.kept.drain(..due).map(|(_, delivery)| delivery).collect();
        self.worker.parts.bus.give_back(back).await;
        self.room.add_permits(due);
    }

    /// What is not settled is for whoever comes next.
    async fn leave(mut self) {
        let waiting = std::mem::take(&mut self.waiting).into_iter().filter_map(|waiting| waiting.delivery);
        let back: Vec<Delivery> = waiting.chain(self.kept.drain(..).map(|(_, delivery)| delivery)).collect();
        if !back.is_empty() {
            self.worker.parts.bus.give_back(back).await;
        }
        self.commit();
        while self.commits.next().await.is_some() {
            self.commit();
        }
    }
}

/// That time; never, where there is none.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
