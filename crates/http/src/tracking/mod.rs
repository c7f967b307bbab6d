//! Parcels: what carriers report of them, and what is known of them.
//!
//! Reports come in over two addresses, [`report`] and `wire::tracking`, which differ in names and leniency alone: both make [`draft`]s
//! of what they read, and everything behind that is one.

pub(crate) mod draft;
pub(crate) mod instant;
pub(crate) mod intake;
pub(crate) mod json;
pub(crate) mod list;
mod metrics;
pub(crate) mod parcel;
pub(crate) mod reader;
pub(crate) mod report;
pub(crate) mod timeline;
pub(crate) mod xml;

pub use self::metrics::TRACKING_REPORTS_TOTAL;
