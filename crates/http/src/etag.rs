//! Versions as entity tags: `ETag`, `If-Match`, `If-None-Match` (RFC 9110, 13.1).

use axum::response::{IntoResponse as _, Response};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ordermill_core::refusal::Refusal;
use ordermill_ports::queries::QueryError;
use serde::Serialize;

use crate::problem::Problem;
use crate::representation::json;

/// What a request expects to find.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expectation {
    /// Nothing special.
    Anything,
    /// That it exists (`If-Match: *`).
    Existing,
    /// That it does not exist yet (`If-None-Match: *`).
    Missing,
    /// One of these versions.
    OneOf(Vec<u64>),
}

/// Reads `If-Match` and `If-None-Match: *`. A tag that is not one of ours matches nothing, as a weak one does.
fn expectation(headers: &HeaderMap) -> Expectation {
    let tags = |name: HeaderName| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(str::trim).collect::<Vec<_>>()
    };
    if headers.contains_key(IF_MATCH) {
        let tags = tags(IF_MATCH);
        if tags.contains(&"*") {
            return Expectation::Existing;
        }
        return Expectation::OneOf(tags.into_iter().filter_map(version).collect());
    }
    if tags(IF_NONE_MATCH).contains(&"*") { Expectation::Missing } else { Expectation::Anything }
}

/// Whether `If-None-Match` of a read names this version, so that the answer is 304.
fn is_unchanged(headers: &HeaderMap, current: u64) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || version(tag.trim_start_matches("W/")) == Some(current))
}

fn version(tag: &str) -> Option<u64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

impl Expectation {
    /// Whether the present version has to be read before it is known what to expect.
    fn needs_present(&self) -> bool {
        match self {
            Self::Anything => false,
            Self::Existing | Self::Missing => true,
            Self::OneOf(versions) => versions.len() != 1,
        }
    }

    /// The one version the ledger is to expect; 0 stands for "not there yet". The ledger looks again, in its commit.
    fn version(&self, present: Present) -> Result<Option<u64>, Problem> {
        let actual = present.version;
        let conflict = |expected| Err(Refusal::VersionConflict { expected, actual }.into());
        match self {
            Self::Anything => Ok(None),
            Self::Missing if present.is_shown() => conflict(0),
            Self::Missing => Ok(Some(actual)),
            Self::Existing if present.is_shown() => Ok(Some(actual)),
            Self::Existing => conflict(actual + 1),
            Self::OneOf(versions) => match versions.as_slice() {
                [only] => Ok(Some(*only)),
                many if many.contains(&actual) => Ok(Some(actual)),
                many => conflict(many.first().copied().unwrap_or_default()),
            },
        }
    }
}

/// What is there now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Present {
    /// Its version; 0 = it never was.
    pub version: u64,
    /// Deleted: there for the ledger, and not for whoever reads it.
    pub deleted: bool,
}

impl Present {
    fn is_shown(self) -> bool {
        self.version > 0 && !self.deleted
    }
}

/// The version that a change expects to find, by its headers; `present` is read only where that is needed.
///
/// # Errors
/// `version_conflict` when nothing that is there can match, or the ledger cannot be read.
pub(crate) async fn expected_version(
    headers: &HeaderMap,
    present: impl Future<Output = Result<Present, QueryError>>,
) -> Result<Option<u64>, Problem> {
    let expectation = expectation(headers);
    let present = if expectation.needs_present() { present.await? } else { Present::default() };
    expectation.version(present)
}

/// Answers a read: the thing with its version, or 304 while the caller has that one already.
pub(crate) fn answer_read(headers: &HeaderMap, version: u64, content: &impl Serialize) -> Response {
    let mut response = if is_unchanged(headers, version) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json(StatusCode::OK, content)
    };
    set(&mut response, version);
    response
}

/// Puts a version on an answer.
pub(crate) fn set(response: &mut Response, version: u64) {
    let tag = HeaderValue::from_str(&format!("\"{version}\"")).expect("digits in quotes are a header value");
    response.headers_mut().insert(ETAG, tag);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(version: u64) -> Present {
        Present { version, deleted: false }
    }

    fn read(name: HeaderName, value: &'static str) -> Expectation {
        expectation(&HeaderMap::from_iter([(name, HeaderValue::from_static(value))]))
    }

    #[test]
    fn tags_become_expectations() {
        assert_eq!(read(IF_MATCH, "\"3\""), Expectation::OneOf(vec![3]));
        assert_eq!(read(IF_MATCH, "\"3\", \"4\""), Expectation::OneOf(vec![3, 4]));
        assert_eq!(read(IF_MATCH, "*"), Expectation::Existing);
        assert_eq!(read(IF_NONE_MATCH, "*"), Expectation::Missing);
        assert_eq!(expectation(&HeaderMap::new()), Expectation::Anything);
    }

    #[test]
    fn what_is_no_tag_of_ours_matches_nothing() {
        for foreign in ["3", "W/\"3\"", "\"abc\""] {
            let expectation = read(IF_MATCH, foreign);
            assert!(expectation.needs_present());
            assert!(expectation.version(present(3)).is_err(), "{foreign}");
        }
        assert_eq!(read(IF_MATCH, "\"2\", \"3\"").version(present(3)).expect("3 is named"), Some(3));
        assert!(read(IF_MATCH, "*").version(present(0)).is_err());
        assert!(read(IF_NONE_MATCH, "*").version(present(3)).is_err());
        assert_eq!(read(IF_NONE_MATCH, "*").version(present(0)).expect("nothing is there"), Some(0));
    }

    #[test]
    fn what_was_deleted_can_be_added_and_does_not_exist() {
        let deleted = Present { version: 3, deleted: true };
        assert_eq!(read(IF_NONE_MATCH, "*").version(deleted).expect("it is not there"), Some(3));
        assert!(read(IF_MATCH, "*").version(deleted).is_err());
        assert_eq!(read(IF_MATCH, "\"3\"").version(deleted).expect("it is named"), Some(3));
    }

    #[test]
    fn a_read_of_the_same_version_is_unchanged() {
        let with = |value| HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(value))]);
        assert!(is_unchanged(&with("W/\"3\""), 3));
        assert!(is_unchanged(&with("\"2\", \"3\""), 3));
        assert!(!is_unchanged(&with("\"2\""), 3));
    }
}
