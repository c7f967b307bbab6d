use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use tokio::time::advance;

use super::*;
use crate::decorator::faulty::tests::{answer, request};

/// Answers what it was told to, and counts how often it was asked.
struct Scripted {
    result: Mutex<Option<Result<PaymentAnswer, PaymentError>>>,
    calls: AtomicU32,
}

#[async_trait]
impl Payments for Scripted {
    async fn perform(&self, _: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let result = self.result.lock().clone();
        match result {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    async fn look_up(&self, _: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError> {
        self.result.lock().clone().unwrap_or(Err(PaymentError::Timeout)).map(Some)
    }
}

struct Bench {
    provider: Arc<Scripted>,
    breaker: Breaker<dyn Payments>,
}

impl Bench {
    fn new() -> Self {
        let provider = Arc::new(Scripted { result: Mutex::new(Some(answer(1))), calls: AtomicU32::new(0) });
        let settings = Settings { calls_min: 10, probes: 2, ..Settings::default() };
        let breaker = Breaker::new(Arc::clone(&provider) as Arc<dyn Payments>, settings);
        Self { provider, breaker }
    }

    fn answers(&self, result: Result<PaymentAnswer, PaymentError>) {
        *self.provider.result.lock() = Some(result);
    }

    fn call(&self, times: u32, unresolved: bool) -> Result<PaymentAnswer, PaymentError> {
        let request = PaymentRequest { unresolved, ..request(1) };
        let call = || self.breaker.perform(&request).now_or_never().expect("the provider answers at once");
        (1..times).for_each(|_| drop(call()));
        call()
    }

    fn down(&self) {
        self.answers(Err(PaymentError::Unavailable("down".to_owned())));
    }

    fn calls(&self) -> u32 {
        self.provider.calls.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn it_opens_on_the_share_of_failures_and_then_sends_nothing() {
    let bench = Bench::new();
    bench.call(10, false).unwrap();
    bench.down();
    bench.call(9, false).unwrap_err();
    assert_eq!(bench.breaker.state(), State::Closed, "9 of 19 failed");
    bench.call(1, false).unwrap_err();
    assert_eq!(bench.breaker.state(), State::Open, "10 of 20 failed");
    let sent = bench.calls();
    assert_eq!(bench.call(5, false), Err(PaymentError::BreakerOpen));
    assert_eq!(bench.calls(), sent);
}

#[tokio::test(start_paused = true)]
async fn a_few_failures_alone_say_nothing() {
    let bench = Bench::new();
    bench.down();
    bench.call(9, false).unwrap_err();
    assert_eq!(bench.breaker.state(), State::Closed);
    // They have left the window when the tenth comes.
    advance(Duration::from_secs(11)).await;
    bench.call(1, false).unwrap_err();
    assert_eq!(bench.breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn payments_that_stay_unknown_hold_up_nobody_else() {
    let bench = Bench::new();
    bench.answers(Err(PaymentError::Timeout));
    bench.call(5, false).unwrap_err();
    bench.call(1_000, true).unwrap_err();
    let look_up = || bench.breaker.look_up(&request(1).key).now_or_never().expect("answered at once");
    (0..1_000).for_each(|_| assert_eq!(look_up(), Err(PaymentError::Timeout)));
    assert_eq!(bench.breaker.state(), State::Closed, "each counted once, when it was new");
    bench.call(5, false).unwrap_err();
    assert_eq!(bench.breaker.state(), State::Open, "ten new payments in a row timed out");
}

#[tokio::test(start_paused = true)]
async fn refusals_are_answers() {
    let bench = Bench::new();
    let reason = ordermill_core::payment::DeclineReason::Declined;
    bench.answers(Ok(PaymentAnswer::Refused { reason }));
    bench.call(1_000, false).unwrap();
    assert_eq!(bench.breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn probes_close_it_or_open_it_again() {
    let bench = Bench::new();
    bench.down();
    bench.call(10, false).unwrap_err();
    advance(Duration::from_secs(4)).await;
    assert_eq!(bench.call(1, false), Err(PaymentError::BreakerOpen));
    advance(Duration::from_secs(1)).await;
    assert!(matches!(bench.call(1, false), Err(PaymentError::Unavailable(_))), "a probe is sent");
    assert_eq!(bench.breaker.state(), State::Open, "and fails");
    advance(Duration::from_secs(5)).await;
    bench.answers(answer(1));
    bench.call(1, false).unwrap();
    assert_eq!(bench.breaker.state(), State::HalfOpen);
    bench.call(1, false).unwrap();
    assert_eq!(bench.breaker.state(), State::Closed);
    bench.down();
    bench.call(9, false).unwrap_err();
    assert_eq!(bench.breaker.state(), State::Closed, "it begins with an empty window");
}

#[tokio::test(start_paused = true)]
async fn only_so_many_probes_at_once_and_a_dropped_one_frees_its_place() {
    let bench = Bench::new();
    bench.down();
    bench.call(10, false).unwrap_err();
    advance(Duration::from_secs(5)).await;
    *bench.provider.result.lock() = None;
    let request = request(1);
    let mut first = bench.breaker.perform(&request);
    let mut second = bench.breaker.perform(&request);
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    assert_eq!(bench.breaker.perform(&request).now_or_never(), Some(Err(PaymentError::BreakerOpen)));
    drop(first);
    bench.answers(answer(1));
    assert!(bench.breaker.perform(&request).now_or_never().is_some_and(|result| result.is_ok()));
    drop(second);
    bench.call(1, false).unwrap();
    assert_eq!(bench.breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_from_before_does_not_count_as_a_probe() {
    let bench = Bench::new();
    let late_and_well = bench.breaker.gate.enter().unwrap();
    let late_and_ill = bench.breaker.gate.enter().unwrap();
    bench.down();
    bench.call(10, false).unwrap_err();
    advance(Duration::from_secs(5)).await;
    bench.answers(answer(1));
    bench.call(1, false).unwrap();
    late_and_well.leave(Sign::Well, None);
    assert_eq!(bench.breaker.state(), State::HalfOpen, "it took one probe of two");
    late_and_ill.leave(Sign::Ill, None);
    assert_eq!(bench.breaker.state(), State::HalfOpen);
    bench.call(1, false).unwrap();
    assert_eq!(bench.breaker.state(), State::Closed);
}
