//! Events that the next release wrote, in a process of this one.

use ordermill_core::process::Role;
use ordermill_ports::Submission;
use ordermill_ports::conformance::shop::Shop;
use ordermill_ports::queries::{Position, QueryError};

use crate::support::process::Installation;

/// The relay reads what it publishes by position. A newer version of a known type is no damage, and neither is a type that is new.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_newer_is_passed_over_and_what_is_damaged_is_told() {
    let mut installation = Installation::new();
    let process = installation.start().await;
    let place = |shop: Shop| async move {
        shop.sell("apple", 10).await;
        let orders = (0..4).map(|_| Submission::new(shop.placing(&[("apple", 1)])));
        assert!(shop.submit(orders.collect()).await.iter().all(Result::is_ok));
    };
    process.run(place).await;
    let handed = process.receive_many(Role::Payments, 4).await;
    let positions: Vec<Position> = handed.iter().map(|delivery| delivery.position).collect();
    let read = async || {
        let positions = positions.clone();
        let read = |shop: Shop| async move { shop.backend.queries.events_at(&positions).await };
        let found = process.run(read).await;
        found.map(|found| found.iter().map(|event| event.position).collect::<Vec<_>>())
    };
    let change = async |what: &str, position: Position| {
        let sql = format!("UPDATE events SET {what} WHERE position = {}", position.0);
        installation.database.execute(&sql).await;
    };
    assert_eq!(read().await.expect("readable"), positions);
    change("schema = 2", positions[1]).await;
    change("type = 'order.pondered'", positions[3]).await;
    assert_eq!(read().await.expect("readable"), [positions[0], positions[2]]);
    change("data = '{}'", positions[0]).await;
    let error = read().await.expect_err("nobody can read it");
    assert!(matches!(error, QueryError::Unreadable(_)), "{error}");
}
