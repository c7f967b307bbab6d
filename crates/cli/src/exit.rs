//! How the program ends.

use std::io::{self, Write};
use std::process::ExitCode;

use ordermill_client as client;
use ordermill_config::ConfigError;

/// The exit codes; they are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Ok = 0,
    /// Something failed.
    Failure = 1,
    /// The command line or the configuration is wrong; nothing was begun.
    Usage = 2,
    /// Some of the input was refused: no order was made of those lines, or what they name is not there.
    Refused = 3,
    /// An invariant does not hold.
    Violated = 4,
    /// No server answers.
    Unreachable = 5,
}

/// The command cannot be meant like this.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An option that is well formed and cannot be meant. Where it was set, [`crate::assembly::check`] says.
#[derive(Debug)]
pub struct BadOption {
    /// The option: `ledger`.
    pub key: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl BadOption {
    /// What is wrong with this option.
    pub fn new(key: &'static str, message: impl std::fmt::Display) -> Self {
        Self { key, message: message.to_string() }
    }
}

impl std::fmt::Display for BadOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl std::error::Error for BadOption {}

/// Says what went wrong, and gives the exit code.
pub fn report(outcome: anyhow::Result<Exit>, is_json: bool) -> ExitCode {
    let exit = match outcome {
        Ok(exit) => exit,
        // Whoever reads our output has had enough of it, as `head` has.
        Err(error) if is_broken_pipe(&error) => Exit::Ok,
        Err(error) => {
            // There is nobody left to tell if standard error is gone.
            let _ = tell(&error, is_json);
            code_of(&error)
        }
    };
    ExitCode::from(exit as u8)
}

fn tell(error: &anyhow::Error, is_json: bool) -> io::Result<()> {
    let mut err = io::stderr().lock();
    if is_json {
        let problem = error.downcast_ref::<client::Error>().and_then(client::Error::problem);
        return match problem {
            Some(problem) => writeln!(err, "{}", serde_json::to_string(problem)?),
            None => writeln!(err, "{}", serde_json::json!({ "error": words(error) })),
        };
    }
    writeln!(err, "error: {}", words(error))?;
    if code_of(error) == Exit::Unreachable {
        writeln!(err, "Is the server running? Start one with `ordermill serve`, or name another with --url.")?;
    }
    Ok(())
}

/// An error with its causes. A cause that an error before it has said already is not said again.
pub fn words(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        before if before.ends_with(&cause) => said,
        before => format!("{before}: {cause}"),
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn code_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if cause.is::<ConfigError>() || cause.is::<Usage>() || cause.is::<BadOption>() {
            return Exit::Usage;
        }
        match cause.downcast_ref::<client::Error>() {
            Some(client::Error::Url(_) | client::Error::NoTls { .. } | client::Error::Token) => return Exit::Usage,
            Some(error) if error.is_connection() => return Exit::Unreachable,
            _ => {}
        }
    }
    Exit::Failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_code() {
        let unreachable = client::Error::Unreachable { url: "http://x".into(), cause: "refused".into() };
        let lost = client::Error::Lost { url: "http://x".into(), cause: "reset".into() };
        let unexpected = client::Error::Unexpected { status: 500, body: String::new() };
        assert_eq!(code_of(&anyhow::Error::new(unreachable).context("could not list")), Exit::Unreachable);
        assert_eq!(code_of(&lost.into()), Exit::Unreachable);
        assert_eq!(code_of(&unexpected.into()), Exit::Failure);
        assert_eq!(code_of(&client::Error::Url("x".into()).into()), Exit::Usage);
        assert_eq!(code_of(&ConfigError::Invalid(Vec::new()).into()), Exit::Usage);
        assert_eq!(code_of(&Usage("no".into()).into()), Exit::Usage);
        assert_eq!(code_of(&anyhow::anyhow!("disk full")), Exit::Failure);
    }

    #[test]
    fn a_cause_is_said_once() {
        let source = io::Error::from(io::ErrorKind::NotFound);
        let text = source.to_string();
        let unreadable = ConfigError::Unreadable { path: "shop.toml".into(), source };
        assert_eq!(
            words(&anyhow::Error::new(unreadable).context("no start")),
            format!("no start: the configuration file shop.toml cannot be read: {text}")
        );
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("could not print");
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&anyhow::anyhow!("else")));
    }

    #[test]
    fn the_codes_are_the_documented_ones() {
        let codes = [Exit::Ok, Exit::Failure, Exit::Usage, Exit::Refused, Exit::Violated, Exit::Unreachable];
        assert_eq!(codes.map(|exit| exit as u8), [0, 1, 2, 3, 4, 5]);
    }
}
