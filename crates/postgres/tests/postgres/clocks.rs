//! Machines whose clocks do not agree.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use ordermill_core::Timestamp;
use ordermill_core::input::{Body, Input};
use ordermill_ports::clock::SystemClock;
use ordermill_ports::conformance::shop::{self, Shop, product};
use ordermill_ports::ledger::SubmitError;
use ordermill_ports::{Clock, Outcome, Submission};
use ordermill_postgres::Options;
use tokio::time::{Instant, sleep};

use crate::support::process::{Installation, Process};

/// How long it may take until a process has looked for keys whose time is over.
const SWEEP_MAX: Duration = Duration::from_secs(70);

/// Ahead by more than a key lives.
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_hours(25)
    }
}

/// The same where it counts, as it did when each process went by its own.
struct AheadByHand;

impl Clock for AheadByHand {
    fn now(&self) -> Timestamp {
        Ahead.now()
    }

    fn is_of_the_day(&self) -> bool {
        false
    }
}

/// Behind by more than a key lives.
struct Behind;

impl Clock for Behind {
    fn now(&self) -> Timestamp {
        SystemClock.now() - SignedDuration::from_hours(25)
    }
}

/// Whatever its machine says, a process goes by the server's time: what it reserves holds as long as what others do, and it ends nothing of
/// theirs.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_tells_the_time() {
    let mut installation = Installation::new();
    let clocks: [Arc<dyn Clock>; 3] = [Arc::new(Ahead), Arc::new(Behind), Arc::new(SystemClock)];
    let mut first = true;
    for clock in clocks {
        let process = installation.start_with(|options| options.clock = clock).await;
        if std::mem::take(&mut first) {
            process.run(|shop| async move { shop.sell("pear", 10).await }).await;
        }
        let is_about_now =
            |time: Timestamp| time.duration_since(SystemClock.now()).abs() < SignedDuration::from_mins(5);
        let told = process.ledger().clock().now();
        assert!(is_about_now(told), "{told}");
        let placed = process.run(|shop| async move { shop.place(&[("pear", 1)]).await }).await;
        assert!(is_about_now(placed.created_at), "{}", placed.created_at);
        let overdue = async move |shop: Shop| shop.backend.queries.overdue(told, 10).await.expect("readable").len();
        assert_eq!(process.run(overdue).await, 0, "nothing that was just taken is overdue");
        process.close().await;
    }
}

/// A change with a key: done twice, it shows.
async fn restock(process: &Process) -> bool {
    let restock = |shop: Shop| async move {
        let reason = "found one".into();
        let body = Body::AdjustStock { product_id: product("pear"), delta: 1, reason, expected_version: None };
        shop.ask(Input::new(body).with_key(Some(shop::key("found", "one")))).await.expect("it is taken").changed
    };
    process.run(restock).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_clock_behind_live_as_long_as_others() {
    let mut installation = Installation::new();
    let behind = installation.start_with(|options| options.clock = Arc::new(Behind)).await;
    let right = installation.start_with(|options| options.clock = Arc::new(SystemClock)).await;
    behind.run(|shop| async move { shop.sell("pear", 10).await }).await;
    assert!(restock(&behind).await);
    assert!(!restock(&right).await, "it is known to whoever is right");
    let placing = |shop: Shop| async move {
        let input = shop.placing(&[("pear", 1)]).with_key(Some(shop::key("order", "one pear")));
        shop.ask(input).await.expect("it is taken").key_expires_at.expect("a key came with it")
    };
    let lives = behind.run(placing).await.duration_since(SystemClock.now());
    let hours = [23, 24].map(SignedDuration::from_hours);
    assert!(hours[0] < lives && lives <= hours[1], "its caller is told so: {lives}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_ahead_ends_nobodys_keys() {
    let mut installation = Installation::new();
    let right = |options: &mut Options| options.clock = Arc::new(SystemClock);
    let first = installation.start_with(right).await;
    first.run(|shop| async move { shop.sell("pear", 10).await }).await;
    assert!(restock(&first).await);
    // So that it is the other one that looks for keys.
    first.close().await;
    let ahead = installation.start_with(|options| options.clock = Arc::new(Ahead)).await;
    assert!(!restock(&ahead).await, "it is known to whoever is ahead");
    let over = "INSERT INTO idempotency (key, fingerprint, answer, expires_at) VALUES ('over', '', '', '1970-01-01')";
    installation.database.execute(over).await;
    let deadline = Instant::now() + SWEEP_MAX;
    while installation.database.query("SELECT FROM idempotency WHERE key = 'over'").await.len() == 1 {
        assert!(Instant::now() < deadline, "keys whose time is over are deleted");
        sleep(Duration::from_millis(100)).await;
    }
    let first = installation.start_with(right).await;
    assert!(!restock(&first).await, "it is still known");
    let (available, ..) = first.run(|shop| async move { shop.units("pear").await }).await;
    assert_eq!(available, 11);
}

/// One transaction decides on an order that has a time ahead, and takes another: that would be ahead as well, and so on from order to order.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_ahead_is_not_catching() {
    let mut installation = Installation::new();
    let ahead = installation.start_with(|options| options.clock = Arc::new(AheadByHand)).await;
    let right = installation.start_with(|options| options.clock = Arc::new(SystemClock)).await;
    ahead.run(|shop| async move { shop.sell("pear", 10).await }).await;
    let placed = ahead.run(|shop| async move { shop.place(&[("pear", 1)]).await }).await;
    let both = move |shop: Shop| async move {
        let cancel = Body::Cancel { order_id: placed.id, reason: "not any more".into() };
        let inputs = [shop.placing(&[("pear", 1)]), Input::new(cancel), shop.placing(&[("pear", 1)])];
        let answers = shop.submit(inputs.map(Submission::new).into()).await;
        let order =
            |answer: Result<Outcome, SubmitError>| Arc::clone(answer.expect("taken").order().expect("an order"));
        let orders: Vec<_> = answers.into_iter().map(order).collect();
        let mut events = Vec::new();
        for order in &orders {
            events.extend(shop.backend.queries.order_events(order.id, order.version - 1).await.expect("readable"));
        }
        (placed, orders, events)
    };
    let (placed, orders, events) = right.run(both).await;
    assert!(orders[1].updated_at >= placed.updated_at, "time does not go back within an order");
    let hour = SignedDuration::from_hours(1);
    for order in [&orders[0], &orders[2]] {
        assert!(order.created_at < SystemClock.now() + hour, "{}", order.created_at);
    }
    let times: Vec<_> = events.iter().map(|event| event.recorded.at).collect();
    assert_eq!(
        times,
        orders.iter().map(|order| order.updated_at).collect::<Vec<_>>(),
        "events have the times of their orders"
    );
}
