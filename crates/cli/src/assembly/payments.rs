//! The payment provider that the configuration names, with its wrappers.

use std::sync::Arc;

use anyhow::Result;
use ordermill_config as config;
use ordermill_config::Config;
use ordermill_core::process::Role;
use ordermill_embedded::sandbox;
use ordermill_embedded::sandbox::service::Gateway;
use ordermill_ports::decorator::{Breaker, Faulty, Metered, Timeout, breaker, faulty};
use ordermill_ports::{Clock, Payments};

use super::absent::Absent;

/// Faults on purpose come from this seed, so that two runs of the same calls meet the same faults.
const FAULT_SEED: u64 = 7;

/// Opens it. The sandbox's books have one process that keeps them, so they are left alone where the role does not run.
pub(super) fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Payments>> {
    if !config.roles.0.contains(&Role::Payments) {
        return Ok(Arc::new(Absent(Role::Payments)));
    }
    let provider = &config.provider;
    let mut payments: Arc<dyn Payments> = match &config.payments {
        config::PaymentProvider::Sandbox => Arc::new(sandbox(config, Arc::clone(clock))?),
        config::PaymentProvider::SandboxAt(url) => Arc::new(Gateway::new(url, provider.timeout.std())?),
    };
    let rates = faulty::Rates {
        fail_before: config.sandbox.fail_before_rate,
        lose_answer: config.sandbox.lose_answer_rate,
        slow: config.sandbox.slow_rate,
        slow_for: config.sandbox.slow.std(),
    };
    if rates.fail_before + rates.lose_answer + rates.slow > 0.0 {
        payments = Arc::new(Faulty::new(payments, FAULT_SEED, rates));
    }
    let settings = breaker::Settings {
        window: provider.breaker_window.std(),
        failure_rate: provider.breaker_failure_rate,
        calls_min: provider.breaker_calls_min,
        open_for: provider.breaker_open_for.std(),
        ..breaker::Settings::default()
    };
    let timed = Arc::new(Timeout::new(payments, provider.timeout.std()));
    let guarded = Arc::new(Breaker::new(timed, settings));
    Ok(Arc::new(Metered::payments(guarded)))
}

/// The sandbox, whose books this process keeps.
pub fn sandbox(config: &Config, clock: Arc<dyn Clock>) -> Result<sandbox::Sandbox> {
    let options = sandbox::Options { slow: config.sandbox.slow.std(), fsync: config.sandbox.fsync };
    Ok(sandbox::Sandbox::open(&config.sandbox.journal, clock, options)?)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use ordermill_core::Timestamp;
    use ordermill_core::id::{OrderId, PaymentMethod};
    use ordermill_core::money::{Currency, Money};
    use ordermill_core::payment::{OperationId, OperationKind, PaymentKey, PaymentRequest};
    use ordermill_ports::clock::SystemClock;
    use ordermill_ports::payments::PaymentError;

    use super::*;

    /// The machine's clock, which is set back by an hour at some time.
    #[derive(Default)]
    struct SetBack(AtomicBool);

    impl Clock for SetBack {
        fn now(&self) -> Timestamp {
            let back = if self.0.load(Ordering::SeqCst) { Duration::from_secs(3_600) } else { Duration::ZERO };
            SystemClock.now() - back
        }
    }

    fn request() -> PaymentRequest {
        let operation = OperationId { kind: OperationKind::Authorize, number: 1 };
        PaymentRequest {
            key: PaymentKey { order_id: OrderId::from_bytes([1; 16]), operation, attempt: 1 },
            amount: Money { amount_minor: 1999, currency: Currency::USD },
            method: PaymentMethod::new("ok").expect("a plain text"),
            authorization: None,
            unresolved: false,
        }
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_holds_payments_back_no_longer() {
        let data = tempfile::tempdir().expect("a directory can be made");
        let mut config = Config::with_defaults(data.path());
        config.sandbox.fail_before_rate = 1.0;
        config.provider.breaker_open_for = "500ms".parse().expect("a length of time");
        let clock = Arc::new(SetBack::default());
        let payments = open(&config, &(Arc::clone(&clock) as _)).expect("the sandbox opens");
        let deadline = Instant::now() + Duration::from_secs(30);
        let held_back = async |wanted: bool| {
            while (payments.perform(&request()).await == Err(PaymentError::BreakerOpen)) != wanted {
                assert!(Instant::now() < deadline, "soon it is {wanted} that calls are held back");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        held_back(true).await;
        clock.0.store(true, Ordering::SeqCst);
        held_back(false).await;
    }
}
