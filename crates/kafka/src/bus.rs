//! The bus: what the broker has for a role, and what the ledger has parked or redriven for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use ordermill_core::process::Role;
use ordermill_ports::bus::{Bus, BusError, DeadLetter, Delivery, Lag};
use ordermill_ports::publisher::{Announcement, Trace};
use ordermill_ports::{Position, Queries, Settle, Settlement};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client;
use crate::consumer::{Consumer, Desk};
use crate::error::OpenError;
use crate::lag::Remote;
use crate::options::Options;
use crate::publisher::KafkaPublisher;
use crate::seat::{Claim, Seat};
use crate::topics::Topics;

/// Copies of what roles gave up that may be under way at a time; beyond it the ledger alone has them.
const COPIES_MAX: usize = 1_024;

/// The end of a process waits for the broker for so long.
const CLOSE_MAX: Duration = Duration::from_secs(3);

/// One role in this process.
struct Chair {
    seat: Arc<Seat>,
    /// Whether what the ledger has goes before what the broker has, the next time: neither starves the other.
    ledger_first: AtomicBool,
}

/// The bus of a ledger whose events a broker carries.
///
/// The ledger must have been opened so that its own bus hands out to roles only what is parked or redriven, and everything to the relay.
pub struct KafkaBus {
    inner: Arc<dyn Bus>,
    queries: Arc<dyn Queries>,
    publisher: Arc<KafkaPublisher>,
    /// The roles that this process runs.
    chairs: HashMap<Role, Chair>,
    consumers: Mutex<Vec<Consumer>>,
    remote: Remote,
    copies: Mutex<JoinSet<()>>,
}

impl KafkaBus {
    /// Joins the groups of these roles; roles that no event reaches, and the relay, have none.
    ///
    /// # Errors
    /// [`OpenError`] when the client cannot be set up.
    pub async fn open(
        options: &Options,
        inner: Arc<dyn Bus>,
        queries: Arc<dyn Queries>,
        publisher: Arc<KafkaPublisher>,
        roles: &[Role],
    ) -> Result<Arc<Self>, OpenError> {
        let config = client::configuration(options).await?;
        let topics = Topics::new(options);
        let (mut chairs, mut consumers) = (HashMap::new(), Vec::new());
        for role in roles.iter().copied().filter(|role| !role.reacts_to().is_empty()) {
            let seat = Arc::new(Seat::default());
            let desk =
                Desk { role, seat: Arc::clone(&seat), publisher: Arc::clone(&publisher), ledger: Arc::clone(&inner) };
            consumers.push(Consumer::start(desk, topics.read_by(role), options, &config)?);
            chairs.insert(role, Chair { seat, ledger_first: AtomicBool::new(true) });
        }
        let remote = Remote::new(options.clone(), config, topics);
        let (consumers, copies) = (Mutex::new(consumers), Mutex::default());
        Ok(Arc::new(Self { inner, queries, publisher, chairs, consumers, remote, copies }))
    }

    /// Whether every role's group has given this process its partitions, and it has read what they held.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.chairs.values().all(|chair| chair.seat.state.lock().is_caught_up())
    }

    /// Whether this event has reached the role in this process, or was settled by it not long ago.
    #[must_use]
    pub fn knows(&self, role: Role, position: Position) -> bool {
        self.chairs.get(&role).is_some_and(|chair| chair.seat.state.lock().knows(position.0))
    }

    /// How many partitions of its topics the role has in this process.
    #[must_use]
    pub fn partitions(&self, role: Role) -> usize {
        self.chairs.get(&role).map_or(0, |chair| chair.seat.state.lock().assigned())
    }

    /// Tells the broker how far the roles have come, leaves the groups, and waits a while for what is on its way to the broker: all at
    /// once, and no longer than an operator likes to wait. A broker that is away takes nothing of it: what it is not told comes again, and is
    /// found done.
    pub async fn close(&self) {
        let deadline = Instant::now() + CLOSE_MAX;
        let consumers = std::mem::take(&mut *self.consumers.lock());
        let mut copies = std::mem::take(&mut *self.copies.lock());
        let consumers = join_all(consumers.into_iter().map(|consumer| consumer.close(deadline)));
        let copied = async { while copies.join_next().await.is_some() {} };
        let (_, copied, ()) =
            tokio::join!(consumers, tokio::time::timeout_at(deadline, copied), self.publisher.flush(CLOSE_MAX));
        if copied.is_err() {
            tracing::warn!("some of what roles gave up is not copied to the broker; the ledger has it");
        }
    }

    /// Begins to settle a delivery: whose word it is.
    pub(crate) fn claim(&self, delivery: &Delivery) -> Claim {
        match self.chairs.get(&delivery.role) {
            Some(chair) => chair.seat.state.lock().claim(delivery),
            // The relay's, which the ledger's bus hands out.
            None if delivery.role == Role::Relay => Claim::Ledger,
            None => Claim::Void,
        }
    }

    /// What became of the settlement.
    pub(crate) fn resolve(self: &Arc<Self>, settlement: &Settlement, claim: Claim, is_committed: bool) {
        let Some(chair) = self.chairs.get(&settlement.delivery.role) else { return };
        if !is_committed {
            return chair.seat.state.lock().not_settled(&settlement.delivery, claim);
        }
        chair.seat.settled(&settlement.delivery, claim);
        if let Settle::DeadLetter { reason } = &settlement.how
            && claim != Claim::Void
        {
            self.copy_given_up(&settlement.delivery, reason);
        }
    }

    /// Shows what was given up to whoever looks at the broker. The ledger has it already, so nobody waits for this.
    fn copy_given_up(self: &Arc<Self>, delivery: &Delivery, reason: &str) {
        let mut copies = self.copies.lock();
        while copies.try_join_next().is_some() {}
        if copies.len() >= COPIES_MAX {
            tracing::warn!("too many dead letters at once: some are not copied to the broker");
            return;
        }
        let (bus, delivery, reason) = (Arc::clone(self), delivery.clone(), reason.to_owned());
        copies.spawn(async move {
            let event = match bus.queries.events_at(&[delivery.position]).await {
                Ok(mut events) => events.pop(),
                Err(error) => return tracing::warn!(%error, "a dead letter cannot be copied to the broker"),
            };
            let Some(event) = event else { return };
            let announcement = Announcement { event, trace: Trace::default() };
            if let Err(error) = bus.publisher.copy_given_up(&announcement, &delivery, &reason).await {
                tracing::warn!(%error, "a dead letter is not copied to the broker");
            }
        });
    }
}

impl Chair {
    /// What the broker has for the role, as soon as there is something.
    async fn next_of_broker(&self, max: usize) -> Vec<Delivery> {
        loop {
            let mut bell = std::pin::pin!(self.seat.bell.notified());
            // Enabled before the look, so that nothing that comes in between is missed.
            bell.as_mut().enable();
            // Handed out under the lock, with no await behind: a caller that goes away was handed nothing.
            let deliveries = self.seat.hand_out(max);
            if !deliveries.is_empty() {
                return deliveries;
            }
            bell.await;
        }
    }
}

#[async_trait]
impl Bus for KafkaBus {
    async fn receive(&self, role: Role, max: usize) -> Result<Vec<Delivery>, BusError> {
        let Some(chair) = self.chairs.get(&role) else { return self.inner.receive(role, max).await };
        let max = max.max(1);
        let from_ledger = async {
            let deliveries = self.inner.receive(role, max).await?;
            chair.seat.state.lock().handed_by_ledger(&deliveries);
            Ok(deliveries)
        };
        let from_broker = async { Ok(chair.next_of_broker(max).await) };
        if chair.ledger_first.fetch_xor(true, Ordering::Relaxed) {
            tokio::select! {
                biased;
                deliveries = from_ledger => deliveries,
                deliveries = from_broker => deliveries,
            }
        } else {
            tokio::select! {
                biased;
                deliveries = from_broker => deliveries,
                deliveries = from_ledger => deliveries,
            }
        }
    }

    async fn give_back(&self, deliveries: Vec<Delivery>) {
        let mut of_ledger = Vec::new();
        for delivery in deliveries {
            match self.chairs.get(&delivery.role) {
                Some(chair) => {
                    let is_ours_alone = chair.seat.state.lock().give_back(&delivery);
                    chair.seat.bell.notify_waiters();
                    if !is_ours_alone {
                        of_ledger.push(delivery);
                    }
                }
                None => of_ledger.push(delivery),
            }
        }
        if !of_ledger.is_empty() {
            self.inner.give_back(of_ledger).await;
        }
    }

    async fn reclaim(&self, role: Role) {
        if let Some(chair) = self.chairs.get(&role) {
            chair.seat.state.lock().reclaim();
            chair.seat.bell.notify_waiters();
        }
        self.inner.reclaim(role).await;
    }

    async fn leave(&self, role: Role) {
        self.inner.leave(role).await;
    }

    fn is_relayed(&self) -> bool {
        true
    }

    async fn dead_letters(&self, after: Option<u64>, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        self.inner.dead_letters(after, limit).await
    }

    async fn redrive(&self, ids: &[u64]) -> Result<Vec<u64>, BusError> {
        self.inner.redrive(ids).await
    }

    /// What is not published yet, what the broker has that is not dealt with, and what is parked. What was published a moment ago, and
    /// the relay has not said so yet, counts on both sides.
    async fn lag(&self, role: Role) -> Result<Lag, BusError> {
        let ledger = self.inner.lag(role).await?;
        if role.reacts_to().is_empty() {
            return Ok(ledger);
        }
        let seat = self.chairs.get(&role).map(|chair| &*chair.seat);
        let (here, oldest_here) = seat.map_or((0, None), |seat| seat.state.lock().backlog());
        let (elsewhere, oldest_elsewhere) = self.remote.backlog(role, seat).await?;
        Ok(Lag {
            events: ledger.events + here + elsewhere,
            parked: ledger.parked,
            oldest: [ledger.oldest, oldest_here, oldest_elsewhere].into_iter().flatten().min(),
        })
    }
}
