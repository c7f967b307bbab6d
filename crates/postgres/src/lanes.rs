//! The way to the committers: one lane per source, bounded, drained in shares.

use std::collections::VecDeque;

use ordermill_ports::ledger::{Outcome, Source, Submission, SubmitError};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

/// Inputs in one commit. A commit and its way to the server and back cost the same for one as for all of them. The last call of each
/// lane is taken whole, so there may be a few more.
pub(crate) const BATCH_INPUTS_MAX: usize = 1_024;

/// Inputs that wait in the lane of results. Roles bound their own work far below, so none of them ever waits here.
const RESULTS_MAX: usize = 32 * 1024;

/// Inputs that wait in each lane of intake: what the writer does in a fraction of a second.
const INTAKE_MAX: usize = 8 * 1024;

const SOURCES: [Source; 3] = [Source::Results, Source::Live, Source::Import];

/// What came of one input.
pub(crate) type Answer = Result<Outcome, SubmitError>;

/// Who gets the answers of one call of `submit`.
#[derive(Debug)]
pub(crate) struct Caller {
    /// How many answers.
    pub(crate) count: usize,
    reply: oneshot::Sender<Vec<Answer>>,
}

impl Caller {
    /// Sends the answers, in the order of the inputs.
    pub(crate) fn answer(self, answers: Vec<Answer>) {
        // A caller that went away does not want its answers.
        let _ = self.reply.send(answers);
    }
}

/// A call on its way. It is never cut in two: all of it is in one commit, or none.
#[derive(Debug)]
pub(crate) struct Call {
    inputs: Vec<Submission>,
    reply: oneshot::Sender<Vec<Answer>>,
}

impl Call {
    /// A call with the receiver of its answers.
    pub(crate) fn new(inputs: Vec<Submission>) -> (Self, oneshot::Receiver<Vec<Answer>>) {
        let (reply, receiver) = oneshot::channel();
        (Self { inputs, reply }, receiver)
    }
}

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
struct Lane {
    calls: VecDeque<Call>,
    inputs: usize,
    /// Inputs taken beyond its shares, as calls are taken whole. They count against its next shares.
    ahead: usize,
}

impl Lane {
    /// Takes whole calls until there are as many inputs as its share, or a few more.
    fn take(&mut self, share: usize, load: &mut Load) {
        let count = share.saturating_sub(self.ahead);
        let mut taken = 0;
        while taken < count
            && let Some(Call { inputs, reply }) = self.calls.pop_front()
        {
            taken += inputs.len();
            load.callers.push(Caller { count: inputs.len(), reply });
            load.inputs.extend(inputs);
        }
        self.inputs -= taken;
        self.ahead = (self.ahead + taken).saturating_sub(share);
    }
}

#[derive(Debug, Default)]
struct State {
    lanes: [Lane; 3],
    closing: bool,
}

/// A call that could not be taken.
#[derive(Debug)]
pub(crate) enum Declined {
    /// The lane is full.
    Full(Call),
    /// Nothing more is taken.
    Closing,
}

/// The lanes.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    state: Mutex<State>,
    filled: Notify,
    room: [Notify; 3],
}

impl Lanes {
    /// Puts a call into its lane.
    pub(crate) fn push(&self, source: Source, call: Call) -> Result<(), Declined> {
        let mut state = self.state.lock();
        if state.closing {
            return Err(Declined::Closing);
        }
        let max = if source == Source::Results { RESULTS_MAX } else { INTAKE_MAX };
        let lane = &mut state.lanes[source as usize];
        if lane.inputs >= max {
            return Err(Declined::Full(call));
        }
        lane.inputs += call.inputs.len();
        lane.calls.push_back(call);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// The next room in a lane. To be enabled before a push is tried, so that no room is missed.
    pub(crate) const fn room(&self, source: Source) -> &Notify {
        &self.room[source as usize]
    }

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

    /// Takes what is there.
    fn try_take(&self) -> Load {
        let mut state = self.state.lock();
        let mut load = Load::default();
        let waiting = state.waiting();
        let shares = shares(waiting);
        let is_contested = waiting.iter().filter(|inputs| **inputs > 0).count() > 1;
        while load.inputs.is_empty() && waiting != [0; 3] {
            for (lane, share) in state.lanes.iter_mut().zip(shares) {
                if !is_contested {
                    lane.ahead = 0;
                }
                lane.take(share, &mut load);
            }
        }
        let left = state.waiting();
        load.closing = state.closing && left == [0; 3];
        drop(state);
        if left != [0; 3] {
            // For another committer.
            self.filled.notify_one();
        }
        for source in SOURCES {
            if waiting[source as usize] > 0 {
                self.room[source as usize].notify_waiters();
            }
        }
        load
    }
}

impl State {
    /// Inputs that wait, by lane.
    fn waiting(&self) -> [usize; 3] {
        [0, 1, 2].map(|lane: usize| self.lanes[lane].inputs)
    }
}

/// How many inputs of results, live intake and imports the next commit takes. Results go first, up to three quarters when there
/// is intake; live intake has three quarters of the rest when there are imports; what one does not need the others get.
fn shares([results, live, import]: [usize; 3]) -> [usize; 3] {
    let max = BATCH_INPUTS_MAX;
    let first = results.min(max - (live + import).min(max / 4));
    let rest = max - first;
    let second = live.min(rest - import.min(rest / 4));
    let third = import.min(rest - second);
    [first, second, third]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = BATCH_INPUTS_MAX;

    #[test]
    fn every_lane_has_its_share_and_nothing_is_wasted() {
        assert_eq!(shares([9 * MAX, 9 * MAX, 9 * MAX]), [MAX / 4 * 3, MAX / 16 * 3, MAX / 16]);
        assert_eq!(shares([9 * MAX, 0, 0]), [MAX, 0, 0]);
        assert_eq!(shares([0, 9 * MAX, 0]), [0, MAX, 0]);
        assert_eq!(shares([0, 0, 9 * MAX]), [0, 0, MAX]);
        assert_eq!(shares([9 * MAX, 1, 0]), [MAX - 1, 1, 0]);
        assert_eq!(shares([0, 9 * MAX, 9 * MAX]), [0, MAX / 4 * 3, MAX / 4]);
        assert_eq!(shares([1, 1, 1]), [1, 1, 1]);
        assert_eq!(shares([10, 5, 9 * MAX]), [10, 5, MAX - 15]);
    }

    #[test]
    fn a_call_is_never_cut_in_two() {
        let lanes = Lanes::default();
        let nothing = || Submission::new(ordermill_core::input::Input::new(ordermill_core::input::Body::Nothing));
        let calls = |count: usize| Call::new((0..count).map(|_| nothing()).collect());
        let (first, mut answers) = calls(MAX - 1);
        lanes.push(Source::Results, first).expect("there is room");
        lanes.push(Source::Results, calls(10).0).expect("there is room");
        lanes.push(Source::Results, calls(5).0).expect("there is room");
        let load = lanes.try_take();
        assert_eq!(load.inputs.len(), MAX + 9);
        assert_eq!(lanes.state.lock().waiting(), [5, 0, 0]);
        assert!(answers.try_recv().is_err());
        for caller in load.callers {
            let count = caller.count;
            caller.answer((0..count).map(|_| Err(SubmitError::Closing)).collect());
        }
        assert_eq!(answers.try_recv().expect("all are there").len(), MAX - 1);
        lanes.close();
        assert_eq!(lanes.try_take().inputs.len(), 5);
        assert!(lanes.try_take().closing);
        assert!(matches!(lanes.push(Source::Results, calls(1).0), Err(Declined::Closing)));
    }

    #[test]
    fn large_calls_take_no_more_than_their_share() {
        let lanes = Lanes::default();
        let nothing = || Submission::new(ordermill_core::input::Input::new(ordermill_core::input::Body::Nothing));
        let call = |count: usize| Call::new((0..count).map(|_| nothing()).collect()).0;
        let mut taken = [0; 3];
        for _ in 0..200 {
            for source in [Source::Live, Source::Import] {
                while lanes.push(source, call(if source == Source::Import { MAX } else { 1 })).is_ok() {}
            }
            let before = [0, INTAKE_MAX, lanes.state.lock().lanes[2].inputs];
            let load = lanes.try_take();
            assert!(!load.inputs.is_empty());
            let left = lanes.state.lock().waiting();
            (0..3).for_each(|lane| taken[lane] += before[lane] - left[lane]);
        }
        assert!(taken[1] > 2 * taken[2] && taken[2] > 30 * MAX, "{taken:?}");
    }
}
