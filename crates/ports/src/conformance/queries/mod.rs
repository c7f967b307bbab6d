//! What the reads of a ledger have to show.

pub mod catalogue;
pub mod feed;
pub mod lists;
pub mod orders;
pub mod waits;
