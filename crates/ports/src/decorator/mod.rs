//! Wrappers around a gateway that are gateways themselves. Each does one thing; they are put around one another like
//! `Metered(Breaker(Timeout(provider)))`, so that the breaker sees timeouts, and the metrics see what the caller sees.
//!
//! There is no retrying wrapper: when something is tried again is part of the order process, and is in its table.

pub mod breaker;
pub mod cached;
pub mod faulty;
pub mod metered;
pub mod timeout;

pub use breaker::Breaker;
pub use cached::Cached;
pub use faulty::Faulty;
pub use metered::Metered;
pub use timeout::Timeout;
