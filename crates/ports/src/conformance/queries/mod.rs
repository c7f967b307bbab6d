//! What the reads of a ledger have to show.

pub mod catalogue;
pub mod customer_lists;
pub mod feed;
pub mod lists;
pub mod orders;
pub mod parcel_lists;
pub mod parcel_waits;
pub mod record_lists;
pub mod waits;
