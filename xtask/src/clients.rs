//! Clients that others wrote, and the broker they and we talk to, at pinned versions, installed below `target/tools` when they are first needed: the tests let them
//! talk to our server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::step::call;
use crate::{root, tools_dir};

/// Sees to it that the clients are there.
///
/// # Errors
/// Which one could not be installed.
pub fn provide() -> Result<()> {
    install("schemathesis", "requirements.txt", |source, dir| {
        call(Command::new("python3").args(["-m", "venv", "--clear"]).arg(dir))?;
        let mut pip = Command::new(dir.join("bin/pip"));
        call(pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(source))
    })?;
    install("lambda", "package-lock.json", |source, dir| {
        let folder = source.parent().context("a lock file lies in a folder")?;
        fs::create_dir_all(dir)?;
        for file in ["package.json", "package-lock.json", "invoke.mjs"] {
            fs::copy(folder.join(file), dir.join(file))?;
        }
        let npm = ["ci", "--silent", "--no-audit", "--no-fund", "--prefix"];
        call(Command::new("npm").args(npm).arg(dir).stdout(Stdio::null()))
    })?;
    install("kafka", "pom.xml", |source, dir| {
        let copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
        let mut mvn = Command::new("mvn");
        mvn.args(["--quiet", "--batch-mode", "--file"]).arg(source).arg(copy);
        call(mvn.arg("-DincludeScope=runtime").arg(format!("-DoutputDirectory={}", dir.join("lib").display())))
    })
}

/// Installs a client unless it is there in the version that is pinned: a copy of the lock file is written last.
fn install(name: &str, lock: &str, install: impl Fn(&Path, &Path) -> Result<()>) -> Result<()> {
    let source = root().join("tests/it/clients").join(name);
    let dir = tools_dir().join(name);
    let stamp = dir.join("installed");
    let wanted = wanted(&source)?;
    if fs::read(&stamp).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    println!("installing the client {name}");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("{} cannot be removed", dir.display()))?;
    }
    install(&source.join(lock), &dir).with_context(|| format!("the client {name} could not be installed"))?;
    fs::write(&stamp, wanted).with_context(|| format!("{} cannot be written", stamp.display()))
}

/// Everything that says what is to be installed.
fn wanted(source: &Path) -> Result<Vec<u8>> {
    let entries = fs::read_dir(source).with_context(|| format!("{} cannot be read", source.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let mut content = Vec::new();
    for file in files {
        content.extend(fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?);
    }
    Ok(content)
}
