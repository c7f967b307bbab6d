//! Arguments that several commands share.

use std::path::PathBuf;

use anyhow::Result;
use ordermill_client::Client;
use ordermill_config::{Effective, Flag, SecretRef};
use ordermill_embedded::secrets::LocalSecrets;
use ordermill_ports::Secrets as _;

use super::block_on;
use crate::exit::Usage;

/// Arguments of every command.
#[derive(Debug, clap::Args)]
pub struct Global {
    /// Print JSON instead of text and tables: one value a line
    #[arg(long, global = true)]
    pub json: bool,
}

/// Which server to talk to.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// The server's address
    #[arg(long, global = true, value_name = "URL", env = "ORDERMILL_URL", default_value = "http://127.0.0.1:7070")]
    pub url: String,
    /// Where the token to show is found, env:NAME or file:PATH; for servers that ask for one
    #[arg(long, global = true, value_name = "REFERENCE", env = "ORDERMILL_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

impl ServerArgs {
    /// A client of that server.
    pub fn client(&self) -> Result<Client> {
        let client = Client::new(&self.url)?;
        let Some(reference) = self.token.as_deref().filter(|reference| !reference.is_empty()) else {
            return Ok(client);
        };
        // Read here and not by the parser of the command line, which would repeat a token that is given itself.
        let reference: SecretRef = reference.parse().map_err(|error| Usage(format!("--token: {error}")))?;
        let token = block_on(async {
            LocalSecrets::new("").reveal(&reference).await.map_err(|error| Usage(error.to_string()).into())
        })?;
        Ok(client.with_token(token.expose())?)
    }
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigArgs {
    /// The data directory: relative paths of the configuration lie under it
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The configuration file, instead of ordermill.toml in the data directory
    #[arg(long, value_name = "FILE", env = "ORDERMILL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Set one option, such as `process.reservation_ttl=5m`; may be repeated
    #[arg(long = "set", value_name = "OPTION=VALUE")]
    pub settings: Vec<String>,
}

impl ConfigArgs {
    /// The configuration these arguments lead to, with `more` flags over it.
    pub fn load(&self, more: Vec<Flag>) -> Result<Effective> {
        let mut flags = Vec::new();
        for setting in &self.settings {
            let (key, value) = setting
                .split_once('=')
                .ok_or_else(|| Usage(format!("--set {setting}: must be OPTION=VALUE, such as log.level=debug")))?;
            flags.push(Flag::new(key.trim(), value.trim(), "--set"));
        }
        if let Some(data) = &self.data {
            let data = data.to_str().ok_or_else(|| Usage("--data: must be a path in UTF-8".to_owned()))?;
            flags.push(Flag::new("data", data, "--data"));
        }
        flags.extend(more);
        Ok(Effective::load(self.config.as_deref(), &flags)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_given_by_reference_and_never_repeated() {
        let client = |token: &str| {
            let server = ServerArgs { url: "http://127.0.0.1:7070".to_owned(), token: Some(token.to_owned()) };
            server.client().map(drop).map_err(|error| error.to_string())
        };
        // Set by cargo for every test.
        assert_eq!(client("env:CARGO_PKG_NAME"), Ok(()));
        assert_eq!(client(""), Ok(()));
        let error = client("hunter2").expect_err("the token itself");
        assert!(error.contains("reference") && !error.contains("hunter2"), "{error}");
        assert!(client("env:ORDERMILL_NO_SUCH_VARIABLE").expect_err("it is not set").contains("not set"));
    }
}
