//! What mails look like: templates, one pair (text and HTML) for each kind.
//!
//! The first line of a text template is the subject. An operator may put files of the same names into a folder; they are read at
//! the start. A folder that is not there, a file of another name and a template that does not parse stop it: with any of them,
//! customers would get other mails than the operator wrote.

mod view;

use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use ordermill_core::Timestamp;
use ordermill_core::mail::{Email, MailKind, OwedMail, message_id};
use ordermill_core::order::Order;
use ordermill_ports::mailer::Mail;
use thiserror::Error;

use view::View;

/// A template cannot be used.
#[derive(Debug, Error)]
pub enum TemplateError {
    /// The folder cannot be read.
    #[error("the directory of mail templates {path} cannot be read: {source}", path = path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder holds what is no template.
    #[error(
        "{path} is no mail template, so it would never be used; the names are {names}",
        path = path.display(),
        names = EMBEDDED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    )]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("the mail template {path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The template is faulty, or names something that mails of its kind do not have.
    #[error("the mail template {name} is faulty: {source}")]
    Faulty {
        /// The template.
        name: String,
        /// Why.
        source: minijinja::Error,
    },
    /// The text template has no subject.
    #[error("the first line of the mail template {name} must be the subject")]
    NoSubject {
        /// The template.
        name: String,
    },
}

/// The templates of all kinds of mail.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
}

macro_rules! embedded {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("templates/", $file)))),*]
    };
}

const EMBEDDED: &[(&str, &str)] = embedded![
    "layout.html",
    "lines.txt",
    "lines.html",
    "confirmed.txt",
    "confirmed.html",
    "rejected.txt",
    "rejected.html",
    "cancelled.txt",
    "cancelled.html",
    "refunded.txt",
    "refunded.html",
    "shipped.txt",
    "shipped.html",
    "delivery_issue.txt",
    "delivery_issue.html",
    "delivered.txt",
    "delivered.html",
];

impl Templates {
    /// The built-in templates, with those of a folder in their place where it has any.
    ///
    /// # Errors
    /// [`TemplateError`] for a folder that is not there, and for a file in it that is no template, or cannot be read or parsed.
    pub fn load(overrides: Option<&Path>) -> Result<Self, TemplateError> {
        overrides.map_or(Ok(()), refuse_strangers)?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.expect("the usual delimiters are sound"));
        environment.set_auto_escape_callback(
            |name| {
                if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
            },
        );
        for &(name, embedded) in EMBEDDED {
            let path = overrides.map(|folder| folder.join(name)).filter(|path| path.exists());
            let source = match path {
                Some(path) => {
                    std::fs::read_to_string(&path).map_err(|source| TemplateError::Unreadable { path, source })?
                }
                None => embedded.to_owned(),
            };
            environment
                .add_template_owned(name, source)
                .map_err(|source| TemplateError::Faulty { name: name.to_owned(), source })?;
        }
        Ok(Self { environment })
    }

    /// Writes one mail. `names` are the names of the products, by line.
    ///
    /// # Errors
    /// [`TemplateError`] when a template names something that is not there, or has no subject.
    pub fn render(
        &self,
        order: &Order,
        owed: OwedMail,
        to: &Email,
        names: &[Box<str>],
        at: Timestamp,
    ) -> Result<Mail, TemplateError> {
        let view = Value::from(Serde(View::new(order, owed, names)));
        let (text, html) = file_names(owed.kind);
        let text_part = self.fill(text, &view)?;
        let no_subject = || TemplateError::NoSubject { name: text.to_owned() };
        let (subject, body) = text_part.split_once('\n').ok_or_else(no_subject)?;
        if subject.trim().is_empty() {
            return Err(no_subject());
        }
        Ok(Mail {
            message_id: message_id(order.id, owed.kind, owed.version),
            order_id: order.id,
            kind: owed.kind,
            version: owed.version,
            to: to.clone(),
            subject: subject.trim().to_owned(),
            text: body.trim_start().to_owned(),
            html: self.fill(html, &view)?,
            at,
        })
    }

    fn fill(&self, name: &str, view: &Value) -> Result<String, TemplateError> {
        let template = self.environment.get_template(name);
        let filled = template.and_then(|template| template.render(view));
        filled.map_err(|source| TemplateError::Faulty { name: name.to_owned(), source })
    }
}

/// Refuses a folder with files that no mail is made of. Hidden ones are left by editors and by how folders are mounted.
fn refuse_strangers(folder: &Path) -> Result<(), TemplateError> {
    let unreadable = |source| TemplateError::NoFolder { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && !EMBEDDED.iter().any(|(known, _)| *known == name) {
            return Err(TemplateError::Unknown { path: folder.join(&*name) });
        }
    }
    Ok(())
}

const fn file_names(kind: MailKind) -> (&'static str, &'static str) {
    match kind {
        MailKind::Confirmed => ("confirmed.txt", "confirmed.html"),
        MailKind::Rejected => ("rejected.txt", "rejected.html"),
        MailKind::Cancelled => ("cancelled.txt", "cancelled.html"),
        MailKind::Refunded => ("refunded.txt", "refunded.html"),
        MailKind::Shipped => ("shipped.txt", "shipped.html"),
        MailKind::DeliveryIssue => ("delivery_issue.txt", "delivery_issue.html"),
        MailKind::Delivered => ("delivered.txt", "delivered.html"),
    }
}

#[cfg(test)]
mod tests;
