//! The suites of the ports.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ordermill_core::id::PaymentMethod;
use ordermill_embedded::mail::{Maildir, Mbox, scan_maildir, scan_mbox};
use ordermill_embedded::objects::FileObjects;
use ordermill_embedded::sandbox::{Options, Sandbox};
use ordermill_ports::audit::StoredMail;
use ordermill_ports::clock::SystemClock;
use ordermill_ports::conformance::{mailer, objects, payments};
use ordermill_ports::decorator::{Breaker, Faulty, Metered, Timeout, breaker, faulty};
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

/// The wrappers change nothing while all is well.
struct Wrapped(Place);

#[async_trait]
impl payments::Harness for Wrapped {
    async fn open(&self) -> Arc<dyn Payments> {
        let provider = payments::Harness::open(&self.0).await;
        let provider = Faulty::new(provider, 1, faulty::Rates::default());
        let provider = Timeout::new(Arc::new(provider) as Arc<dyn Payments>, Duration::from_secs(30));
        let provider = Breaker::new(Arc::new(provider), breaker::Settings::default());
        Arc::new(Metered::payments(Arc::new(provider)))
    }

    fn works(&self) -> PaymentMethod {
        self.0.works()
    }

    fn declined(&self) -> PaymentMethod {
        self.0.declined()
    }
}

#[async_trait]
impl objects::Harness for Wrapped {
    async fn open(&self) -> Arc<dyn Objects> {
        let store = objects::Harness::open(&self.0).await;
        let store = Faulty::new(store, 1, faulty::Rates::default());
        let store = Timeout::new(Arc::new(store) as Arc<dyn Objects>, Duration::from_secs(30));
        Arc::new(Metered::objects(Arc::new(store)))
    }
}

/// A mail file behind the wrappers.
struct WrappedMbox(MboxPlace);

#[async_trait]
impl mailer::Harness for WrappedMbox {
    async fn open(&self, committed_end: Option<u64>) -> Arc<dyn Mailer> {
        let mailer = Faulty::new(self.0.open(committed_end).await, 1, faulty::Rates::default());
        Arc::new(Metered::mailer(Arc::new(mailer)))
    }

    fn stored(&self) -> Vec<StoredMail> {
        self.0.stored()
    }
}

mod sandbox_wrapped {
    use super::*;
    payments_suite!(Wrapped(Place::new()));
}

mod files_wrapped {
    use super::*;
    objects_suite!(Wrapped(Place::new()));
}

mod mbox_wrapped {
    use super::*;
    mailer_suite!(WrappedMbox(MboxPlace(TempDir::new().expect("a directory for the test"))));
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
