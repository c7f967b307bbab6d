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
use ordermill_ports::publisher::{Answer, PublishError, Publisher};
use ordermill_ports::{Delivery, Submission};
use tokio::sync::{Semaphore, mpsc, watch};
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
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// At most so often it is told that events are not taken.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(5);

/// For what a role waits for: a broker mostly is whole again within a minute.
pub(super) const FOR_ROLES: Retry = forever(60);
/// For what only readers outside wait for.
const FOR_OUTSIDE: Retry = forever(600);

/// For an event that the broker refuses for what it is: two minutes, for whoever is just about to change the topic.
const UNFIT: Retry = Retry { tries: Some(8), ..FOR_ROLES };

/// Until the broker takes it.
const fn forever(longest_s: u64) -> Retry {
    let (first, longest) = (Duration::from_secs(1), Duration::from_secs(longest_s));
    Retry { first, longest, tries: None, then: GiveUp::DeadLetter }
}

/// How an event is tried again that the broker did not take.
const fn rule(error: &PublishError) -> &'static Retry {
    match error {
        PublishError { is_for_good: true, .. } => &UNFIT,
        PublishError { is_told_to_roles: true, .. } => &FOR_OUTSIDE,
        PublishError { .. } => &FOR_ROLES,
    }
}

/// Events that were given up. Many at once are refused for the same: each has its reason in the ledger.
static GIVEN_UP: Damper = Damper::new(COMPLAINT_INTERVAL);

/// Parks a delivery in the ledger, each time for longer. Gives it up where the rule does.
pub(super) fn put_off(worker: &Worker, delivery: Delivery, rule: &Retry, reason: String) -> Submission {
    let tries = delivery.tries.saturating_add(1);
    match rule.delay_after(tries, worker.parts.random.unit()) {
        Some(wait) => Submission::settle(delivery.retry(after(worker.now(), wait), reason)),
        None => {
            if let Some(kept_back) = GIVEN_UP.pass() {
                let (position, events) = (delivery.position.0, kept_back + 1);
                tracing::error!(position, events, %reason, "an event is not taken by the broker, and is given up");
            }
            Submission::settle(delivery.dead_letter(reason))
        }
    }
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
    publisher: &'a dyn Publisher,
    /// Where the places of what is settled go back.
    room: &'a Semaphore,
    waiting: FuturesUnordered<Waiting>,
    /// What became of those that are answered for, to be committed.
    answered: Vec<Submission>,
    commits: FuturesUnordered<BoxFuture<'a, usize>>,
    /// To be given back at that time, the earliest first.
    kept: VecDeque<(Instant, Delivery)>,
    /// When it last had a word on an event that shows that it works.
    taken_at: Option<Instant>,
    /// A look at a broker that takes nothing, and when it began.
    look: Option<BoxFuture<'a, bool>>,
    looked_at: Option<Instant>,
    /// Whether it cannot be reached from here.
    is_cut_off: &'a watch::Sender<bool>,
    published: metrics::Counter,
    complaints: Damper,
}

impl<'a> Answers<'a> {
    pub(super) fn new(
        worker: &'a Worker,
        publisher: &'a dyn Publisher,
        room: &'a Semaphore,
        is_cut_off: &'a watch::Sender<bool>,
    ) -> Self {
        Self {
            worker,
            publisher,
            room,
            waiting: FuturesUnordered::new(),
            answered: Vec::new(),
            commits: FuturesUnordered::new(),
            kept: VecDeque::new(),
            taken_at: None,
            look: None,
            looked_at: None,
            is_cut_off,
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
                    None if *self.is_cut_off.borrow() => end = Some(Instant::now()),
                    None => end = Some(Instant::now() + LAST_ANSWERS),
                },
                Some((delivery, answer)) = self.waiting.next() => {
                    self.take(delivery, answer);
                    self.take_ready();
                }
                Some(count) = self.commits.next() => self.room.add_permits(count),
                is_there = look_of(&mut self.look) => {
                    self.look = None;
                    if !is_there {
                        self.is_cut_off.send_replace(true);
                    }
                }
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
                if error.is_for_good {
                    self.taken_at = Some(now);
                }
                if self.taken_at.is_some_and(|at| now.duration_since(at) < AWAY_AFTER) {
                    let rule = rule(&error);
                    self.answered.push(put_off(self.worker, delivery, rule, error.reason));
                } else {
                    self.kept.push_back((now + AWAY_PAUSE, delivery));
                    self.look(now);
                }
            }
        }
    }

    /// Finds out whether it is the broker that does not work, or the way to it.
    fn look(&mut self, now: Instant) {
        if self.look.is_none() && self.looked_at.is_none_or(|at| now.duration_since(at) >= AWAY_PAUSE) {
            self.look = Some(self.publisher.is_there());
            self.looked_at = Some(now);
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

/// What that look found; nothing, where there is none.
async fn look_of(look: &mut Option<BoxFuture<'_, bool>>) -> bool {
    match look {
        Some(look) => look.await,
        None => std::future::pending().await,
    }
}

/// That time; never, where there is none.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
