//! Counts calls over the last while.

use std::time::Duration;

use tokio::time::Instant;

/// Parts the window is divided into: a call is forgotten within a tenth of the window after it left it.
const PARTS: usize = 10;

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    /// Which part of time, counted from the window's beginning.
    number: u64,
    calls: u32,
    failures: u32,
}

/// A ring of parts, each begun anew when its time comes round.
#[derive(Debug)]
pub(super) struct Window {
    began: Instant,
    part_micros: u64,
    parts: [Part; PARTS],
}

impl Window {
    /// One of this length that begins now.
    pub(super) fn new(window: Duration, now: Instant) -> Self {
        Self { began: now, part_micros: (micros(window) / PARTS as u64).max(1), parts: [Part::default(); PARTS] }
    }

    /// Counts a call, and returns the calls and failures in the window with it.
    pub(super) fn count(&mut self, now: Instant, failed: bool) -> (u32, u32) {
        let number = micros(now.saturating_duration_since(self.began)) / self.part_micros;
        let part = &mut self.parts[(number % PARTS as u64) as usize];
        if part.number != number {
            *part = Part { number, ..Part::default() };
        }
        part.calls = part.calls.saturating_add(1);
        part.failures = part.failures.saturating_add(u32::from(failed));
        let current = |part: &&Part| number.saturating_sub(part.number) < PARTS as u64;
        let add = |(calls, failures): (u32, u32), part: &Part| {
            (calls.saturating_add(part.calls), failures.saturating_add(part.failures))
        };
        self.parts.iter().filter(current).fold((0, 0), add)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
