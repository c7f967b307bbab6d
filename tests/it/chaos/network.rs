//! The network between the processes and their server: cut, stalled, slow, and gone at the worst moment.

use std::time::Duration;

use tokio::time::sleep;

use super::books::assert_in_balance;
use super::load::Load;
use super::plant::{Plant, until};
use super::proxy::{Ambush, Weather};

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_may_be_lost_on_its_way_there_or_back() {
    let (plant, network) = Plant::start_behind_network().await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    let ambushes = [
        Ambush::CutBefore,
        Ambush::CutAnswer,
        Ambush::CutHalfway,
        Ambush::StallBefore,
        Ambush::CutAnswer,
        Ambush::StallAnswer,
    ];
    for ambush in ambushes {
        load.after_more(10).await;
        let before = network.sprung();
        network.await_commit(ambush);
        until("a commit was ambushed", async || network.sprung() > before).await;
    }
    load.after_more(25).await;
    assert_in_balance(&plant, &load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_may_be_cut_stall_and_heal() {
    let (plant, network) = Plant::start_behind_network().await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    for _ in 0..5 {
        load.after_more(15).await;
        network.cut();
    }
    load.after_more(15).await;
    // Shorter than anybody waits: it goes on as if nothing had been.
    network.set(Weather::Stalled);
    sleep(Duration::from_secs(1)).await;
    network.set(Weather::Clear);
    load.after_more(15).await;
    // Longer than the leases hold and than anybody waits for an answer.
    network.set(Weather::Stalled);
    sleep(Duration::from_secs(7)).await;
    network.set(Weather::Clear);
    load.after_more(15).await;
    network.set(Weather::Down);
    sleep(Duration::from_secs(3)).await;
    network.set(Weather::Clear);
    network.delay(Duration::from_millis(20));
    load.after_more(15).await;
    network.delay(Duration::ZERO);
    load.after_more(25).await;
    assert!(load.faults_met() > 0, "no client met a network that was gone");
    assert_in_balance(&plant, &load.finish().await).await;
}
