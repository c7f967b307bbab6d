//! What races at the end of an order, in every sequence: the reservation, its expiry, a cancel, and the answers to authorize, capture
//! and void. However it goes, the slate is clean.

use jiff::SignedDuration;
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, PaymentAnswer, PaymentResult};
use ordermill_core::order::Status;
use ordermill_core::payment::OperationKind;

use crate::support::mill::Mill;
use crate::support::operation;
use crate::support::provider::{Hold, Mood};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Reserve,
    Expire,
    Cancel,
    Answer(OperationKind),
}

const TOKENS: [Token; 6] = [
    Token::Reserve,
    Token::Expire,
    Token::Cancel,
    Token::Answer(OperationKind::Authorize),
    Token::Answer(OperationKind::Capture),
    Token::Answer(OperationKind::Void),
];

/// When a request reaches the provider: the order in which it gets there decides who wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// As soon as the role can send it; only the answer is late.
    AtOnce,
    /// Right before its answer.
    WithTheAnswer,
    /// The role gave up waiting first.
    AfterTimeOut,
}

fn permutations(tokens: &[Token]) -> Vec<Vec<Token>> {
    if tokens.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (place, &first) in tokens.iter().enumerate() {
        let rest = [&tokens[..place], &tokens[place + 1..]].concat();
        all.extend(permutations(&rest).into_iter().map(|tail| [vec![first], tail].concat()));
    }
    all
}

struct Race {
    mill: Mill,
    id: OrderId,
    arrival: Arrival,
    /// Whether who cancels leaves a paid order alone.
    spares_paid: bool,
}

impl Race {
    /// Plays one token; `false` when it is not its time yet.
    fn play(&mut self, token: Token) -> bool {
        match token {
            Token::Reserve => !self.mill.reserve(self.id).events.is_empty(),
            Token::Expire => {
                if self.mill.status(self.id) != Status::Reserved {
                    return false;
                }
                self.mill.later(SignedDuration::from_mins(16));
                assert!(!self.mill.check_deadline(self.id).events.is_empty());
                true
            }
            Token::Cancel if self.spares_paid => {
                let body = Body::CancelUnpaid { order_id: self.id, reason: "sync_timeout".into() };
                self.mill.submit(body).ok();
                true
            }
            Token::Cancel => {
                self.mill.cancel(self.id).ok();
                true
            }
            Token::Answer(kind) => self.answer(kind),
        }
    }

    fn answer(&mut self, kind: OperationKind) -> bool {
        let sent = self.mill.sent.iter().find(|request| request.key.operation == operation(kind, 1)).cloned();
        let Some(request) = sent else { return false };
        if self.arrival == Arrival::AfterTimeOut {
            let unknown = PaymentResult { key: request.key, answer: PaymentAnswer::Unknown };
            self.mill.must(Body::PaymentResult(unknown));
        }
        let result = self.mill.arrive(&request, Mood::Willing);
        self.mill.must(Body::PaymentResult(result.clone()));
        let again = self.mill.must(Body::PaymentResult(result));
        assert!(again.events.is_empty() && again.stock.is_empty(), "counted twice: {again:?}");
        true
    }

    /// The role sends whatever is due, at once.
    fn send(&mut self) {
        if let Some(request) = self.mill.send(self.id)
            && self.arrival == Arrival::AtOnce
        {
            self.mill.arrive(&request, Mood::Willing);
        }
    }
}

fn play_every_sequence(spares_paid: bool) -> Vec<(Status, Hold)> {
    let mut ends = std::collections::BTreeSet::new();
    for arrival in [Arrival::AtOnce, Arrival::WithTheAnswer, Arrival::AfterTimeOut] {
        for sequence in permutations(&TOKENS) {
            let (mill, id) = Mill::with_order();
            let mut race = Race { mill, id, arrival, spares_paid };
            race.send();
            // A token whose time has not come waits, and is tried again after each other one.
            let mut waiting: Vec<Token> = Vec::new();
            for token in sequence {
                waiting.push(token);
                while let Some(place) = waiting.iter().position(|token| race.play(*token)) {
                    waiting.remove(place);
                    race.send();
                }
            }
            race.mill.settle();
            race.mill.assert_clean();
            let order = race.mill.order(id);
            ends.insert((order.status, race.mill.provider.account(id).hold));
        }
    }
    ends.into_iter().collect()
}

/// The ends of an order that was called off one way or the other: both sides win each race somewhere, or the test shows nothing.
const CALLED_OFF: [(Status, Hold); 4] = [
    (Status::Rejected, Hold::Captured),
    (Status::Rejected, Hold::Voided),
    (Status::Cancelled, Hold::Captured),
    (Status::Cancelled, Hold::Voided),
];

#[test]
fn every_sequence_ends_clean() {
    assert_eq!(play_every_sequence(false), CALLED_OFF);
}

#[test]
fn every_sequence_ends_clean_where_a_paid_order_is_spared() {
    assert_eq!(play_every_sequence(true), [&[(Status::Confirmed, Hold::Captured)][..], &CALLED_OFF].concat());
}

#[test]
fn a_thousand_orders_for_a_hundred_units_sell_a_hundred() {
    let mut mill = Mill::new(&[("tea", 1000, 100)]);
    for n in 1..=1000 {
        mill.place(crate::support::request(n, &[("tea", 1)]));
    }
    // All hold their money before any of them reserves.
    let ids: Vec<OrderId> = mill.world.orders.keys().copied().collect();
    for id in ids.iter().rev() {
        mill.ask(*id, Mood::Willing);
    }
    mill.settle();
    mill.assert_clean();
    let count = |status| mill.world.orders.values().filter(|order| order.status == status).count();
    assert_eq!((count(Status::Confirmed), count(Status::Rejected)), (100, 900));
}
