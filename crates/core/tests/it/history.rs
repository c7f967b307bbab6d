//! Random histories of several orders that compete for few products: requests, results late, lost and doubled, timeouts, people, and
//! the clock. [`World`](crate::support::world::World) checks every step; at the end everything is settled, and the slate is clean.

use jiff::SignedDuration;
use ordermill_core::event::{Remedy, ReturnedLine};
use ordermill_core::id::OrderId;
use ordermill_core::input::{Admission, Body, MailResult, PaymentAnswer, PaymentResult};
use ordermill_core::mail::MailKind;
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::payment::{DeclineReason, OperationKind, PaymentKey};
use ordermill_core::process::Step;
use proptest::prelude::*;

use crate::support::mill::Mill;
use crate::support::provider::Mood;
use crate::support::{cases, operation, order_id, product, request};

const ORDERS: u8 = 5;
const PRODUCTS: [&str; 3] = ["tea", "cup", "sample"];
/// Scarce on purpose; samples cost nothing.
const CATALOGUE: [(&str, i64, i64); 3] = [("tea", 1000, 6), ("cup", 250, 4), ("sample", 0, 3)];

/// One thing that happens. Orders and products are named by number; numbers into lists are taken modulo their length.
#[derive(Debug, Clone)]
enum Act {
    Place {
        order: u8,
        lines: Vec<(u8, i64)>,
        with_unknown: bool,
    },
    /// The payments role sends what is due; the request is on the wire from then on.
    Send {
        order: u8,
    },
    /// A request on the wire reaches the provider.
    Arrive {
        wire: usize,
        mood: Mood,
    },
    /// An answer that left the provider reaches the ledger, for the first time or once more.
    Deliver {
        wire: usize,
    },
    /// The role gives up waiting for a request that is on the wire.
    TimeOut {
        wire: usize,
    },
    /// The provider lets go of a hold by itself.
    Expire {
        order: u8,
    },
    Reserve {
        order: u8,
    },
    Cancel {
        order: u8,
    },
    CancelUnpaid {
        order: u8,
    },
    Refund {
        order: u8,
        amount_minor: Option<i64>,
    },
    Return {
        order: u8,
        lines: Vec<(u8, i64)>,
        restock: bool,
    },
    Parcel {
        order: u8,
        status: ParcelStatus,
    },
    Mail {
        order: u8,
        result: MailResult,
    },
    Archived {
        order: u8,
        behind: u32,
    },
    GiveUp {
        order: u8,
        step: Step,
    },
    Clear {
        order: u8,
        remedy: Remedy,
    },
    CheckDeadline {
        order: u8,
    },
    Later {
        minutes: i64,
    },
    SetStock {
        product: u8,
        units: i64,
    },
    AdjustStock {
        product: u8,
        delta: i64,
    },
    /// An answer to any operation whatever, asked for or not.
    Forge {
        order: u8,
        kind: OperationKind,
        number: u16,
        attempt: u16,
        answer: PaymentAnswer,
    },
}

const REASONS: [DeclineReason; 4] = [
    DeclineReason::Declined,
    DeclineReason::InsufficientFunds,
    DeclineReason::AuthorizationExpired,
    DeclineReason::Invalid,
];

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![4 => Just(Mood::Willing), 1 => prop::sample::select(&REASONS[..]).prop_map(Mood::Refusing)]
}

fn lines() -> impl Strategy<Value = Vec<(u8, i64)>> {
    prop::collection::vec((0..3_u8, 1..4_i64), 1..4)
}

fn mail_result() -> impl Strategy<Value = MailResult> {
    prop_oneof![
        3 => any::<Option<u64>>().prop_map(|mailbox_end| MailResult::Sent { mailbox_end }),
        1 => Just(MailResult::Skipped),
        1 => Just(MailResult::Failed { reason: "no such mailbox".into() }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let steps = [Step::Authorize, Step::Reserve, Step::Capture, Step::Void, Step::Refund, Step::Notify, Step::Archive];
    prop::sample::select(steps.to_vec())
}

fn remedy() -> impl Strategy<Value = Remedy> {
    prop_oneof![4 => Just(Remedy::Retried), 1 => Just(Remedy::Resolved)]
}

/// What an honest provider and everybody else may do.
fn act() -> impl Strategy<Value = Act> {
    let order = 0..ORDERS;
    let o = || order.clone();
    let wire = 0..64_usize;
    let payments = prop_oneof![
        6 => o().prop_map(|order| Act::Send { order }),
        6 => (wire.clone(), mood()).prop_map(|(wire, mood)| Act::Arrive { wire, mood }),
        8 => wire.clone().prop_map(|wire| Act::Deliver { wire }),
        2 => wire.prop_map(|wire| Act::TimeOut { wire }),
        1 => o().prop_map(|order| Act::Expire { order }),
    ];
    let people = prop_oneof![
        3 => o().prop_map(|order| Act::Cancel { order }),
        1 => o().prop_map(|order| Act::CancelUnpaid { order }),
        2 => (o(), prop::option::of(-1..3000_i64)).prop_map(|(order, amount_minor)| Act::Refund { order, amount_minor }),
        2 => (o(), lines(), any::<bool>()).prop_map(|(order, lines, restock)| Act::Return { order, lines, restock }),
        3 => (o(), prop::sample::select(&ParcelStatus::ALL[..])).prop_map(|(order, status)| Act::Parcel { order, status }),
        2 => (o(), remedy()).prop_map(|(order, remedy)| Act::Clear { order, remedy }),
        1 => (0..3_u8, 0..8_i64).prop_map(|(product, units)| Act::SetStock { product, units }),
        1 => (0..3_u8, -3..4_i64).prop_map(|(product, delta)| Act::AdjustStock { product, delta }),
    ];
    let roles = prop_oneof![
        6 => o().prop_map(|order| Act::Reserve { order }),
        2 => (o(), mail_result()).prop_map(|(order, result)| Act::Mail { order, result }),
        1 => (o(), 0..3_u32).prop_map(|(order, behind)| Act::Archived { order, behind }),
        1 => (o(), step()).prop_map(|(order, step)| Act::GiveUp { order, step }),
        2 => o().prop_map(|order| Act::CheckDeadline { order }),
        2 => (0..20_i64).prop_map(|minutes| Act::Later { minutes }),
    ];
    let place = (o(), lines(), prop::bool::weighted(0.1)).prop_map(|(order, lines, with_unknown)| Act::Place {
        order,
        lines,
        with_unknown,
    });
    prop_oneof![3 => place, 12 => payments, 5 => people, 6 => roles]
}

/// The same, and answers from nowhere.
fn act_or_forgery() -> impl Strategy<Value = Act> {
    use DeclineReason::{AlreadyCaptured, NotFound, Voided};
    use OperationKind::{Authorize, Capture, Refund, Void};
    let reason = prop::sample::select([&REASONS[..], &[AlreadyCaptured, NotFound, Voided]].concat());
    let provider_ref = "psp-forged".parse().expect("a valid reference");
    let answer = prop_oneof![
        3 => Just(PaymentAnswer::Succeeded { provider_ref }),
        3 => reason.prop_map(|reason| PaymentAnswer::Refused { reason }),
        1 => Just(PaymentAnswer::Unknown),
    ];
    let kind = prop::sample::select(vec![Authorize, Capture, Void, Refund]);
    let forge = (0..ORDERS, kind, 1..4_u16, 1..3_u16, answer)
        .prop_map(|(order, kind, number, attempt, answer)| Act::Forge { order, kind, number, attempt, answer });
    prop_oneof![3 => act(), 2 => forge]
}

const fn id_of(order: u8) -> u128 {
    order as u128 + 1
}

impl Mill {
    fn act(&mut self, act: &Act) {
        match act {
            Act::Place { order, lines, with_unknown } => self.place_any(*order, lines, *with_unknown),
            Act::Send { order } => drop(self.send(order_id(id_of(*order)))),
            Act::Arrive { wire, mood } => {
                if let Some(request) = self.sent.get(wire % self.sent.len().max(1)).cloned() {
                    self.arrive(&request, *mood);
                }
            }
            Act::Deliver { wire } => {
                if let Some(result) = self.answers.get(wire % self.answers.len().max(1)).cloned() {
                    self.must(Body::PaymentResult(result));
                }
            }
            Act::TimeOut { wire } => {
                if let Some(request) = self.sent.get(wire % self.sent.len().max(1)) {
                    let result = PaymentResult { key: request.key, answer: PaymentAnswer::Unknown };
                    self.must(Body::PaymentResult(result));
                }
            }
            Act::Expire { order } => self.provider.expire(order_id(id_of(*order))),
            Act::Later { minutes } => self.later(SignedDuration::from_mins(*minutes)),
            Act::SetStock { product: n, units } => {
                let product_id = product(PRODUCTS[usize::from(*n)]);
                self.must(Body::SetStock { product_id, available: *units, expected_version: None });
            }
            Act::AdjustStock { product: n, delta } => {
                let product_id = product(PRODUCTS[usize::from(*n)]);
                let adjust =
                    Body::AdjustStock { product_id, delta: *delta, reason: "counted".into(), expected_version: None };
                self.try_submit(adjust);
            }
            Act::Clear { order, remedy } => drop(self.clear(order_id(id_of(*order)), *remedy)),
            Act::Forge { order, kind, number, attempt, answer } => {
                let key = PaymentKey {
                    order_id: order_id(id_of(*order)),
                    operation: operation(*kind, *number),
                    attempt: *attempt,
                };
                self.try_submit(Body::PaymentResult(PaymentResult { key, answer: answer.clone() }));
            }
            of_order => self.act_on_order(of_order),
        }
    }

    fn act_on_order(&mut self, act: &Act) {
        let (order, body): (u8, fn(OrderId) -> Body) = match act {
            Act::Reserve { order } => (*order, |order_id| Body::Reserve { order_id }),
            Act::Cancel { order } => (*order, |order_id| Body::Cancel { order_id, reason: "changed my mind".into() }),
            Act::CancelUnpaid { order } => {
                (*order, |order_id| Body::CancelUnpaid { order_id, reason: "sync_timeout".into() })
            }
            Act::CheckDeadline { order } => return self.check_deadline_for_good(order_id(id_of(*order))),
            other => return self.act_with_data(other),
        };
        self.try_submit(body(order_id(id_of(order))));
    }

    fn act_with_data(&mut self, act: &Act) {
        let of = |order: &u8| order_id(id_of(*order));
        let body = match act {
            Act::Refund { order, amount_minor } => {
                Body::Refund { order_id: of(order), amount_minor: *amount_minor, reason: "broken".into() }
            }
            Act::Return { order, lines, restock } => {
                let line = |(n, quantity): &(u8, i64)| ReturnedLine {
                    product_id: product(PRODUCTS[usize::from(*n)]),
                    quantity: *quantity,
                };
                Body::Return { order_id: of(order), lines: lines.iter().map(line).collect(), restock: *restock }
            }
            Act::Parcel { order, status } => {
                Body::ParcelMoved { order_id: of(order), status: *status, seen_at: self.world.now }
            }
            Act::Mail { order, result } => {
                let due = self.world.orders.get(&of(order)).and_then(|order| order.due_mails().next().copied());
                let (kind, version) = due.map_or((MailKind::Confirmed, 1), |mail| (mail.kind, mail.version));
                Body::MailResult { order_id: of(order), kind, version, result: result.clone() }
            }
            Act::Archived { order, behind } => {
                let version =
                    self.world.orders.get(&of(order)).map_or(1, |order| order.version.saturating_sub(*behind));
                Body::Archived { order_id: of(order), version }
            }
            Act::GiveUp { order, step } => Body::GiveUp { order_id: of(order), step: *step, reason: "no way".into() },
            other => panic!("{other:?} is not about an order"),
        };
        self.try_submit(body);
    }

    /// What is refused changes nothing.
    fn try_submit(&mut self, body: Body) {
        let before = self.world.orders.clone();
        if self.submit(body).is_err() {
            assert_eq!(before, self.world.orders);
        }
    }

    fn place_any(&mut self, order: u8, lines: &[(u8, i64)], with_unknown: bool) {
        let mut lines: Vec<(&str, i64)> = lines.iter().map(|(n, units)| (PRODUCTS[usize::from(*n)], *units)).collect();
        if with_unknown {
            lines.push(("never heard of", 1));
        }
        let mut request = request(id_of(order), &lines);
        request.admission = Admission::Reject;
        // The same id with another content is refused; the same content again gives the order that is there.
        self.try_submit(crate::support::place(request));
    }

    /// After the check the deadline is ahead, or gone; and a deadline that is ahead needs no check.
    fn check_deadline_for_good(&mut self, order_id: OrderId) {
        let (policy, now) = (self.world.policy.clone(), self.world.now);
        let Some(order) = self.world.orders.get(&order_id) else { return };
        let is_over = order.deadline(&policy).is_some_and(|deadline| deadline <= now);
        let decision = self.check_deadline(order_id);
        assert_eq!(is_over, !decision.events.is_empty(), "the deadline and its check disagree: {decision:?}");
        let next = self.order(order_id).deadline(&policy);
        assert!(next.is_none_or(|next| next > now), "the sweeper would spin: {next:?} at {now}");
        assert!(self.check_deadline(order_id).events.is_empty());
    }

    /// No answer of an honest provider may ever contradict another.
    fn assert_provider_was_never_doubted(&self) {
        use ordermill_core::event::Event;
        for (event, _) in self.world.history.values().flatten() {
            if let Event::OrderAttention(raised) = event {
                assert!(!raised.reason.contains("had let go of"), "{raised:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(384))]

    #[test]
    fn every_history_stays_sound_and_settles_clean(acts in prop::collection::vec(act(), 1..160)) {
        let mut mill = Mill::new(&CATALOGUE);
        for act in &acts {
            mill.act(act);
        }
        mill.settle();
        mill.assert_clean();
        mill.assert_provider_was_never_doubted();
    }

    #[test]
    fn no_answer_whatever_breaks_an_invariant(acts in prop::collection::vec(act_or_forgery(), 1..160)) {
        let mut mill = Mill::new(&CATALOGUE);
        for act in &acts {
            mill.act(act);
        }
        for order_id in mill.world.orders.keys().copied().collect::<Vec<_>>() {
            mill.check_deadline_for_good(order_id);
        }
    }
}
