//! Processes that are killed, each in turn and again.

use std::time::{Duration, Instant};

use super::books::assert_in_balance;
use super::load::{Load, probe};
use super::plant::Plant;

/// How long it may take until the others do the work of a process that died: the lease, two rounds of looking at leases, and much for a busy
/// machine.
const TAKE_OVER_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn any_process_may_be_killed_and_another_takes_over() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    let mut probes = Vec::new();
    for (number, name) in
        ["till-1", "back-1", "front-1", "till-2", "back-2", "front-2", "till-1", "back-1"].into_iter().enumerate()
    {
        load.after_more(10).await;
        plant.kill(name);
        let began = Instant::now();
        // Orders of most partitions, all the way to their mails, without the process that died.
        probes.extend(probe(&plant, &number.to_string(), 10).await);
        let took = began.elapsed();
        assert!(took < TAKE_OVER_MAX, "{took:?} without {name}");
        plant.start_process(name);
    }
    assert!(load.faults_met() > 0, "no client met a dead process");
    let mut orders = load.finish().await;
    orders.extend(probes);
    assert_in_balance(&plant, &orders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_processes_may_be_killed_at_once() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    for _ in 0..3 {
        load.after_more(25).await;
        let all = ["till-1", "back-1", "front-1", "till-2", "back-2", "front-2"];
        all.iter().for_each(|name| plant.kill(name));
        all.iter().for_each(|name| plant.start_process(name));
    }
    load.after_more(20).await;
    assert!(load.faults_met() > 0, "no client met a dead process");
    assert_in_balance(&plant, &load.finish().await).await;
}
