use ordermill_core::id::{OrderId, PaymentMethod, ProviderRef};
use ordermill_core::money::{Currency, Money};
use ordermill_core::payment::{OperationId, OperationKind};
use parking_lot::Mutex;

use super::*;

/// A provider that carries out everything, after a wait, and remembers what.
#[derive(Debug, Default)]
pub(crate) struct Provider {
    wait: Duration,
    performed: Mutex<Vec<PaymentKey>>,
}

impl Provider {
    pub(crate) fn slow(wait: Duration) -> Self {
        Self { wait, ..Self::default() }
    }
}

#[async_trait]
impl Payments for Provider {
    async fn perform(&self, request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
        tokio::time::sleep(self.wait).await;
        self.performed.lock().push(request.key);
        answer(1)
    }

    async fn look_up(&self, _: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError> {
        tokio::time::sleep(self.wait).await;
        answer(1).map(Some)
    }
}

pub(crate) fn answer(number: u8) -> Result<PaymentAnswer, PaymentError> {
    Ok(PaymentAnswer::Succeeded { provider_ref: ProviderRef::new(&format!("ref_{number}")).expect("a plain text") })
}

/// A request to authorize, of an order that follows from the number.
pub(crate) fn request(number: u8) -> PaymentRequest {
    let operation = OperationId { kind: OperationKind::Authorize, number: 1 };
    PaymentRequest {
        key: PaymentKey { order_id: OrderId::from_bytes([number; 16]), operation, attempt: 1 },
        amount: Money { amount_minor: 1999, currency: Currency::USD },
        method: PaymentMethod::new("ok").expect("a plain text"),
        authorization: None,
        unresolved: false,
    }
}

const RATES: Rates = Rates { fail_before: 0.2, lose_answer: 0.1, slow: 0.3, slow_for: Duration::from_secs(1) };

/// What happened to a call: its result, whether it was carried out, and how long it took.
type Call = (Result<PaymentAnswer, PaymentError>, bool, Duration);

/// What happened to 1,000 calls.
async fn history(seed: u64) -> Vec<Call> {
    let provider = Arc::new(Provider::default());
    let faulty = Faulty::new(Arc::clone(&provider) as Arc<dyn Payments>, seed, RATES);
    let mut history = Vec::new();
    for _ in 0..1_000 {
        let (before, begun) = (provider.performed.lock().len(), tokio::time::Instant::now());
        let result = faulty.perform(&request(1)).await;
        history.push((result, provider.performed.lock().len() > before, begun.elapsed()));
    }
    history
}

#[tokio::test(start_paused = true)]
async fn faults_follow_from_the_seed_and_come_at_their_rates() {
    let first = history(7).await;
    assert_eq!(first, history(7).await);
    assert_ne!(first, history(8).await);
    let count = |wanted: &dyn Fn(&Call) -> bool| first.iter().filter(|call| wanted(call)).count();
    let failed_before = count(&|(result, done, _)| matches!(result, Err(PaymentError::Unavailable(_))) && !done);
    let lost = count(&|(result, done, _)| *result == Err(PaymentError::Timeout) && *done);
    let slow = count(&|(result, done, took)| result.is_ok() && *done && *took >= RATES.slow_for);
    let quick = count(&|(result, done, took)| result.is_ok() && *done && *took < RATES.slow_for);
    assert_eq!(failed_before + lost + slow + quick, 1_000, "nothing else happens");
    assert!((150..250).contains(&failed_before), "{failed_before}");
    assert!((60..140).contains(&lost), "{lost}");
    assert!((250..350).contains(&slow), "{slow}");
}

#[tokio::test]
async fn without_rates_nothing_is_faulty() {
    let faulty = Faulty::new(Arc::new(Provider::default()) as Arc<dyn Payments>, 1, Rates::default());
    for _ in 0..1_000 {
        assert_eq!(faulty.perform(&request(1)).await, answer(1));
    }
}
