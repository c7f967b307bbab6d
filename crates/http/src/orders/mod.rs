//! Orders: one file for each thing that can be done.

pub(crate) mod actions;
pub(crate) mod bulk;
pub(crate) mod events;
pub(crate) mod place;
pub(crate) mod read;
pub(crate) mod stream;
