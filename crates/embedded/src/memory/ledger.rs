//! Deciding and applying.

use std::collections::VecDeque;

use async_trait::async_trait;
use ordermill_core::decide::decide;
use ordermill_core::input::Body;
use ordermill_core::limits::SUBMIT_INPUTS_MAX;
use ordermill_ports::ledger::{Ledger, Outcome, Source, Submission, SubmitError};
use tokio::time::Instant;

use super::MemoryLedger;
use super::admission::{RETRY_AFTER, WAIT_MAX};
use super::facts::Moment;
use super::state::State;

type Answer = Result<Outcome, SubmitError>;

#[async_trait]
impl Ledger for MemoryLedger {
    async fn submit(&self, source: Source, submissions: Vec<Submission>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(submissions.len());
        if submissions.len() > SUBMIT_INPUTS_MAX {
            let reason = format!("one call takes at most {SUBMIT_INPUTS_MAX} submissions");
            answers.resize(submissions.len(), Err(SubmitError::NotCommitted { reason }));
            return answers;
        }
        let mut queue = VecDeque::from(submissions);
        let mut turn = None;
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            self.take(source, turn.is_some(), &mut queue, &mut answers);
            let (false, Some(door)) = (queue.is_empty(), self.admission.door(source)) else {
                return answers;
            };
            let in_time = match &turn {
                Some(_) => door.wait_for_room(deadline).await,
                None => {
                    turn = door.queue(deadline).await;
                    turn.is_some()
                }
            };
            if !in_time {
                // What follows in this call may still find room, or need none.
                queue.pop_front();
                answers.push(Err(SubmitError::Overloaded { retry_after: RETRY_AFTER }));
            }
        }
    }

    async fn ready(&self) -> Result<(), String> {
        if self.state.lock().closed { Err("the ledger is closing".to_owned()) } else { Ok(()) }
    }

    async fn close(&self) {
        self.state.lock().closed = true;
        self.admission.knock_everywhere();
    }
}

impl MemoryLedger {
    /// Decides and applies from the front of the queue until it is empty, or its first is an order for which there is no room.
    fn take(&self, source: Source, has_turn: bool, queue: &mut VecDeque<Submission>, answers: &mut Vec<Answer>) {
        let mut state = self.state.lock();
        let undecided_before = state.tally.undecided();
        while let Some(submission) = queue.pop_front() {
            match self.take_one(&mut state, source, has_turn, &submission) {
                Some(answer) => answers.push(answer),
                None => {
                    queue.push_front(submission);
                    break;
                }
            }
        }
        let undecided = state.tally.undecided();
        if undecided < undecided_before {
            self.admission.open(undecided);
        }
        let news = std::mem::take(&mut state.news);
        drop(state);
        self.spread(&news);
    }

    /// `None` when it is a new order without room; then nothing has changed.
    fn take_one(&self, state: &mut State, source: Source, has_turn: bool, submission: &Submission) -> Option<Answer> {
        if state.closed {
            return Some(Err(SubmitError::Closing));
        }
        // Read under the lock, so that later positions never have earlier times.
        let now = self.now();
        let input = &submission.input;
        let decided = decide(&Moment { state, now }, input, &state.policy, now);
        if let (Body::Place(_), Ok(decision), Some(door)) = (&input.body, &decided, self.admission.door(source)) {
            let may_enter = has_turn || door.is_free();
            let has_room = may_enter && self.admission.has_room(source, state.tally.undecided());
            if decision.replay.is_none() && !has_room {
                return None;
            }
        }
        let answer = decided.map(|decision| state.apply(decision, input, now)).map_err(SubmitError::from);
        if let Some(settlement) = &submission.settles {
            state.settle(settlement.clone(), now);
        }
        Some(answer)
    }
}
