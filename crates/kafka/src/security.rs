//! How the client shows who it is, and who the broker is.

use std::sync::Arc;

use rdkafka::ClientConfig;

use crate::error::OpenError;
use crate::options::{Options, Sasl};
use crate::tokens::{Keeper, Signer};

/// Adds what secures the connection. Asks for the password, or for the first token.
pub(crate) async fn configure(options: &Options, config: &mut ClientConfig) -> Result<(), OpenError> {
    let protocol = match (options.tls, options.sasl) {
        (_, Some(_)) => "SASL_SSL",
        (true, None) => "SSL",
        (false, None) => "PLAINTEXT",
    };
    config.set("security.protocol", protocol);
    if let Some(roots) = &options.tls_roots {
        config.set("ssl.ca.location", roots.to_string_lossy());
    }
    match options.sasl {
        None => {}
        Some(Sasl::ScramSha256) => scram(options, config, "SCRAM-SHA-256").await?,
        Some(Sasl::ScramSha512) => scram(options, config, "SCRAM-SHA-512").await?,
        Some(Sasl::MskIam) => {
            keeper(options)?.ready().await?;
            config.set("sasl.mechanism", "OAUTHBEARER");
        }
    }
    Ok(())
}

async fn scram(options: &Options, config: &mut ClientConfig, mechanism: &str) -> Result<(), OpenError> {
    let missing = || OpenError::Url("`sasl=scram-…` needs `user`, `password` and a source of secrets".to_owned());
    let (user, password) = options.user.as_ref().zip(options.password.as_ref()).ok_or_else(missing)?;
    let secrets = options.secrets.as_ref().ok_or_else(missing)?;
    let password = secrets.reveal(password).await?;
    config.set("sasl.mechanism", mechanism).set("sasl.username", user).set("sasl.password", password.expose());
    Ok(())
}

/// Who keeps the tokens: one for all clients of these options.
fn keeper(options: &Options) -> Result<&Arc<Keeper>, OpenError> {
    if let Some(keeper) = options.keeper.get() {
        return Ok(keeper);
    }
    let signer = options.signer.clone().map_or_else(|| machine_role(options), Ok)?;
    Ok(options.keeper.get_or_init(|| Keeper::start(signer)))
}

#[cfg(feature = "msk-iam")]
#[expect(clippy::unnecessary_wraps, reason = "it fails in builds without the feature")]
fn machine_role(options: &Options) -> Result<Arc<dyn Signer>, OpenError> {
    Ok(Arc::new(crate::iam::MachineRole::new(options.region.as_deref().unwrap_or_default())))
}

#[cfg(not(feature = "msk-iam"))]
fn machine_role(_options: &Options) -> Result<Arc<dyn Signer>, OpenError> {
    Err(OpenError::Url("`sasl=msk-iam` needs the feature `msk-iam`, which this build does not have".to_owned()))
}
