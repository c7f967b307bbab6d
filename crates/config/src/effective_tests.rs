use super::*;

fn load(text: Option<&str>, env: &[(&str, &str)], flags: &[Flag]) -> Result<Effective, ConfigError> {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let path = text.map(|text| {
        let path = dir.path().join("shop.toml");
        std::fs::write(&path, text).expect("the file can be written");
        path
    });
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Effective::from_layers(path.as_deref(), env, flags)
}

fn problems(text: Option<&str>, env: &[(&str, &str)], flags: &[Flag]) -> Vec<String> {
    match load(text, env, flags).expect_err("it must be refused") {
        ConfigError::Invalid(problems) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

fn setting(effective: &Effective, key: &str) -> Setting {
    effective.settings().find(|setting| setting.key == key).expect("a known option")
}

#[test]
fn the_defaults_are_valid_and_agree_with_the_order_process() {
    let effective = load(None, &[], &[]).expect("the defaults are valid");
    assert_eq!(effective.config.process.policy(), ordermill_core::policy::Policy::default());
    assert_eq!(effective.config.ledger, crate::Ledger::Sqlite("ordermill-data/ordermill.db".into()));
    assert!(effective.settings().all(|setting| setting.place == Place::Default && !setting.value.is_empty()));
    let config = Config::with_defaults(Path::new("/srv/shop"));
    assert_eq!(config.mail, crate::Mail::Mbox("/srv/shop/mail.mbox".into()));
}

#[test]
fn later_layers_win_option_by_option() {
    let file = "ledger = \"sqlite:a.db\"\n\n[process]\nreservation_ttl = \"1m\"\nunknown_budget = \"2m\"\n";
    let env =
        [("ORDERMILL_PROCESS__RESERVATION_TTL", "3m"), ("ORDERMILL_INTAKE__UNDECIDED_MAX", "7"), ("PATH", "/bin")];
    let flags = [Flag::new("data", "/srv/shop", "--data"), Flag::new("process.reservation_ttl", "4m", "--set")];
    let effective = load(Some(file), &env, &flags).expect("valid");
    assert_eq!(effective.config.process.reservation_ttl.std().as_secs(), 240);
    assert_eq!(effective.config.process.unknown_budget.std().as_secs(), 120);
    assert_eq!(effective.config.intake.undecided_max, 7);
    assert_eq!(effective.config.ledger, crate::Ledger::Sqlite("/srv/shop/a.db".into()));
    assert_eq!(setting(&effective, "process.reservation_ttl").place, Place::Flag("--set".to_owned()));
    assert!(matches!(setting(&effective, "process.unknown_budget").place, Place::File(_, 5)));
    assert_eq!(setting(&effective, "intake.undecided_max").value, "7");
    assert_eq!(setting(&effective, "ledger").value, "\"sqlite:a.db\"");
}

#[test]
fn everything_wrong_is_listed_at_once_with_its_place() {
    let file =
        "ledgr = \"memory:\"\n[process]\nreservation_ttl = \"soon\"\n[http]\nlisten = 7\n[log]\nformat = \"jsn\"\n";
    let env = [("ORDERMILL_LOG__LEVLE", "debug"), ("ORDERMILL_ARCHIVE__CONCURRENCY", "many")];
    let found = problems(Some(file), &env, &[Flag::new("intake.undecided_max", "0", "--set")]);
    let expect = |parts: &[&str]| {
        assert!(found.iter().any(|line| parts.iter().all(|part| line.contains(part))), "{parts:?} not in {found:#?}");
    };
    expect(&["shop.toml:1: ledgr", "did you mean ledger?"]);
    expect(&["shop.toml:3: process.reservation_ttl", "\"soon\"", "15m"]);
    expect(&["shop.toml:5: http.listen", "must be a text"]);
    expect(&["shop.toml:7: log.format", "did you mean \"json\"?"]);
    expect(&["ORDERMILL_LOG__LEVLE", "ORDERMILL_LOG__LEVEL?"]);
    expect(&["ORDERMILL_ARCHIVE__CONCURRENCY: archive.concurrency", "whole number", "many"]);
    expect(&["--set: intake.undecided_max", "from 1 to"]);
    assert_eq!(found.len(), 7, "{found:#?}");
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let found = problems(Some("bus = \"ledger\"\n[process\n"), &[], &[]);
    assert!(found.len() == 1 && found[0].contains("shop.toml:2:"), "{found:?}");
}

#[test]
fn sections_and_values_are_not_confused() {
    let found = problems(Some("http = \"127.0.0.1:1\"\n[payments]\ntimeout = \"3s\"\n[proces]\n"), &[], &[]);
    assert!(found.iter().any(|line| line.contains(":1: http: is a section")), "{found:?}");
    assert!(found.iter().any(|line| line.contains(":2: payments: is one value")), "{found:?}");
    assert!(found.iter().any(|line| line.contains(":4: proces") && line.contains("process?")), "{found:?}");
}

#[test]
fn listening_beyond_loopback_is_refused_unless_chosen_by_name() {
    let wide = [("ORDERMILL_HTTP__LISTEN", "0.0.0.0:7070")];
    let found = problems(None, &wide, &[]);
    assert!(found[0].starts_with("ORDERMILL_HTTP__LISTEN: http.listen: 0.0.0.0:7070 can be reached"), "{found:?}");
    let chosen = [wide[0], ("ORDERMILL_HTTP__ALLOW_UNAUTHENTICATED", "beyond loopback")];
    assert!(load(None, &chosen, &[]).is_ok());
}

#[test]
fn rates_and_whole_numbers_are_read_from_every_layer() {
    let file = "[sandbox]\nfail_before_rate = 0\nlose_answer_rate = 0.25\n";
    let effective = load(Some(file), &[("ORDERMILL_SANDBOX__FAIL_BEFORE_RATE", "0.5")], &[]).expect("valid");
    assert_eq!(effective.config.sandbox.fail_before_rate, 0.5);
    assert_eq!(setting(&effective, "sandbox.lose_answer_rate").value, "0.25");
    let found = problems(None, &[("ORDERMILL_SANDBOX__LOSE_ANSWER_RATE", "NaN")], &[]);
    assert!(found[0].contains("from 0 to 1"), "{found:?}");
    let found = problems(Some(file), &[("ORDERMILL_SANDBOX__FAIL_BEFORE_RATE", "1")], &[]);
    assert!(found[0].contains("must not exceed 1 together"), "{found:?}");
    let found = problems(None, &[("ORDERMILL_SANDBOX__FSYNC", "yes")], &[]);
    assert!(found[0].contains("ORDERMILL_SANDBOX__FSYNC: sandbox.fsync"), "{found:?}");
}

#[test]
fn the_file_in_the_data_directory_is_read_and_cannot_move_it() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let path = dir.path().join(FILE_NAME);
    let data = [Flag::new("data", dir.path().to_string_lossy(), "--data")];
    std::fs::write(&path, "[intake]\nundecided_max = 5\n").expect("the file can be written");
    let effective = Effective::from_layers(None, [], &data).expect("valid");
    assert_eq!((effective.config.intake.undecided_max, effective.file.as_deref()), (5, Some(path.as_path())));
    std::fs::write(&path, "data = \"elsewhere\"\n").expect("the file can be written");
    assert!(Effective::from_layers(None, [], &data).is_err());
}

#[test]
fn a_named_file_has_to_be_there() {
    let error = Effective::from_layers(Some(Path::new("/nowhere/shop.toml")), [], &[]).expect_err("no such file");
    assert!(error.to_string().contains("/nowhere/shop.toml"));
}

#[test]
fn passwords_in_addresses_are_not_repeated() {
    let found = problems(None, &[("ORDERMILL_LEDGER", "postgres://shop:hunter2@db/orders")], &[]);
    assert!(found[0].contains("needs the feature `postgres`") && !found[0].contains("hunter2"), "{found:?}");
}
