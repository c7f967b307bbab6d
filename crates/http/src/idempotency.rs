//! The `Idempotency-Key` header and what is answered because of it.
//!
//! The contract itself is kept by the ledger; here the header is read, quoted (a structured-field string, as the IETF draft has
//! it) or bare (as most clients send it), and the answer is marked.

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use ordermill_core::id::IdempotencyKey;
use ordermill_core::idempotency::Fingerprint;
use ordermill_core::input::{Body, Input, Key};
use ordermill_core::limits::ID_CHARS_MAX;
use serde::Serialize;

use crate::error_code::IDEMPOTENCY_KEY_INVALID;
use crate::problem::Problem;

/// The caller's key.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that repeats the first one.
pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Until when the key gives this answer.
pub(crate) const IDEMPOTENCY_KEY_EXPIRES: HeaderName = HeaderName::from_static("idempotency-key-expires");

/// The key of a request, if it has one.
///
/// # Errors
/// A header that is no key: better refused than taken for none, as the caller relies on it.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(invalid("is given more than once"));
    }
    let text = value.to_str().map_err(|_| invalid("must be visible ASCII"))?;
    let key = match text.strip_prefix('"') {
        Some(quoted) => IdempotencyKey::new(&unquote(quoted).ok_or_else(|| invalid("has unbalanced quotes"))?),
        None => IdempotencyKey::new(text),
    };
    key.map(Some).map_err(invalid)
}

/// The key of one line of a bulk request: the request's key and the line's number.
///
/// # Errors
/// When the two together are longer than a key may be.
pub(crate) fn line_key(key: &IdempotencyKey, line: u64) -> Result<IdempotencyKey, Problem> {
    IdempotencyKey::new(&format!("{key}/{line}")).map_err(|_| {
        invalid(format_args!("must leave room for the number of the line within {ID_CHARS_MAX} characters"))
    })
}

/// The content of a structured-field string behind its first quote.
fn unquote(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return rest.next().is_none().then_some(text),
            '\\' => text.push(rest.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            plain => text.push(plain),
        }
    }
}

fn invalid(message: impl std::fmt::Display) -> Problem {
    Problem::field(&IDEMPOTENCY_KEY_INVALID, "Idempotency-Key", message.to_string())
}

/// An input with the key of its request, where it has one. `meaning` is what the request asks, of what, and with which words: the
/// same key with another meaning is refused.
///
/// # Errors
/// A header that is no key.
pub(crate) fn keyed(headers: &HeaderMap, body: Body, meaning: &impl Serialize) -> Result<Input, Problem> {
    let key = key(headers)?.map(|key| Key { key, fingerprint: Fingerprint::of(meaning) });
    Ok(Input::new(body).with_key(key))
}

/// Marks an answer that repeats the first one.
pub(crate) fn mark_replayed(response: &mut Response, replayed: bool) {
    if replayed {
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &'static str) -> Result<Option<String>, &'static str> {
        let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, HeaderValue::from_static(value))]);
        key(&headers).map(|key| key.map(|key| key.to_string())).map_err(|problem| problem.code.code)
    }

    #[test]
    fn keys_are_quoted_or_bare() {
        assert_eq!(read("abc-1"), Ok(Some("abc-1".into())));
        assert_eq!(read("\"abc-1\""), Ok(Some("abc-1".into())));
        assert_eq!(read(r#""a\"b\\c""#), Ok(Some(r#"a"b\c"#.into())));
        assert!(key(&HeaderMap::new()).expect("no header is no error").is_none());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in ["", " ", "\"\"", "\" \"", "\"abc", "\"abc\" x", r#""a\b""#] {
            assert_eq!(read(bad), Err("idempotency_key_invalid"), "{bad:?}");
        }
        let long = HeaderValue::from_str(&"x".repeat(ID_CHARS_MAX + 1)).expect("it is visible ASCII");
        assert!(key(&HeaderMap::from_iter([(IDEMPOTENCY_KEY, long)])).is_err());
        let mut twice = HeaderMap::new();
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        assert!(key(&twice).is_err());
    }
}
