use std::sync::atomic::Ordering;

use ordermill_core::order::Status;
use ordermill_core::policy::Policy;

use crate::gateways::Provider;
use crate::world::World;

#[tokio::test]
async fn a_role_that_begins_again_takes_up_what_its_former_life_was_handed() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    world.ledger.panics.store(2, Ordering::SeqCst);
    let id = world.place("ok").await;
    world.wait_for_status(id, Status::Confirmed).await;
    assert_eq!(world.ledger.panics.load(Ordering::SeqCst), 0, "it took three lives");
    world.stop().await;
}
