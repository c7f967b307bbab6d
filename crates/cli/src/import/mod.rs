//! Imports: a file of many lines goes to the server as a stream, answers come back as one, and a break in between loses and
//! doubles nothing.

mod feed;
mod outcomes;
mod pump;
mod source;
mod summary;
mod tally;

pub use outcomes::{Outcomes, await_outcomes};
pub use pump::{Kind, import};
pub use source::Input;
pub use summary::{print_outcomes, summarize};
