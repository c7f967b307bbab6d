//! A PostgreSQL server that is killed, shut down and restarted.

use std::sync::Arc;
use std::time::Duration;

use super::books::assert_in_balance;
use super::load::Load;
use super::plant::Plant;

/// Every other session with the database.
const OTHERS: &str = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// Ends the server by a signal, and starts it again on the same folder and port.
async fn restart(plant: &Plant, signal: &'static str) {
    let postgres = Arc::clone(&plant.postgres);
    let work = move || {
        postgres.end(signal);
        postgres.start_again();
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_may_be_killed_or_shut_down_at_any_time() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    for signal in ["KILL", "QUIT", "INT", "KILL"] {
        load.after_more(25).await;
        restart(&plant, signal).await;
    }
    load.after_more(25).await;
    assert!(load.faults_met() > 0, "no client met a server that was gone");
    assert_in_balance(&plant, &load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_session_may_be_killed_which_ends_all() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    for _ in 0..3 {
        load.after_more(25).await;
        // One that has just committed, or is about to: the latest at work.
        let sql = format!("SELECT pid {OTHERS} AND backend_type = 'client backend' ORDER BY state_change DESC LIMIT 1");
        let pid: i32 = plant.session().await.query_one(&sql, &[]).await.unwrap().get(0);
        assert!(plant.postgres.signal(u32::try_from(pid).unwrap(), "KILL"), "it was there");
        // The server ends all others, and comes back by itself.
        load.after_more(10).await;
    }
    assert_in_balance(&plant, &load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_may_be_ended_all_the_time() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    let session = plant.session().await;
    for _ in 0..30 {
        session.query(&format!("SELECT pg_terminate_backend(pid) {OTHERS}"), &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    load.after_more(25).await;
    assert_in_balance(&plant, &load.finish().await).await;
}
