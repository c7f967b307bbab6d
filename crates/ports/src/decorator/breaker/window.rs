//! Counts calls over the last while.

use std::time::Duration;

use ordermill_core::Timestamp;

/// Parts the window is divided into: a call is forgotten within a tenth of the window after it left it.
const PARTS: usize = 10;

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    /// Which part of time, counted from the epoch.
    number: i64,
    calls: u32,
    failures: u32,
}

/// A ring of parts, each begun anew when its time comes round.
#[derive(Debug)]
pub(super) struct Window {
    part_micros: i64,
    parts: [Part; PARTS],
}

impl Window {
    pub(super) fn new(window: Duration) -> Self {
        let micros = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        Self { part_micros: (micros / PARTS as i64).max(1), parts: [Part::default(); PARTS] }
    }

    /// Counts a call, and returns the calls and failures in the window with it.
    pub(super) fn count(&mut self, now: Timestamp, failed: bool) -> (u32, u32) {
        let number = now.as_microsecond().div_euclid(self.part_micros);
        let part = &mut self.parts[number.rem_euclid(PARTS as i64) as usize];
        if part.number != number {
            *part = Part { number, ..Part::default() };
        }
        part.calls = part.calls.saturating_add(1);
        part.failures = part.failures.saturating_add(u32::from(failed));
        // A clock that was set back leaves parts of the future behind: they do not count.
        let current = |part: &&Part| part.number <= number && part.number > number - PARTS as i64;
        let add = |(calls, failures): (u32, u32), part: &Part| {
            (calls.saturating_add(part.calls), failures.saturating_add(part.failures))
        };
        self.parts.iter().filter(current).fold((0, 0), add)
    }
}
