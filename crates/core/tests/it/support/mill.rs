//! The ledger, the provider, and the wires between them, on which everything can be late, lost and doubled.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use ordermill_core::decide::Decision;
use ordermill_core::event::Remedy;
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, MailResult, PaymentAnswer, PaymentResult, PlaceOrder};
use ordermill_core::mail::MailState;
use ordermill_core::order::{Order, Status};
use ordermill_core::payment::{OperationId, OperationState, PaymentRequest, due_request};
use ordermill_core::refusal::Refusal;
use ordermill_core::reservation::Reservation;

use super::provider::{Hold, Mood, Provider};
use super::world::World;

#[derive(Clone)]
pub struct Mill {
    pub world: World,
    pub provider: Provider,
    /// Requests that were sent. They arrive at any time, and again.
    pub sent: Vec<PaymentRequest>,
    /// Answers that left the provider. They are delivered at any time, and again.
    pub answers: Vec<PaymentResult>,
    /// Orders of which a person said that they were dealt with outside.
    pub resolved: BTreeSet<OrderId>,
}

impl Mill {
    pub fn new(catalogue: &[(&str, i64, i64)]) -> Self {
        let (sent, answers) = (Vec::new(), Vec::new());
        Self { world: World::new(catalogue), provider: Provider::default(), sent, answers, resolved: BTreeSet::new() }
    }

    /// One order for two units of tea at 10.00, of which there are ten.
    pub fn with_order() -> (Self, OrderId) {
        let mut mill = Self::new(&[("tea", 1000, 10)]);
        let order_id = mill.place(super::request(1, &[("tea", 2)]));
        (mill, order_id)
    }

    pub fn place(&mut self, request: PlaceOrder) -> OrderId {
        let order_id = request.order_id;
        self.world.submit(super::place(request)).expect("the order is taken");
        order_id
    }

    pub fn order(&self, order_id: OrderId) -> &Order {
        &self.world.orders[&order_id]
    }

    pub fn status(&self, order_id: OrderId) -> Status {
        self.order(order_id).status
    }

    pub fn later(&mut self, by: SignedDuration) {
        self.world.now += by;
    }

    pub fn submit(&mut self, body: Body) -> Result<Decision, Refusal> {
        self.world.submit(body)
    }

    /// Submits what has to be possible.
    pub fn must(&mut self, body: Body) -> Decision {
        self.world.submit(body).expect("the input is possible")
    }

    pub fn reserve(&mut self, order_id: OrderId) -> Decision {
        self.must(Body::Reserve { order_id })
    }

    pub fn cancel(&mut self, order_id: OrderId) -> Result<Decision, Refusal> {
        self.submit(Body::Cancel { order_id, reason: "changed my mind".into() })
    }

    pub fn check_deadline(&mut self, order_id: OrderId) -> Decision {
        self.must(Body::CheckDeadline { order_id })
    }

    pub fn clear(&mut self, order_id: OrderId, remedy: Remedy) -> Result<Decision, Refusal> {
        let is_stuck =
            |order: &Order| order.payment.operations.iter().any(|operation| operation.state == OperationState::Stuck);
        let was_stuck = self.world.orders.get(&order_id).is_some_and(is_stuck);
        let decision = self.submit(Body::ClearAttention { order_id, remedy, note: None })?;
        if remedy == Remedy::Resolved && was_stuck {
            self.resolved.insert(order_id);
        }
        Ok(decision)
    }

    /// Reports an answer to the present attempt of an operation, whatever the provider would say.
    pub fn report(&mut self, order_id: OrderId, operation: OperationId, answer: PaymentAnswer) -> Decision {
        let key = self.order(order_id).payment.operation(operation).expect("the operation was asked for").key(order_id);
        self.must(Body::PaymentResult(PaymentResult { key, answer }))
    }

    /// What is due for the order is sent; nothing is heard of it yet.
    pub fn send(&mut self, order_id: OrderId) -> Option<PaymentRequest> {
        let request = due_request(self.world.orders.get(&order_id)?)?;
        self.sent.push(request.clone());
        Some(request)
    }

    /// A request reaches the provider, and the answer leaves it.
    pub fn arrive(&mut self, request: &PaymentRequest, mood: Mood) -> PaymentResult {
        let result = PaymentResult { key: request.key, answer: self.provider.perform(request, mood) };
        self.answers.push(result.clone());
        result
    }

    /// What is due is asked and answered. `None` when nothing is.
    pub fn ask(&mut self, order_id: OrderId, mood: Mood) -> Option<Decision> {
        let request = self.send(order_id)?;
        let result = self.arrive(&request, mood);
        Some(self.must(Body::PaymentResult(result)))
    }

    /// What is due is asked, and nothing is heard of it.
    pub fn lose(&mut self, order_id: OrderId) -> PaymentRequest {
        let request = self.send(order_id).expect("an operation is due");
        self.must(Body::PaymentResult(PaymentResult { key: request.key, answer: PaymentAnswer::Unknown }));
        request
    }

    /// The order goes on undisturbed until it has this status.
    pub fn drive(&mut self, order_id: OrderId, status: Status) {
        while self.status(order_id) != status {
            let asked = self.ask(order_id, Mood::Willing).is_some_and(|decision| !decision.events.is_empty());
            let before = self.status(order_id);
            if before != status {
                assert!(asked | !self.reserve(order_id).events.is_empty(), "stuck at {before:?} before {status:?}");
            }
        }
    }

    /// Everything on the wires arrives, everybody does what is due, and a person retries what is stuck, until nothing is left.
    pub fn settle(&mut self) {
        for request in self.sent.clone() {
            self.arrive(&request, Mood::Willing);
        }
        for result in self.answers.clone() {
            self.must(Body::PaymentResult(result));
        }
        let order_ids: Vec<OrderId> = self.world.orders.keys().copied().collect();
        for order_id in order_ids {
            let mut rounds = 0;
            while self.settle_once(order_id) {
                rounds += 1;
                assert!(rounds < 500, "never settles: {:#?}", self.order(order_id));
            }
        }
    }

    fn settle_once(&mut self, order_id: OrderId) -> bool {
        let mut progress = self.ask(order_id, Mood::Willing).is_some_and(|decision| !decision.events.is_empty());
        progress |= !self.reserve(order_id).events.is_empty();
        let order = self.order(order_id);
        let due: Vec<_> = order.due_mails().copied().collect();
        for mail in due {
            let result = MailResult::Sent { mailbox_end: None };
            self.must(Body::MailResult { order_id, kind: mail.kind, version: mail.version, result });
            progress = true;
        }
        if self.order(order_id).is_archive_due() {
            let version = self.order(order_id).version;
            progress |= !self.must(Body::Archived { order_id, version }).events.is_empty();
        }
        progress | self.clear(order_id, Remedy::Retried).is_ok()
    }

    /// A clean slate: every order decided, nothing pending, nothing leaked, and our books equal the provider's.
    pub fn assert_clean(&self) {
        for order in self.world.orders.values() {
            assert!(!order.status.is_undecided(), "undecided: {order:#?}");
            assert!(order.attention.is_none() && order.attention_steps.is_empty(), "{order:#?}");
            assert!(!order.is_open() && !order.is_archive_due(), "something is due: {order:#?}");
            assert!(!order.payment.operations.iter().any(|operation| operation.is_open()), "{order:#?}");
            assert!(
                order.mails.iter().all(|mail| matches!(mail.state, MailState::Sent | MailState::Skipped)),
                "{order:#?}"
            );
            assert!(!matches!(order.reservation, Reservation::Held { .. }), "{order:#?}");
            if !self.resolved.contains(&order.id) {
                self.assert_books_agree(order);
            }
        }
        self.world.check_stock();
    }

    fn assert_books_agree(&self, order: &Order) {
        let (payment, account) = (&order.payment, self.provider.account(order.id));
        let of = |hold| if account.hold == hold { account.amount_minor } else { 0 };
        let ours = [payment.held(), payment.captured, payment.voided, payment.expired, payment.refunded];
        let theirs = [of(Hold::Held), of(Hold::Captured), of(Hold::Voided), of(Hold::Expired), account.refunded];
        assert_eq!(ours, theirs, "held, captured, voided, expired, refunded: ours and theirs\n{order:#?}");
        assert_eq!(payment.authorization_open, account.hold == Hold::Held, "{order:#?}");
        if order.status.is_called_off() {
            assert_eq!((payment.held(), payment.kept()), (0, 0), "money is left with an order that is off: {order:#?}");
            assert_ne!(account.hold, Hold::Held, "{order:#?}");
        }
    }
}
