//! What a ledger has to show.

pub mod admission;
pub mod calls;
pub mod closing;
pub mod deadlines;
pub mod keys;
pub mod late;
pub mod process;
pub mod property;
pub mod references;
pub mod shortage;
pub mod stock;
