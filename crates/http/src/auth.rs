//! Who calls, and what they may do. The seam for identity: a list of tokens stands behind it today, an issuer's signed tokens can.

use std::collections::BTreeSet;

use async_trait::async_trait;
use ordermill_core::id::CustomerId;
use thiserror::Error;

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
