//! Secrets from the environment and from files.

use std::path::PathBuf;

use async_trait::async_trait;
use ordermill_core::secret::SecretRef;
use ordermill_ports::Secrets;
use ordermill_ports::secrets::{Revealed, SecretError};

/// Secrets of this machine. Each is read when it is asked for, so a file that is written anew is a new secret.
#[derive(Debug)]
pub struct LocalSecrets {
    root: PathBuf,
}

impl LocalSecrets {
    /// Relative paths lie below `root`, the data directory.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

#[async_trait]
impl Secrets for LocalSecrets {
    async fn reveal(&self, reference: &SecretRef) -> Result<Revealed, SecretError> {
        let text = match reference {
            SecretRef::Env(name) => std::env::var(name)
                .map_err(|_| SecretError::new(reference, "the variable is not set, or is no text"))?,
            // `join` leaves an absolute path as it is.
            SecretRef::File(path) => tokio::fs::read_to_string(self.root.join(path))
                .await
                .map_err(|error| SecretError::new(reference, error))?,
        };
        Revealed::new(reference, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reveal(secrets: &LocalSecrets, reference: &str) -> Result<String, SecretError> {
        let reference = reference.parse().expect("it is a reference");
        secrets.reveal(&reference).await.map(|secret| secret.expose().to_owned())
    }

    #[tokio::test]
    async fn a_file_is_read_anew_each_time_without_its_line_end() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let path = dir.path().join("token.txt");
        let secrets = LocalSecrets::new(dir.path());
        let error = reveal(&secrets, "file:token.txt").await.expect_err("it is not there");
        assert!(error.to_string().starts_with("the secret at file:token.txt cannot be had: "), "{error}");
        std::fs::write(&path, "hunter2\n").expect("the file can be written");
        assert_eq!(reveal(&secrets, "file:token.txt").await, Ok("hunter2".to_owned()));
        std::fs::write(&path, "hunter3").expect("the file can be written");
        assert_eq!(reveal(&secrets, &format!("file:{}", path.display())).await, Ok("hunter3".to_owned()));
        std::fs::write(&path, "\n").expect("the file can be written");
        assert!(reveal(&secrets, "file:token.txt").await.is_err(), "an empty file is no secret");
        std::fs::write(&path, b"\xff").expect("the file can be written");
        assert!(reveal(&secrets, "file:token.txt").await.is_err(), "what is no text is no secret");
    }

    #[tokio::test]
    async fn a_variable_is_read() {
        let secrets = LocalSecrets::new("/");
        // Set by cargo for every test.
        assert_eq!(reveal(&secrets, "env:CARGO_PKG_NAME").await, Ok("ordermill-embedded".to_owned()));
        let error = reveal(&secrets, "env:ORDERMILL_NO_SUCH_VARIABLE").await.expect_err("it is not set");
        assert!(error.to_string().contains("env:ORDERMILL_NO_SUCH_VARIABLE"), "{error}");
    }
}
