//! Secrets are given by reference, so that no configuration file, flag, event or process list holds one.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// Where a secret is found: `env:NAME` or `file:PATH`. Safe to show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum SecretRef {
    /// In this environment variable.
    Env(String),
    /// In this file; white space at its end does not count.
    File(PathBuf),
}

/// What was given is no reference. It is not repeated here, as it may be the secret itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be a reference to a secret, `env:NAME` or `file:PATH`, not the secret itself")]
pub struct NotAReference;

impl FromStr for SecretRef {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(NotAReference),
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = NotAReference;

    fn try_from(text: String) -> Result<Self, NotAReference> {
        text.parse()
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_comes_back_as_it_was_written() {
        for text in ["env:TOKEN", "file:token.txt", "file:/etc/a:b"] {
            assert_eq!(text.parse::<SecretRef>().map(|reference| reference.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_literal_is_refused_and_not_repeated() {
        for literal in ["hunter2", "", "env:", "file:", "ENV:hunter2", "vault:hunter2"] {
            let error = literal.parse::<SecretRef>().expect_err("a literal is no reference");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
