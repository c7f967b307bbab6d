//! The demo, as somebody sees it who has never seen the program.

use crate::support::ordermill;

#[test]
fn the_demo_ends_with_orders_confirmed_rejected_and_mailed() {
    let folder = tempfile::tempdir().unwrap();
    let output = ordermill().args(["demo", "--exit", "--data"]).arg(folder.path().join("data")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8_lossy(&output.stdout);
    for expected in ["confirmed", "rejected", "out_of_stock", "payment_declined", "order.placed", "mail.mbox"] {
        assert!(shown.contains(expected), "{expected} in\n{shown}");
    }
}
