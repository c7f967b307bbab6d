//! What only several processes on one ledger can show, and what can go wrong before there is one.

mod compose;
mod installation;
mod layout;
mod roles;
mod rolling;
mod setups;
mod starting;
