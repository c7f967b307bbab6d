//! TLS by rustls with aws-lc-rs, the one provider of cryptography in the program.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::OpenError;
use crate::options::Tls;

/// The client's side of the protection that was asked for. With [`Tls::Disable`] it is never used.
pub(crate) fn config(tls: &Tls) -> Result<ClientConfig, OpenError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let broken = |error: rustls::Error| OpenError::Tls(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(broken)?;
    Ok(match tls {
        Tls::Disable => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
        Tls::Require => {
            let anyone = Arc::new(Anyone(provider));
            builder.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth()
        }
        Tls::VerifyFull { roots } => {
            let mut store = RootCertStore::empty();
            match roots {
                Some(path) => {
                    let unreadable = |error| OpenError::Tls(format!("{}: {error}", path.display()));
                    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                        store.add(certificate.map_err(unreadable)?).map_err(broken)?;
                    }
                }
                // A machine may hold certificates that cannot be read beside those that can.
                None => _ = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
            }
            if store.is_empty() {
                return Err(OpenError::Tls(
                    "no certificate authority was found; name a file with `sslrootcert=`".to_owned(),
                ));
            }
            builder.with_root_certificates(store).with_no_client_auth()
        }
    })
}

/// Takes whoever answers: what `require` means to PostgreSQL. It keeps listeners out, not somebody in the middle.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
