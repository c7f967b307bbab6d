//! The bus hands committed events to roles, at least once and in no promised order.

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_core::event::{EventType, Subject};
use ordermill_core::limits::PAGE_ENTRIES_MAX;
use ordermill_core::process::Role;
use thiserror::Error;

use crate::queries::Position;

/// An event on its way to a role. It carries no state: the role looks at the ledger before it acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub role: Role,
    /// The event's place in the feed; with the role it names the delivery.
    pub position: Position,
    /// What the event is about.
    pub subject: Subject,
    /// The event's version within its subject.
    pub version: u32,
    /// Its type.
    pub kind: EventType,
    /// When it was decided.
    pub at: Timestamp,
    /// How often it was tried before; 0 the first time.
    pub tries: u32,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settle {
    /// Dealt with.
    Ack,
    /// Parked until `due`, then delivered again with one try more.
    Retry {
        /// When.
        due: Timestamp,
        /// Why it could not be dealt with now.
        reason: String,
    },
    /// Given up; kept with its reason until it is redriven or dropped.
    DeadLetter {
        /// Why.
        reason: String,
    },
}

/// A role's word on a delivery; it travels to the ledger with the effect.
///
/// It counts once, for the try that it names: where the delivery is settled already, is parked, or was handed out again with more
/// tries, it changes nothing. So a settlement whose answer was lost may come again at any time. What was given back or reclaimed
/// can be settled until it is handed out and settled again. A dead letter that is redriven counts its tries from 0 anew; a word from
/// before its death that comes again once it is handed out is taken for one of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which delivery.
    pub delivery: Delivery,
    /// What becomes of it.
    pub how: Settle,
}

impl Delivery {
    /// Dealt with.
    #[must_use]
    pub const fn ack(self) -> Settlement {
        Settlement { delivery: self, how: Settle::Ack }
    }

    /// Try again at `due`.
    #[must_use]
    pub const fn retry(self, due: Timestamp, reason: String) -> Settlement {
        Settlement { delivery: self, how: Settle::Retry { due, reason } }
    }

    /// Give up.
    #[must_use]
    pub const fn dead_letter(self, reason: String) -> Settlement {
        Settlement { delivery: self, how: Settle::DeadLetter { reason } }
    }
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Counts the dead letters of the installation.
    pub id: u64,
    /// The delivery; `tries` counts all of them.
    pub delivery: Delivery,
    /// Why.
    pub reason: String,
    /// When.
    pub since: Timestamp,
}

/// How far a role is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Events in the feed behind the role's cursor, of any type.
    pub events: u64,
    /// Deliveries that wait for another try.
    pub parked: u64,
    /// When the oldest event that is not settled was decided; `None` when there is none.
    pub oldest: Option<Timestamp>,
}

/// What the bus is made of failed.
#[derive(Debug, Clone, Error)]
pub enum BusError {
    /// The ledger, which every bus reads.
    #[error("the ledger failed: {0}")]
    Ledger(String),
    /// The broker that carries its events, where one does.
    #[error("the broker failed: {0}")]
    Broker(String),
}

/// The bus.
#[async_trait]
pub trait Bus: Send + Sync {
    /// The next deliveries for a role: new events of the types it reacts to, and parked ones that are due. Waits until there is
    /// at least one. What is handed out is not handed out again in this process until it is settled; after a restart everything
    /// unsettled comes again. Safe to cancel: what was not returned was not handed out.
    async fn receive(&self, role: Role, max: usize) -> Result<Vec<Delivery>, BusError>;

    /// Told after the commit that carried these settlements. A bus within the ledger has nothing left to do.
    async fn settled(&self, _settlements: &[Settlement]) -> Result<(), BusError> {
        Ok(())
    }

    /// Puts deliveries back that were received and cannot be settled, as their commit failed. They are handed out again.
    async fn give_back(&self, deliveries: Vec<Delivery>);

    /// Puts back everything that was handed out to the role in this process and is neither settled nor given back: it is handed
    /// out again, with no try counted. For a role that begins again after a panic and no longer knows what it had. What its
    /// former life still settles counts, if it comes before the delivery is dealt with again. A bus whose deliveries are leased
    /// and come again by themselves may leave it to that.
    async fn reclaim(&self, role: Role);

    /// This process can do nothing for the role at present: where several share it, its share goes to the others, with what it was handed
    /// and has not settled. The next [`Self::receive`] takes a share again. Nothing happens where a role is with one process alone.
    async fn leave(&self, _role: Role) {}

    /// Whether a broker carries the events to the roles, so that they wait for the role `relay` to hand them over.
    fn is_relayed(&self) -> bool {
        false
    }

    /// Which history the ledger tells: another number when it has lost commits that it had answered, as a standby may that takes over.
    fn history(&self) -> u64 {
        0
    }

    /// Dead letters by id, beginning behind `after`.
    async fn dead_letters(&self, after: Option<u64>, limit: usize) -> Result<Vec<DeadLetter>, BusError>;

    /// Delivers dead letters again, with no tries counted. Ids that are gone are passed over. Returns those that were found, each once,
    /// in any order.
    async fn redrive(&self, ids: &[u64]) -> Result<Vec<u64>, BusError>;

    /// How far a role is behind.
    async fn lag(&self, role: Role) -> Result<Lag, BusError>;
}

/// Walks over the dead letters, oldest first: about so many at the most, as whole pages are read.
///
/// # Errors
/// [`BusError`] when they cannot be read.
pub async fn each_dead_letter(
    bus: &dyn Bus,
    max: usize,
    mut see: impl FnMut(&DeadLetter) + Send,
) -> Result<(), BusError> {
    let (mut after, mut seen) = (None, 0);
    while seen < max {
        let page = bus.dead_letters(after, PAGE_ENTRIES_MAX).await?;
        let Some(last) = page.last() else { break };
        (after, seen) = (Some(last.id), seen + page.len());
        page.iter().for_each(&mut see);
    }
    Ok(())
}
