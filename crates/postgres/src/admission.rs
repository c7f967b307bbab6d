//! Bounds the orders under way: new ones are let in while fewer than a maximum are undecided, in all processes together.
//!
//! The database counts them; every commit brings the count along, and whoever waits for room asks for it.

use std::time::Duration;

use ordermill_ports::ledger::Source;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Orders let in at a time: a call with many waits its turn between others instead of holding them up.
const STEP: usize = 16;

/// How often whoever waits looks again, as another process may have made room.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Lets orders in, first come first served at each of two doors.
pub(crate) struct Admission {
    max: u64,
    state: Mutex<State>,
    live: Door,
    import: Door,
}

#[derive(Default)]
struct State {
    /// As the newest commit that is known left it.
    undecided: u64,
    /// The position of that commit.
    position: u64,
    /// Orders let in by this process that are not committed yet.
    under_way: u64,
    closed: bool,
}

/// Where one kind of intake waits: the first for room, the others for their turn.
#[derive(Default)]
struct Door {
    turn: tokio::sync::Mutex<()>,
    room: Notify,
}

/// Orders that were let in and are not handed to a committer yet; dropped, they make room again.
pub(crate) struct Admitted<'a> {
    admission: &'a Admission,
    count: usize,
}

impl Admitted<'_> {
    /// How many orders were let in.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// A committer has them now, and tells when they are committed.
    pub(crate) fn hand_over(mut self) {
        self.count = 0;
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.admission.ended(self.count);
        }
    }
}

impl Admission {
    pub(crate) fn new(max: usize) -> Self {
        Self { max: max as u64, state: Mutex::default(), live: Door::default(), import: Door::default() }
    }

    /// Lets in up to `count` orders; fewer when there is no room for the rest until `deadline`. `look` asks the database for the count of
    /// undecided orders and tells [`Self::counted`].
    pub(crate) async fn admit<F: Future<Output = ()> + Send>(
        &self,
        source: Source,
        count: usize,
        deadline: Instant,
        look: impl Fn() -> F + Send + Sync,
    ) -> Admitted<'_> {
        let mut admitted = Admitted { admission: self, count: 0 };
        let door = if source == Source::Import { &self.import } else { &self.live };
        while admitted.count < count {
            let step = (count - admitted.count).min(STEP);
            let Ok(turn) = timeout_at(deadline, door.turn.lock()).await else { break };
            let goal = admitted.count + step;
            loop {
                // Listened to before the look, so that no room in between is missed.
                let mut room = std::pin::pin!(door.room.notified());
                room.as_mut().enable();
                admitted.count += self.take(source, goal - admitted.count);
                if admitted.count == goal {
                    break;
                }
                if self.state.lock().closed || Instant::now() >= deadline {
                    return admitted;
                }
                if timeout_at(deadline.min(Instant::now() + LOOK_INTERVAL), room).await.is_err() {
                    // Whether it answers in time or not, what there is room for then goes in.
                    let _ = timeout_at(deadline, look()).await;
                }
            }
            drop(turn);
        }
        admitted
    }

    /// Takes what room there is, up to `count`. An import leaves a quarter to callers that wait.
    fn take(&self, source: Source, count: usize) -> usize {
        let max = if source == Source::Import { self.max - self.max / 4 } else { self.max };
        let mut state = self.state.lock();
        if state.closed {
            return 0;
        }
        let room = max.saturating_sub(state.undecided + state.under_way).min(count as u64);
        state.under_way += room;
        usize::try_from(room).unwrap_or(count)
    }

    /// Counts orders that nobody can refuse.
    pub(crate) fn force(&self, count: usize) {
        self.state.lock().under_way += count as u64;
    }

    /// Orders that were let in have ended in a commit, or came to nothing.
    pub(crate) fn ended(&self, count: usize) {
        let mut state = self.state.lock();
        state.under_way = state.under_way.saturating_sub(count as u64);
        drop(state);
        self.knock();
    }

    /// So many orders were undecided behind the commit that ends at `position`.
    pub(crate) fn counted(&self, undecided: u64, position: u64) {
        let mut state = self.state.lock();
        if position >= state.position {
            (state.undecided, state.position) = (undecided, position);
        }
        drop(state);
        self.knock();
    }

    /// The server has lost commits, and the counts behind them say nothing any more: this is what it has.
    pub(crate) fn start_over(&self, undecided: u64, position: u64) {
        let mut state = self.state.lock();
        (state.undecided, state.position) = (undecided, position);
        drop(state);
        self.knock();
    }

    /// Lets nobody in any more, and whoever waits go.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.knock();
    }

    /// Lets the first at each door look again.
    fn knock(&self) {
        self.live.room.notify_waiters();
        self.import.room.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[tokio::test]
    async fn lets_in_what_there_is_room_for() {
        let admission = Admission::new(20);
        let look = || std::future::ready(());
        let first = admission.admit(Source::Live, 18, soon(), look).await;
        assert_eq!(first.count(), 18);
        assert_eq!(admission.admit(Source::Live, 100, soon(), look).await.count(), 2);
        drop(first);
        let all = admission.admit(Source::Live, 100, soon(), look).await;
        assert_eq!(all.count(), 20);
        all.hand_over();
        assert_eq!(admission.admit(Source::Live, 5, soon(), look).await.count(), 0);
        admission.counted(4, 9);
        admission.ended(20);
        assert_eq!(admission.admit(Source::Import, 20, soon(), look).await.count(), 11, "a quarter is left to others");
        admission.counted(20, 8);
        assert_eq!(admission.admit(Source::Live, 20, soon(), look).await.count(), 16, "an older count says nothing");
        admission.close();
        let waited = std::time::Instant::now();
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(admission.admit(Source::Live, 1, later, look).await.count(), 0);
        assert!(waited.elapsed() < Duration::from_secs(30), "whoever waits is let go");
    }

    #[tokio::test]
    async fn a_count_of_commits_that_were_lost_keeps_nobody_out() {
        let admission = Admission::new(10);
        let look = || std::future::ready(());
        admission.counted(10, 1_000);
        assert_eq!(admission.admit(Source::Live, 1, soon(), look).await.count(), 0);
        admission.start_over(4, 900);
        assert_eq!(admission.admit(Source::Live, 6, soon(), look).await.count(), 6);
        admission.counted(0, 901);
        assert_eq!(admission.admit(Source::Live, 10, soon(), look).await.count(), 10, "what comes after counts again");
    }

    #[tokio::test]
    async fn room_that_another_process_makes_is_found() {
        let admission = Admission::new(1);
        admission.counted(1, 5);
        let look = async || admission.counted(0, 6);
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(admission.admit(Source::Live, 1, later, look).await.count(), 1);
    }
}
