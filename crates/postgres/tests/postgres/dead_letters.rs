//! Dead letters that only a newer program can read hide none of the others.

use ordermill_core::event::EventType;
use ordermill_core::process::Role;
use ordermill_ports::bus::{DeadLetter, each_dead_letter};
use ordermill_ports::conformance::shop::Shop;

use crate::support::process::Installation;

/// More than a page of them each: of a role, about a kind of subject, and about a type of event that no program knows today. Behind them one
/// of the archive.
async fn give_up(installation: &Installation) {
    let sql = "WITH added AS (
                   INSERT INTO events (position, subject_kind, subject, version, partition, type, schema, at, data)
                   SELECT head.position + n, CASE WHEN n BETWEEN 1002 AND 2002 THEN 99 ELSE 1 END, decode(md5(n::text), 'hex'), 1, n % 16,
                          CASE WHEN n BETWEEN 2003 AND 3003 THEN 'order.newer' ELSE 'order.confirmed' END, 1, now(), '{}'
                   FROM feed_head AS head, generate_series(1, 3004) AS n RETURNING position, partition
               )
               INSERT INTO dead_letters (role, partition, position, tries, reason, since)
               SELECT CASE WHEN row_number() OVER (ORDER BY position) <= 1001 THEN 'newer' ELSE 'archive' END,
                      partition, position, 3, 'the store is broken', now() FROM added ORDER BY position;
               UPDATE feed_head SET position = position + 3004";
    installation.database.execute(sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_newer_program_can_read_hides_no_others() {
    let mut installation = Installation::new();
    let process = installation.start().await;
    give_up(&installation).await;
    let walk = |shop: Shop| async move {
        let mut seen = Vec::new();
        let see = |letter: &DeadLetter| seen.push((letter.delivery.role, letter.delivery.kind));
        each_dead_letter(&*shop.backend.bus, 10_000, see).await.expect("readable");
        seen
    };
    let seen = process.run(walk).await;
    assert_eq!(seen, [(Role::Archive, EventType::OrderConfirmed)]);
}
