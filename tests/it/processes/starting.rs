//! A ledger that cannot be opened: the start ends with what is wrong and what to do, and shows no password.

use std::process::Output;

use crate::profile::{fresh_ledger, url};
use crate::support::{Server, doctor, ordermill, run_to_end};

/// Runs a command on a ledger, in a directory of its own.
fn run(command: &[&str], ledger: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut program = ordermill();
    program.args(command).arg("--data").arg(folder.path()).args(["--set", &format!("ledger={ledger}")]);
    run_to_end(&mut program)
}

/// Starts a server that must not come up; its exit code and what it says.
fn start(ledger: &str) -> (Option<i32>, String) {
    let output = run(&["serve", "--listen", "127.0.0.1:0"], ledger);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_server_that_is_not_there_is_named_with_its_port() {
    // Port 1 of the loopback has no server.
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["doctor"]] {
        let output = run(command, "postgres://shop@127.0.0.1:1/orders?password=env:HOME");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        for part in ["127.0.0.1:1", "\"orders\"", "refused", "is the server running there"] {
            assert!(complaint.contains(part), "{part} in {complaint}");
        }
        assert!(!complaint.contains(&std::env::var("HOME").unwrap()), "the password is shown: {complaint}");
    }
}

#[test]
fn a_database_that_is_missing_is_to_be_made() {
    let (code, complaint) = start(&url("no_such_database"));
    assert_eq!(code, Some(1));
    assert!(complaint.contains("\"no_such_database\" does not exist") && complaint.contains("createdb"), "{complaint}");
}

#[test]
fn a_schema_that_is_not_there_is_no_older_one() {
    let complaint = run(&["doctor"], &format!("{}?schema=nope", url("postgres")));
    let complaint = String::from_utf8_lossy(&complaint.stderr).into_owned();
    assert!(complaint.contains("there is no ledger in the schema \"nope\""), "{complaint}");
    let (code, complaint) = start(&format!("{}?schem=nope", url("postgres")));
    assert!(code == Some(2) && complaint.contains("no option \"schem\""), "{code:?} {complaint}");
}

#[test]
fn a_password_is_never_part_of_the_url_and_has_to_be_there() {
    let server = url("postgres");
    let (code, complaint) = start(&server.replace("postgres@", "postgres:hunter2@"));
    assert_eq!(code, Some(2));
    assert!(complaint.contains("?password=env:NAME") && !complaint.contains("hunter2"), "{complaint}");
    let (code, complaint) = start(&format!("{server}?password=env:ORDERMILL_NO_SUCH_PASSWORD"));
    assert_eq!(code, Some(1));
    assert!(complaint.contains("env:ORDERMILL_NO_SUCH_PASSWORD"), "{complaint}");
}

#[test]
fn a_url_that_cannot_be_meant_is_refused_before_anything_is_begun() {
    let server = url("postgres");
    for wrong in ["schema=Capital", "sslmode=sometimes", "conect_timeout=3"] {
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["config", "check"], &["doctor"]] {
            let output = run(command, &format!("{server}?{wrong}"));
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command:?} with {wrong}: {complaint}");
            assert!(complaint.contains("the ledger's URL is wrong"), "{complaint}");
            // The auditor reads it, and does not ask where it was said.
            assert!(complaint.contains("--set: ledger: ") || command == ["doctor"], "{complaint}");
        }
    }
    let output = run(&["config", "check"], &server);
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_schema_of_a_newer_program_is_left_alone_and_one_that_is_not_there_cannot_be_audited() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = fresh_ledger();
    let schema = ledger.split_once("schema=").unwrap().1.to_owned();
    std::fs::write(folder.path().join("ordermill.toml"), format!("ledger = \"{ledger}\"\n")).unwrap();
    let diagnosis = doctor(folder.path());
    assert_eq!(diagnosis.exit_code, Some(1), "{diagnosis:#?}");
    assert!(diagnosis.complaint.contains("there is no ledger in the schema"), "{diagnosis:#?}");
    assert!(Server::start(folder.path()).terminate().success());
    doctor(folder.path()).assert_clean();

    let (client, connection) = tokio_postgres::connect(&url("postgres"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let newer = format!("UPDATE {schema}.schema_version SET version = 99, oldest = 99");
    assert_eq!(client.execute(&newer, &[]).await.unwrap(), 1);
    let (code, complaint) = start(&ledger);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("a newer one must open it"), "{complaint}");
    let diagnosis = doctor(folder.path());
    assert!(diagnosis.complaint.contains("a newer one must open it"), "{diagnosis:#?}");
}
