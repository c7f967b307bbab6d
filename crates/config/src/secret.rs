//! Secrets are given by reference, so that no configuration file, flag or process list holds one.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// Where a secret is found: `env:NAME` or `file:PATH`. Safe to show.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Secret {
    /// In this environment variable.
    Env(String),
    /// In this file; white space at its end does not count.
    File(PathBuf),
}

/// A secret that could not be had. Never holds the secret.
#[derive(Debug, Error)]
pub enum SecretError {
    /// What was given is no reference. It is not repeated here, as it may be the secret itself.
    #[error("must be a reference to a secret, `env:NAME` or `file:PATH`, not the secret itself")]
    NotAReference,
    /// The variable is not set, or is no text.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// The file cannot be read.
    #[error("the secret file {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("the secret at {0} is empty")]
    Empty(String),
}

impl Secret {
    /// Fetches the secret.
    ///
    /// # Errors
    /// When it is not there or empty.
    pub fn reveal(&self) -> Result<Revealed, SecretError> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::Unset(name.clone()))?,
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|source| SecretError::Unreadable { path: path.clone(), source })?,
        };
        let text = text.trim_end();
        if text.is_empty() {
            return Err(SecretError::Empty(self.to_string()));
        }
        Ok(Revealed(text.into()))
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(SecretError::NotAReference),
        }
    }
}

impl TryFrom<String> for Secret {
    type Error = SecretError;

    fn try_from(text: String) -> Result<Self, SecretError> {
        text.parse()
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// The secret itself. It cannot be printed by mistake.
#[derive(Clone)]
pub struct Revealed(Box<str>);

impl Revealed {
    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_refused_and_not_repeated() {
        let error = "hunter2".parse::<Secret>().expect_err("a literal is no reference");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn a_file_is_read_without_its_line_end_and_never_printed() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let path = dir.path().join("token");
        std::fs::write(&path, "hunter2\n").expect("the file can be written");
        let revealed = Secret::File(path.clone()).reveal().expect("it can be read");
        assert_eq!(revealed.expose(), "hunter2");
        assert_eq!(format!("{revealed:?}"), "[redacted]");
        std::fs::write(&path, "\n").expect("the file can be written");
        assert!(matches!(Secret::File(path).reveal(), Err(SecretError::Empty(_))));
    }
}
