//! A clock that stands still until it is told to go on.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::SignedDuration;
use ordermill_core::Timestamp;

use crate::clock::Clock;

/// A clock set by hand. It starts at 2026-01-31T12:00:00Z.
#[derive(Debug)]
pub struct ManualClock {
    microseconds: AtomicI64,
}

/// 2026-01-31T12:00:00Z in microseconds since 1970.
const START_MICROSECONDS: i64 = 1_769_860_800_000_000;

impl Default for ManualClock {
    fn default() -> Self {
        Self { microseconds: AtomicI64::new(START_MICROSECONDS) }
    }
}

impl ManualClock {
    /// Moves on. Whatever waits for a time that is over now has to notice by itself.
    pub fn advance(&self, by: SignedDuration) {
        let microseconds = i64::try_from(by.as_micros()).expect("a suite moves on by hours, not by ages");
        self.microseconds.fetch_add(microseconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let microseconds = self.microseconds.load(Ordering::SeqCst);
        Timestamp::from_microsecond(microseconds).expect("a suite stays within the range of timestamps")
    }

    fn is_of_the_day(&self) -> bool {
        false
    }
}
