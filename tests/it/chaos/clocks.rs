//! Machines whose clocks are wrong.

use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};

use super::books::assert_in_balance;
use super::load::{Load, place_slow, probe};
use super::plant::Plant;

/// By how much clocks are wrong: more than stock is reserved for, and than anything else waits or lasts.
const OFF: SignedDuration = SignedDuration::from_hours(26);

/// Builds what tells a program the time of a machine whose clock is ahead by so much.
fn build_clock(folder: &Path, ahead: SignedDuration) -> String {
    let library = folder.join(format!("clock{}.so", ahead.as_secs()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/it/chaos/clock.c");
    let ahead = format!("-DAHEAD={}", ahead.as_secs());
    let built = Command::new("cc").args(["-shared", "-fPIC", &ahead, "-o"]).arg(&library).arg(source).status();
    assert!(built.expect("a C compiler, as for building the program").success());
    library.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_wrong_by_a_day_end_nothing_early_and_put_nothing_off() {
    let plant = Plant::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let (ahead, behind) = (build_clock(folder.path(), OFF), build_clock(folder.path(), -OFF));
    // Beside one of each kind whose clock is right.
    let wrong = [("front-1", &ahead), ("till-1", &ahead), ("back-1", &behind)];
    for (name, clock) in wrong {
        plant.give(name, "LD_PRELOAD", clock.clone());
        plant.terminate(name);
        plant.start_process(name);
        assert!(plant.log(name).contains("this machine's clock is not the server's"), "{}", plant.log(name));
    }
    let load = Load::start(&plant.fronts(), 4, 5_000);
    load.after_more(40).await;
    // They wait, with stock reserved, in the sight of every sweeper.
    let mut orders = place_slow(&plant, "clocks").await;
    orders.extend(probe(&plant, "clocks", 20).await);
    load.after_more(40).await;
    orders.extend(load.finish().await);
    let shop = plant.front();
    for order in &orders {
        let taken = shop.get(&format!("/v1/orders/{}", order.id)).await.body["created_at"].as_str().map(str::to_owned);
        let taken: Timestamp = taken.expect("a time").parse().expect("a time");
        assert!(taken.duration_until(Timestamp::now()).abs() < SignedDuration::from_hours(1), "taken at {taken}");
    }
    assert_in_balance(&plant, &orders).await;
}
