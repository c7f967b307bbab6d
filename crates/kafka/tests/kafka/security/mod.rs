//! Who is let in by a real broker, who is not, and what the latter is told.

pub mod broker;
mod tokens;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ordermill_core::process::Role;
use ordermill_embedded::secrets::LocalSecrets;
use ordermill_kafka::{KafkaPublisher, OpenError, Options};
use ordermill_ports::Delivery;
use ordermill_ports::conformance::Settings;
use tempfile::TempDir;

use crate::ears;
use crate::support::Place;
use crate::support::process::Process;
use broker::{BY_VARIABLE, SHA_256, SHA_512, WRONG, guarded};

const ROLE: Role = Role::Payments;

const TOPICS: &str = "partitions=1&replication=1&min_isr=1";

/// What clients are given.
fn handed_out() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder can be made");
    guarded().hand_out(folder.path());
    folder
}

/// Orders go from one end to the other.
async fn assert_flows(place: &Place, settings: &Settings) {
    let process = Process::start(place, settings, &[ROLE], true).await;
    let shop = process.shop(settings).await;
    shop.sell("apple", 10).await;
    for _ in 0..3 {
        shop.place(&[("apple", 1)]).await;
    }
    let deliveries = process.receive_many(ROLE, 3).await;
    shop.settle(deliveries.into_iter().map(Delivery::ack)).await;
    process.until_settled(ROLE).await;
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_password_is_let_in() {
    ears::listen();
    let folder = handed_out();
    let ways = [
        ("scram-sha-256", SHA_256.0, "file:sha-256"),
        ("scram-sha-512", SHA_512.0, "file:sha-512"),
        ("scram-sha-512", BY_VARIABLE.0, BY_VARIABLE.2),
    ];
    for (sasl, user, password) in ways {
        let roots = folder.path().join("authority.pem");
        let way = format!("{TOPICS}&sasl={sasl}&user={user}&password={password}&tls_roots={}", roots.display());
        let cluster = &guarded().cluster;
        let mut place = Place::on(&cluster.guarded_broker(), &way);
        place.guard(&cluster.brokers(), Arc::new(LocalSecrets::new(folder.path())), None);
        assert_flows(&place, &Settings::default()).await;
    }
    assert_eq!(ears::heard().0, 0, "no secret is logged");
}

/// What an installation is told that tries to get in this way.
async fn refusal(folder: &TempDir, broker: &str, way: &str) -> OpenError {
    let url = format!("kafka://{broker}?prefix=nobody&{TOPICS}&{way}")
        .replace("FOLDER", &folder.path().display().to_string());
    let mut options = Options::from_url(&url).expect("a sound URL");
    options.secrets = Some(Arc::new(LocalSecrets::new(folder.path())));
    let began = Instant::now();
    let Err(error) = KafkaPublisher::open(options).await else { panic!("{way} is let in") };
    // The client needs some seconds to be sure; nobody is to wait for the half minute that a broker has which is away.
    assert!(began.elapsed() < Duration::from_secs(15), "{way} is told after {:?}: {error}", began.elapsed());
    let said = format!("{error} {error:?}");
    assert!([SHA_256.1, SHA_512.1, WRONG].iter().all(|secret| !said.contains(secret)), "no secret in {said}");
    assert!(said.contains(broker), "it names the broker: {said}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_let_in_is_told_why() {
    ears::listen();
    let folder = handed_out();
    let cluster = &guarded().cluster;
    let (guarded, open) = (cluster.guarded_broker(), cluster.brokers());
    let login = |sasl, user, password| {
        format!("sasl={sasl}&user={user}&password=file:{password}&tls_roots=FOLDER/authority.pem")
    };
    let heard_before = ears::heard().1;
    for way in [
        login("scram-sha-256", SHA_256.0, "wrong"),
        login("scram-sha-512", SHA_512.0, "wrong"),
        login("scram-sha-256", "stranger", "wrong"),
        // Known, but by the other mechanism.
        login("scram-sha-512", SHA_256.0, "sha-256"),
    ] {
        let error = refusal(&folder, &guarded, &way).await;
        let OpenError::Login { said, .. } = &error else { panic!("{way}: {error}") };
        assert!(said.contains("uthentication failed"), "{way}: {said}");
        assert!(error.to_string().contains("look at `sasl`, and at `user` and `password`"), "{error}");
    }
    assert!(ears::heard().1 > heard_before, "what the client tells is logged");
    let right = login("scram-sha-256", SHA_256.0, "sha-256");
    let port = guarded.rsplit_once(':').expect("an address").1;
    // Another authority; those of the machine; another name; no TLS where there is some, and some where there is none.
    for (broker, way, advice) in [
        (&guarded, right.replace("authority.pem", "stranger.pem"), "an authority of `tls_roots`"),
        (&guarded, right.replace("&tls_roots=FOLDER/authority.pem", ""), "an authority of `tls_roots`"),
        (&format!("localhost:{port}"), right.clone(), "for the name that the URL has"),
        (&guarded, "tls=false".to_owned(), "for `tls` and `sasl` as given"),
        (&open, right.clone(), "for `tls` and `sasl` as given"),
        (&guarded, "tls=true&tls_roots=FOLDER/authority.pem".to_owned(), "for `tls` and `sasl` as given"),
    ] {
        let error = refusal(&folder, broker, &way).await;
        assert!(matches!(error, OpenError::Unsafe { .. }), "{way}: {error:?}");
        assert!(error.to_string().contains(advice), "{way}: {error}");
    }
    assert_eq!(ears::heard().0, 0, "no secret is logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_cannot_be_had_is_named_by_its_reference() {
    let folder = handed_out();
    let url = "kafka://127.0.0.1:1?sasl=scram-sha-256&user=till&password=file:nowhere";
    let mut options = Options::from_url(url).expect("a sound URL");
    options.secrets = Some(Arc::new(LocalSecrets::new(folder.path())));
    let Err(error) = KafkaPublisher::open(options).await else { panic!("there is no such file") };
    assert!(matches!(&error, OpenError::Password(why) if why.to_string().contains("file:nowhere")), "{error:?}");
}
