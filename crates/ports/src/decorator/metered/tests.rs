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
