//! A real server process on a free loopback port.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use crate::profile;

/// How long a start, a stop or any other awaited thing may take before the test fails. Generous: test machines are shared.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub fn ordermill() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordermill"));
    // What the developer's shell has set must not reach the tests.
    for (name, _) in std::env::vars() {
        if name.starts_with("ORDERMILL_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a program that has to end by itself: a server that comes up although it must not would be waited for without end.
pub fn run_to_end(program: &mut Command) -> Output {
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{program:?} goes on: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// A server process; killed when dropped.
pub struct Server {
    child: Child,
    log: PathBuf,
    pub url: String,
    pub data: PathBuf,
}

impl Server {
    /// Starts on a data directory and waits until it is ready.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with environment variables that set options.
    pub fn start_with(data: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = ordermill();
        command.envs(environment.iter().copied());
        Self::spawn(command, data)
    }

    /// Starts the given command with the arguments of a server, and waits until it is ready.
    pub fn spawn(command: Command, data: &Path) -> Self {
        Self::spawn_with(command, data, &[])
    }

    /// The same with more arguments.
    pub fn spawn_with(mut command: Command, data: &Path, more: &[&str]) -> Self {
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(more);
        Self::launch(command, data)
    }

    /// Starts a process that says where it listens when it is ready, with everything it is given on its command line.
    pub fn launch(mut command: Command, data: &Path) -> Self {
        profile::prepare(data);
        std::fs::create_dir_all(data).unwrap();
        let log = data.with_extension(format!("{}.log", std::process::id()));
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let began = std::fs::metadata(&log).unwrap().len();
        let child = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
        let mut server = Self { child, log, url: String::new(), data: data.to_owned() };
        server.url = server.wait_until_ready(usize::try_from(began).unwrap());
        server
    }

    fn wait_until_ready(&mut self, began: usize) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.log_text();
            let ready = text[began..].lines().find(|line| line.contains("ready on http://"));
            if let Some(line) = ready.filter(|_| text.ends_with('\n')) {
                let url = line.split("ready on ").nth(1).unwrap().split_whitespace().next().unwrap();
                return url.trim_end_matches([',', '.', '/']).to_owned();
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{text}");
            }
            assert!(Instant::now() < deadline, "the server is not ready:\n{text}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything it has printed so far.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it without warning, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(mut self) -> ExitStatus {
        let id = i32::try_from(self.id()).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not end:\n{}", self.log_text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
