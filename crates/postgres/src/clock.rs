//! The server's time: one for all processes, whatever the clocks of their machines say.
//!
//! Deadlines, pauses and keys are written by one process and found to be over by another. So all of them go by the clock that they share. It is
//! read with each commit and at least with each renewal of leases, and carried on by the steady clock of the process in between, so that nobody
//! waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use ordermill_core::Timestamp;
use ordermill_ports::Clock;
use parking_lot::Mutex;

use crate::codec::get;
use crate::connect::Session;
use crate::error::StoreError;
use crate::read::rows;

/// A machine's clock that is further off than this is told of, and so is a jump of the server's. It is right again when it is half as far off.
const OFFSET_MAX: SignedDuration = SignedDuration::from_secs(1);
const OFFSET_RIGHT: SignedDuration = SignedDuration::from_millis(500);

/// What the server is asked.
pub(crate) const READ: &str = "SELECT clock_timestamp() WHERE NOT pg_is_in_recovery()";

/// The server's clock as far as this process knows it. One that is set by hand is the only one, and stays as it is.
pub(crate) struct ServerClock {
    /// The machine's.
    own: Arc<dyn Clock>,
    state: Mutex<State>,
    offset: metrics::Gauge,
}

#[derive(Debug, Default)]
struct State {
    /// What the server's clock showed, and when; `None` before it was read for the first time.
    reading: Option<(Timestamp, Instant)>,
    /// Whether the machine's clock was found to be off.
    is_off: bool,
}

impl ServerClock {
    pub(crate) fn new(own: Arc<dyn Clock>) -> Self {
        Self { own, state: Mutex::default(), offset: metrics::gauge!("ordermill_ledger_clock_offset_seconds") }
    }

    /// Asks the server for the time. One that only follows another does not tell it.
    pub(crate) async fn read(&self, client: &Session) -> Result<(), StoreError> {
        if !self.own.is_of_the_day() {
            return Ok(());
        }
        let asked = Instant::now();
        let found = rows(client, READ, &[]).await?;
        let answered = Instant::now();
        if let Some(row) = found.first() {
            self.set(get(row, 0)?, asked, answered);
        }
        Ok(())
    }

    /// The server's clock showed `time` at some moment between the two. That leaves a span of what it may show by now, as long as the answer took:
    /// within that nothing is changed, so time goes on evenly however slow an answer is.
    fn set(&self, time: Timestamp, asked: Instant, answered: Instant) {
        let latest = later(time, answered.duration_since(asked));
        let mut state = self.state.lock();
        if state.reading.is_some_and(|(_, at)| at > answered) {
            // Of several that ask at a time, another was answered later.
            return;
        }
        let shown = state.reading.map(|reading| carried_on(reading, answered));
        let now = shown.map_or(time, |shown| shown.clamp(time, latest));
        state.reading = Some((now, answered));
        let jump = shown.map_or(SignedDuration::ZERO, |shown| now.duration_since(shown));
        if jump.abs() > OFFSET_MAX {
            // Deadlines and pauses that were written before are by another clock.
            let seconds = jump.as_secs_f64();
            tracing::error!(
                seconds,
                "time has jumped: the server's clock was set, another server took over, or this machine stood still"
            );
        }
        let offset = self.own.now().duration_since(now);
        self.offset.set(offset.as_secs_f64());
        let far = if state.is_off { OFFSET_RIGHT } else { OFFSET_MAX };
        let was_off = std::mem::replace(&mut state.is_off, offset.abs() > far);
        if state.is_off && !was_off {
            let ahead_seconds = offset.as_secs_f64();
            tracing::warn!(ahead_seconds, "this machine's clock is not the server's; the ledger goes by the server's");
        }
    }
}

impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        let reading = self.state.lock().reading;
        reading.map_or_else(|| self.own.now(), |reading| carried_on(reading, Instant::now()))
    }

    fn is_of_the_day(&self) -> bool {
        self.own.is_of_the_day()
    }
}

/// What a clock that was read shows at a later moment.
fn carried_on((time, at): (Timestamp, Instant), now: Instant) -> Timestamp {
    later(time, now.saturating_duration_since(at))
}

/// In whole microseconds: what is stored comes back equal.
fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    time.saturating_add(SignedDuration::from_micros(by)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use ordermill_ports::clock::SystemClock;

    use super::*;

    const RIGHT: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn seconds(count: i64) -> SignedDuration {
        SignedDuration::from_secs(count)
    }

    /// What the clock showed a moment after `start`.
    fn at(clock: &ServerClock, moment: Instant) -> Timestamp {
        carried_on(clock.state.lock().reading.expect("it was read"), moment)
    }

    #[test]
    fn it_shows_the_servers_time_and_goes_on_by_itself() {
        let clock = ServerClock::new(Arc::new(SystemClock));
        assert!(clock.now().duration_since(SystemClock.now()).abs() < seconds(60), "the machine's before it is read");
        let start = Instant::now();
        clock.set(RIGHT, start, start);
        assert_eq!(at(&clock, start + Duration::from_secs(7)), RIGHT + seconds(7));
        let now = clock.now();
        assert!(RIGHT <= now && now < RIGHT + seconds(60), "{now}");
    }

    #[test]
    fn a_slow_answer_moves_it_no_further_than_is_certain() {
        let clock = ServerClock::new(Arc::new(SystemClock));
        let start = Instant::now();
        clock.set(RIGHT, start, start);
        let [asked, answered] = [10, 14].map(|count| start + Duration::from_secs(count));
        // Read at some moment between 10 and 14 seconds: nothing says that it is not right.
        clock.set(RIGHT + seconds(11), asked, answered);
        assert_eq!(at(&clock, answered), RIGHT + seconds(14));
        // It is ahead by at least a second.
        clock.set(RIGHT + seconds(9), asked, answered);
        assert_eq!(at(&clock, answered), RIGHT + seconds(13));
        // It is behind by at least two.
        clock.set(RIGHT + seconds(15), asked, answered);
        assert_eq!(at(&clock, answered), RIGHT + seconds(15));
        // An answer that comes to be looked at behind a later one says nothing new.
        clock.set(RIGHT, start, asked);
        assert_eq!(at(&clock, answered), RIGHT + seconds(15));
        // The server is another one: what it shows counts.
        clock.set(RIGHT - seconds(500), answered, answered);
        assert_eq!(at(&clock, answered), RIGHT - seconds(500));
    }

    #[test]
    fn a_machine_at_the_limit_is_told_of_once() {
        let hand = Arc::new(ordermill_ports::conformance::ManualClock::default());
        let clock = ServerClock::new(Arc::clone(&hand) as Arc<dyn Clock>);
        let mut moment = Instant::now();
        let mut is_off = |milliseconds| {
            moment += Duration::from_secs(1);
            clock.set(hand.now() - SignedDuration::from_millis(milliseconds), moment, moment);
            clock.state.lock().is_off
        };
        assert!(!is_off(900) && is_off(1_100) && is_off(900) && is_off(-700) && !is_off(400) && !is_off(900));
    }

    #[test]
    fn a_clock_that_is_set_by_hand_stays_the_only_one() {
        let hand = Arc::new(ordermill_ports::conformance::ManualClock::default());
        let clock = ServerClock::new(Arc::clone(&hand) as Arc<dyn Clock>);
        assert!(!clock.is_of_the_day());
        assert_eq!(clock.now(), hand.now());
    }
}
