//! Magic addresses: mail that is refused, and mail that is late.

use std::collections::HashSet;

use ordermill_ports::mailer::{Mail, MailError};

/// Late mails remembered at once. When there are more, all are forgotten and are late once more.
const REMEMBERED_MAX: usize = 4_096;

/// The late mails that were tried once.
#[derive(Debug, Default)]
pub(super) struct Magic {
    tried: HashSet<String>,
}

impl Magic {
    /// Whether this mail may go now.
    pub(super) fn admit(&mut self, mail: &Mail) -> Result<(), MailError> {
        match mail.to.as_str().split('@').next() {
            Some("bounce") => Err(MailError::Refused("the address does not exist".to_owned())),
            Some("slow") if !self.tried.remove(&mail.message_id) => {
                if self.tried.len() >= REMEMBERED_MAX {
                    self.tried.clear();
                }
                self.tried.insert(mail.message_id.clone());
                Err(MailError::Unavailable("the mail server is slow; it takes the next try".to_owned()))
            }
            _ => Ok(()),
        }
    }
}
