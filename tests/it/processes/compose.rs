//! `compose.yaml` and `compose.kafka.yaml`, as far as they can be tried without Docker: they are read as YAML is, and the program takes every
//! command line and every option in them. The black-box tests on Kafka start the broker with its options.

use std::path::Path;

use crate::compose_files::{ON_KAFKA, ON_POSTGRES, Service, services};
use crate::support::{Server, ordermill, run_to_end};

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
fn every_option_of_the_compose_files_exists_and_is_valid() {
    for files in [ON_POSTGRES, ON_KAFKA] {
        let services = services(files);
        let names: Vec<&str> = services.keys().map(String::as_str).collect();
        assert_eq!(names, ["back", "front", "sandbox", "till"]);
        for (name, Service { command, environment }) in &services {
            let is_on_broker = environment.contains_key("ORDERMILL_BUS");
            assert_eq!(is_on_broker, files == ON_KAFKA && name != "sandbox", "{name}: all have to be of one mind");
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
}

/// All roles run somewhere, and none twice.
#[test]
fn the_services_of_the_compose_files_run_every_role_once() {
    let of_ledger = ["api", "archive", "inventory", "notifications", "payments", "records", "sweeper", "tracking"];
    let mut of_broker = of_ledger.to_vec();
    of_broker.insert(6, "relay");
    for (files, all) in [(ON_POSTGRES, of_ledger.to_vec()), (ON_KAFKA, of_broker)] {
        let services = services(files);
        let commands = services.values().map(|service| &service.command);
        let mut roles: Vec<&str> =
            commands.flat_map(|command| value_of(command, "--role")).flat_map(|roles| roles.split(',')).collect();
        roles.sort_unstable();
        assert_eq!(roles, all);
    }
}

#[test]
fn every_command_line_of_the_compose_files_is_understood() {
    for (name, Service { command, environment }) in services(ON_POSTGRES).into_iter().chain(services(ON_KAFKA)) {
        let folder = tempfile::tempdir().unwrap();
        let mut program = ordermill();
        program.args(tried_out(&command, folder.path())).envs(&environment);
        if command[0] == "sandbox" {
            assert!(Server::launch(program, folder.path()).terminate().success());
            continue;
        }
        // Its database is not here, nor its password: that is where it has to come to.
        let output = run_to_end(&mut program);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {complaint}");
        assert!(complaint.contains("PostgreSQL on postgres:5432") && complaint.contains("/run/secrets"), "{complaint}");
    }
}
