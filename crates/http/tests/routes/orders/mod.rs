//! `/v1/orders`

mod actions;
mod bad_input;
mod bulk;
mod events;
mod failures;
mod list;
mod place;
mod wait;
