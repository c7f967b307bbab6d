//! Versions as entity tags: `ETag`, `If-Match`, `If-None-Match` (RFC 9110, 13.1).

use axum::response::Response;
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};
use ordermill_core::refusal::Refusal;

use crate::problem::Problem;

/// What a request expects to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expectation {
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
pub(crate) fn expectation(headers: &HeaderMap) -> Expectation {
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
pub(crate) fn is_unchanged(headers: &HeaderMap, current: u64) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || version(tag.trim_start_matches("W/")) == Some(current))
}

fn version(tag: &str) -> Option<u64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

impl Expectation {
    /// Whether the present version has to be read before it is known what to expect.
    pub fn needs_current(&self) -> bool {
        match self {
            Self::Anything | Self::Missing => false,
            Self::Existing => true,
            Self::OneOf(versions) => versions.len() != 1,
        }
    }

    /// The one version the ledger is to expect; 0 stands for "not there yet". `current` is the present one, where it was read.
    ///
    /// # Errors
    /// `version_conflict` when nothing that is there can match.
    pub fn version(&self, current: u64) -> Result<Option<u64>, Problem> {
        match self {
            Self::Anything => Ok(None),
            Self::Missing => Ok(Some(0)),
            Self::Existing if current > 0 => Ok(Some(current)),
            Self::Existing => Err(Refusal::VersionConflict { expected: 1, actual: 0 }.into()),
            Self::OneOf(versions) => match versions.as_slice() {
                [only] => Ok(Some(*only)),
                many if many.contains(&current) => Ok(Some(current)),
                many => {
                    let expected = many.first().copied().unwrap_or_default();
                    Err(Refusal::VersionConflict { expected, actual: current }.into())
                }
            },
        }
    }
}

/// Puts a version on an answer.
pub(crate) fn set(response: &mut Response, version: u64) {
    let tag = HeaderValue::from_str(&format!("\"{version}\"")).expect("digits in quotes are a header value");
    response.headers_mut().insert(ETAG, tag);
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(expectation.needs_current());
            assert!(expectation.version(3).is_err(), "{foreign}");
        }
        assert_eq!(read(IF_MATCH, "\"2\", \"3\"").version(3).expect("3 is named"), Some(3));
        assert!(read(IF_MATCH, "*").version(0).is_err());
    }

    #[test]
    fn a_read_of_the_same_version_is_unchanged() {
        let with = |value| HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(value))]);
        assert!(is_unchanged(&with("W/\"3\""), 3));
        assert!(is_unchanged(&with("\"2\", \"3\""), 3));
        assert!(!is_unchanged(&with("\"2\""), 3));
    }
}
