//! Callers by a list of tokens: each token is given by reference, as the secret it is.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ordermill_core::id::CustomerId;
use ordermill_core::secret::SecretRef;
use ordermill_ports::Secrets;

use crate::auth::{AuthError, Authenticator, Principal};

/// One token, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Where it is found.
    pub reference: SecretRef,
    /// Whose it is.
    pub subject: CustomerId,
    /// What they may do.
    pub scopes: BTreeSet<Box<str>>,
}

/// Knows callers by their tokens.
pub struct TokenList {
    secrets: Arc<dyn Secrets>,
    tokens: Vec<Token>,
}

impl TokenList {
    /// These tokens, with the place they are found at. It is asked at each call, so it should keep what it knows for a while.
    #[must_use]
    pub fn new(secrets: Arc<dyn Secrets>, tokens: Vec<Token>) -> Self {
        Self { secrets, tokens }
    }
}

impl fmt::Debug for TokenList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenList").field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for TokenList {
    /// Every token is compared, also behind the right one, so that the time tells nothing of its place. One that cannot be had lets
    /// nobody in; those that can be had go on.
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        let mut found = None;
        let mut missing = None;
        for entry in &self.tokens {
            match self.secrets.reveal(&entry.reference).await {
                Ok(secret) => found = if secret.matches(token) { Some(entry) } else { found },
                Err(error) => missing = Some(error),
            }
        }
        match (found, missing) {
            (Some(entry), _) => Ok(Principal { subject: entry.subject.clone(), scopes: entry.scopes.clone() }),
            (None, Some(error)) => Err(AuthError::Unavailable(error.to_string())),
            (None, None) => Err(AuthError::Invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use ordermill_ports::secrets::{Revealed, SecretError};

    use super::*;

    /// The name of a variable is its secret; one is not to be had.
    struct Names;

    #[async_trait]
    impl Secrets for Names {
        async fn reveal(&self, reference: &SecretRef) -> Result<Revealed, SecretError> {
            match reference {
                SecretRef::Env(name) if name != "missing" => Revealed::new(reference, name),
                _ => Err(SecretError::new(reference, "it is missing")),
            }
        }
    }

    fn list(names: &[&str]) -> TokenList {
        let token = |name: &&str| Token {
            reference: SecretRef::Env((*name).to_owned()),
            subject: CustomerId::new(&format!("user-{name}")).expect("it is an id"),
            scopes: BTreeSet::from(["orders:write".into()]),
        };
        TokenList::new(Arc::new(Names), names.iter().map(token).collect())
    }

    #[tokio::test]
    async fn a_token_shows_its_owner() {
        let list = list(&["one", "two"]);
        let principal = list.authenticate("two").await.expect("it is a token");
        assert_eq!(principal.subject.as_str(), "user-two");
        assert!(principal.may("orders:write") && !principal.may("orders:read"));
        assert_eq!(list.authenticate("three").await, Err(AuthError::Invalid));
        assert_eq!(list.authenticate("").await, Err(AuthError::Invalid));
    }

    #[tokio::test]
    async fn a_token_that_cannot_be_had_lets_nobody_in_and_keeps_nobody_out() {
        let list = list(&["one", "missing", "two"]);
        assert!(list.authenticate("two").await.is_ok());
        assert!(matches!(list.authenticate("missing").await, Err(AuthError::Unavailable(_))));
        assert!(matches!(list.authenticate("three").await, Err(AuthError::Unavailable(_))));
    }
}
