//! What ties a request to the caller's own logs and traces: `X-Correlation-Id` and `traceparent`.

use http::{HeaderMap, HeaderName};
use ordermill_core::id::CorrelationId;

/// Ties together what one request caused.
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The W3C trace context.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The caller's correlation id, when it gives one that can be used.
pub(crate) fn correlation_id(headers: &HeaderMap) -> Option<CorrelationId> {
    CorrelationId::new(headers.get(CORRELATION_ID)?.to_str().ok()?).ok()
}

/// The caller's trace context, when it is well formed.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<Box<str>> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    is_traceparent(text.as_bytes()).then(|| text.into())
}

/// Version 00 of <https://www.w3.org/TR/trace-context/>: `00-<32 hex>-<16 hex>-<2 hex>`, neither id all zeros.
fn is_traceparent(text: &[u8]) -> bool {
    let hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = |part: &[u8]| hex(part) && part.iter().any(|byte| *byte != b'0');
    text.len() == 55
        && text.starts_with(b"00-")
        && id(&text[3..35])
        && text[35] == b'-'
        && id(&text[36..52])
        && text[52] == b'-'
        && hex(&text[53..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_taken_only_when_well_formed() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_traceparent(good.as_bytes()));
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c+b7ad6b7169203331-01",
        ] {
            assert!(!is_traceparent(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn a_blank_or_endless_correlation_id_is_passed_over() {
        let with = |value: &str| {
            let value = http::HeaderValue::from_str(value).expect("it is visible ASCII");
            correlation_id(&HeaderMap::from_iter([(CORRELATION_ID, value)])).map(|id| id.to_string())
        };
        assert_eq!(with("shop-7"), Some("shop-7".to_owned()));
        assert_eq!(with(" "), None);
        assert_eq!(with(&"x".repeat(129)), None);
    }
}
