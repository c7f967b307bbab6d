//! Each magic payment method ends as documented.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ordermill_core::id::{OrderId, PaymentMethod, ProviderRef};
use ordermill_core::input::PaymentAnswer;
use ordermill_core::money::{Currency, Money};
use ordermill_core::payment::{DeclineReason, OperationId, OperationKind, PaymentKey, PaymentRequest};
use ordermill_embedded::sandbox::{Options, Sandbox, read_journal};
use ordermill_ports::Payments;
use ordermill_ports::clock::SystemClock;
use ordermill_ports::payments::PaymentError;
use tempfile::TempDir;

/// How long the method `slow` takes: longer than anything else here, also on a busy machine.
const SLOW: Duration = Duration::from_secs(3);

type Answer = Result<PaymentAnswer, PaymentError>;

pub struct Shop {
    pub directory: TempDir,
    pub sandbox: Option<Sandbox>,
    pub order_id: OrderId,
    method: &'static str,
}

impl Shop {
    pub fn new(method: &'static str) -> Self {
        let order_id = OrderId::from_bytes(*b"\x01\x93\xa5\xc0\x11\x22\x73\x44\x95\x66\x77\x88\x99\xaa\xbb\xcc");
        let directory = TempDir::new().unwrap();
        let mut shop = Self { directory, sandbox: None, order_id, method };
        shop.reopen();
        shop
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("sandbox.journal")
    }

    pub fn reopen(&mut self) {
        self.sandbox = None;
        let options = Options { slow: SLOW, ..Options::default() };
        self.sandbox = Some(Sandbox::open(&self.path(), Arc::new(SystemClock), options).unwrap());
    }

    pub fn key(&self, kind: OperationKind, attempt: u16) -> PaymentKey {
        PaymentKey { order_id: self.order_id, operation: OperationId { kind, number: 1 }, attempt }
    }

    pub async fn ask(&self, kind: OperationKind, attempt: u16) -> Answer {
        let authorization = format!("sbx_{}", self.order_id.uuid().as_simple());
        let request = PaymentRequest {
            key: self.key(kind, attempt),
            amount: Money { amount_minor: 1_999, currency: Currency::USD },
            method: PaymentMethod::new(self.method).unwrap(),
            authorization: (kind != OperationKind::Authorize).then(|| ProviderRef::new(&authorization).unwrap()),
            unresolved: false,
        };
        self.sandbox.as_ref().unwrap().perform(&request).await
    }

    pub async fn look_up(&self, kind: OperationKind, attempt: u16) -> Option<PaymentAnswer> {
        self.sandbox.as_ref().unwrap().look_up(&self.key(kind, attempt)).await.unwrap()
    }

    /// What the journal says, as `capture-1/1 ok`.
    pub fn journal(&self) -> Vec<String> {
        let mut entries = Vec::new();
        let visit = &mut |entry: ordermill_ports::audit::ProviderEntry| {
            let outcome = if entry.succeeded { "ok" } else { "refused" };
            entries.push(format!("{}/{} {outcome}", entry.key.operation, entry.key.attempt));
            Ok(())
        };
        read_journal(&self.path(), visit).unwrap();
        entries
    }
}

pub fn refused(reason: DeclineReason) -> Answer {
    Ok(PaymentAnswer::Refused { reason })
}

pub fn worked(answer: &Answer) -> bool {
    matches!(answer, Ok(PaymentAnswer::Succeeded { .. }))
}

#[tokio::test]
async fn any_other_word_works_and_names_its_payments() {
    let shop = Shop::new("tok_visa");
    let Ok(PaymentAnswer::Succeeded { provider_ref }) = shop.ask(OperationKind::Authorize, 1).await else {
        panic!("it works");
    };
    assert_eq!(provider_ref.as_str(), "sbx_0193a5c0112273449566778899aabbcc");
    let Ok(PaymentAnswer::Succeeded { provider_ref }) = shop.ask(OperationKind::Capture, 1).await else {
        panic!("it works");
    };
    assert_eq!(provider_ref.as_str(), "sbx_0193a5c0112273449566778899aabbcc_capture-1");
    assert_eq!(shop.journal(), ["authorize-1/1 ok", "capture-1/1 ok"]);
}

#[tokio::test]
async fn declined_and_insufficient_funds_are_refused_at_every_attempt() {
    for (method, reason) in
        [("declined", DeclineReason::Declined), ("insufficient_funds", DeclineReason::InsufficientFunds)]
    {
        let shop = Shop::new(method);
        assert_eq!(shop.ask(OperationKind::Authorize, 1).await, refused(reason));
        assert_eq!(shop.ask(OperationKind::Authorize, 2).await, refused(reason));
        assert_eq!(shop.ask(OperationKind::Capture, 1).await, refused(DeclineReason::NotFound));
    }
}

#[tokio::test]
async fn a_lost_answer_is_told_by_the_same_key() {
    for (method, succeeds) in [("timeout_then_ok", true), ("timeout_then_declined", false)] {
        let mut shop = Shop::new(method);
        assert_eq!(shop.ask(OperationKind::Authorize, 1).await, Err(PaymentError::Timeout));
        assert_eq!(shop.journal().len(), 1, "it was carried out");
        assert!(shop.look_up(OperationKind::Authorize, 1).await.is_some());
        shop.reopen();
        let told = shop.ask(OperationKind::Authorize, 1).await;
        assert_eq!(worked(&told), succeeds, "{told:?}");
        assert_eq!(told.ok(), shop.look_up(OperationKind::Authorize, 1).await);
        assert_eq!(shop.journal().len(), 1, "and only once");
        assert_eq!(worked(&shop.ask(OperationKind::Capture, 1).await), succeeds);
    }
}

#[tokio::test]
async fn unknown_is_never_answered_and_never_found() {
    let mut shop = Shop::new("unknown");
    for _ in 0..3 {
        assert_eq!(shop.ask(OperationKind::Authorize, 1).await, Err(PaymentError::Timeout));
        assert_eq!(shop.look_up(OperationKind::Authorize, 1).await, None);
        shop.reopen();
    }
    assert!(shop.journal().is_empty());
}

#[tokio::test]
async fn slow_waits_alone_and_its_replay_does_not() {
    let shop = Shop::new("slow");
    let begun = Instant::now();
    let mut slow = std::pin::pin!(shop.ask(OperationKind::Authorize, 1));
    let other = async {
        tokio::task::yield_now().await;
        assert!(shop.look_up(OperationKind::Authorize, 1).await.is_some(), "carried out at once");
        assert!(worked(&shop.ask(OperationKind::Authorize, 1).await));
    };
    tokio::select! {
        biased;
        slow = &mut slow => panic!("the replay waited as long as {slow:?}"),
        () = other => {}
    }
    assert!(worked(&slow.await) && begun.elapsed() >= SLOW);
}

#[tokio::test]
async fn a_void_and_a_refund_fail_once() {
    let shop = Shop::new("void_fails");
    assert!(worked(&shop.ask(OperationKind::Authorize, 1).await));
    for _ in 0..2 {
        assert_eq!(shop.ask(OperationKind::Void, 1).await, refused(DeclineReason::Declined));
    }
    assert!(worked(&shop.ask(OperationKind::Void, 2).await));

    let shop = Shop::new("refund_fails");
    assert!(worked(&shop.ask(OperationKind::Authorize, 1).await));
    assert!(worked(&shop.ask(OperationKind::Capture, 1).await));
    assert_eq!(shop.ask(OperationKind::Refund, 1).await, refused(DeclineReason::Declined));
    assert!(worked(&shop.ask(OperationKind::Refund, 2).await));
    assert_eq!(shop.ask(OperationKind::Refund, 3).await, refused(DeclineReason::Invalid), "all of it is back");
}

#[tokio::test]
async fn a_capture_that_fails_leaves_the_money_to_be_voided() {
    let shop = Shop::new("capture_fails");
    assert!(worked(&shop.ask(OperationKind::Authorize, 1).await));
    assert_eq!(shop.ask(OperationKind::Capture, 1).await, refused(DeclineReason::Declined));
    assert_eq!(shop.ask(OperationKind::Capture, 2).await, refused(DeclineReason::Declined));
    assert!(worked(&shop.ask(OperationKind::Void, 1).await));
}
