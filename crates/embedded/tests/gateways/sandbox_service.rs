//! The sandbox that is served: the suite of its port over real HTTP, and what only a provider apart can do.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use ordermill_core::id::{OrderId, PaymentMethod};
use ordermill_core::input::PaymentAnswer;
use ordermill_core::money::{Currency, Money};
use ordermill_core::payment::{DeclineReason, OperationId, OperationKind, PaymentKey, PaymentRequest};
use ordermill_embedded::sandbox::service::{Gateway, read_journal_at, serve};
use ordermill_embedded::sandbox::{Options, Sandbox, read_journal};
use ordermill_ports::audit::{AuditError, ProviderEntry};
use ordermill_ports::clock::SystemClock;
use ordermill_ports::conformance::payments;
use ordermill_ports::payments::PaymentError;
use ordermill_ports::{Payments, payments_suite};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// Longer than any answer takes here.
const LIMIT: Duration = Duration::from_secs(30);

/// How long the method `slow` takes.
const SLOW: Duration = Duration::from_millis(600);

/// A sandbox that is served, by threads of its own: they stand for its process.
struct Service {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Service {
    fn start(journal: &Path, address: &str, fsync: bool) -> Self {
        Self::start_with(journal, address, Options { slow: SLOW, fsync })
    }

    fn start_with(journal: &Path, address: &str, options: Options) -> Self {
        let sandbox = Sandbox::open(journal, Arc::new(SystemClock), options).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            serve(listener, Arc::new(sandbox), std::future::pending()).await
        });
        Self { address, runtime: Some(runtime) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn gateway(&self) -> Gateway {
        Gateway::new(&self.url(), LIMIT).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let runtime = self.runtime.take().unwrap();
        // Waiting for the threads is not allowed on one that runs tasks.
        std::thread::spawn(move || runtime.shutdown_timeout(LIMIT)).join().unwrap();
    }
}

/// A gateway with the service behind it: both end with it.
struct Served {
    gateway: Gateway,
    _service: Service,
}

#[async_trait]
impl Payments for Served {
    async fn perform(&self, request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
        self.gateway.perform(request).await
    }

    async fn look_up(&self, key: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError> {
        self.gateway.look_up(key).await
    }
}

struct Place {
    directory: TempDir,
    fsync: bool,
}

impl Place {
    fn new(fsync: bool) -> Self {
        Self { directory: TempDir::new().unwrap(), fsync }
    }
}

#[async_trait]
impl payments::Harness for Place {
    async fn open(&self) -> Arc<dyn Payments> {
        let service = Service::start(&self.directory.path().join("sandbox.journal"), "127.0.0.1:0", self.fsync);
        Arc::new(Served { gateway: service.gateway(), _service: service })
    }

    fn works(&self) -> PaymentMethod {
        PaymentMethod::new("ok").unwrap()
    }

    fn declined(&self) -> PaymentMethod {
        PaymentMethod::new("declined").unwrap()
    }
}

mod over_http {
    use super::*;
    payments_suite!(Place::new(false));
}

mod over_http_synced {
    use super::*;
    payments_suite!(Place::new(true));
}

fn authorize(order_id: OrderId, method: &str) -> PaymentRequest {
    PaymentRequest {
        key: PaymentKey { order_id, operation: OperationId { kind: OperationKind::Authorize, number: 1 }, attempt: 1 },
        amount: Money { amount_minor: 1_999, currency: Currency::USD },
        method: PaymentMethod::new(method).unwrap(),
        authorization: None,
        unresolved: false,
    }
}

fn new_order() -> OrderId {
    OrderId::from_uuid(uuid::Uuid::now_v7())
}

fn worked(answer: &Result<PaymentAnswer, PaymentError>) -> bool {
    matches!(answer, Ok(PaymentAnswer::Succeeded { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_magic_word_means_the_same_as_in_the_process() {
    let place = TempDir::new().unwrap();
    let service = Service::start(&place.path().join("sandbox.journal"), "127.0.0.1:0", false);
    let gateway = service.gateway();
    let ask = async |method: &str| {
        let request = authorize(new_order(), method);
        (gateway.perform(&request).await, gateway.look_up(&request.key).await.unwrap(), gateway.perform(&request).await)
    };
    let declined = || Some(PaymentAnswer::Refused { reason: DeclineReason::Declined });
    assert_eq!(ask("declined").await, (declined().ok_or(PaymentError::Timeout), declined(), Ok(declined().unwrap())));
    let (lost, found, again) = ask("timeout_then_ok").await;
    assert_eq!((lost, found), (Err(PaymentError::Timeout), again.clone().ok()));
    assert!(worked(&again));
    let (lost, found, again) = ask("timeout_then_declined").await;
    assert_eq!((lost, found, again), (Err(PaymentError::Timeout), declined(), Ok(declined().unwrap())));
    assert_eq!(ask("unknown").await, (Err(PaymentError::Timeout), None, Err(PaymentError::Timeout)));
    let begun = Instant::now();
    let (answer, found, again) = ask("slow").await;
    assert!(worked(&answer) && found.is_some() && worked(&again) && begun.elapsed() >= SLOW);
}

/// Slow payments travel with others and hold up none of them, however many there are.
#[tokio::test(flavor = "multi_thread")]
async fn slow_payments_hold_up_nobody() {
    let place = TempDir::new().unwrap();
    let options = Options { slow: Duration::from_secs(20), fsync: false };
    let service = Service::start_with(&place.path().join("sandbox.journal"), "127.0.0.1:0", options);
    let gateway = Arc::new(service.gateway());
    let slow = join_all((0..20).map(|_| async { gateway.perform(&authorize(new_order(), "slow")).await }));
    let quick = async {
        for _ in 0..10 {
            let twins = join_all((0..20).map(|_| async { gateway.perform(&authorize(new_order(), "ok")).await })).await;
            assert!(twins.iter().all(worked), "{twins:?}");
        }
    };
    tokio::select! {
        biased;
        slow = slow => panic!("200 payments took as long as {slow:?}"),
        () = quick => {}
    }
}

/// Two gateways stand for two processes: a key is one request, whoever asks.
#[tokio::test(flavor = "multi_thread")]
async fn two_callers_share_one_sandbox() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("sandbox.journal");
    let service = Service::start(&path, "127.0.0.1:0", false);
    let gateways = [service.gateway(), service.gateway()];
    let requests: Vec<PaymentRequest> = (0..300).map(|_| authorize(new_order(), "ok")).collect();
    let both = gateways.each_ref().map(|gateway| join_all(requests.iter().map(|request| gateway.perform(request))));
    let [ours, theirs] = both;
    let (ours, theirs) = tokio::join!(ours, theirs);
    assert!(ours.iter().all(worked));
    assert_eq!(ours, theirs);
    let entries = collect(|visit| read_journal(&path, visit)).unwrap();
    assert_eq!(entries.len(), 300, "each was carried out once");
}

/// The sandbox goes, and comes back where it was: what it had answered it answers again, over connections made anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_goes_is_unavailable_and_comes_back() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("sandbox.journal");
    let service = Service::start(&path, "127.0.0.1:0", false);
    let gateway = service.gateway();
    let request = authorize(new_order(), "ok");
    let first = gateway.perform(&request).await;
    assert!(worked(&first));
    let address = service.address.to_string();
    drop(service);
    for _ in 0..3 {
        let error = gateway.perform(&request).await.unwrap_err();
        assert!(matches!(&error, PaymentError::Unavailable(why) if why.contains("cannot be reached")), "{error}");
        assert!(matches!(gateway.look_up(&request.key).await, Err(PaymentError::Unavailable(_))));
    }
    let _service = Service::start(&path, &address, false);
    assert_eq!(gateway.perform(&request).await, first);
    assert_eq!(gateway.look_up(&request.key).await, Ok(first.ok()));
}

/// Calls of a server that is started anew behind a kept connection are not lost: they are asked again over another.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_that_was_closed_is_made_anew() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("sandbox.journal");
    let mut service = Service::start(&path, "127.0.0.1:0", false);
    let gateway = service.gateway();
    let request = authorize(new_order(), "ok");
    let first = gateway.perform(&request).await;
    for _ in 0..5 {
        let address = service.address.to_string();
        drop(service);
        service = Service::start(&path, &address, false);
        assert_eq!(gateway.perform(&request).await, first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_come_is_a_timeout_and_one_that_breaks_off_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let silent = tokio::spawn(async move {
        // Kept open, and never answered.
        let (stream, _) = listener.accept().await.unwrap();
        let (mut second, _) = listener.accept().await.unwrap();
        let mut byte = [0];
        second.read_exact(&mut byte).await.unwrap();
        drop(second);
        stream
    });
    let gateway = Gateway::new(&url, Duration::from_millis(300)).unwrap();
    assert_eq!(gateway.perform(&authorize(new_order(), "ok")).await, Err(PaymentError::Timeout));
    let patient = Gateway::new(&url, LIMIT).unwrap();
    let broken = patient.perform(&authorize(new_order(), "ok")).await.unwrap_err();
    assert!(matches!(&broken, PaymentError::Unavailable(_)), "{broken}");
    silent.await.unwrap();
}

/// Longer than a page, and while it is written to.
#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_read_page_by_page_as_it_is_read_from_the_file() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("sandbox.journal");
    let service = Service::start(&path, "127.0.0.1:0", false);
    let gateway = Arc::new(service.gateway());
    for _ in 0..60 {
        let answers = join_all((0..400).map(|_| async { gateway.perform(&authorize(new_order(), "ok")).await })).await;
        assert!(answers.iter().all(worked));
    }
    assert!(std::fs::metadata(&path).unwrap().len() > 1_500_000, "more than a page");
    let url = service.url();
    let served = move || collect(|visit| read_journal_at(&url, visit));
    let served = tokio::task::spawn_blocking(served).await.unwrap().unwrap();
    let file = collect(|visit| read_journal(&path, visit)).unwrap();
    assert_eq!(file.len(), 24_000);
    assert!(served == file, "both ways give the same");
    let gone = service.url();
    drop(service);
    let gone = move || collect(|visit| read_journal_at(&gone, visit));
    let error = tokio::task::spawn_blocking(gone).await.unwrap().unwrap_err().to_string();
    assert!(error.contains("the journal of the payment sandbox at http://127.0.0.1"), "{error}");
}

type Visit<'a> = dyn FnMut(ProviderEntry) -> Result<(), AuditError> + 'a;

fn collect(read: impl FnOnce(&mut Visit<'_>) -> Result<(), AuditError>) -> Result<Vec<ProviderEntry>, AuditError> {
    let mut entries = Vec::new();
    read(&mut |entry| {
        entries.push(entry);
        Ok(())
    })?;
    Ok(entries)
}
