//! The `Prefer` header (RFC 7240), of which `wait` is understood.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

/// What the caller would like.
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// What of it was done.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How long the caller would like to wait for a decision, at most `longest`. `None` when it does not ask, or asks for 0 s.
/// As RFC 7240 has it, what is not understood is passed over and the first `wait` counts.
pub(crate) fn wait(headers: &HeaderMap, longest: Duration) -> Option<Duration> {
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let wait = preferences.flat_map(|value| value.split(',')).find_map(wait_seconds)?;
    let wait = Duration::from_secs(wait).min(longest);
    (!wait.is_zero()).then_some(wait)
}

fn wait_seconds(preference: &str) -> Option<u64> {
    let preference = preference.split(';').next()?;
    let (name, value) = preference.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("wait") {
        return None;
    }
    value.trim().trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(values: &[&'static str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, http::HeaderValue::from_static(value));
        }
        wait(&headers, Duration::from_secs(60)).map(|wait| wait.as_secs())
    }

    #[test]
    fn wait_is_found_among_others_and_capped() {
        assert_eq!(seconds(&["wait=10"]), Some(10));
        assert_eq!(seconds(&["respond-async, WAIT = \"7\"; x=1"]), Some(7));
        assert_eq!(seconds(&["return=minimal", "wait=99999"]), Some(60));
        assert_eq!(seconds(&["wait=3, wait=5"]), Some(3));
    }

    #[test]
    fn what_is_no_wait_is_passed_over() {
        for none in ["", "wait", "wait=", "wait=-1", "wait=1.5", "wait=0", "await=3"] {
            assert_eq!(seconds(&[none]), None, "{none:?}");
        }
    }
}
