//! Where secrets are kept: the environment, files, a vault.

use std::fmt;

use async_trait::async_trait;
use ordermill_core::secret::SecretRef;
use subtle::ConstantTimeEq as _;
use thiserror::Error;

/// A secret that could not be had. Never holds the secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the secret at {reference} cannot be had: {reason}")]
pub struct SecretError {
    /// Which.
    pub reference: SecretRef,
    /// Why, for an operator.
    pub reason: String,
}

impl SecretError {
    /// The secret at this reference cannot be had.
    #[must_use]
    pub fn new(reference: &SecretRef, reason: impl fmt::Display) -> Self {
        Self { reference: reference.clone(), reason: reason.to_string() }
    }
}

/// The secret itself. It cannot be printed by mistake, and is never empty.
#[derive(Clone)]
pub struct Revealed(Box<str>);

impl Revealed {
    /// Takes what the source holds. White space at its end does not count, as files end with a line end.
    ///
    /// # Errors
    /// When there is nothing in it: an empty secret would be anybody's.
    pub fn new(reference: &SecretRef, text: &str) -> Result<Self, SecretError> {
        match text.trim_end() {
            "" => Err(SecretError::new(reference, "it is empty")),
            text => Ok(Self(text.into())),
        }
    }

    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a caller's text is this secret. Takes as long for a wrong text as for the right one, so that it cannot be found out
    /// letter by letter; only its length shows.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Gives secrets by their reference.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The secret as it is now.
    ///
    /// # Errors
    /// When it is not there, is empty, or the source does not answer. What depends on it must not be done then.
    async fn reveal(&self, reference: &SecretRef) -> Result<Revealed, SecretError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_itself_alone_and_is_never_printed() {
        let reference = SecretRef::Env("TOKEN".to_owned());
        let secret = Revealed::new(&reference, "hunter2\n").expect("it is not empty");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert!(secret.matches("hunter2"));
        for wrong in ["", "hunter", "hunter3", "hunter22", "hunter2\n", "Hunter2"] {
            assert!(!secret.matches(wrong), "{wrong:?}");
        }
        let error = Revealed::new(&reference, " \n").expect_err("it is empty");
        assert_eq!(error.to_string(), "the secret at env:TOKEN cannot be had: it is empty");
    }
}
