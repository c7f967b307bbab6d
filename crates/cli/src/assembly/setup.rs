//! How this process does the outside work of its roles, told to the others on its ledger: those that run the same role have to be of one mind.

use std::path::Path;

use anyhow::Result;
use ordermill_config::{Bus, Config, Mail, Objects, PaymentProvider};
use ordermill_core::process::Role;
use ordermill_postgres::Setup;

/// Of each role that outside work or a way of events belongs to.
pub(super) fn setups(config: &Config) -> Result<Vec<Setup>> {
    let bus = bus(config)?;
    let roles = config.roles.0.iter().copied().filter(|role| !matches!(role, Role::Api | Role::Sweeper));
    Ok(roles.map(|role| Setup { role, books: books(config, role), bus: bus.clone() }).collect())
}

/// Where the role charges, mails or stores, if that is for this process alone: in its data directory.
fn books(config: &Config, role: Role) -> String {
    let data = config.data.as_path();
    match (role, &config.payments, &config.mail, &config.objects) {
        (Role::Payments, PaymentProvider::Sandbox, ..) => own("the sandbox in", data),
        // It has one writer, wherever it is.
        (Role::Notifications, _, Mail::Mbox(path), _) => own("the mail file", path),
        (Role::Notifications, _, Mail::Maildir(path), _) if path.starts_with(data) => own("the maildir", path),
        (Role::Archive | Role::Records, .., Objects::File(path)) if path.starts_with(data) => {
            own("the objects in", path)
        }
        _ => String::new(),
    }
}

fn own(what: &str, path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match machine.trim() {
        "" => format!("{what} {}", path.display()),
        machine => format!("{what} {} on {machine}", path.display()),
    }
}

fn bus(config: &Config) -> Result<String> {
    Ok(match &config.bus {
        Bus::Ledger => "ledger".to_owned(),
        // Wherever its brokers are found: it is the topics that have to be the same.
        #[cfg(feature = "kafka")]
        Bus::Kafka(url) => match super::kafka::options(config, url)?.prefix.as_str() {
            "" => "kafka".to_owned(),
            prefix => format!("kafka with prefix={prefix}"),
        },
    })
}
