//! What the tests need of the machine, beside Rust.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::server;
use crate::step::call;

/// Something the tests need.
struct Need {
    /// What, as a person would say it.
    what: &'static str,
    /// The Debian package that brings it.
    package: &'static str,
    /// Tries it. Finding a program is not enough: a container may forbid what it does.
    works: fn() -> Result<(), String>,
    /// What to do where the package is there and it still does not work.
    hint: &'static str,
}

const NEEDS: &[Need] = &[
    Need {
        what: "strace, to see that an order is on disk before it is answered",
        package: "strace",
        works: strace_works,
        hint: "a container must allow ptrace (docker run --cap-add SYS_PTRACE)",
    },
    Need {
        what: "a small file system in memory, to see what a full disk does",
        package: "util-linux",
        works: tmpfs_works,
        hint: "run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)",
    },
    Need {
        what: "PostgreSQL, to keep the ledger of many processes",
        package: "postgresql",
        works: postgres_works,
        hint: "put its initdb and postgres on the PATH",
    },
    Need {
        what: "Java 17 or newer, which runs the Kafka broker",
        package: "default-jre-headless",
        works: java_works,
        hint: "put a java of version 17 or newer on the PATH",
    },
    Need {
        what: "Maven, which fetches the Kafka broker",
        package: "maven",
        works: maven_works,
        hint: "put mvn on the PATH",
    },
    Need {
        what: "the headers of OpenSSL, for the Kafka client",
        package: "libssl-dev",
        works: openssl_works,
        hint: "put its openssl.pc where pkg-config finds it",
    },
    Need {
        what: "pkg-config, which finds them",
        package: "pkg-config",
        works: pkg_config_works,
        hint: "put pkg-config on the PATH",
    },
    Need {
        what: "python3, whose mailbox module reads the mail file as a mail program does",
        package: "python3",
        works: python_works,
        hint: "put python3 on the PATH",
    },
    Need {
        what: "environments of Python, to install the API tester into",
        package: "python3-venv",
        works: venv_works,
        hint: "put a python3 with venv and pip on the PATH",
    },
    Need {
        what: "node, which runs the AWS SDK for JavaScript",
        package: "nodejs",
        works: node_works,
        hint: "put node 18 or newer on the PATH",
    },
    Need {
        what: "npm, which installs the AWS SDK for JavaScript",
        package: "npm",
        works: npm_works,
        hint: "put npm on the PATH",
    },
];

/// Sees to it that everything is there: installs what is missing where that is possible.
///
/// # Errors
/// What is missing, and how to get it.
pub fn provide() -> Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| (need.works)().is_err()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if is_root() && Path::new("/usr/bin/apt-get").exists() {
        install(&packages)?;
    }
    let mut problems = String::new();
    for need in missing {
        if let Err(reason) = (need.works)() {
            let Need { what, package, hint, .. } = need;
            problems += &format!("\n- {what}: {reason}\n  install the package {package}; where that is done, {hint}");
        }
    }
    if problems.is_empty() { Ok(()) } else { bail!("the tests need what this machine does not have:{problems}") }
}

fn install(packages: &[&str]) -> Result<()> {
    eprintln!("installing {}", packages.join(", "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").stdout(Stdio::null());
        command
    };
    call(apt().arg("update")).context("the package lists could not be brought up to date")?;
    call(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))
        .with_context(|| format!("{} could not be installed", packages.join(", ")))
}

fn strace_works() -> Result<(), String> {
    try_out(Command::new("strace").args(["-f", "-o", "/dev/null", "true"]))
}

fn postgres_works() -> Result<(), String> {
    let programs = server::programs().ok_or("no initdb on the PATH or below /usr/lib/postgresql")?;
    try_out(Command::new(programs.join("initdb")).arg("--version"))
}

fn java_works() -> Result<(), String> {
    // Fails where the version is lower: it does not know the option.
    try_out(Command::new("java").args(["--enable-native-access=ALL-UNNAMED", "-version"]))
}

fn maven_works() -> Result<(), String> {
    try_out(Command::new("mvn").arg("--version"))
}

fn openssl_works() -> Result<(), String> {
    try_out(Command::new("pkg-config").args(["--exists", "--print-errors", "openssl"]))
}

fn pkg_config_works() -> Result<(), String> {
    try_out(Command::new("pkg-config").arg("--version"))
}

fn python_works() -> Result<(), String> {
    try_out(Command::new("python3").args(["-c", "import mailbox"]))
}

fn venv_works() -> Result<(), String> {
    try_out(Command::new("python3").args(["-c", "import ensurepip, venv"]))
}

fn node_works() -> Result<(), String> {
    try_out(Command::new("node").args(["-e", "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)"]))
}

fn npm_works() -> Result<(), String> {
    try_out(Command::new("npm").arg("--version"))
}

/// Mounts one in a mount namespace of its own, so that nothing is left of it. Whoever may not do that as they are becomes root of
/// a user namespace first.
fn tmpfs_works() -> Result<(), String> {
    let mount =
        |flags| try_out(Command::new("unshare").args([flags, "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]));
    mount("-m").or_else(|_| mount("-rm"))
}

fn try_out(command: &mut Command) -> Result<(), String> {
    let output: Output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().next().map_or_else(|| output.status.to_string(), str::to_owned))
}

/// The owner of this process's folder in `/proc` is its effective user.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
