//! What a ledger has to show.

pub mod admission;
pub mod calls;
pub mod closing;
pub mod customers;
pub mod deadlines;
pub mod keys;
pub mod late;
pub mod parcels;
pub mod process;
pub mod products;
pub mod property;
pub mod records;
pub mod references;
pub mod shortage;
pub mod stock;
pub mod unpaid;
