//! What a payment provider has to show: that a key is one request for ever, and that money cannot be taken, let go of or given
//! back twice.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use ordermill_core::id::{OrderId, PaymentMethod, ProviderRef};
use ordermill_core::input::PaymentAnswer;
use ordermill_core::money::{Currency, Money};
use ordermill_core::payment::{DeclineReason, OperationId, OperationKind, PaymentKey, PaymentRequest};

use crate::payments::Payments;

/// Makes every case a test: `payments_suite!(MyHarness::new());`, in a module of its own.
#[macro_export]
macro_rules! payments_suite {
    ($harness:expr) => {
        $crate::gateway_cases! { payments, $harness;
            the_same_key_gives_the_same_answer, a_refusal_is_kept_and_the_next_attempt_is_judged_anew,
            another_amount_under_a_key_is_refused, money_is_taken_once, money_is_let_go_of_once,
            never_more_is_given_back_than_was_taken, what_is_not_known_is_not_found,
            never_more_is_taken_than_is_held, twins_are_one_request, racing_refunds_stay_within_what_was_taken,
            capture_and_void_cannot_both_win, a_look_up_tells_what_became_of_a_key, everything_is_kept_when_opened_again,
        }
    };
}

/// One place for a provider's books: empty when it is made, and for one case only.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens the provider. A case opens it again only when it dropped the one before, and then finds what was answered.
    async fn open(&self) -> Arc<dyn Payments>;

    /// A payment method that works.
    fn works(&self) -> PaymentMethod;

    /// A payment method whose authorization is declined.
    fn declined(&self) -> PaymentMethod;
}

/// An order at the provider.
struct Account {
    provider: Arc<dyn Payments>,
    order_id: OrderId,
    method: PaymentMethod,
    authorization: Option<ProviderRef>,
}

fn key(order_id: OrderId, kind: OperationKind, number: u16, attempt: u16) -> PaymentKey {
    PaymentKey { order_id, operation: OperationId { kind, number }, attempt }
}

const fn refused(reason: DeclineReason) -> PaymentAnswer {
    PaymentAnswer::Refused { reason }
}

fn worked(answer: &PaymentAnswer) -> bool {
    matches!(answer, PaymentAnswer::Succeeded { .. })
}

impl Account {
    fn new(provider: &Arc<dyn Payments>, method: PaymentMethod) -> Self {
        let order_id = OrderId::from_uuid(uuid::Uuid::now_v7());
        Self { provider: Arc::clone(provider), order_id, method, authorization: None }
    }

    /// An order whose money is held.
    async fn held(provider: &Arc<dyn Payments>, method: PaymentMethod, amount_minor: i64) -> Self {
        let mut account = Self::new(provider, method);
        match account.ask(OperationKind::Authorize, 1, 1, amount_minor).await {
            PaymentAnswer::Succeeded { provider_ref } => account.authorization = Some(provider_ref),
            answer => panic!("a payment method that works was answered {answer:?}"),
        }
        account
    }

    async fn ask(&self, kind: OperationKind, number: u16, attempt: u16, amount_minor: i64) -> PaymentAnswer {
        let request = PaymentRequest {
            key: key(self.order_id, kind, number, attempt),
            amount: Money { amount_minor, currency: Currency::USD },
            method: self.method.clone(),
            authorization: self.authorization.clone(),
            unresolved: false,
        };
        self.provider.perform(&request).await.expect("the provider answers")
    }

    async fn look_up(&self, kind: OperationKind, number: u16, attempt: u16) -> Option<PaymentAnswer> {
        self.provider.look_up(&key(self.order_id, kind, number, attempt)).await.expect("the provider answers")
    }
}

/// However often, and whatever happened in between.
pub async fn the_same_key_gives_the_same_answer(harness: &dyn Harness) {
    let provider = harness.open().await;
    let account = Account::held(&provider, harness.works(), 1_999).await;
    let held = account.ask(OperationKind::Authorize, 1, 1, 1_999).await;
    assert!(worked(&held));
    let captured = account.ask(OperationKind::Capture, 1, 1, 1_999).await;
    assert!(worked(&captured));
    let too_late = account.ask(OperationKind::Void, 1, 1, 1_999).await;
    let back = account.ask(OperationKind::Refund, 1, 1, 1_999).await;
    assert!(worked(&back));
    for _ in 0..3 {
        assert_eq!(account.ask(OperationKind::Authorize, 1, 1, 1_999).await, held);
        assert_eq!(account.ask(OperationKind::Capture, 1, 1, 1_999).await, captured);
        assert_eq!(account.ask(OperationKind::Void, 1, 1, 1_999).await, too_late);
        assert_eq!(account.ask(OperationKind::Refund, 1, 1, 1_999).await, back);
    }
}

/// A key that was refused stays refused; a new attempt is a new request.
pub async fn a_refusal_is_kept_and_the_next_attempt_is_judged_anew(harness: &dyn Harness) {
    let provider = harness.open().await;
    let mut account = Account::new(&provider, harness.declined());
    for _ in 0..3 {
        assert!(!worked(&account.ask(OperationKind::Authorize, 1, 1, 500).await));
    }
    assert!(!worked(&account.ask(OperationKind::Authorize, 1, 2, 500).await));
    account.method = harness.works();
    assert!(
        !worked(&account.ask(OperationKind::Authorize, 1, 1, 500).await),
        "the first attempt was answered for ever"
    );
    assert!(worked(&account.ask(OperationKind::Authorize, 1, 3, 500).await));
}

/// A key stands for one request; the first one keeps its answer.
pub async fn another_amount_under_a_key_is_refused(harness: &dyn Harness) {
    let provider = harness.open().await;
    let account = Account::held(&provider, harness.works(), 1_000).await;
    assert_eq!(account.ask(OperationKind::Authorize, 1, 1, 1_001).await, refused(DeclineReason::Invalid));
    assert!(worked(&account.ask(OperationKind::Authorize, 1, 1, 1_000).await));
    assert!(worked(&account.ask(OperationKind::Capture, 1, 1, 1_000).await));
    assert_eq!(account.ask(OperationKind::Capture, 1, 1, 1).await, refused(DeclineReason::Invalid));
    assert!(worked(&account.ask(OperationKind::Capture, 1, 1, 1_000).await));
}

/// A capture ends what is held.
pub async fn money_is_taken_once(harness: &dyn Harness) {
    let provider = harness.open().await;
    let account = Account::held(&provider, harness.works(), 1_000).await;
    assert!(worked(&account.ask(OperationKind::Capture, 1, 1, 1_000).await));
    assert_eq!(account.ask(OperationKind::Capture, 1, 2, 1_000).await, refused(DeclineReason::AlreadyCaptured));
    assert_eq!(account.ask(OperationKind::Capture, 2, 1, 1_000).await, refused(DeclineReason::AlreadyCaptured));
    assert_eq!(account.ask(OperationKind::Void, 1, 1, 1_000).await, refused(DeclineReason::AlreadyCaptured));
}

/// So does a void.
pub async fn money_is_let_go_of_once(harness: &dyn Harness) {
    let provider = harness.open().await;
    let account = Account::held(&provider, harness.works(), 1_000).await;
    assert!(worked(&account.ask(OperationKind::Void, 1, 1, 1_000).await));
    assert_eq!(account.ask(OperationKind::Void, 1, 2, 1_000).await, refused(DeclineReason::Voided));
    assert_eq!(account.ask(OperationKind::Void, 2, 1, 1_000).await, refused(DeclineReason::Voided));
    assert_eq!(account.ask(OperationKind::Capture, 1, 1, 1_000).await, refused(DeclineReason::Voided));
    assert!(!worked(&account.ask(OperationKind::Refund, 1, 1, 1_000).await), "nothing was taken");
}

/// In parts, to the last unit.
pub async fn never_more_is_given_back_than_was_taken(harness: &dyn Harness) {
    let provider = harness.open().await;
    let account = Account::held(&provider, harness.works(), 1_000).await;
    assert_eq!(account.ask(OperationKind::Refund, 1, 1, 1).await, refused(DeclineReason::Invalid));
    assert!(worked(&account.ask(OperationKind::Capture, 1, 1, 1_000).await));
    assert!(worked(&account.ask(OperationKind::Refund, 2, 1, 400).await));
    assert_eq!(account.ask(OperationKind::Refund, 3, 1, 601).await, refused(DeclineReason::Invalid));
    assert!(worked(&account.ask(OperationKind::Refund, 4, 1, 600).await));
    assert_eq!(account.ask(OperationKind::Refund, 5, 1, 1).await, refused(DeclineReason::Invalid));
}

/// An authorization of nobody, and one that was declined.
pub async fn what_is_not_known_is_not_found(harness: &dyn Harness) {
    let provider = harness.open().await;
    let stranger = Account::held(&provider, harness.works(), 700).await;
    let mut account = Account::new(&provider, harness.works());
    account.authorization = stranger.authorization.clone();
    for kind in [OperationKind::Capture, OperationKind::Void, OperationKind::Refund] {
        assert_eq!(account.ask(kind, 1, 1, 700).await, refused(DeclineReason::NotFound), "{kind:?}");
    }
    account.authorization = Some(ProviderRef::new("no such thing").expect("a plain text"));
    assert_eq!(account.ask(OperationKind::Capture, 2, 1, 700).await, refused(DeclineReason::NotFound));
    assert!(worked(&stranger.ask(OperationKind::Capture, 1, 1, 700).await), "its owner can use it");
}

/// Not a unit.
pub async fn never_more_is_taken_than_is_held(harness: &dyn Harness) {
    let provider = harness.open().await;
    let account = Account::held(&provider, harness.works(), 1_000).await;
    assert_eq!(account.ask(OperationKind::Capture, 1, 1, 1_001).await, refused(DeclineReason::Invalid));
    assert_eq!(account.ask(OperationKind::Capture, 2, 1, -1).await, refused(DeclineReason::Invalid));
    assert!(worked(&account.ask(OperationKind::Capture, 1, 2, 1_000).await));
}

/// The same key many times at once is carried out once.
pub async fn twins_are_one_request(harness: &dyn Harness) {
    let provider = harness.open().await;
    let account = Account::held(&provider, harness.works(), 1_000).await;
    assert!(worked(&account.ask(OperationKind::Capture, 1, 1, 1_000).await));
    let twins = join_all((0..32).map(|_| account.ask(OperationKind::Refund, 1, 1, 400))).await;
    assert!(worked(&twins[0]));
    assert!(twins.iter().all(|twin| *twin == twins[0]), "{twins:?}");
    assert!(worked(&account.ask(OperationKind::Refund, 2, 1, 600).await), "only one of them counted");
}

/// Ten refunds of a third at once: three are carried out.
pub async fn racing_refunds_stay_within_what_was_taken(harness: &dyn Harness) {
    let provider = harness.open().await;
    let account = Arc::new(Account::held(&provider, harness.works(), 1_000).await);
    assert!(worked(&account.ask(OperationKind::Capture, 1, 1, 1_000).await));
    let refund = |number| {
        let account = Arc::clone(&account);
        tokio::spawn(async move { account.ask(OperationKind::Refund, number, 1, 330).await })
    };
    let refunds = join_all((1..=10).map(refund)).await;
    let done = refunds.iter().filter(|refund| worked(refund.as_ref().expect("no task panics"))).count();
    assert_eq!(done, 3);
}

/// A cancel races with a capture: one of the two happens.
pub async fn capture_and_void_cannot_both_win(harness: &dyn Harness) {
    let provider = harness.open().await;
    for _ in 0..50 {
        let account = Arc::new(Account::held(&provider, harness.works(), 1_000).await);
        let ask = |kind| {
            let account = Arc::clone(&account);
            tokio::spawn(async move { account.ask(kind, 1, 1, 1_000).await })
        };
        let (capture, void) = tokio::join!(ask(OperationKind::Capture), ask(OperationKind::Void));
        let (capture, void) = (capture.expect("no task panics"), void.expect("no task panics"));
        match (worked(&capture), worked(&void)) {
            (true, false) => assert_eq!(void, refused(DeclineReason::AlreadyCaptured)),
            (false, true) => assert_eq!(capture, refused(DeclineReason::Voided)),
            both => panic!("capture and void worked: {both:?}"),
        }
    }
}

/// The same answer the request got; nothing for what was never asked.
pub async fn a_look_up_tells_what_became_of_a_key(harness: &dyn Harness) {
    let provider = harness.open().await;
    let account = Account::held(&provider, harness.works(), 1_000).await;
    let held = account.ask(OperationKind::Authorize, 1, 1, 1_000).await;
    assert_eq!(account.look_up(OperationKind::Authorize, 1, 1).await, Some(held));
    assert_eq!(account.look_up(OperationKind::Authorize, 1, 2).await, None);
    assert_eq!(account.look_up(OperationKind::Capture, 1, 1).await, None);
    let too_much = account.ask(OperationKind::Capture, 1, 1, 1_001).await;
    assert_eq!(account.look_up(OperationKind::Capture, 1, 1).await, Some(too_much));
    let stranger = Account::new(&provider, harness.works());
    assert_eq!(stranger.look_up(OperationKind::Authorize, 1, 1).await, None);
}

/// Answers, states and look-ups are those of before.
pub async fn everything_is_kept_when_opened_again(harness: &dyn Harness) {
    let provider = harness.open().await;
    let mut refunded = Account::held(&provider, harness.works(), 1_000).await;
    let captured = refunded.ask(OperationKind::Capture, 1, 1, 1_000).await;
    assert!(worked(&refunded.ask(OperationKind::Refund, 1, 1, 900).await));
    let mut voided = Account::held(&provider, harness.works(), 1_000).await;
    assert!(worked(&voided.ask(OperationKind::Void, 1, 1, 1_000).await));
    let mut held = Account::held(&provider, harness.works(), 1_000).await;
    let mut declined = Account::new(&provider, harness.declined());
    let no = declined.ask(OperationKind::Authorize, 1, 1, 5).await;
    for account in [&mut refunded, &mut voided, &mut held, &mut declined] {
        account.provider = Arc::new(Closed);
    }
    drop(provider);
    let provider = harness.open().await;
    for account in [&mut refunded, &mut voided, &mut held, &mut declined] {
        account.provider = Arc::clone(&provider);
    }
    assert_eq!(refunded.ask(OperationKind::Capture, 1, 1, 1_000).await, captured);
    assert_eq!(refunded.look_up(OperationKind::Capture, 1, 1).await, Some(captured));
    assert_eq!(refunded.ask(OperationKind::Refund, 2, 1, 101).await, refused(DeclineReason::Invalid));
    assert_eq!(voided.ask(OperationKind::Capture, 1, 1, 1_000).await, refused(DeclineReason::Voided));
    assert_eq!(declined.ask(OperationKind::Authorize, 1, 1, 5).await, no);
    assert!(worked(&held.ask(OperationKind::Capture, 1, 1, 1_000).await));
}

/// Stands in for a provider that was dropped.
struct Closed;

#[async_trait]
impl Payments for Closed {
    async fn perform(&self, _: &PaymentRequest) -> Result<PaymentAnswer, crate::payments::PaymentError> {
        Err(crate::payments::PaymentError::Timeout)
    }

    async fn look_up(&self, _: &PaymentKey) -> Result<Option<PaymentAnswer>, crate::payments::PaymentError> {
        Err(crate::payments::PaymentError::Timeout)
    }
}
