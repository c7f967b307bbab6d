//! Random histories, held against core step by step: what the adapter decides and commits must be what core decides from the
//! suite's own books.

use jiff::SignedDuration;
use ordermill_core::decide::decide;
use ordermill_core::event::{Remedy, ReturnedLine};
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input, MailResult, PaymentAnswer, PaymentResult, PutCustomer, TakeRecord};
use ordermill_core::mail::MailKind;
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::payment::{DeclineReason, OperationId, OperationKind, PaymentKey};
use ordermill_core::process::Step;

use crate::conformance::Harness;
use crate::conformance::books::Books;
use crate::conformance::shop::{Shop, customer, key, product, refused, report, stored, succeeded};
use crate::ledger::{OutcomeSubject, Source, Submission, SubmitError};
use crate::queries::Position;

const CALLS: usize = 400;
const CALL_INPUTS_MAX: u64 = 12;
const PRODUCTS: [&str; 4] = ["apple", "pear", "plum", "quince"];

/// xorshift64*: small, seeded, the same everywhere.
struct Chance {
    state: u64,
    mailbox_end: u64,
}

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    fn small(&mut self, bound: u64) -> i64 {
        i64::try_from(self.below(bound)).expect("a small number")
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(from.len() as u64)).expect("an index");
        &from[index]
    }

    /// Mails are appended, so each ends behind those before; some mailers have no file.
    fn mailbox_end(&mut self) -> Option<u64> {
        self.mailbox_end += 1 + self.below(2_000);
        (!self.one_in(3)).then_some(self.mailbox_end)
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// A history without reopening; see [`random_history`].
async fn history(harness: &dyn Harness, seed: u64) {
    random_history(harness, seed, None).await;
}

/// Seed 1.
pub async fn random_history_1(harness: &dyn Harness) {
    history(harness, 0x0DDB_1A5E_5BAD_5EED).await;
}

/// Seed 2.
pub async fn random_history_2(harness: &dyn Harness) {
    history(harness, 0x5EED_0000_0000_0002).await;
}

/// Seed 3.
pub async fn random_history_3(harness: &dyn Harness) {
    history(harness, 0x5EED_0000_0000_0003).await;
}

/// Random inputs in random calls; after each call the new events must be those that core decides from the books before it, and
/// each result the one core gives. Where `reopen_every` is given, the ledger is closed and opened again after so many calls.
pub async fn random_history(harness: &dyn Harness, seed: u64, reopen_every: Option<usize>) {
    let mut chance = Chance { state: seed, mailbox_end: 0 };
    let mut shop = Shop::open(harness).await;
    let mut books = Books::default();
    let mut end = Position(0);
    let mut changed = 0;
    for call in 0..CALLS {
        let count = 1 + chance.below(CALL_INPUTS_MAX);
        let inputs: Vec<Input> = (0..count).map(|_| random_input(&mut chance, &shop, &books)).collect();
        let submissions = inputs.iter().cloned().map(Submission::new).collect();
        let results = shop.backend.ledger.submit(*chance.pick(&[Source::Results, Source::Live]), submissions).await;
        let committed = shop.feed(end).await;
        let mut events = committed.iter();
        for (input, result) in inputs.iter().zip(&results) {
            let expected = decide(&books.at(shop.now()), input, &shop.settings.policy, shop.now());
            let decision = match (expected, result) {
                (Err(expected), Err(SubmitError::Refused(actual))) => {
                    assert_eq!(*actual, expected, "call {call}: {input:?}");
                    continue;
                }
                (Ok(decision), Ok(outcome)) => {
                    if let OutcomeSubject::Parcel { verdict, .. } = &outcome.subject {
                        assert_eq!(Some(*verdict), decision.verdict, "call {call}: {input:?}");
                    }
                    let told = (outcome.changed, outcome.replayed);
                    let expected = (!decision.events.is_empty(), decision.replay.is_some());
                    assert_eq!(told, expected, "call {call}: {input:?}");
                    decision
                }
                (expected, actual) => panic!("call {call}: {input:?} should be {expected:?}, is {actual:?}"),
            };
            for event in &decision.events {
                let (position, recorded) = events.next().expect("every event decided is in the feed");
                assert_eq!((&recorded.event, recorded.at), (event, shop.now()), "call {call}: {input:?}");
                assert_eq!(recorded.cause, input.cause);
                books.take(recorded);
                end = *position;
                changed += 1;
            }
            if let Some((key, record)) = decision.record {
                books.keep(key, record);
            }
        }
        assert!(events.next().is_none(), "call {call}: no event that was not decided is in the feed");
        shop.advance(SignedDuration::from_secs(chance.small(90)));
        if reopen_every.is_some_and(|every| call % every == every - 1) {
            shop = shop.reopen(harness).await;
        }
    }
    assert!(changed > 3 * CALLS, "a history in which little happens shows little: {changed} events");
    let read = shop.audit().await;
    assert_eq!((read.orders, read.stock, read.products), (books.orders, books.stock, books.products));
    assert_eq!((read.customers, read.parcels, read.records), (books.customers, books.parcels, books.records));
}

fn random_input(chance: &mut Chance, shop: &Shop, books: &Books) -> Input {
    let order_id = random_order(chance, shop, books);
    let product_id = product(chance.pick::<&str>(&PRODUCTS));
    let reason = Box::from("chance");
    let expected_version = chance.one_in(6).then(|| chance.below(4));
    let body = match chance.below(52) {
        0..=9 => return random_place(chance, shop),
        10..=19 => random_payment(chance, books, order_id),
        20..=23 => Body::Reserve { order_id },
        24..=25 => Body::Cancel { order_id, reason },
        26 => {
            let amount_minor = chance.one_in(2).then(|| chance.small(4_000));
            Body::Refund { order_id, amount_minor, reason }
        }
        27 => {
            let lines = vec![ReturnedLine { product_id, quantity: chance.small(3) }];
            Body::Return { order_id, lines, restock: chance.one_in(2) }
        }
        28..=29 => Body::ParcelMoved { order_id, status: *chance.pick(&ParcelStatus::ALL), seen_at: shop.now() },
        30..=31 => random_mail(chance, order_id),
        32 => Body::Archived { order_id, version: u32::try_from(chance.below(12)).expect("small") },
        33 => Body::GiveUp { order_id, step: *chance.pick(&[Step::Notify, Step::Capture, Step::Void]), reason },
        34 => {
            let remedy = *chance.pick(&[Remedy::Retried, Remedy::Resolved]);
            Body::ClearAttention { order_id, remedy, note: None }
        }
        35 => Body::CheckDeadline { order_id },
        36 => {
            let opening_stock = chance.one_in(2).then(|| chance.small(9));
            Body::PutProduct(shop.product(product_id.as_str(), opening_stock))
        }
        37 => Body::SetStock { product_id, available: chance.small(12), expected_version },
        38 => Body::AdjustStock { product_id, delta: chance.small(9) - 4, reason, expected_version },
        39 => Body::CancelUnpaid { order_id, reason },
        40 if chance.one_in(3) => Body::DeleteProduct { product_id, expected_version },
        41..=42 => random_customer(chance, shop, expected_version),
        43..=47 => return random_report(chance),
        48..=50 => return random_record(chance, shop, books),
        _ => Body::Nothing,
    };
    let cause = chance.one_in(3).then(|| u32::try_from(chance.below(9)).expect("small"));
    Input { cause, ..Input::new(body) }
}

fn random_customer(chance: &mut Chance, shop: &Shop, expected_version: Option<u64>) -> Body {
    let id = *chance.pick(&["c-1", "c-2", "c-3"]);
    if chance.one_in(3) {
        return Body::DeleteCustomer { customer_id: customer(id), expected_version };
    }
    let name = (*chance.pick(&["Ann", "Bea"])).into();
    Body::PutCustomer(Box::new(PutCustomer { name, expected_version, ..shop.customer(id) }))
}

/// Few parcels, seen at few minutes: much is known, late or impossible.
fn random_report(chance: &mut Chance) -> Input {
    let id = format!("p-{}", chance.below(24));
    report(&id, *chance.pick(&ParcelStatus::ALL), chance.small(12))
}

/// New records, sometimes under a key, and what became of those that are there.
fn random_record(chance: &mut Chance, shop: &Shop, books: &Books) -> Input {
    let number = chance.below(20);
    match books.records.keys().rev().nth(usize::try_from(chance.below(6)).expect("small")) {
        Some(id) if chance.one_in(2) => {
            let record_id = if chance.one_in(20) { shop.record_id() } else { *id };
            Input::new(Body::RecordStored { record_id, stored: stored(u32::from(chance.one_in(8))) })
        }
        Some(id) if chance.one_in(6) => {
            Input::new(Body::TakeRecord(Box::new(TakeRecord { record_id: *id, ..shop.record("again") })))
        }
        _ => {
            let text = if chance.one_in(4) { "other" } else { "text" };
            let key = chance.one_in(3).then(|| key(&format!("record-{number}"), text));
            Input::new(Body::TakeRecord(Box::new(shop.record(text)))).with_key(key)
        }
    }
}

/// Mostly one of the newest orders, so that orders get somewhere; now and then one that is not there.
fn random_order(chance: &mut Chance, shop: &Shop, books: &Books) -> OrderId {
    if books.orders.is_empty() || chance.one_in(50) {
        return shop.order_id();
    }
    let recent: Vec<OrderId> = books.orders.keys().rev().take(12).copied().collect();
    *chance.pick(&recent)
}

fn random_place(chance: &mut Chance, shop: &Shop) -> Input {
    let line = |chance: &mut Chance| (*chance.pick(&PRODUCTS), 1 + chance.small(3));
    let lines: Vec<_> = (0..=chance.below(3)).map(|_| line(chance)).collect();
    let number = chance.below(60);
    let request =
        if chance.one_in(3) { shop.request_ref(&lines, &format!("A-{number}")) } else { shop.request(&lines) };
    let body = format!("{lines:?}");
    let key = chance.one_in(3).then(|| key(&format!("key-{number}"), &body));
    Input::new(Body::Place(Box::new(request))).with_key(key)
}

/// Mostly the answer to what is asked at present, sometimes to anything.
fn random_payment(chance: &mut Chance, books: &Books, order_id: OrderId) -> Body {
    let due = books.orders.get(&order_id).and_then(ordermill_core::payment::due_request);
    let kinds = [OperationKind::Authorize, OperationKind::Capture, OperationKind::Void, OperationKind::Refund];
    let stray = OperationId { kind: *chance.pick(&kinds), number: 1 };
    let key = match due {
        Some(request) if !chance.one_in(6) => request.key,
        _ => PaymentKey { order_id, operation: stray, attempt: 1 + u16::from(chance.one_in(4)) },
    };
    let reasons = [DeclineReason::Declined, DeclineReason::AlreadyCaptured, DeclineReason::AuthorizationExpired];
    let answer = match chance.below(12) {
        0 => refused(*chance.pick(&reasons)),
        1 => PaymentAnswer::Unknown,
        _ => succeeded(),
    };
    Body::PaymentResult(PaymentResult { key, answer })
}

fn random_mail(chance: &mut Chance, order_id: OrderId) -> Body {
    let result = match chance.below(4) {
        0 => MailResult::Skipped,
        1 => MailResult::Failed { reason: "no such mailbox".into() },
        _ => MailResult::Sent { mailbox_end: chance.mailbox_end() },
    };
    Body::MailResult { order_id, kind: *chance.pick(&MailKind::ALL[..3]), version: 1, result }
}
