//! Time and chance from outside, so that the simulator can give them.

use ordermill_core::Timestamp;
use ordermill_core::id::OrderId;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now, in whole microseconds: what is stored comes back equal.
    fn now(&self) -> Timestamp;

    /// Whether it tells the time of day. Then what counts for other machines as well goes by a clock that they share, where there is one:
    /// each of their own may be wrong. A clock that is set by hand is the only one.
    fn is_of_the_day(&self) -> bool {
        true
    }
}

/// Chance.
pub trait Random: Send + Sync {
    /// A new order id for an order taken at `now`. Ids made later by the same process sort later.
    fn order_id(&self, now: Timestamp) -> OrderId;

    /// A number in `0.0..1.0`.
    fn unit(&self) -> f64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

/// The machine's source of chance.
#[derive(Debug, Default)]
pub struct SystemRandom {
    context: parking_lot::Mutex<uuid::ContextV7>,
}

impl Random for SystemRandom {
    fn order_id(&self, now: Timestamp) -> OrderId {
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
        let context = self.context.lock();
        OrderId::from_uuid(uuid::Uuid::new_v7(uuid::Timestamp::from_unix(&*context, seconds, nanoseconds)))
    }

    fn unit(&self) -> f64 {
        // 53 random bits fill the mantissa of a double.
        let bits = uuid::Uuid::new_v4().as_u128() as u64 >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}
