//! What ledgers share that put many calls into one commit: the lanes that calls wait in, and the way through them and back.
//!
//! How a ledger's writer sleeps and is woken is its own; see [`Entrance`].

mod enter;
mod lanes;

pub use enter::{Declined, Entrance, ROOM_WAIT, enqueue, enter, orders, refuse};
pub use lanes::{Answer, BATCH_INPUTS_MAX, Call, Caller, Lanes, Load};
