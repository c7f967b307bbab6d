//! What stands for the gateway of a role that this process does not run. Nobody here calls it.

use async_trait::async_trait;
use ordermill_core::input::PaymentAnswer;
use ordermill_core::payment::{PaymentKey, PaymentRequest};
use ordermill_core::process::Role;
use ordermill_ports::mailer::{Mail, MailError, Receipt};
use ordermill_ports::payments::PaymentError;
use ordermill_ports::{Mailer, Payments};

/// The gateway of this role.
pub struct Absent(pub Role);

impl Absent {
    fn reason(&self) -> String {
        format!("this process does not run the role {}", self.0.as_str())
    }
}

#[async_trait]
impl Mailer for Absent {
    async fn deliver(&self, mails: &[Mail]) -> Vec<Result<Receipt, MailError>> {
        mails.iter().map(|_| Err(MailError::Unavailable(self.reason()))).collect()
    }

    fn batch_max(&self) -> usize {
        1
    }
}

#[async_trait]
impl Payments for Absent {
    async fn perform(&self, _request: &PaymentRequest) -> Result<PaymentAnswer, PaymentError> {
        Err(PaymentError::Unavailable(self.reason()))
    }

    async fn look_up(&self, _key: &PaymentKey) -> Result<Option<PaymentAnswer>, PaymentError> {
        Err(PaymentError::Unavailable(self.reason()))
    }
}
