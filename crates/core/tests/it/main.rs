//! The order process, shown right: properties over random histories, exhaustive harnesses over the process table, a model check of
//! one order and its provider, golden files, and the defects once found, each by name.

mod support;

mod attention;
mod deadline;
mod golden;
mod harness;
mod history;
mod intake;
mod kept;
mod late;
mod model;
mod parcels;
mod placing;
mod races;
mod refusals;
mod unpaid;
