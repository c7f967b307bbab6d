//! Bounds the orders under way: new ones are let in while fewer than a maximum are undecided.

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Permits asked for at a time: a call with many orders waits its turn between others instead of holding them up.
const STEP: usize = 16;

/// Lets orders in, first come first served. Each holds a permit until it is decided.
#[derive(Debug)]
pub(super) struct Admission {
    max: usize,
    room: Semaphore,
    /// Orders that came in without a permit; so many permits are not given back.
    debt: Mutex<usize>,
}

/// Permits taken for orders that are not handed to the writer yet; dropped, they go back.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    admission: &'a Admission,
    count: usize,
}

impl Admitted<'_> {
    /// How many orders were let in.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The writer has them now, and gives the permits back when they are decided.
    pub(super) fn hand_over(mut self) {
        self.count = 0;
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.admission.release(self.count);
    }
}

impl Admission {
    /// Room for `max` undecided orders, `undecided` of which are there already.
    pub(super) fn new(max: usize, undecided: usize) -> Self {
        let max = max.min(Semaphore::MAX_PERMITS);
        let admission = Self { max, room: Semaphore::new(max), debt: Mutex::new(0) };
        admission.force(undecided);
        admission
    }

    /// Lets in up to `count` orders; fewer when there is no room for the rest until `deadline`.
    pub(super) async fn admit(&self, count: usize, deadline: Instant) -> Admitted<'_> {
        let mut admitted = Admitted { admission: self, count: 0 };
        while admitted.count < count {
            let step = (count - admitted.count).min(STEP).min(self.max.max(1));
            let permits = u32::try_from(step).unwrap_or(u32::MAX);
            if let Ok(permit) = self.room.try_acquire_many(permits) {
                permit.forget();
            } else if let Ok(Ok(permit)) = tokio::time::timeout_at(deadline, self.room.acquire_many(permits)).await {
                permit.forget();
            } else {
                // The time is over, or nothing is let in any more: what there is room for goes in, the rest does not.
                while admitted.count < count
                    && let Ok(permit) = self.room.try_acquire()
                {
                    permit.forget();
                    admitted.count += 1;
                }
                break;
            }
            admitted.count += step;
        }
        admitted
    }

    /// Lets nobody in any more, and whoever waits go.
    pub(super) fn close(&self) {
        self.room.close();
    }

    /// Counts orders that nobody can refuse.
    pub(super) fn force(&self, count: usize) {
        let mut debt = self.debt.lock();
        *debt += count - self.room.forget_permits(count);
    }

    /// Gives the permits of orders back that are decided, or never came to be.
    pub(super) fn release(&self, count: usize) {
        if count == 0 {
            return;
        }
        let mut debt = self.debt.lock();
        let paid = count.min(*debt);
        *debt -= paid;
        self.room.add_permits(count - paid);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[tokio::test]
    async fn lets_in_what_there_is_room_for() {
        let admission = Admission::new(20, 0);
        let first = admission.admit(18, soon()).await;
        assert_eq!(first.count(), 18);
        assert_eq!(admission.admit(100, soon()).await.count(), 2);
        drop(first);
        let all = admission.admit(100, soon()).await;
        assert_eq!(all.count(), 20);
        all.hand_over();
        assert_eq!(admission.admit(5, soon()).await.count(), 0);
        admission.release(16);
        assert_eq!(admission.admit(16, soon()).await.count(), 16);
        admission.close();
        let waited = std::time::Instant::now();
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(admission.admit(1, later).await.count(), 0);
        assert!(waited.elapsed() < Duration::from_secs(30), "whoever waits is let go");
    }

    #[tokio::test]
    async fn forced_orders_are_paid_back_first() {
        let admission = Admission::new(2, 5);
        assert_eq!(admission.admit(1, soon()).await.count(), 0);
        admission.release(3);
        assert_eq!(admission.admit(1, soon()).await.count(), 0);
        admission.release(1);
        assert_eq!(admission.admit(1, soon()).await.count(), 1);
    }
}
