//! Secrets that are there until they are taken away, and who has a token.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use ordermill_core::id::CustomerId;
use ordermill_core::secret::SecretRef;
use ordermill_http::Token;
use ordermill_ports::Secrets;
use ordermill_ports::secrets::{Revealed, SecretError};

/// The secret of a variable is its name with `-secret` behind it.
#[derive(Default)]
pub struct TestSecrets(AtomicBool);

impl TestSecrets {
    /// From now on none can be had, or they can again.
    pub fn set_away(&self, away: bool) {
        self.0.store(away, Ordering::Relaxed);
    }
}

#[async_trait]
impl Secrets for TestSecrets {
    async fn reveal(&self, reference: &SecretRef) -> Result<Revealed, SecretError> {
        match reference {
            SecretRef::Env(name) if !self.0.load(Ordering::Relaxed) => {
                Revealed::new(reference, &format!("{name}-secret"))
            }
            _ => Err(SecretError::new(reference, "the vault at /secret/path is away")),
        }
    }
}

/// `writer-secret` may place orders and report parcels, `tracker-secret` may read where these are, `viewer-secret` may read orders,
/// `reader-secret` may do nothing.
pub fn tokens() -> Vec<Token> {
    let token = |name: &str, scopes: &[&str]| Token {
        reference: SecretRef::Env(name.to_owned()),
        subject: CustomerId::new(&format!("user-{name}")).unwrap(),
        scopes: scopes.iter().map(|scope| Box::from(*scope)).collect::<BTreeSet<_>>(),
    };
    vec![
        token("writer", &["orders:write", "tracking:write"]),
        token("tracker", &["tracking:read"]),
        token("viewer", &["orders:read"]),
        token("reader", &[]),
    ]
}
