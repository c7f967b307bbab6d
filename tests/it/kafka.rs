//! The black-box tests on PostgreSQL with Kafka as the event path: those of the embedded profile that live from events on their way, and
//! what only a broker can show.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "profile/kafka.rs"]
mod profile;
mod support;

mod crash;
mod event_path;
mod lifecycle;
mod payments;
mod stock;
mod systems;
