//! `compose.yaml`, as far as it can be tried without Docker: it is read as YAML is, and the program takes every command line and every
//! option in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Server, ordermill};
use crate::systems::client;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The file as JSON, with its anchors and merges resolved. The API tester brings a reader of YAML along.
fn compose() -> Value {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let mut python = Command::new(client("schemathesis").join("bin/python"));
    let output = python.args(["-c", script]).arg(root().join("compose.yaml")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

struct Service {
    command: Vec<String>,
    environment: BTreeMap<String, String>,
}

/// The services that run the program.
fn services() -> BTreeMap<String, Service> {
    let compose = compose();
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned();
    let ours = compose["services"].as_object().unwrap().iter().filter(|(_, service)| service["build"] == ".");
    ours.map(|(name, service)| {
        let command = service["command"].as_array().unwrap().iter().map(text).collect();
        let environment = service["environment"].as_object().unwrap();
        let environment = environment.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        (name.clone(), Service { command, environment })
    })
    .collect()
}

/// What of a command line must be another here: where the data lie, and where it listens.
fn tried_out(command: &[String], data: &Path) -> Vec<String> {
    let replace = |word: &String| match word.as_str() {
        "/data" => data.display().to_string(),
        word if word.starts_with("0.0.0.0:") => "127.0.0.1:0".to_owned(),
        word => word.to_owned(),
    };
    command.iter().map(replace).collect()
}

fn value_of<'a>(command: &'a [String], flag: &str) -> Vec<&'a str> {
    command.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].as_str()).collect()
}

#[test]
fn every_option_of_the_compose_file_exists_and_is_valid() {
    let services = services();
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(names, ["back", "front", "sandbox", "till"]);
    for (name, Service { command, environment }) in &services {
        let folder = tempfile::tempdir().unwrap();
        let roles = value_of(command, "--role").join(",");
        let listen = value_of(command, "--listen")[0];
        let key = if command[0] == "sandbox" { "sandbox.listen" } else { "http.listen" };
        let mut check = ordermill();
        check.args(["config", "check", "--set", &format!("{key}={listen}"), "--data"]).arg(folder.path());
        if !roles.is_empty() {
            check.args(["--set", &format!("roles={roles}")]);
        }
        let output = check.envs(environment).output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
    }
}

/// All roles run somewhere, and none twice.
#[test]
fn the_services_of_the_compose_file_run_every_role_once() {
    let services = services();
    let commands = services.values().map(|service| &service.command);
    let mut roles: Vec<&str> =
        commands.flat_map(|command| value_of(command, "--role")).flat_map(|roles| roles.split(',')).collect();
    roles.sort_unstable();
    let all = ["api", "archive", "inventory", "notifications", "payments", "records", "sweeper", "tracking"];
    assert_eq!(roles, all);
}

#[test]
fn every_command_line_of_the_compose_file_is_understood() {
    for (name, Service { command, environment }) in services() {
        let folder = tempfile::tempdir().unwrap();
        let mut program = ordermill();
        program.args(tried_out(&command, folder.path())).envs(&environment);
        if command[0] == "sandbox" {
            assert!(Server::launch(program, folder.path()).terminate().success());
            continue;
        }
        // Its database is not here, nor its password: that is where it has to come to.
        let mut child = program.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "{name} goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
        let output = child.wait_with_output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {complaint}");
        assert!(complaint.contains("PostgreSQL on postgres:5432") && complaint.contains("/run/secrets"), "{complaint}");
    }
}
