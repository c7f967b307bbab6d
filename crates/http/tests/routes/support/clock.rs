//! A clock that moves a little at each look, so that times differ and are the same in each run.

use std::sync::atomic::{AtomicI64, Ordering};

use ordermill_core::Timestamp;
use ordermill_ports::Clock;

pub struct TestClock(AtomicI64);

/// 2026-01-01T00:00:00Z in microseconds.
const BEGIN_US: i64 = 1_767_225_600_000_000;

impl Default for TestClock {
    fn default() -> Self {
        Self(AtomicI64::new(BEGIN_US))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.fetch_add(1_000, Ordering::Relaxed)).unwrap()
    }
}
