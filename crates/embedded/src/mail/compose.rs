//! Composes a mail: headers, and text and HTML as alternatives (RFC 5322, RFC 2045, RFC 2046).

use std::io::Write;

use jiff::fmt::rfc2822::DateTimePrinter;
use ordermill_core::mail::Email;
use ordermill_ports::mailer::{Mail, MailError};

use super::encode::{encoded_words, header, is_plain, quoted_printable};
use super::{MAIL_BYTES_MAX, OpenError};

/// Who the mails are from.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    /// The `From` line, complete, with its end.
    line: Vec<u8>,
    address: Email,
}

impl Sender {
    /// Takes `orders@example.com` or `Shop <orders@example.com>`.
    pub(super) fn new(from: &str) -> Result<Self, OpenError> {
        let (name, address) = match from.trim().strip_suffix('>').and_then(|from| from.rsplit_once('<')) {
            Some((name, address)) => (name.trim().trim_matches('"'), address),
            None => ("", from.trim()),
        };
        let address = Email::new(address).map_err(|_| OpenError::BadSender)?;
        if name.chars().any(char::is_control) || name.contains(['"', '\\']) {
            return Err(OpenError::BadSender);
        }
        let mut line = b"From:".to_vec();
        let text = address.as_str();
        if name.is_empty() {
            line.extend_from_slice(format!(" {text}\n").as_bytes());
        } else if name.is_ascii() {
            line.extend_from_slice(format!(" \"{name}\" <{text}>\n").as_bytes());
        } else {
            encoded_words(name, &mut line);
            line.extend_from_slice(format!("\n <{text}>\n").as_bytes());
        }
        Ok(Self { line, address })
    }

    /// The address alone.
    pub(super) fn address(&self) -> &str {
        self.address.as_str()
    }
}

/// Adds a mail to `out`. On an error nothing is added.
///
/// # Errors
/// [`MailError::Refused`] when its name could break the headers, or it is too long.
pub(super) fn compose(sender: &Sender, mail: &Mail, out: &mut Vec<u8>) -> Result<(), MailError> {
    let begin = out.len();
    if !is_message_id(&mail.message_id) {
        return Err(MailError::Refused("its message id is not one".to_owned()));
    }
    out.extend_from_slice(&sender.line);
    let kind = mail.kind.as_str();
    let (to, version, order, id) = (mail.to.as_str(), mail.version, mail.order_id, &mail.message_id);
    header("Subject", &mail.subject, out);
    let date = DateTimePrinter::new().timestamp_to_string(&mail.at);
    let date = date.map_err(|_| MailError::Refused("its time cannot be written as a date".to_owned()))?;
    // Written once: it is in the text five times.
    let order = order.to_string();
    write!(
        out,
        "To: {to}\nDate: {date}\nMessage-ID: {id}\nX-Order-Id: {order}\nX-Ordermill-Kind: {kind}/{version}\n\
         Auto-Submitted: auto-generated\nMIME-Version: 1.0\n\
         Content-Type: multipart/alternative;\n boundary=\"=_{order}.{kind}.{version}\"\n\n"
    )
    .expect("writing to memory cannot fail");
    for (media_type, text) in [("text/plain", &mail.text), ("text/html", &mail.html)] {
        let plain = is_plain(text);
        let encoding = if plain { "7bit" } else { "quoted-printable" };
        write!(
            out,
            "--=_{order}.{kind}.{version}\nContent-Type: {media_type}; charset=utf-8\n\
             Content-Transfer-Encoding: {encoding}\n\n"
        )
        .expect("writing to memory cannot fail");
        if plain {
            out.extend_from_slice(text.as_bytes());
        } else {
            quoted_printable(text, out);
        }
        out.push(b'\n');
    }
    writeln!(out, "--=_{order}.{kind}.{version}--").expect("writing to memory cannot fail");
    if out.len() - begin > MAIL_BYTES_MAX {
        out.truncate(begin);
        return Err(MailError::Refused(format!("it is longer than {MAIL_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn is_message_id(text: &str) -> bool {
    let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    inner.is_some_and(|inner| {
        !inner.is_empty()
            && inner.len() <= 250
            && inner.bytes().all(|byte| matches!(byte, b'!'..=b';' | b'=' | b'?'..=b'~'))
    })
}
