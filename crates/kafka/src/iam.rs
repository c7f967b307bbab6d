//! Tokens for Amazon MSK: a request to connect, signed for a quarter of an hour with the keys of the machine's role at AWS.
//!
//! The keys are looked for as every program of AWS does: environment, profile, web identity, container, machine.

use async_trait::async_trait;
use aws_msk_iam_sasl_signer::generate_auth_token;
use aws_types::region::Region;

use crate::tokens::{Signer, Token};

/// Signs for the brokers of one region.
pub(crate) struct MachineRole(Region);

impl MachineRole {
    pub(crate) fn new(region: &str) -> Self {
        Self(Region::new(region.to_owned()))
    }
}

#[async_trait]
impl Signer for MachineRole {
    async fn sign(&self) -> Result<Token, String> {
        let signed = generate_auth_token(self.0.clone()).await;
        signed.map(|(text, until_ms)| Token { text, until_ms }).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
