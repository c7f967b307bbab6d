//! The suites of the ports.

use std::sync::Arc;

use async_trait::async_trait;
use ordermill_core::id::PaymentMethod;
use ordermill_embedded::mail::{Maildir, Mbox, scan_maildir, scan_mbox};
use ordermill_embedded::objects::FileObjects;
use ordermill_embedded::sandbox::{Options, Sandbox};
use ordermill_ports::audit::StoredMail;
use ordermill_ports::clock::SystemClock;
use ordermill_ports::conformance::{mailer, objects, payments};
use ordermill_ports::{Mailer, Objects, Payments, mailer_suite, objects_suite, payments_suite};
use tempfile::TempDir;

/// A directory for one case.
struct Place {
    directory: TempDir,
    fsync: bool,
}

impl Place {
    fn new() -> Self {
        Self { directory: TempDir::new().expect("a directory for the test"), fsync: false }
    }

    fn synced() -> Self {
        Self { fsync: true, ..Self::new() }
    }
}

fn method(text: &str) -> PaymentMethod {
    PaymentMethod::new(text).expect("a plain text")
}

#[async_trait]
impl payments::Harness for Place {
    async fn open(&self) -> Arc<dyn Payments> {
        let options = Options { fsync: self.fsync, ..Options::default() };
        let path = self.directory.path().join("sandbox.journal");
        Arc::new(Sandbox::open(&path, Arc::new(SystemClock), options).expect("the journal opens"))
    }

    fn works(&self) -> PaymentMethod {
        method("ok")
    }

    fn declined(&self) -> PaymentMethod {
        method("declined")
    }
}

#[async_trait]
impl objects::Harness for Place {
    async fn open(&self) -> Arc<dyn Objects> {
        Arc::new(FileObjects::open(&self.directory.path().join("objects")).expect("the directory opens"))
    }
}

struct MboxPlace(TempDir);
struct MaildirPlace(TempDir);

const FROM: &str = "Ordermill <orders@example.com>";

#[async_trait]
impl mailer::Harness for MboxPlace {
    async fn open(&self, committed_end: Option<u64>) -> Arc<dyn Mailer> {
        Arc::new(Mbox::open(&self.0.path().join("mail.mbox"), committed_end, FROM).expect("the mail file opens"))
    }

    fn stored(&self) -> Vec<StoredMail> {
        let mut stored = Vec::new();
        let visit = &mut |mail| {
            stored.push(mail);
            Ok(())
        };
        scan_mbox(&self.0.path().join("mail.mbox"), None, visit).expect("the mail file is readable");
        stored
    }
}

#[async_trait]
impl mailer::Harness for MaildirPlace {
    async fn open(&self, _: Option<u64>) -> Arc<dyn Mailer> {
        Arc::new(Maildir::open(&self.0.path().join("mail"), FROM).expect("the maildir opens"))
    }

    fn stored(&self) -> Vec<StoredMail> {
        let mut stored = Vec::new();
        let visit = &mut |mail| {
            stored.push(mail);
            Ok(())
        };
        scan_maildir(&self.0.path().join("mail"), visit).expect("the maildir is readable");
        stored
    }
}

mod sandbox {
    use super::*;
    payments_suite!(Place::new());
}

mod sandbox_synced {
    use super::*;
    payments_suite!(Place::synced());
}

mod mbox {
    use super::*;
    mailer_suite!(MboxPlace(TempDir::new().expect("a directory for the test")));
}

mod maildir {
    use super::*;
    mailer_suite!(MaildirPlace(TempDir::new().expect("a directory for the test")));
}

mod files {
    use super::*;
    objects_suite!(Place::new());
}
