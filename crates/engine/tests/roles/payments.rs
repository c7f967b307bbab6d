use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use ordermill_core::event::{EventType, Remedy};
use ordermill_core::input::{Body, PaymentAnswer};
use ordermill_core::order::Status;
use ordermill_core::payment::{DeclineReason, OperationKind, due_request};
use ordermill_core::policy::Policy;
use ordermill_core::process::Step;
use ordermill_engine::Settings;
use ordermill_ports::payments::PaymentError;

use crate::gateways::{Provider, yes};
use crate::world::World;

#[tokio::test]
async fn an_order_goes_all_the_way() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    let id = world.place("ok").await;
    world.wait_for(id, |order| order.archived.is_some()).await;
    let events = world.events(id).await;
    assert_eq!(
        events,
        [
            EventType::OrderPlaced,
            EventType::PaymentAuthorized,
            EventType::InventoryReserved,
            EventType::PaymentCaptured,
            EventType::OrderConfirmed,
            EventType::NotificationSent,
            EventType::OrderArchived,
        ]
    );
    world.stop().await;
}

#[tokio::test]
async fn a_missing_answer_is_asked_again_under_the_same_key() {
    let provider = Provider::new(|_, before| if before < 2 { Err(PaymentError::Timeout) } else { Ok(yes()) });
    let world = World::with(provider, Policy::default()).await;
    let id = world.place("ok").await;
    world.wait_for_status(id, Status::Confirmed).await;
    let asked = world.provider.asked.lock().clone();
    assert_eq!(asked.len(), 2, "one key to authorize, one to capture: {asked:?}");
    assert!(asked.values().all(|times| *times == 3), "{asked:?}");
    assert_eq!(world.count(id, EventType::PaymentUnknown).await, 2, "each missing answer is recorded once");
    world.stop().await;
}

#[tokio::test]
async fn a_call_that_was_not_sent_is_no_missing_answer() {
    let provider = Provider::new(|_, before| if before < 2 { Err(PaymentError::BreakerOpen) } else { Ok(yes()) });
    let world = World::with(provider, Policy::default()).await;
    let id = world.place("ok").await;
    world.wait_for_status(id, Status::Confirmed).await;
    assert_eq!(world.count(id, EventType::PaymentUnknown).await, 0);
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_never_comes_waits_for_a_person_who_can_retry() {
    let provider = Provider::new(|request, before| match request.key.operation.kind {
        OperationKind::Authorize if before < 5 => Err(PaymentError::Timeout),
        _ => Ok(yes()),
    });
    let policy = Policy { unknown_budget: SignedDuration::from_millis(300), ..Policy::default() };
    let world = World::with(provider, policy).await;
    let id = world.place("ok").await;
    let order = world.wait_for(id, |order| order.attention.is_some()).await;
    assert_eq!(order.attention.as_ref().map(|attention| attention.step), Some(Step::Authorize));
    let mut tries = 0;
    while world.order(id).await.status == Status::Placed && tries < 20 {
        if world.order(id).await.attention.is_some() {
            world.submit(Body::ClearAttention { order_id: id, remedy: Remedy::Retried, note: None }).await;
        }
        tries += 1;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    world.wait_for_status(id, Status::Confirmed).await;
    world.stop().await;
}

#[tokio::test]
async fn a_definite_no_to_a_void_is_a_new_attempt_on_retry() {
    let provider = Provider::new(|request, _| match request.key.operation.kind {
        OperationKind::Capture => Ok(PaymentAnswer::Refused { reason: DeclineReason::Declined }),
        OperationKind::Void if request.key.attempt == 1 => {
            Ok(PaymentAnswer::Refused { reason: DeclineReason::Declined })
        }
        _ => Ok(yes()),
    });
    let world = World::with(provider, Policy::default()).await;
    let id = world.place("ok").await;
    world.wait_for(id, |order| order.attention.is_some()).await;
    world.submit(Body::ClearAttention { order_id: id, remedy: Remedy::Retried, note: None }).await;
    let order = world.wait_for(id, |order| order.payment.voided > 0).await;
    assert_eq!((order.status, order.payment.held()), (Status::Rejected, 0));
    let attempts: Vec<u16> = world.provider.asked.lock().keys().map(|key| key.attempt).collect();
    assert!(attempts.contains(&2), "{attempts:?}");
    world.stop().await;
}

#[tokio::test]
async fn a_slow_payment_holds_up_nobody_else() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    for _ in 0..20 {
        world.place("slow").await;
    }
    let began = Instant::now();
    for _ in 0..20 {
        let id = world.place("ok").await;
        world.wait_for_status(id, Status::Confirmed).await;
    }
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_panic_in_an_adapter_costs_a_try_and_nothing_else() {
    let panicked = std::sync::atomic::AtomicBool::new(false);
    let provider = Provider::new(move |_, _| {
        assert!(panicked.swap(true, Ordering::SeqCst), "a broken adapter");
        Ok(yes())
    });
    let world = World::with(provider, Policy::default()).await;
    let first = world.place("ok").await;
    let second = world.place("ok").await;
    world.wait_for_status(second, Status::Confirmed).await;
    world.wait_for_status(first, Status::Confirmed).await;
    world.stop().await;
}

/// Answers that are missing take long to be found out, and come again until they are: new orders have the other half of the calls.
#[tokio::test]
async fn missing_answers_leave_room_for_new_orders() {
    let provider = Provider::new(|request, _| match request.method.as_str() {
        "slow" => Err(PaymentError::Timeout),
        _ => Ok(yes()),
    });
    let provider = Provider { slow: Duration::from_secs(1), ..provider };
    let settings = Settings { payments_concurrency: 16, ..World::settings() };
    let world = World::with_settings(provider, Policy::default(), settings).await;
    let mut unanswered = Vec::new();
    for _ in 0..200 {
        unanswered.push(world.place("slow").await);
    }
    for id in &unanswered {
        world.wait_for(*id, |order| due_request(order).is_some_and(|request| request.unresolved)).await;
    }
    world.provider.asking_again_most.store(0, Ordering::SeqCst);
    let began = Instant::now();
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.push(world.place("ok").await);
    }
    for id in ids {
        world.wait_for_status(id, Status::Confirmed).await;
    }
    // Without room of their own they would take twelve seconds.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.provider.asking_again_most.load(Ordering::SeqCst), 8, "half of the calls, and all of that half");
}
