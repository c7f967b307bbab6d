//! How the cases of the gateway suites become tests.

use std::time::Duration;

/// No case takes longer, also on a busy machine: a hang is a failure.
const CASE_TIME_MAX: Duration = Duration::from_secs(60);

/// Runs one case on a runtime of its own.
///
/// # Panics
/// When the case fails, or does not end.
pub fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = runtime.expect("the machine has room for four threads");
    let in_time = runtime.block_on(async { tokio::time::timeout(CASE_TIME_MAX, case).await });
    assert!(in_time.is_ok(), "the case did not end within {} s", CASE_TIME_MAX.as_secs());
}

/// Makes each named case of a gateway suite a test. `$harness` is evaluated anew for each.
#[doc(hidden)]
#[macro_export]
macro_rules! gateway_cases {
    ($suite:ident, $harness:expr; $($case:ident),+ $(,)?) => {
        $(
            #[test]
            fn $case() {
                let harness = $harness;
                $crate::conformance::gateway::run($crate::conformance::$suite::$case(&harness));
            }
        )+
    };
}

#[cfg(test)]
mod tests {
    /// A case that no suite names would never run.
    #[test]
    fn no_case_is_missing_in_its_suite() {
        for source in [include_str!("payments.rs"), include_str!("mailer.rs"), include_str!("objects.rs")] {
            let (suite, cases) = source.split_once("\npub trait Harness").expect("the suite comes first");
            let cases = cases.split("\npub async fn ").skip(1).map(|case| case.split('(').next().unwrap_or_default());
            let cases: Vec<&str> = cases.collect();
            assert!(!cases.is_empty());
            for case in cases {
                let named = suite.split(|end: char| !(end.is_alphanumeric() || end == '_')).any(|word| word == case);
                assert!(named, "{case} is in no suite");
            }
        }
    }
}
