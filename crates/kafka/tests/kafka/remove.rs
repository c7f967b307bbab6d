//! An installation is removed from the broker, and another one beside it is not.

use std::time::Duration;

use ordermill_core::channel;
use ordermill_core::process::Role;
use ordermill_kafka::{Options, remove};
use ordermill_ports::conformance::Settings;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;

use crate::support::process::{Process, until};
use crate::support::{Place, broker};

const ROLES: [Role; 2] = [Role::Payments, Role::Inventory];
const WAIT: Duration = Duration::from_secs(10);

/// The topics and the groups of an installation that the broker knows.
fn known(place: &Place) -> (usize, usize) {
    let admin: AdminClient<DefaultClientContext> = place.client().create().expect("a client can be made");
    let prefix = format!("{}.", place.options().prefix);
    let metadata = admin.inner().fetch_metadata(None, WAIT).expect("the broker answers");
    let groups = admin.inner().fetch_group_list(None, WAIT).expect("the broker answers");
    let topics = metadata.topics().iter().filter(|topic| topic.name().starts_with(&prefix)).count();
    (topics, groups.groups().iter().filter(|group| group.name().starts_with(&prefix)).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_installation_made_is_removed_and_nothing_else() {
    let (place, other) = (Place::new(), Place::new());
    for place in [&place, &other] {
        let process = Process::start(place, &Settings::default(), &ROLES, true).await;
        until("the groups give us what they have", || process.bus.is_caught_up()).await;
        process.close().await;
    }
    let theirs = known(&other);
    assert_eq!(known(&place), theirs);
    assert!(theirs.0 > channel::TABLE.len() && theirs.1 == ROLES.len(), "{theirs:?}");
    remove(&place.options()).await.expect("the broker removes them");
    assert_eq!((known(&place), known(&other)), ((0, 0), theirs));
    remove(&place.options()).await.expect("what is not there is none to miss");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_without_a_prefix_is_never_removed() {
    let options = Options::from_url(&format!("kafka://{}", broker().brokers())).expect("a sound URL");
    let said = remove(&options).await.expect_err("it could be anybody's").to_string();
    assert!(said.contains("prefix"), "{said}");
}
