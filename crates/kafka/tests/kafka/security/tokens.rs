//! Tokens in the place of a password: signed by the test, and held by a real broker to their times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ordermill_embedded::secrets::LocalSecrets;
use ordermill_kafka::{KafkaPublisher, OpenError, Signer, Token};
use ordermill_ports::Delivery;
use ordermill_ports::conformance::Settings;
use ordermill_ports::conformance::shop::Shop;
use tokio::time::Instant;

use super::broker::guarded;
use super::{ROLE, TOPICS, handed_out};
use crate::support::Place;
use crate::support::process::Process;

/// How long a token is good for. The broker ends connections whose token is out of date.
const LIFE: Duration = Duration::from_secs(4);

/// How long signing takes: longer than the thread that reads messages may stand still for its other work to go on.
const SIGNING: Duration = Duration::from_millis(700);

/// Signs tokens that the broker takes: JSON without a signature, of a user and their times.
#[derive(Default)]
struct Clerk {
    signed: AtomicU32,
    is_away: AtomicBool,
}

#[async_trait]
impl Signer for Clerk {
    async fn sign(&self) -> Result<Token, String> {
        std::thread::sleep(SIGNING);
        if self.is_away.load(Ordering::SeqCst) {
            return Err("the clerk is away".to_owned());
        }
        self.signed.fetch_add(1, Ordering::SeqCst);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
        let until = now + LIFE;
        let claims = format!("{{\"sub\":\"till\",\"iat\":{},\"exp\":{}}}", now.as_secs(), until.as_secs_f64());
        let [header, claims] = ["{\"alg\":\"none\"}", &claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        let until_ms = i64::try_from(until.as_millis()).expect("not so far away");
        Ok(Token { text: format!("{header}.{claims}."), until_ms })
    }
}

/// One installation, whose topics are there; and whoever signs for it.
async fn place(folder: &tempfile::TempDir) -> (Place, Arc<Clerk>) {
    let clerk = Arc::new(Clerk::default());
    let roots = folder.path().join("authority.pem");
    let way = format!("{TOPICS}&sasl=msk-iam&region=eu-central-1&tls_roots={}", roots.display());
    let cluster = &guarded().cluster;
    let mut place = Place::on(&cluster.guarded_broker(), &way);
    let secrets = Arc::new(LocalSecrets::new(folder.path()));
    place.guard(&cluster.brokers(), secrets, Some(Arc::clone(&clerk) as _));
    (place, clerk)
}

/// Has the topics made by somebody who may.
async fn make_topics(place: &Place) {
    let mut options = place.options();
    (options.brokers, options.sasl, options.tls) = (guarded().cluster.brokers(), None, false);
    drop(KafkaPublisher::open(options).await.expect("topics are made over the open listener"));
}

/// An order goes from one end to the other.
async fn assert_one_flows(process: &Process, shop: &Shop) {
    shop.place(&[("apple", 1)]).await;
    let deliveries = process.receive_many(ROLE, 1).await;
    shop.settle(deliveries.into_iter().map(Delivery::ack)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_while_events_flow() {
    let folder = handed_out();
    let (place, clerk) = place(&folder).await;
    make_topics(&place).await;
    let settings = Settings::default();
    let process = Process::start(&place, &settings, &[ROLE], true).await;
    // It asks the broker how far others are.
    let onlooker = Process::start(&place, &settings, &[], false).await;
    let shop = process.shop(&settings).await;
    shop.sell("apple", 1_000).await;
    let until = Instant::now() + 4 * LIFE;
    let mut flown = 0;
    while Instant::now() < until {
        assert_one_flows(&process, &shop).await;
        flown += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Two keepers, and each signs a token while half of the last one's time is left.
    assert!(clerk.signed.load(Ordering::SeqCst) >= 8, "{clerk:?} for {flown} orders", clerk = clerk.signed);
    onlooker.until_settled(ROLE).await;
    onlooker.close().await;
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_token_goes_on_with_the_next() {
    let folder = handed_out();
    let (place, clerk) = place(&folder).await;
    make_topics(&place).await;
    let settings = Settings::default();
    let process = Process::start(&place, &settings, &[ROLE], true).await;
    let shop = process.shop(&settings).await;
    shop.sell("apple", 1_000).await;
    assert_one_flows(&process, &shop).await;
    clerk.is_away.store(true, Ordering::SeqCst);
    tokio::time::sleep(2 * LIFE).await;
    shop.place(&[("apple", 1)]).await;
    assert_eq!(process.receive(ROLE, Duration::from_secs(2)).await, [], "the broker holds tokens to their times");
    clerk.is_away.store(false, Ordering::SeqCst);
    let deliveries = process.receive_many(ROLE, 1).await;
    shop.settle(deliveries.into_iter().map(Delivery::ack)).await;
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_or_topics_nothing_is_opened() {
    let folder = handed_out();
    let (place, clerk) = place(&folder).await;
    let Err(error) = KafkaPublisher::open(place.options()).await else { panic!("there are no topics") };
    let said = error.to_string();
    assert!(matches!(error, OpenError::Topic { .. }), "{said}");
    for channel in ["order_queue (1)", "order_queue.dlt (1)", "order_publisher (1)", "order-tracking.events (1)"] {
        assert!(said.contains(&place.topic(channel)), "{channel}: {said}");
    }
    clerk.is_away.store(true, Ordering::SeqCst);
    let Err(error) = KafkaPublisher::open(place.options()).await else { panic!("there is no token") };
    assert!(matches!(&error, OpenError::Token(why) if why == "the clerk is away"), "{error}");
}
