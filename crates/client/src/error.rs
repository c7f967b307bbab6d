//! Why a call has no answer, or the answer no.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error as ThisError;

/// Why there is no result.
#[derive(Debug, ThisError)]
pub enum Error {
    /// The address is none.
    #[error("{0:?} is no address of a server; one looks like http://127.0.0.1:7070")]
    Url(String),
    /// The token cannot be sent. It is not repeated here.
    #[error("the token holds characters that no header may hold")]
    Token,
    /// The client could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Setup(#[source] reqwest::Error),
    /// Nobody answers at this address; the request was not sent.
    #[error("no server answers at {url}: {cause}")]
    Unreachable {
        /// The server's address.
        url: String,
        /// The innermost cause.
        cause: String,
    },
    /// Somebody answers at this address of `https`, and not with TLS; the request was not sent.
    #[error("the server at {url} answers without TLS; is its address http://…?")]
    NoTls {
        /// The server's address.
        url: String,
    },
    /// The connection was lost, or the answer took too long. The request may have been carried out.
    #[error("the connection to {url} was lost: {cause}")]
    Lost {
        /// The server's address.
        url: String,
        /// The innermost cause.
        cause: String,
    },
    /// The server says no.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The server says no in a way that is not ours.
    #[error("the server answered {status} without a problem document: {body}")]
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// A function was not invoked.
    #[error("{function} was not invoked ({status}): {message}")]
    NotInvoked {
        /// Its name.
        function: String,
        /// The HTTP status.
        status: u16,
        /// Why.
        message: String,
    },
    /// The answer has another shape than expected.
    #[error("the server's answer ({status}) cannot be read: {source}: {body}")]
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// What the parser said.
        source: serde_json::Error,
        /// The beginning of the body.
        body: String,
    },
}

impl Error {
    /// Of what `reqwest` reports.
    pub(crate) fn of_transport(base: &str, error: reqwest::Error) -> Self {
        let is_connect = error.is_connect();
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let (url, cause) = (base.to_owned(), cause.to_string());
        // What rustls says of a first record that is none of TLS.
        if is_connect && url.starts_with("https:") && cause.contains("InvalidContentType") {
            return Self::NoTls { url };
        }
        if is_connect { Self::Unreachable { url, cause } } else { Self::Lost { url, cause } }
    }

    /// Whether the server could not be reached, or not any more.
    #[must_use]
    pub const fn is_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Lost { .. })
    }

    /// The problem document, when the server said no with one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }
}

/// A problem document of RFC 9457.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// The stable type: a URL whose last part is the error code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every occurrence.
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// About this occurrence.
    #[serde(default)]
    pub detail: String,
    /// The fields that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Violation>,
    /// What else the server says.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Path of the field: `lines[2].quantity`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl Problem {
    /// The stable code: `order_ref_taken`.
    #[must_use]
    pub fn code(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or(&self.kind)
    }

    /// Whether nothing was changed and the same request may do better later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.status == 503 && !self.is_unknown()
    }

    /// Whether it may have been done all the same.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.code() == "outcome_unknown"
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = if self.detail.is_empty() { &self.title } else { &self.detail };
        write!(f, "{said} ({})", self.code())?;
        // A single violation is the detail already.
        if self.errors.len() > 1 {
            for violation in &self.errors {
                write!(f, "\n  {}: {}", violation.field, violation.message)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_everything_and_reads_well() {
        let json = r#"{"type":"/errors/invalid_order","title":"The order is not valid","status":422,"detail":"2 fields are not valid",
            "errors":[{"field":"lines[0].quantity","message":"must be from 1"},{"field":"customer_id","message":"must not be blank"}],
            "correlation_id":"c-1"}"#;
        let problem: Problem = serde_json::from_str(json).expect("a problem");
        assert_eq!(problem.code(), "invalid_order");
        assert_eq!(problem.other["correlation_id"], "c-1");
        let text = problem.to_string();
        assert!(text.starts_with("2 fields are not valid (invalid_order)\n  lines[0].quantity: must be"), "{text}");
        assert!(!problem.is_transient());
    }

    #[test]
    fn only_what_changed_nothing_is_tried_again_blindly() {
        let of = |code: &str| Problem {
            kind: format!("/errors/{code}"),
            title: String::new(),
            status: 503,
            detail: String::new(),
            errors: Vec::new(),
            other: Map::new(),
        };
        assert!(of("overloaded").is_transient() && of("not_committed").is_transient());
        assert!(!of("outcome_unknown").is_transient() && of("outcome_unknown").is_unknown());
    }
}
