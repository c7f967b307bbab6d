//! Where the server listens, and whether it may.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Deserialize;

/// An address and a port to listen on; port 0 takes a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen(pub SocketAddr);

impl Listen {
    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        match self.0.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // The one name that means the same on every machine; any other could resolve to anywhere.
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        if let Some(port) = local {
            return Ok(Self(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)));
        }
        let problem =
            || format!("{text:?} must be an address and a port, such as \"127.0.0.1:7070\" or \"[::1]:7070\"");
        text.parse().map(Self).map_err(|_| problem())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// From where callers without authentication are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Exposure {
    /// From this machine alone.
    #[serde(rename = "loopback")]
    Loopback,
    /// From anywhere the network lets them come from: an operator's explicit choice.
    #[serde(rename = "beyond loopback")]
    BeyondLoopback,
}

/// Refuses to open the server to the network unless that was chosen by name.
///
/// # Errors
/// What to do about it.
pub fn check(listen: Listen, exposure: Exposure) -> Result<(), String> {
    if listen.is_loopback() || exposure == Exposure::BeyondLoopback {
        return Ok(());
    }
    Err(format!(
        "{listen} can be reached from other machines, and /v1 asks nobody who they are: whoever reaches it \
         may place and cancel orders. Listen on 127.0.0.1, or choose it by name with \
         `[http] allow_unauthenticated = \"beyond loopback\"` (ORDERMILL_HTTP__ALLOW_UNAUTHENTICATED) when something in front \
         of the server keeps strangers out"
    ))
}

/// The same of the sandbox.
///
/// # Errors
/// What to do about it.
pub fn check_sandbox(listen: Listen, exposure: Exposure) -> Result<(), String> {
    if listen.is_loopback() || exposure == Exposure::BeyondLoopback {
        return Ok(());
    }
    Err(format!(
        "{listen} can be reached from other machines, and the sandbox asks nobody who they are: whoever reaches it may pay, refund \
         and read its journal. Listen on 127.0.0.1, or choose it by name with `[sandbox] allow_unauthenticated = \"beyond loopback\"` \
         (ORDERMILL_SANDBOX__ALLOW_UNAUTHENTICATED) when something in front of it keeps strangers out"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> Listen {
        Listen::try_from(text.to_owned()).expect("an address")
    }

    #[test]
    fn beyond_loopback_only_by_name() {
        for open in ["0.0.0.0:7070", "[::]:7070", "192.168.1.4:80", "[::ffff:10.0.0.1]:80"] {
            let refusal = check(listen(open), Exposure::Loopback).expect_err("reachable from outside");
            assert!(refusal.contains("beyond loopback"), "{refusal}");
            assert_eq!(check(listen(open), Exposure::BeyondLoopback), Ok(()));
            let refusal = check_sandbox(listen(open), Exposure::Loopback).expect_err("reachable from outside");
            assert!(refusal.contains("[sandbox] allow_unauthenticated"), "{refusal}");
            assert_eq!(check_sandbox(listen(open), Exposure::BeyondLoopback), Ok(()));
        }
        for local in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:7070", "localhost:7070", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(check(listen(local), Exposure::Loopback), Ok(()), "{local}");
            assert_eq!(check_sandbox(listen(local), Exposure::Loopback), Ok(()), "{local}");
        }
    }

    #[test]
    fn names_other_than_localhost_are_refused() {
        for text in ["example.com:80", "127.0.0.1", ":7070", "localhost:x", "localhost:70000"] {
            assert!(Listen::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
