//! Processes that run the same role have to be of one mind on where they charge, mail and store, and on what carries the events.

use crate::processes::installation::{HOLDS_ON, Installation};
use crate::support::Shop;

const SANDBOX: (&str, &str) = ("ORDERMILL_PAYMENTS", "sandbox");

#[tokio::test]
async fn a_process_with_books_of_its_own_is_refused_beside_others() {
    let installation = Installation::new();
    let till = installation.start_with("till", &["payments,inventory", "sweeper"], &[HOLDS_ON]);
    let own = [
        ("payments", "ORDERMILL_PAYMENTS", "sandbox", "the sandbox in"),
        ("notifications", "ORDERMILL_MAIL", "mbox:mail.mbox", "the mail file"),
        ("archive", "ORDERMILL_OBJECTS", "file:objects", "the objects in"),
    ];
    let back = installation.start_with("back", &["notifications,archive", "tracking,records"], &[HOLDS_ON]);
    for (role, option, value, books) in own {
        let said = installation.refused(&format!("other-{role}"), &[role], &[(option, value)]);
        let expected =
            format!("another process runs {role} with books that processes share, and this one with {books}");
        assert!(said.contains(&expected), "{said}");
    }
    assert!(till.terminate().success() && back.terminate().success());
    // Alone it may have its own, and then nobody else may have others.
    let alone = installation.start_with("alone", &["payments"], &[SANDBOX, HOLDS_ON]);
    let said = installation.refused("second", &["payments"], &[SANDBOX]);
    assert!(said.contains("another process runs payments with the sandbox in"), "{said}");
    let said = installation.refused("third", &["payments"], &[]);
    assert!(said.contains("and this one with books that processes share"), "{said}");
    assert!(alone.terminate().success());
}

/// One that was killed has nothing to say any more once its lease is over.
#[tokio::test]
async fn a_process_of_another_mind_that_was_killed_is_waited_for() {
    let installation = Installation::new();
    // For longer than a busy machine takes to start the second one.
    let lease = ("ORDERMILL_POSTGRES__LEASE", "10s");
    let mut front = installation.start_with("front", &["api,payments"], &[SANDBOX, lease]);
    front.kill();
    let front = installation.start_with("front", &["api,payments"], &[lease]);
    Shop::of(&front).wait_until_ready().await;
    assert!(front.log_text().contains("waits until the other one has ended"), "{}", front.log_text());
    assert!(front.terminate().success());
}
