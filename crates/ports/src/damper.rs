//! Keeps the log readable while the same thing goes wrong for everybody.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lets one report of many through, which says how many were kept back.
#[derive(Debug)]
pub struct Damper {
    apart: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the last report was let through.
    last: Option<Instant>,
    kept_back: u64,
}

impl Damper {
    /// Reports come through at least this far apart.
    #[must_use]
    pub const fn new(apart: Duration) -> Self {
        Self { apart, state: Mutex::new(State { last: None, kept_back: 0 }) }
    }

    /// `None` to keep a report back; otherwise how many were kept back since the last one.
    pub fn pass(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let now = Instant::now();
        if state.last.is_some_and(|last| now.duration_since(last) < self.apart) {
            state.kept_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_reports_one_comes_through_and_the_next_says_how_many_did_not() {
        let damper = Damper::new(Duration::from_secs(3_600));
        assert_eq!(damper.pass(), Some(0));
        assert!((0..2_559).all(|_| damper.pass().is_none()));
        // As if the time was over.
        damper.state.lock().last = None;
        assert_eq!((damper.pass(), damper.pass()), (Some(2_559), None));
    }
}
