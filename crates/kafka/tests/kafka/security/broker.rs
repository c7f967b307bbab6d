//! A broker that asks who is there: TLS with a certificate of the tests' own authority, users with passwords, and tokens.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::support::server::{Cluster, Guard};

/// A user's name and password; each of the mechanisms has one of its own.
pub const SHA_256: (&str, &str) = ("till", "the-till-opens-at-nine");
pub const SHA_512: (&str, &str) = ("front", "mind-the-step");
/// Whose password is in the environment: what cargo sets for every test.
pub const BY_VARIABLE: (&str, &str, &str) = ("back", env!("CARGO_PKG_NAME"), "env:CARGO_PKG_NAME");

/// The only name that its certificate has.
pub const HOST: &str = "127.0.0.1";

/// The broker, and who vouches for it.
pub struct Guarded {
    pub cluster: Cluster,
    authority: String,
    stranger: String,
}

/// The broker that the tests of this module share.
pub fn guarded() -> &'static Guarded {
    static SHARED: OnceLock<Guarded> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (authority, issuer) = authority();
        let (stranger, _) = self::authority();
        let key = KeyPair::generate().expect("a key can be made");
        let mut named = CertificateParams::new([HOST.to_owned()]).expect("a sound name");
        named.distinguished_name.push(DnType::CommonName, "a broker");
        let certificate = named.signed_by(&key, &issuer).expect("it can be signed");
        let guard = Guard { settings: settings(&key.serialize_pem(), &certificate.pem()), format: users() };
        Guarded { cluster: Cluster::single_guarded(guard), authority, stranger }
    })
}

impl Guarded {
    /// Writes what clients are given into a folder: who vouches for the broker, who does not, and passwords.
    pub fn hand_out(&self, folder: &Path) {
        let files = [
            ("authority.pem", self.authority.as_str()),
            ("stranger.pem", &self.stranger),
            ("sha-256", SHA_256.1),
            ("sha-512", SHA_512.1),
            ("wrong", WRONG),
        ];
        for (name, content) in files {
            fs::write(folder.join(name), content).expect("a file can be written in the test's folder");
        }
    }
}

/// Nobody's password.
pub const WRONG: &str = "open-sesame";

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "an authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key can be made");
    let certificate = params.self_signed(&key).expect("it can be signed");
    (certificate.pem(), Issuer::new(params, key))
}

fn settings(key: &str, certificate: &str) -> String {
    let listener = "listener.name.guarded";
    let scram = "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let tokens = "org.apache.kafka.common.security.oauthbearer";
    let line = |pem: &str| pem.trim_end().replace("\r\n", "\n").replace('\n', "\\n");
    format!(
        "sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER\n\
         {listener}.ssl.keystore.type=PEM\n\
         {listener}.ssl.keystore.key={}\n\
         {listener}.ssl.keystore.certificate.chain={}\n\
         {listener}.scram-sha-256.{scram}\n\
         {listener}.scram-sha-512.{scram}\n\
         {listener}.oauthbearer.sasl.jaas.config={tokens}.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";\n\
         {listener}.oauthbearer.sasl.server.callback.handler.class={tokens}.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler\n\
         {listener}.oauthbearer.connections.max.reauth.ms=60000\n",
        line(key),
        line(certificate),
    )
}

fn users() -> String {
    let user =
        |mechanism, name, password| format!("--add-scram SCRAM-SHA-{mechanism}=[name={name},password={password}]");
    [user(256, SHA_256.0, SHA_256.1), user(512, SHA_512.0, SHA_512.1), user(512, BY_VARIABLE.0, BY_VARIABLE.1)]
        .join(" ")
}
