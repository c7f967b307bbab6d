//! Who calls, and what they may do. The seam for identity: a list of tokens stands behind it today, an issuer's signed tokens can.

use std::collections::BTreeSet;

use async_trait::async_trait;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use ordermill_core::id::CustomerId;
use thiserror::Error;

use crate::error_code::{AUTH_UNAVAILABLE, ErrorCode, FORBIDDEN, UNAUTHENTICATED};
use crate::problem::Problem;
use crate::state::State;
use crate::wire::settings::WireAuth;

mod tokens;

pub use self::tokens::{Token, TokenList};

/// May place orders and ask things of them.
pub(crate) const ORDERS_WRITE: &str = "orders:write";
/// May read orders.
pub(crate) const ORDERS_READ: &str = "orders:read";
/// May report where parcels are.
pub(crate) const TRACKING_WRITE: &str = "tracking:write";
/// May read where parcels are.
pub(crate) const TRACKING_READ: &str = "tracking:read";

/// A caller who has shown who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who: orders they place are theirs.
    pub subject: CustomerId,
    /// What they may do, such as `orders:write`.
    pub scopes: BTreeSet<Box<str>>,
}

impl Principal {
    /// Whether they may do this.
    #[must_use]
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }
}

/// Why a token shows nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuthError {
    /// Nobody has this token, or has it still.
    #[error("the token is not valid")]
    Invalid,
    /// It cannot be checked at present. Nobody is let in then.
    #[error("tokens cannot be checked at present: {0}")]
    Unavailable(String),
}

/// Finds out who a bearer token belongs to.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// The caller with this token.
    ///
    /// # Errors
    /// [`AuthError`]; in no case is the caller let in.
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthError>;
}

/// Lets nobody in: no tokens are configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

#[async_trait]
impl Authenticator for Nobody {
    async fn authenticate(&self, _token: &str) -> Result<Principal, AuthError> {
        Err(AuthError::Invalid)
    }
}

/// Why a caller is not let in. A wire route says it in a body of its own and [`Denied::sign`]s it; elsewhere it is a [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// There is no bearer token, or it is nobody's: 401.
    Unauthenticated,
    /// The caller may not do this: 403.
    Forbidden {
        /// What they would need.
        scope: &'static str,
    },
    /// Tokens cannot be checked at present: 503.
    Unavailable,
}

impl Denied {
    fn code(self) -> &'static ErrorCode {
        match self {
            Self::Unauthenticated => &UNAUTHENTICATED,
            Self::Forbidden { .. } => &FORBIDDEN,
            Self::Unavailable => &AUTH_UNAVAILABLE,
        }
    }

    /// The status to answer with.
    pub fn status(self) -> StatusCode {
        self.code().status
    }

    /// What is said to the caller: nothing that helps to guess a token.
    pub fn message(self) -> String {
        match self {
            Self::Unauthenticated => "a valid bearer token is needed".to_owned(),
            Self::Forbidden { scope } => format!("the token does not have the scope {scope}"),
            Self::Unavailable => "tokens cannot be checked at present".to_owned(),
        }
    }

    /// Puts the headers that belong to it (RFC 6750, 3) on an answer.
    pub fn sign(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        match self {
            Self::Unauthenticated => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ordermill\""));
            }
            Self::Forbidden { scope } => {
                let challenge = format!("Bearer realm=\"ordermill\", error=\"insufficient_scope\", scope=\"{scope}\"");
                let challenge = HeaderValue::from_str(&challenge).expect("scopes are visible ASCII");
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            Self::Unavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
        }
        response
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        self.sign(Problem::new(self.code(), self.message()).into_response())
    }
}

/// The caller, who may do what `scope` names.
///
/// # Errors
/// [`Denied`]: no token, a wrong one, one without the scope, or tokens cannot be checked.
pub(crate) async fn authorize(state: &State, headers: &HeaderMap, scope: &'static str) -> Result<Principal, Denied> {
    let token = bearer(headers).ok_or(Denied::Unauthenticated)?;
    match state.app.authenticator.authenticate(token).await {
        Ok(principal) if principal.may(scope) => Ok(principal),
        Ok(_) => Err(Denied::Forbidden { scope }),
        Err(AuthError::Invalid) => Err(Denied::Unauthenticated),
        Err(AuthError::Unavailable(reason)) => {
            tracing::warn!(%reason, "token could not be checked");
            Err(Denied::Unavailable)
        }
    }
}

/// The caller of a wire route whose operator may let everybody in; `None` for who is let in without a token.
///
/// # Errors
/// As [`authorize`].
pub(crate) async fn admit(
    state: &State,
    headers: &HeaderMap,
    auth: WireAuth,
    scope: &'static str,
) -> Result<Option<Principal>, Denied> {
    match auth {
        WireAuth::None => Ok(None),
        WireAuth::Token => authorize(state, headers, scope).await.map(Some),
    }
}

/// The token of `Authorization: Bearer …`. Two such headers are none: it is not to be guessed which one counts.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim_start();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(read(&["Bearer abc"]), Some("abc".to_owned()));
        assert_eq!(read(&["bearer  abc"]), Some("abc".to_owned()));
        for none in [&[][..], &["Bearer"], &["Bearer "], &["Basic abc"], &["abc"], &["Bearer a", "Bearer b"]] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }
}
