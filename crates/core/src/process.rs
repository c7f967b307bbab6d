//! The order process as one table: which role does which step, on which events, what undoes it, and how often it is tried.
//!
//! The engine subscribes its roles and sets their retries from this table, so it cannot drift from what runs. The decisions
//! themselves are in [`crate::decide`], one file per step.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::EventType as E;
use crate::payment::OperationKind;

/// A step of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Hold the money.
    Authorize,
    /// Hold the stock.
    Reserve,
    /// Take the money.
    Capture,
    /// Let go of the held money.
    Void,
    /// Give money back.
    Refund,
    /// Take stock back when its time is over; report states that last too long.
    Sweep,
    /// Mail the customer.
    Notify,
    /// Follow the parcel.
    Track,
    /// Store the order with its timeline.
    Archive,
    /// Store a record.
    Store,
}

impl Step {
    /// The name on every interface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Reserve => "reserve",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Sweep => "sweep",
            Self::Notify => "notify",
            Self::Track => "track",
            Self::Archive => "archive",
            Self::Store => "store",
        }
    }

    /// The step that asks the provider for this.
    #[must_use]
    pub const fn of_operation(kind: OperationKind) -> Self {
        match kind {
            OperationKind::Authorize => Self::Authorize,
            OperationKind::Capture => Self::Capture,
            OperationKind::Void => Self::Void,
            OperationKind::Refund => Self::Refund,
        }
    }

    /// Its row of [`TABLE`].
    ///
    /// # Panics
    /// Never: a test holds that every step has exactly one row.
    #[must_use]
    pub fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.step == self).expect("every step has a row, as a test shows")
    }
}

/// Who does a step. Any subset of the roles runs in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes requests.
    Api,
    /// Talks to the payment provider.
    Payments,
    /// Reserves stock.
    Inventory,
    /// Sends mail.
    Notifications,
    /// Follows parcels.
    Tracking,
    /// Writes the archive.
    Archive,
    /// Stores records.
    Records,
    /// Watches the clock.
    Sweeper,
    /// Hands the events to a broker, where one carries them to the other roles. It has no step: it tells, and decides nothing. No
    /// event reaches it where the ledger's own bus carries them.
    Relay,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 9] = [
        Self::Api,
        Self::Payments,
        Self::Inventory,
        Self::Notifications,
        Self::Tracking,
        Self::Archive,
        Self::Records,
        Self::Sweeper,
        Self::Relay,
    ];

    /// The name in configuration, metrics and cursors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Payments => "payments",
            Self::Inventory => "inventory",
            Self::Notifications => "notifications",
            Self::Tracking => "tracking",
            Self::Archive => "archive",
            Self::Records => "records",
            Self::Sweeper => "sweeper",
            Self::Relay => "relay",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// The events that reach it, in the order of [`EventType::ALL`](E::ALL).
    #[must_use]
    pub fn reacts_to(self) -> Vec<E> {
        let mine = |kind: &E| TABLE.iter().any(|row| row.role == self && row.reacts_to.contains(kind));
        E::ALL.iter().copied().filter(mine).collect()
    }
}

/// What happens when the tries are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// The order waits for a person.
    Attention,
    /// The delivery becomes a dead letter.
    DeadLetter,
}

/// How often, and how long apart, a step is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Before the second try.
    pub first: Duration,
    /// Between two tries at the most; each wait is twice the one before until then.
    pub longest: Duration,
    /// Tries in all; `None` = until the deadline of the step.
    pub tries: Option<u32>,
    /// What happens then.
    pub then: GiveUp,
}

impl Retry {
    /// The wait after the given number of tries (1 = the first has failed). `jitter` in `0.0..=1.0` takes away up to half of it,
    /// so that what failed together does not come back together. `None` when no try is left.
    #[must_use]
    pub fn delay_after(&self, tries: u32, jitter: f64) -> Option<Duration> {
        if self.tries.is_some_and(|limit| tries >= limit) {
            return None;
        }
        let doublings = tries.saturating_sub(1).min(31);
        let wait = self.first.saturating_mul(1 << doublings).min(self.longest);
        Some(wait.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0))
    }
}

/// One step.
#[derive(Debug)]
pub struct Row {
    /// Which.
    pub step: Step,
    /// Who does it.
    pub role: Role,
    /// The events after which it may be due.
    pub reacts_to: &'static [E],
    /// In words.
    pub does: &'static str,
    /// What it records when it worked.
    pub success: &'static [E],
    /// What it records when it did not, or when it came too late and is undone.
    pub failure: &'static [E],
    /// The step that takes it back.
    pub undo: Option<Step>,
    /// What bounds its time, in words; the durations are in [`crate::policy::Policy`].
    pub deadline: &'static str,
    /// How it is tried again.
    pub retry: Retry,
}

const fn retry(first_ms: u64, longest_ms: u64, tries: Option<u32>, then: GiveUp) -> Retry {
    Retry { first: Duration::from_millis(first_ms), longest: Duration::from_millis(longest_ms), tries, then }
}

/// Answers of the provider that are missing are followed up until the time budget is over; then a person is asked.
const FOLLOW_UP: Retry = retry(100, 30_000, None, GiveUp::Attention);
/// A decision of the ledger alone fails only when the ledger does.
const LEDGER_ONLY: Retry = retry(100, 5_000, None, GiveUp::Attention);
/// About ten minutes of tries: a mail server that is restarted is back by then.
const MAIL: Retry = retry(1_000, 120_000, Some(10), GiveUp::Attention);
/// About an hour of tries; the order itself is not held up. For parcels, too: what cannot be read of one for so long is damaged, and is
/// to be found among the dead letters and not only in the log.
const ARCHIVE: Retry = retry(1_000, 600_000, Some(12), GiveUp::DeadLetter);

/// The whole order process. Rows of a step and of its undo are neighbours.
///
/// One operation of an order is asked of the provider at a time. So the steps that can have others before them react to what takes
/// those out of the way as well: a void to a capture that failed late, a refund to the refund before it. What is unknown needs no
/// event: the delivery that asked for it comes again until it is answered or given to a person, and then asks what is next.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    Row { step: Step::Authorize, role: Role::Payments,
          reacts_to: &[E::OrderPlaced, E::OrderAttentionCleared],
          does: "hold the total on the customer's account",
          success: &[E::PaymentAuthorized], failure: &[E::PaymentUnknown, E::PaymentDeclined, E::OrderRejected, E::PaymentVoidRequested], undo: Some(Step::Void),
          deadline: "unknown budget, then attention", retry: FOLLOW_UP },
    Row { step: Step::Void, role: Role::Payments,
          reacts_to: &[E::PaymentVoidRequested, E::PaymentCaptureFailed, E::OrderAttentionCleared],
          does: "let go of the held money",
          success: &[E::PaymentVoided, E::PaymentExpired], failure: &[E::PaymentUnknown, E::PaymentVoidFailed, E::OrderAttention, E::PaymentCaptured, E::PaymentRefundRequested], undo: None,
          deadline: "unknown budget, then attention", retry: FOLLOW_UP },
    Row { step: Step::Reserve, role: Role::Inventory,
          reacts_to: &[E::PaymentAuthorized, E::OrderAttentionCleared],
          does: "hold every line, all or none, until it expires",
          success: &[E::InventoryReserved], failure: &[E::InventoryRejected, E::PaymentVoidRequested, E::OrderRejected], undo: Some(Step::Sweep),
          deadline: "none: one commit", retry: LEDGER_ONLY },
    Row { step: Step::Sweep, role: Role::Sweeper,
          reacts_to: &[],
          does: "take back stock that is not paid in time; report states that last too long; give up on unknown answers",
          success: &[E::InventoryExpired, E::PaymentVoidRequested, E::OrderRejected, E::OrderAttention, E::OrderOverdue], failure: &[], undo: None,
          deadline: "reservation ttl, time budget of each state", retry: LEDGER_ONLY },
    Row { step: Step::Capture, role: Role::Payments,
          reacts_to: &[E::InventoryReserved, E::OrderAttentionCleared],
          does: "take the held money",
          success: &[E::PaymentCaptured, E::OrderConfirmed], failure: &[E::PaymentUnknown, E::PaymentCaptureFailed, E::PaymentExpired, E::InventoryReleased, E::PaymentVoidRequested, E::OrderRejected, E::PaymentRefundRequested], undo: Some(Step::Refund),
          deadline: "unknown budget, then attention; reservation ttl", retry: FOLLOW_UP },
    Row { step: Step::Refund, role: Role::Payments,
          reacts_to: &[E::PaymentRefundRequested, E::PaymentRefunded, E::PaymentRefundFailed, E::OrderAttentionCleared],
          does: "give captured money back",
          success: &[E::PaymentRefunded], failure: &[E::PaymentUnknown, E::PaymentRefundFailed, E::OrderAttention], undo: None,
          deadline: "unknown budget, then attention", retry: FOLLOW_UP },
    Row { step: Step::Notify, role: Role::Notifications,
          reacts_to: &[E::OrderConfirmed, E::OrderRejected, E::OrderCancelled, E::PaymentRefunded, E::OrderShipped, E::ParcelMoved, E::OrderDelivered, E::OrderAttentionCleared],
          does: "send one mail per order, kind and version",
          success: &[E::NotificationSent, E::NotificationSkipped], failure: &[E::NotificationFailed, E::OrderAttention], undo: None,
          deadline: "ten tries, then attention", retry: MAIL },
    Row { step: Step::Track, role: Role::Tracking,
          reacts_to: &[E::TrackingMoved],
          does: "move the order with what the carrier reports of its parcel",
          success: &[E::ParcelMoved, E::OrderShipped, E::OrderDelivered], failure: &[E::OrderAttention], undo: None,
          deadline: "twelve tries, then a dead letter; shipping and delivery budgets", retry: ARCHIVE },
    Row { step: Step::Archive, role: Role::Archive,
          reacts_to: &[E::OrderConfirmed, E::OrderRejected, E::OrderCancelled, E::PaymentDeclined, E::PaymentUnknown, E::PaymentCaptureFailed,
                       E::PaymentVoidRequested, E::PaymentVoided, E::PaymentExpired, E::PaymentRefundRequested, E::PaymentRefunded, E::OrderShipped,
                       E::ParcelMoved, E::OrderDelivered, E::OrderReturned, E::NotificationSent, E::NotificationSkipped, E::NotificationFailed,
                       E::OrderAttention, E::OrderAttentionCleared, E::OrderOverdue],
          does: "write the order with its timeline to one object, rewritten at each later change",
          success: &[E::OrderArchived], failure: &[], undo: None,
          deadline: "twelve tries, then a dead letter", retry: ARCHIVE },
    Row { step: Step::Store, role: Role::Records,
          reacts_to: &[E::RecordReceived],
          does: "write the record to its object",
          success: &[E::RecordStored], failure: &[], undo: None,
          deadline: "twelve tries, then a dead letter", retry: ARCHIVE },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_one_row_and_every_undo_exists() {
        for row in TABLE {
            assert_eq!(TABLE.iter().filter(|other| other.step == row.step).count(), 1, "{:?}", row.step);
            assert_eq!(row.step.row().step, row.step);
        }
        assert_eq!(TABLE.len(), 10);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let mail = Step::Notify.row().retry;
        assert_eq!(mail.delay_after(1, 0.0), Some(Duration::from_secs(1)));
        assert_eq!(mail.delay_after(2, 0.0), Some(Duration::from_secs(2)));
        assert_eq!(mail.delay_after(9, 0.0), Some(Duration::from_secs(120)));
        assert_eq!(mail.delay_after(9, 1.0), Some(Duration::from_secs(60)));
        assert_eq!(mail.delay_after(10, 0.0), None);
        assert_eq!(Step::Capture.row().retry.delay_after(u32::MAX, 0.0), Some(Duration::from_secs(30)));
    }
}
