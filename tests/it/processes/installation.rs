//! One installation of several processes, as docs/operations.md describes it: one configuration file, a data directory for each process.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

pub use crate::profile::LAYOUT;
use crate::profile::{event_path, fresh_ledger};
use crate::support::{Diagnosis, Server, doctor_by, ordermill, run_to_end};

/// The option of a process that has to be there whenever others look, however long the machine holds it up.
pub const HOLDS_ON: (&str, &str) = ("ORDERMILL_POSTGRES__LEASE", "20s");

/// Starts a process that runs some roles, listening for health and metrics where `api` is not among them. Each of `roles` is given to a
/// `--role` of its own.
pub fn start_roles(program: Command, data: &Path, roles: &[&str]) -> Server {
    let roles: Vec<&str> = roles.iter().flat_map(|role| ["--role", role]).collect();
    Server::spawn_with(program, data, &roles)
}

pub struct Installation {
    folder: TempDir,
    /// The payment provider, a process apart.
    _sandbox: Server,
}

impl Installation {
    /// A new one on an empty ledger, without a process.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let books = folder.path().join("sandbox");
        let mut program = ordermill();
        program.args(["sandbox", "--listen", "127.0.0.1:0", "--data"]).arg(&books);
        let sandbox = Server::launch(program, &books);
        let shared = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "ledger = \"{}\"\n{}payments = \"sandbox:{}\"\nmail = \"maildir:{}\"\nobjects = \"file:{}\"\n\n\
             [postgres]\nlease = \"2s\"\n\n[archive]\nsettle = \"200ms\"\n",
            fresh_ledger(),
            event_path(),
            sandbox.url,
            shared("mail"),
            shared("objects")
        );
        std::fs::write(folder.path().join("shop.toml"), config).unwrap();
        Self { folder, _sandbox: sandbox }
    }

    /// Starts a process, or starts it again.
    pub fn start(&self, name: &str, roles: &[&str]) -> Server {
        self.start_with(name, roles, &[])
    }

    /// The same with options of its own.
    pub fn start_with(&self, name: &str, roles: &[&str], environment: &[(&str, &str)]) -> Server {
        let mut program = self.program();
        program.envs(environment.iter().copied());
        start_roles(program, &self.folder.path().join(name), roles)
    }

    /// Starts a process that has to be refused, and gives what it says.
    pub fn refused(&self, name: &str, roles: &[&str], environment: &[(&str, &str)]) -> String {
        let mut program = self.program();
        program.envs(environment.iter().copied()).args(["serve", "--data"]).arg(self.folder.path().join(name));
        program.args(roles.iter().flat_map(|role| ["--role", role]));
        let output = run_to_end(&mut program);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Every process of the layout.
    pub fn start_all(&self) -> Vec<Server> {
        LAYOUT.iter().map(|(name, roles)| self.start(name, roles)).collect()
    }

    fn program(&self) -> Command {
        let mut program = ordermill();
        program.env("ORDERMILL_CONFIG", self.folder.path().join("shop.toml"));
        program
    }

    /// Audits everything. The auditor needs the configuration alone, and none of the data directories.
    pub fn doctor(&self) -> Diagnosis {
        doctor_by(self.program(), &self.folder.path().join("doctor"))
    }

    /// The Message-IDs in the maildir, without their brackets.
    pub fn mails(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.folder.path().join("mail/new")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    pub fn objects(&self) -> PathBuf {
        self.folder.path().join("objects")
    }
}
