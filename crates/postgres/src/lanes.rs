//! The way to the committers: lanes that calls wait in, and the committers' sleep.

use ordermill_ports::group_commit::{self, Call, Caller, Declined, Entrance};
use ordermill_ports::ledger::{Source, Submission};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The inputs of one commit.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// In the order in which they are decided.
    pub(crate) inputs: Vec<Submission>,
    /// Who gets the answers: to each the next so many.
    pub(crate) callers: Vec<Caller>,
    /// Nothing more will come.
    pub(crate) closing: bool,
}

#[derive(Debug, Default)]
struct State {
    lanes: group_commit::Lanes,
    closing: bool,
}

/// The lanes.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    state: Mutex<State>,
    filled: Notify,
    room: [Notify; 3],
}

impl Entrance for Lanes {
    fn push(&self, source: Source, call: Call) -> Result<(), Declined> {
        let mut state = self.state.lock();
        if state.closing {
            return Err(Declined::Closing);
        }
        state.lanes.push(source, call).map_err(Declined::Full)?;
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    fn room(&self, source: Source) -> &Notify {
        &self.room[source as usize]
    }
}

impl Lanes {
    /// Whether nothing more is taken.
    pub(crate) fn is_closing(&self) -> bool {
        self.state.lock().closing
    }

    /// Takes nothing more from now on; the writer ends when it has done what is there.
    pub(crate) fn close(&self) {
        self.state.lock().closing = true;
        self.filled.notify_waiters();
        self.filled.notify_one();
        for room in &self.room {
            room.notify_waiters();
        }
    }

    /// Waits for work and takes what fits into one commit. Comes back with nothing only when nothing more will come.
    pub(crate) async fn take(&self) -> Load {
        loop {
            let mut filled = std::pin::pin!(self.filled.notified());
            filled.as_mut().enable();
            let load = self.try_take();
            if load.closing || !load.inputs.is_empty() {
                return load;
            }
            filled.await;
        }
    }

    /// Takes all intake that waits, to be refused.
    pub(crate) fn take_intake(&self) -> (Vec<Submission>, Vec<Caller>) {
        let group_commit::Load { inputs, callers, eased } = self.state.lock().lanes.take_intake();
        for source in eased {
            self.room[source as usize].notify_waiters();
        }
        (inputs, callers)
    }

    /// How many inputs wait, by lane.
    pub(crate) fn waiting(&self) -> [usize; 3] {
        self.state.lock().lanes.waiting()
    }

    /// Takes what is there.
    fn try_take(&self) -> Load {
        let mut state = self.state.lock();
        let group_commit::Load { inputs, callers, eased } = state.lanes.take();
        let is_done = state.lanes.is_empty();
        let closing = state.closing && is_done;
        drop(state);
        if !is_done {
            // For another committer.
            self.filled.notify_one();
        }
        for source in eased {
            self.room[source as usize].notify_waiters();
        }
        Load { inputs, callers, closing }
    }
}
