//! One lane per source, bounded, drained in shares.

use std::collections::VecDeque;

use ordermill_core::input::Body;
use tokio::sync::oneshot;

use crate::bus::{Settle, Settlement};
use crate::ledger::{Outcome, Source, Submission, SubmitError};

/// Inputs in one commit. A commit costs nearly the same for one as for all of them, and takes about as long as deciding this many. The
/// last call of each lane is taken whole, so there may be a few more.
pub const BATCH_INPUTS_MAX: usize = 1_024;

/// So many acknowledgements alone count as one input: nothing is decided for them, and a cursor moves once for all. Counted as inputs,
/// those of a relay, which has one for each event, would take more than half of every commit from the work that it waits behind.
const ACKNOWLEDGEMENTS_PER_INPUT: usize = 8;

/// Inputs that wait in the lane of results. Roles bound their own work far below, so none of them ever waits here.
const RESULTS_MAX: usize = 32 * 1024;

/// Inputs that wait in each lane of intake: what a writer does in a fraction of a second.
const INTAKE_MAX: usize = 8 * 1024;

/// What came of one input.
pub type Answer = Result<Outcome, SubmitError>;

/// Who gets the answers of one call of `submit`.
#[derive(Debug)]
pub struct Caller {
    /// How many answers.
    pub count: usize,
    reply: oneshot::Sender<Vec<Answer>>,
}

impl Caller {
    /// Sends the answers, in the order of the inputs.
    pub fn answer(self, answers: Vec<Answer>) {
        // A caller that went away does not want its answers.
        let _ = self.reply.send(answers);
    }
}

/// A call on its way. It is never cut in two: all of it is in one commit, or none.
#[derive(Debug)]
pub struct Call {
    inputs: Vec<Submission>,
    weight: usize,
    reply: oneshot::Sender<Vec<Answer>>,
}

impl Call {
    /// A call with the receiver of its answers.
    #[must_use]
    pub fn new(inputs: Vec<Submission>) -> (Self, oneshot::Receiver<Vec<Answer>>) {
        let (reply, receiver) = oneshot::channel();
        (Self { weight: weight(&inputs), inputs, reply }, receiver)
    }
}

/// How many inputs these count as in a commit.
fn weight(submissions: &[Submission]) -> usize {
    let acknowledgements = submissions.iter().filter(|submission| is_acknowledgement(submission)).count();
    submissions.len() - acknowledgements + acknowledgements.div_ceil(ACKNOWLEDGEMENTS_PER_INPUT)
}

fn is_acknowledgement(submission: &Submission) -> bool {
    let is_ack = |settlement: &Settlement| matches!(settlement.how, Settle::Ack);
    matches!(submission.input.body, Body::Nothing) && submission.settles.as_ref().is_some_and(is_ack)
}

/// The inputs of one commit.
#[derive(Debug, Default)]
pub struct Load {
    /// In the order in which they are decided.
    pub inputs: Vec<Submission>,
    /// Who gets the answers: to each the next so many.
    pub callers: Vec<Caller>,
    /// Lanes with more room than before.
    pub eased: Vec<Source>,
}

#[derive(Debug, Default)]
struct Lane {
    calls: VecDeque<Call>,
    inputs: usize,
    weight: usize,
    /// Weight taken beyond its shares, as calls are taken whole. It counts against its next shares.
    ahead: usize,
}

impl Lane {
    fn push(&mut self, call: Call) {
        self.inputs += call.inputs.len();
        self.weight += call.weight;
        self.calls.push_back(call);
    }

    /// Takes whole calls until they weigh as much as its share, or a little more.
    fn take(&mut self, share: usize, load: &mut Load) {
        let count = share.saturating_sub(self.ahead);
        let mut taken = 0;
        while taken < count
            && let Some(Call { inputs, weight, reply }) = self.calls.pop_front()
        {
            taken += weight;
            self.inputs -= inputs.len();
            load.callers.push(Caller { count: inputs.len(), reply });
            load.inputs.extend(inputs);
        }
        self.weight -= taken;
        self.ahead = (self.ahead + taken).saturating_sub(share);
    }
}

/// The lanes.
#[derive(Debug, Default)]
pub struct Lanes([Lane; 3]);

impl Lanes {
    /// Puts a call into its lane.
    ///
    /// # Errors
    /// The call, when its lane is full.
    pub fn push(&mut self, source: Source, call: Call) -> Result<(), Call> {
        let max = if source == Source::Results { RESULTS_MAX } else { INTAKE_MAX };
        let lane = &mut self.0[source as usize];
        if lane.inputs >= max {
            return Err(call);
        }
        lane.push(call);
        Ok(())
    }

    /// Inputs that wait: results, live intake, imports.
    #[must_use]
    pub fn waiting(&self) -> [usize; 3] {
        [0, 1, 2].map(|lane: usize| self.0[lane].inputs)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting() == [0; 3]
    }

    /// Takes what fits into one commit; nothing where nothing waits.
    pub fn take(&mut self) -> Load {
        let mut load = Load::default();
        let waiting = self.waiting();
        let shares = shares([0, 1, 2].map(|lane: usize| self.0[lane].weight));
        let is_contested = waiting.iter().filter(|inputs| **inputs > 0).count() > 1;
        while load.inputs.is_empty() && waiting != [0; 3] {
            for (lane, share) in self.0.iter_mut().zip(shares) {
                if !is_contested {
                    lane.ahead = 0;
                }
                lane.take(share, &mut load);
            }
        }
        let eased = |source: &Source| waiting[*source as usize] > self.0[*source as usize].inputs;
        load.eased = [Source::Results, Source::Live, Source::Import].into_iter().filter(eased).collect();
        load
    }
}

impl Lanes {
    /// Takes all intake, to be refused while nothing can be committed; results stay.
    pub fn take_intake(&mut self) -> Load {
        let mut load = Load::default();
        for source in [Source::Live, Source::Import] {
            let lane = &mut self.0[source as usize];
            if lane.inputs > 0 {
                load.eased.push(source);
                lane.take(usize::MAX, &mut load);
                lane.ahead = 0;
            }
        }
        load
    }
}

/// How many inputs of results, live intake and imports the next commit takes, by their weight. Results go first, up to three quarters
/// when there is intake; live intake has three quarters of the rest when there are imports; what one does not need the others get.
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
    use ordermill_core::Timestamp;
    use ordermill_core::event::{EventType, Subject};
    use ordermill_core::id::OrderId;
    use ordermill_core::input::{Body, Input};
    use ordermill_core::process::Role;

    use super::*;
    use crate::bus::Delivery;
    use crate::queries::Position;

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
        let mut lanes = Lanes::default();
        let nothing = || Submission::new(Input::new(Body::Nothing));
        let calls = |count: usize| Call::new((0..count).map(|_| nothing()).collect());
        let (first, mut answers) = calls(MAX - 1);
        lanes.push(Source::Results, first).expect("there is room");
        lanes.push(Source::Results, calls(10).0).expect("there is room");
        lanes.push(Source::Results, calls(5).0).expect("there is room");
        let load = lanes.take();
        assert_eq!((load.inputs.len(), &load.eased[..]), (MAX + 9, &[Source::Results][..]));
        assert_eq!(lanes.waiting(), [5, 0, 0]);
        assert!(answers.try_recv().is_err());
        for caller in load.callers {
            let count = caller.count;
            caller.answer((0..count).map(|_| Err(SubmitError::Closing)).collect());
        }
        assert_eq!(answers.try_recv().expect("all are there").len(), MAX - 1);
        assert_eq!(lanes.take().inputs.len(), 5);
        assert!(lanes.is_empty() && lanes.take().inputs.is_empty());
    }

    #[test]
    fn acknowledgements_take_little_of_a_commit() {
        let delivery = Delivery {
            role: Role::Relay,
            position: Position(1),
            subject: Subject::Order(OrderId::from_bytes([7; 16])),
            version: 1,
            kind: EventType::OrderPlaced,
            at: Timestamp::UNIX_EPOCH,
            tries: 0,
        };
        let call = |submission: &Submission, count| Call::new(vec![submission.clone(); count]).0;
        let acknowledgement = Submission::settle(delivery.clone().ack());
        let again = Submission::settle(delivery.retry(Timestamp::UNIX_EPOCH, "later".to_owned()));
        let mut lanes = Lanes::default();
        for _ in 0..4 {
            lanes.push(Source::Results, call(&acknowledgement, MAX)).expect("there is room");
        }
        lanes.push(Source::Results, call(&again, MAX / 2)).expect("there is room");
        lanes.push(Source::Results, call(&again, 1)).expect("there is room");
        assert_eq!(lanes.waiting(), [4 * MAX + MAX / 2 + 1, 0, 0]);
        assert_eq!(lanes.take().inputs.len(), 4 * MAX + MAX / 2, "what is put off has a row to be written");
        assert_eq!(lanes.take().inputs.len(), 1);
        assert!(lanes.is_empty());
    }

    #[test]
    fn intake_is_taken_back_and_results_are_not() {
        let mut lanes = Lanes::default();
        let calls = |count: usize| Call::new((0..count).map(|_| Submission::new(Input::new(Body::Nothing))).collect());
        for source in [Source::Results, Source::Live, Source::Import, Source::Live] {
            lanes.push(source, calls(2).0).expect("there is room");
        }
        let load = lanes.take_intake();
        assert_eq!(
            (load.inputs.len(), load.callers.len(), &load.eased[..]),
            (6, 3, &[Source::Live, Source::Import][..])
        );
        assert_eq!(lanes.waiting(), [2, 0, 0]);
        assert!(lanes.take_intake().callers.is_empty());
        lanes.push(Source::Live, calls(1).0).expect("there is room");
        assert_eq!(lanes.take().inputs.len(), 3, "it goes on");
    }

    #[test]
    fn large_calls_take_no_more_than_their_share() {
        let mut lanes = Lanes::default();
        let nothing = || Submission::new(Input::new(Body::Nothing));
        let call = |count: usize| Call::new((0..count).map(|_| nothing()).collect()).0;
        let mut taken = [0; 3];
        for _ in 0..200 {
            for source in [Source::Live, Source::Import] {
                while lanes.push(source, call(if source == Source::Import { MAX } else { 1 })).is_ok() {}
            }
            let before = [0, INTAKE_MAX, lanes.waiting()[2]];
            let load = lanes.take();
            assert!(!load.inputs.is_empty());
            let left = lanes.waiting();
            (0..3).for_each(|lane| taken[lane] += before[lane] - left[lane]);
        }
        assert!(taken[1] > 2 * taken[2] && taken[2] > 30 * MAX, "{taken:?}");
    }
}
