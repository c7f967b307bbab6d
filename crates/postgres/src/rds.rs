//! Tokens of AWS IAM in the place of a password, for databases of RDS and Aurora: `?rds_iam=REGION`.
//!
//! A token is a request to connect, signed for a quarter of an hour with the keys of an AWS account (Signature Version 4). It is made here,
//! without asking anybody, anew for each connection; connections that are made outlive it. The keys come from the environment, under the
//! names that AWS gives them, and are asked for each time, as they change.

use aws_lc_rs::{digest, hmac};
use ordermill_core::Timestamp;
use ordermill_core::secret::SecretRef;
use ordermill_ports::secrets::{Revealed, SecretError, Secrets};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::error::OpenError;

/// How long a token is good for: the longest that RDS takes.
const SECONDS: &str = "900";

/// Whom a token lets in where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    region: String,
    /// Name and port, as the connection is made.
    host: String,
    user: String,
}

/// The keys that sign.
struct Keys {
    id: Revealed,
    secret: Revealed,
    /// There with keys that are lent for some hours.
    session: Option<Revealed>,
}

impl Login {
    /// Whom a token has to let in where, by the server's address.
    ///
    /// # Errors
    /// [`OpenError::Url`] where it names no user, or not one host.
    pub(crate) fn of(server: &Config, region: &str) -> Result<Self, OpenError> {
        let wrong = |what: &str| OpenError::Url(format!("`rds_iam` {what}"));
        let [Host::Tcp(name)] = server.get_hosts() else { return Err(wrong("needs the name of one host")) };
        let port = server.get_ports().first().copied().unwrap_or(crate::advice::PORT_DEFAULT);
        let user = server.get_user().ok_or_else(|| wrong("needs the name of a user"))?.to_owned();
        let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if region.is_empty() || !region.chars().all(is_plain) {
            return Err(wrong("is the name of a region, such as eu-central-1"));
        }
        Ok(Self { region: region.to_owned(), host: format!("{name}:{port}"), user })
    }

    /// A token that is good from now on.
    ///
    /// # Errors
    /// [`SecretError`] where there are no keys.
    pub(crate) async fn token(&self, secrets: Option<&dyn Secrets>, now: Timestamp) -> Result<String, SecretError> {
        let reference = |name: &str| SecretRef::Env(name.to_owned());
        let secrets = secrets
            .ok_or_else(|| SecretError::new(&reference("AWS_ACCESS_KEY_ID"), "nobody was told to ask for it"))?;
        let keys = Keys {
            id: secrets.reveal(&reference("AWS_ACCESS_KEY_ID")).await?,
            secret: secrets.reveal(&reference("AWS_SECRET_ACCESS_KEY")).await?,
            // Keys of one's own come without.
            session: secrets.reveal(&reference("AWS_SESSION_TOKEN")).await.ok(),
        };
        Ok(self.signed(&keys, now))
    }

    fn signed(&self, keys: &Keys, now: Timestamp) -> String {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = now.strftime("%Y%m%d").to_string();
        let scope = format!("{day}/{}/rds-db/aws4_request", self.region);
        let mut query = vec![
            ("Action", "connect".to_owned()),
            ("DBUser", encoded(&self.user)),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", encoded(&format!("{}/{scope}", keys.id.expose()))),
            ("X-Amz-Date", time.clone()),
            ("X-Amz-Expires", SECONDS.to_owned()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ];
        query.extend(keys.session.as_ref().map(|session| ("X-Amz-Security-Token", encoded(session.expose()))));
        // What is signed has its parameters in order.
        query.sort_unstable();
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query = query.join("&");
        let request = format!("GET\n/\n{query}\nhost:{}\n\nhost\n{}", self.host, hex(sha256(b"").as_ref()));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(sha256(request.as_bytes()).as_ref()));
        let first = format!("AWS4{}", keys.secret.expose());
        let parts = [day.as_str(), &self.region, "rds-db", "aws4_request"];
        let key = parts.iter().fold(first.into_bytes(), |key, part| mac(&key, part));
        format!("{}/?{query}&X-Amz-Signature={}", self.host, hex(&mac(&key, &text)))
    }
}

fn sha256(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As Signature Version 4 has it: everything but letters, digits and `-_.~`.
fn encoded(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    /// An environment with keys.
    struct Environment(Option<&'static str>);

    #[async_trait]
    impl Secrets for Environment {
        async fn reveal(&self, reference: &SecretRef) -> Result<Revealed, SecretError> {
            let found = match reference.to_string().as_str() {
                "env:AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE"),
                "env:AWS_SECRET_ACCESS_KEY" => Some("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                "env:AWS_SESSION_TOKEN" => self.0,
                _ => None,
            };
            Revealed::new(reference, found.ok_or_else(|| SecretError::new(reference, "it is not set"))?)
        }
    }

    fn login(url: &str) -> Result<Login, OpenError> {
        Login::of(&url.parse().expect("a sound URL"), "eu-central-1")
    }

    /// The parameters of a token; their order says nothing.
    fn parts(token: &str) -> (&str, std::collections::BTreeSet<&str>) {
        let (host, query) = token.split_once("/?").expect("it is a request");
        (host, query.split('&').collect())
    }

    /// Made by botocore's `generate_db_auth_token` of the same keys, user, host and time.
    const OURS: &str = "db.cluster-x.eu-central-1.rds.amazonaws.com:5432/?Action=connect&DBUser=order%20mill&\
        X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260131%2Feu-central-1%2Frds-db%2Faws4_request&\
        X-Amz-Date=20260131T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&\
        X-Amz-Signature=abadbe1bfdb794991d91adfc67c1f96b3ea1de237dcbba64641da0e76a947124";
    const LENT: &str = "db.cluster-x.eu-central-1.rds.amazonaws.com:5432/?Action=connect&DBUser=order%20mill&\
        X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260131%2Feu-central-1%2Frds-db%2Faws4_request&\
        X-Amz-Date=20260131T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&\
        X-Amz-Security-Token=FwoGZXIvYXdzE%2F%2B%3Dtoken%3D%3D&\
        X-Amz-Signature=0aeda88fb2f88ca8f68e5664b8afc3442e95a65f4251f299863de150069cf97d";

    #[tokio::test]
    async fn tokens_are_those_of_aws() {
        let login = login("postgres://order%20mill@db.cluster-x.eu-central-1.rds.amazonaws.com/shop").expect("sound");
        let now = "2026-01-31T12:00:00Z".parse().expect("a time");
        for (session, expected) in [(None, OURS), (Some("FwoGZXIvYXdzE/+=token=="), LENT)] {
            let token = login.token(Some(&Environment(session)), now).await.expect("there are keys");
            assert_eq!(parts(&token), parts(expected));
        }
    }

    #[tokio::test]
    async fn without_keys_there_is_no_token() {
        let login = login("postgres://shop@db/shop").expect("sound");
        let error = login.token(None, Timestamp::UNIX_EPOCH).await.expect_err("nobody knows them");
        assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
    }

    #[test]
    fn a_token_is_for_one_user_of_one_host() {
        for url in ["postgres://db/shop", "postgres://shop@one,two/shop"] {
            assert!(matches!(login(url), Err(OpenError::Url(_))), "{url}");
        }
        let server = "postgres://shop@db/shop".parse().expect("a sound URL");
        assert!(matches!(Login::of(&server, "eu central"), Err(OpenError::Url(_))));
    }
}
