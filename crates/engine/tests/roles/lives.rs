use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use ordermill_core::order::Status;
use ordermill_core::policy::Policy;
use ordermill_core::process::Role;
use ordermill_engine::{Parts, start};

use crate::gateways::{Provider, Startled};
use crate::world::{SOON, World};

#[tokio::test]
async fn a_role_that_begins_again_takes_up_what_its_former_life_was_handed() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    world.ledger.panics.store(2, Ordering::SeqCst);
    let id = world.place("ok").await;
    world.wait_for_status(id, Status::Confirmed).await;
    assert_eq!(world.ledger.panics.load(Ordering::SeqCst), 0, "it took three lives");
    world.stop().await;
}

#[tokio::test]
async fn the_gauges_go_on_after_a_panic_of_the_bus() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let seen = recorder.handle();
    // For this thread, which is the test's only one.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let world = World::idle(Provider::willing(), Policy::default()).await;
    let bus = Arc::new(Startled { inner: Arc::clone(&world.memory), asked: AtomicU32::new(0) });
    let parts = Parts { bus: Arc::clone(&bus) as _, ..world.parts() };
    // This role asks the bus for deliveries alone, so that it is the gauges that meet the defect.
    let running = start(parts, World::settings(), &[Role::Tracking]);
    let deadline = Instant::now() + SOON;
    while !seen.render().contains("ordermill_role_lag{role=\"tracking\"} 0") {
        assert!(Instant::now() < deadline, "asked {} times: {}", bus.asked.load(Ordering::SeqCst), seen.render());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What is measured once in many rounds was measured in the round of the panic.
    assert!(seen.render().contains("ordermill_attention_orders 0"), "{}", seen.render());
    assert!(seen.render().contains("ordermill_dead_letters{role=\"tracking\"} 0"), "{}", seen.render());
    running.stop().await;
}
