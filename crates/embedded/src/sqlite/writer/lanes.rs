//! The way to the writer: lanes that calls and commands wait in, and the writer's sleep.

use std::collections::VecDeque;
use std::time::Duration;

use ordermill_ports::group_commit::{self, Call, Caller, Declined, Entrance};
use ordermill_ports::ledger::{Source, Submission};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

/// Work beside inputs.
#[derive(Debug)]
pub(in super::super) enum Command {
    /// Deliver these dead letters again; answers which were there.
    Redrive {
        /// Their ids.
        ids: Vec<u64>,
        /// To whom it is answered.
        reply: oneshot::Sender<Vec<u64>>,
    },
    /// Runs SQL on the writer's connection, outside of any commit.
    #[cfg(test)]
    Sql {
        /// One or more statements.
        sql: String,
        /// To whom it is answered.
        reply: oneshot::Sender<rusqlite::Result<()>>,
    },
    /// Panics behind the commit, before it is taken into memory.
    #[cfg(test)]
    Defect,
}

/// The inputs of one commit.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// In the order in which they are decided.
    pub(super) inputs: Vec<Submission>,
    /// Who gets the answers: to each the next so many.
    pub(super) callers: Vec<Caller>,
    /// Work beside them.
    pub(super) commands: Vec<Command>,
    /// Nothing more will come.
    pub(super) closing: bool,
    /// Inputs that still wait, by lane.
    pub(super) waiting: [usize; 3],
}

#[derive(Debug, Default)]
struct State {
    lanes: group_commit::Lanes,
    commands: VecDeque<Command>,
    closing: bool,
    writer_sleeps: bool,
}

/// The lanes.
#[derive(Debug, Default)]
pub(in super::super) struct Lanes {
    state: Mutex<State>,
    filled: Condvar,
    room: [Notify; 3],
}

impl Entrance for Lanes {
    fn push(&self, source: Source, call: Call) -> Result<(), Declined> {
        let mut state = self.state.lock();
        if state.closing {
            return Err(Declined::Closing);
        }
        state.lanes.push(source, call).map_err(Declined::Full)?;
        self.wake(&state);
        Ok(())
    }

    fn room(&self, source: Source) -> &Notify {
        &self.room[source as usize]
    }
}

impl Lanes {
    /// Hands over work beside inputs; `false` when nothing more is taken.
    pub(in super::super) fn command(&self, command: Command) -> bool {
        let mut state = self.state.lock();
        if state.closing {
            return false;
        }
        state.commands.push_back(command);
        self.wake(&state);
        true
    }

    /// Whether nothing more is taken.
    pub(in super::super) fn is_closing(&self) -> bool {
        self.state.lock().closing
    }

    /// Takes nothing more from now on; the writer ends when it has done what is there.
    pub(in super::super) fn close(&self) {
        let mut state = self.state.lock();
        state.closing = true;
        self.wake(&state);
        for room in &self.room {
            room.notify_waiters();
        }
    }

    /// Lets go of everybody who still waits for an answer: the writer is gone.
    pub(super) fn abandon(&self) {
        self.close();
        let mut state = self.state.lock();
        state.lanes = Default::default();
        state.commands.clear();
    }

    fn wake(&self, state: &State) {
        if state.writer_sleeps {
            self.filled.notify_one();
        }
    }

    /// Waits for work and takes what fits into one commit. With a time limit it may come back with nothing.
    pub(super) fn take(&self, limit: Option<Duration>) -> Load {
        let mut state = self.state.lock();
        while !state.closing && state.commands.is_empty() && state.lanes.is_empty() {
            state.writer_sleeps = true;
            let timed_out = match limit {
                Some(limit) => self.filled.wait_for(&mut state, limit).timed_out(),
                None => {
                    self.filled.wait(&mut state);
                    false
                }
            };
            state.writer_sleeps = false;
            if timed_out {
                break;
            }
        }
        let commands = state.commands.drain(..).collect();
        let group_commit::Load { inputs, callers, eased } = state.lanes.take();
        let (waiting, closing) = (state.lanes.waiting(), state.closing && state.lanes.is_empty());
        drop(state);
        for source in eased {
            self.room[source as usize].notify_waiters();
        }
        Load { inputs, callers, commands, closing, waiting }
    }
}
