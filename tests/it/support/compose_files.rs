//! The files for Docker, read as YAML is and put together as Docker does.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::systems::client;

/// A ledger in PostgreSQL, and nothing between the processes.
pub const ON_POSTGRES: &[&str] = &["compose.yaml"];
/// The same with a broker between them.
pub const ON_KAFKA: &[&str] = &["compose.yaml", "compose.kafka.yaml"];

/// What a service runs, and with which options.
pub struct Service {
    pub command: Vec<String>,
    pub environment: BTreeMap<String, String>,
}

/// The services that run the program.
pub fn services(files: &[&str]) -> BTreeMap<String, Service> {
    let compose = compose(files);
    let ours = compose["services"].as_object().unwrap().iter().filter(|(_, service)| service["build"] == ".");
    ours.map(|(name, service)| {
        let command = service["command"].as_array().unwrap().iter().map(text).collect();
        (name.clone(), Service { command, environment: environment(service) })
    })
    .collect()
}

/// The options of a service that runs something else.
pub fn options(files: &[&str], service: &str) -> BTreeMap<String, String> {
    environment(&compose(files)["services"][service])
}

fn environment(service: &Value) -> BTreeMap<String, String> {
    let environment = service["environment"].as_object().unwrap();
    environment.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn compose(files: &[&str]) -> Value {
    files.iter().map(|file| read(file)).reduce(merged).unwrap()
}

/// A file as JSON, with its anchors and merges resolved. The API tester brings a reader of YAML along.
fn read(file: &str) -> Value {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let mut python = Command::new(client("schemathesis").join("bin/python"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let output = python.args(["-c", script]).arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The second file over the first: what both have is merged where it has parts with names, and the second's otherwise.
fn merged(mut base: Value, over: Value) -> Value {
    match (&mut base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                let value = match base.remove(&name) {
                    Some(own) => merged(own, value),
                    None => value,
                };
                base.insert(name, value);
            }
        }
        (base, over) => *base = over,
    }
    base
}
