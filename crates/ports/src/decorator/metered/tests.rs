use futures_util::FutureExt as _;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;
use crate::decorator::faulty::tests::{Provider, request};
use crate::decorator::{Faulty, faulty};

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

#[test]
fn calls_are_counted_by_operation_and_result() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let works = Metered::payments(Arc::new(Provider::default()));
        let rates = faulty::Rates { fail_before: 1.0, ..faulty::Rates::default() };
        let fails =
            Metered::payments(Arc::new(Faulty::new(Arc::new(Provider::default()) as Arc<dyn Payments>, 1, rates)));
        run(async {
            for _ in 0..3 {
                works.perform(&request(1)).await.unwrap();
            }
            works.look_up(&request(1).key).await.unwrap();
            fails.perform(&request(1)).await.unwrap_err();
        });
    });
    let text = handle.render();
    let lines = |wanted: &str| text.lines().filter(|line| line.contains(wanted)).map(str::to_owned).collect::<Vec<_>>();
    let count = |operation: &str, result: &str| {
        let labels = format!("{{gateway=\"payments\",operation=\"{operation}\",result=\"{result}\"}}");
        (lines(&format!("{CALLS_TOTAL}{labels}")), lines(&format!("{CALL_SECONDS}_count{labels}")))
    };
    for (operation, result, times) in [
        ("authorize", "succeeded", 3),
        ("authorize", "unavailable", 1),
        ("look_up", "succeeded", 1),
        ("capture", "refused", 0),
    ] {
        let (calls, timed) = count(operation, result);
        assert!(calls.len() == 1 && calls[0].ends_with(&format!(" {times}")), "{operation} {result}: {text}");
        assert!(times == 0 || timed[0].ends_with(&format!(" {times}")), "{operation} {result}: {text}");
    }
}

/// What was logged on this thread: level and fields, a line each.
#[derive(Clone, Default)]
struct Log(Arc<parking_lot::Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                self.0.push_str(&format!(" {field}={value:?}"));
            }
        }
        let mut fields = Fields(event.metadata().level().to_string());
        event.record(&mut fields);
        self.0.lock().push(fields.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Fails in every operation as long as it is told to.
struct Store(std::sync::atomic::AtomicBool);

#[async_trait]
impl Objects for Store {
    async fn put(&self, objects: Vec<(String, Bytes)>) -> Vec<Result<(), ObjectError>> {
        objects.iter().map(|_| self.list("").now_or_never().unwrap().map(drop)).collect()
    }

    async fn create(&self, _: &str, _: Bytes) -> Result<bool, ObjectError> {
        Ok(true)
    }

    async fn get(&self, _: &str) -> Result<Option<Bytes>, ObjectError> {
        Ok(None)
    }

    async fn list(&self, _: &str) -> Result<Vec<String>, ObjectError> {
        let is_full = self.0.load(std::sync::atomic::Ordering::Relaxed);
        if is_full { Err(ObjectError("the disk is full".to_owned())) } else { Ok(Vec::new()) }
    }
}

#[test]
fn a_gateway_that_fails_is_told_once_with_the_reason_and_once_when_it_works() {
    let log = Log::default();
    let store = Arc::new(Store(true.into()));
    tracing::subscriber::with_default(log.clone(), || {
        let objects = Metered::objects(Arc::clone(&store) as Arc<dyn Objects>);
        let put = || run(objects.put(vec![("a".to_owned(), Bytes::new()), ("b".to_owned(), Bytes::new())]));
        (0..5).for_each(|_| drop(put()));
        // Reading works all the time, and says nothing of writing.
        run(objects.get("a")).unwrap();
        store.0.store(false, std::sync::atomic::Ordering::Relaxed);
        (0..3).for_each(|_| drop(put()));
        // What comes and goes is not told each time.
        store.0.store(true, std::sync::atomic::Ordering::Relaxed);
        put();
    });
    let lines = log.0.lock().clone();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for wanted in ["WARN", "a gateway begins to fail", "\"objects\"", "\"put\"", "the disk is full"] {
        assert!(lines[0].contains(wanted), "{wanted}: {lines:#?}");
    }
    for wanted in ["INFO", "a gateway works again", "\"put\"", "failures=10"] {
        assert!(lines[1].contains(wanted), "{wanted}: {lines:#?}");
    }
}

#[test]
fn a_payment_provider_that_is_down_is_told_when_it_is_more_than_a_slip() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let rates = faulty::Rates { fail_before: 1.0, ..faulty::Rates::default() };
        let down = Faulty::new(Arc::new(Provider::default()) as Arc<dyn Payments>, 1, rates);
        let payments = Metered::payments(Arc::new(down));
        let call = || run(payments.perform(&request(1))).unwrap_err();
        (1..PAYMENTS_TOLERANCE).for_each(|_| drop(call()));
        assert_eq!(log.0.lock().len(), 0, "{:?}", log.0.lock());
        call();
        call();
    });
    let lines = log.0.lock().clone();
    assert!(lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains("\"payments\""), "{lines:#?}");
}
