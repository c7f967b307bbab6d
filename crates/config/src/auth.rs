//! Who is let in: tokens and what their holders may do, and which routes ask for one.

use ordermill_core::secret::SecretRef;
use serde::{Deserialize, Deserializer};

use crate::listen::Listen;
use crate::period::Period;
use crate::schema;

/// `[auth]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The tokens there are.
    pub tokens: Vec<Token>,
    /// How long a token is used before it is looked up again.
    pub token_refresh: Period,
}

/// `[[auth.tokens]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Where it is found.
    pub token: SecretRef,
    /// Who has it: orders placed with it are theirs.
    pub subject: String,
    /// What they may do, such as `orders:write`.
    pub scopes: Vec<String>,
}

/// Whether callers of a system's routes have to show a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum WireAuth {
    /// Not while only this machine can reach the server; beyond that it has to be chosen.
    #[serde(rename = "none on loopback")]
    NoneOnLoopback,
    /// Everybody is let in: an operator's explicit choice.
    #[serde(rename = "none")]
    None,
    /// A bearer token is asked for.
    #[serde(rename = "token")]
    Token,
}

/// Refuses routes that nobody chose to open to the network, and routes that let nobody in.
///
/// # Errors
/// What to do about it.
pub fn check_wire(key: &str, auth: WireAuth, listen: Listen, tokens: usize) -> Result<(), String> {
    match auth {
        WireAuth::NoneOnLoopback if !listen.is_loopback() => {
            let (env, section) = (schema::env_name(key), key.trim_end_matches(".auth"));
            Err(format!(
                "{listen} can be reached from other machines, so whether callers of these routes need a token has to be chosen by \
                 name: `[{section}] auth = \"token\"`, with the tokens in [[auth.tokens]], or `auth = \"none\"` when something in \
                 front of the server keeps strangers out ({env})"
            ))
        }
        WireAuth::Token if tokens == 0 => {
            let env = schema::env_name("auth.tokens");
            Err(format!(
                "asks for a token, and there is none: nobody could be let in; name some in [[auth.tokens]] ({env})"
            ))
        }
        WireAuth::NoneOnLoopback | WireAuth::None | WireAuth::Token => Ok(()),
    }
}

/// A reference to a secret, or nothing where the text is empty.
pub fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretRef>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> Listen {
        Listen::try_from(text.to_owned()).expect("an address")
    }

    #[test]
    fn routes_are_open_to_the_network_only_by_name() {
        let key = "wire.order_api.auth";
        let refusal = check_wire(key, WireAuth::NoneOnLoopback, listen("0.0.0.0:1"), 1).expect_err("not chosen");
        assert!(refusal.contains("[wire.order_api] auth = \"token\""), "{refusal}");
        assert!(refusal.contains("ORDERMILL_WIRE__ORDER_API__AUTH"), "{refusal}");
        assert_eq!(check_wire(key, WireAuth::None, listen("0.0.0.0:1"), 0), Ok(()));
        assert_eq!(check_wire(key, WireAuth::Token, listen("0.0.0.0:1"), 1), Ok(()));
        assert_eq!(check_wire(key, WireAuth::NoneOnLoopback, listen("127.0.0.1:1"), 0), Ok(()));
    }

    #[test]
    fn asking_for_a_token_that_nobody_has_is_refused() {
        let refusal =
            check_wire("wire.tracking.auth", WireAuth::Token, listen("127.0.0.1:1"), 0).expect_err("no tokens");
        assert!(refusal.contains("ORDERMILL_AUTH__TOKENS"), "{refusal}");
    }
}
