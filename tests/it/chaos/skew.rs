//! One release of skew: a newer process writes events that the older ones, still at work, do not know, some of them about subjects of a
//! new kind.

use super::books::assert_in_balance;
use super::load::{Load, probe};
use super::plant::Plant;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_only_a_newer_process_knows_does_no_harm_to_older_ones() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    let session = plant.session().await;
    // Of many subjects, so of every partition. Each other one is of a kind of subject that is new as well.
    for number in 0..40 {
        load.after_more(2).await;
        let sql = format!(
            "WITH head AS (UPDATE feed_head SET position = position + 1 RETURNING position)
             INSERT INTO events (position, subject_kind, subject, version, partition, type, schema, at, data)
             SELECT position, {}, 'newer-{number}', 1, {}, 'customer.pondered', 1, now(), '{{\"pondered\":{number}}}' FROM head;
             NOTIFY ordermill_ordermill, 'feed'",
            [3, 6][number % 2],
            number / 2 % 16
        );
        session.batch_execute(&sql).await.unwrap();
    }
    let mut probes = probe(&plant, "amid", 12).await;
    // Also for one that starts behind them, and so has to read them from the table.
    for name in ["till-1", "back-1", "front-1"] {
        plant.kill(name);
        plant.start_process(name);
    }
    probes.extend(probe(&plant, "behind", 12).await);
    let mut orders = load.finish().await;
    orders.extend(probes);
    // The auditor of the older program could not understand what only the newer one does: it becomes something that both know.
    let known = "WITH known AS (
            UPDATE events SET type = 'customer.put', subject_kind = 3,
                data = json_build_object('customer_id', convert_from(subject, 'UTF8'), 'name', 'N', 'version', 1)::text
            WHERE type = 'customer.pondered' RETURNING convert_from(subject, 'UTF8') AS id
        )
        INSERT INTO customers (id, name, deleted, version) SELECT id, 'N', false, 1 FROM known";
    assert_eq!(session.execute(known, &[]).await.unwrap(), 40);
    assert_in_balance(&plant, &orders).await;
}
