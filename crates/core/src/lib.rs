//! The order process of Ordermill.
//!
//! Everything here is pure: no I/O, no async, no clock, no randomness and no iteration in hash order. [`decide::decide`] holds
//! all control flow of the business, [`order::Order::evolve`] folds what was decided, and [`process::TABLE`] shows the whole
//! process on one screen. A wrong input is refused with a typed [`refusal::Refusal`]; nothing here panics on input.

pub mod channel;
pub mod customer;
pub mod decide;
pub mod event;
pub mod facts;
pub mod id;
pub mod idempotency;
pub mod input;
pub mod intake;
pub mod invariant;
pub mod limits;
pub mod mail;
pub mod money;
pub mod order;
pub mod parcel;
pub mod payment;
pub mod policy;
pub mod process;
pub mod product;
pub mod record;
pub mod refusal;
pub mod reservation;
pub mod secret;
pub mod stock;

pub use jiff::Timestamp;
