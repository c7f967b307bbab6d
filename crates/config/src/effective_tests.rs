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
    let v1 = ("ORDERMILL_HTTP__ALLOW_UNAUTHENTICATED", "beyond loopback");
    let found = problems(None, &[wide[0], v1], &[]);
    for (key, section) in [("order_api", "ORDER_API"), ("orchestrator", "ORCHESTRATOR"), ("tracking", "TRACKING")] {
        let parts =
            [format!("wire.{key}.auth: 0.0.0.0:7070 can be reached"), format!("ORDERMILL_WIRE__{section}__AUTH")];
        assert!(found.iter().any(|line| parts.iter().all(|part| line.contains(part))), "{key}: {found:?}");
    }
    assert_eq!(found.len(), 3, "{found:?}");
    let chosen = [
        wide[0],
        v1,
        ("ORDERMILL_WIRE__ORDER_API__AUTH", "none"),
        ("ORDERMILL_WIRE__ORCHESTRATOR__AUTH", "none"),
        ("ORDERMILL_WIRE__TRACKING__AUTH", "token"),
        ("ORDERMILL_AUTH__TOKENS", "[{token = \"env:T\", subject = \"carrier\", scopes = [\"tracking:write\"]}]"),
    ];
    assert!(load(None, &chosen, &[]).is_ok());
}

#[test]
fn health_and_metrics_may_be_reached_by_anybody_and_only_where_an_address_is_given() {
    let roles = ("ORDERMILL_ROLES", "payments,inventory");
    let effective = load(None, &[roles, ("ORDERMILL_HTTP__LISTEN", "0.0.0.0:9090")], &[]).expect("nothing to protect");
    assert!(effective.config.http.is_listen_given);
    assert!(!load(None, &[roles], &[]).expect("valid").config.http.is_listen_given);
    let roles = ("ORDERMILL_ROLES", "payments,api");
    assert!(load(None, &[roles, ("ORDERMILL_HTTP__LISTEN", "0.0.0.0:9090")], &[]).is_err());
}

#[test]
fn the_options_of_postgresql_are_within_bounds() {
    let found = |key: &str, value: &str| problems(None, &[], &[Flag::new(key, value, "--set")]).join("\n");
    assert!(found("postgres.connections", "4").contains("from 5 to"));
    assert!(found("postgres.committers", "0").contains("from 1 to"));
    assert!(found("postgres.committers", "15").contains("leave at least 4 connections"));
    assert!(found("postgres.answer_max", "500ms").contains("from 1s to"));
    assert!(found("postgres.lease", "100ms").contains("from 1s to"));
    assert!(found("postgres.poll", "2m").contains("to 1m"));
}

#[test]
fn sections_in_sections_come_from_every_layer() {
    let file =
        "[wire.order_api]\ncurrency = \"EUR\"\npatience = \"2s\"\n[wire.orchestrator]\nfunctions = [\"a\", \"b\"]\n";
    let env = [("ORDERMILL_WIRE__ORDER_API__PATIENCE", "3s"), ("ORDERMILL_WIRE__TRACKING__AUTH", "none")];
    let effective = load(Some(file), &env, &[Flag::new("http.cors_origins", "[\"https://a.example\"]", "--set")]);
    let effective = effective.expect("valid");
    let wire = &effective.config.wire;
    assert_eq!((wire.order_api.currency.code(), wire.order_api.patience.std().as_secs()), ("EUR", 3));
    assert_eq!((wire.tracking.auth, wire.order_api.auth), (crate::WireAuth::None, crate::WireAuth::NoneOnLoopback));
    assert_eq!(wire.orchestrator.functions, ["a", "b"]);
    assert_eq!(effective.config.http.cors_origins, ["https://a.example"]);
    assert_eq!(setting(&effective, "wire.orchestrator.functions").value, "[\"a\", \"b\"]");
    assert!(matches!(setting(&effective, "wire.order_api.currency").place, Place::File(_, 2)));
    let found = problems(Some("[wire.order_api]\nptience = \"1s\"\n[wire.trcking]\nauth = \"none\"\n"), &[], &[]);
    assert!(found[0].contains(":2: wire.order_api.ptience") && found[0].contains("order_api.patience?"), "{found:?}");
    assert!(found[1].contains(":3: wire.trcking") && found[1].contains("wire.tracking?"), "{found:?}");
}

#[test]
fn tokens_come_from_a_file_or_as_a_list_in_the_environment() {
    let file = "[[auth.tokens]]\ntoken = \"env:A\"\nsubject = \"user-1\"\nscopes = [\"orders:write\"]\n\n\
                [[auth.tokens]]\ntoken = \"file:b.txt\"\nsubject = \"user-2\"\nscopes = []\n";
    let effective = load(Some(file), &[], &[]).expect("valid");
    let tokens = &effective.config.auth.tokens;
    assert_eq!((tokens.len(), &*tokens[0].subject, &*tokens[0].scopes[0]), (2, "user-1", "orders:write"));
    assert_eq!(tokens[1].token, crate::SecretRef::File("b.txt".into()));
    let list = "[{token=\"env:T\", subject=\"user-1\", scopes=[\"orders:write\"]}]";
    let effective = load(Some(file), &[("ORDERMILL_AUTH__TOKENS", list)], &[]).expect("valid");
    assert_eq!(effective.config.auth.tokens.len(), 1, "a layer's list stands for all of the one below");
    let shown = "[{ scopes = [\"orders:write\"], subject = \"user-1\", token = \"env:T\" }]";
    assert_eq!(setting(&effective, "auth.tokens").value, shown);
    let found = problems(None, &[("ORDERMILL_WIRE__TRACKING__AUTH", "token")], &[]);
    assert!(found[0].contains("wire.tracking.auth") && found[0].contains("[[auth.tokens]]"), "{found:?}");
}

#[test]
fn a_secret_that_is_given_itself_is_refused_and_never_repeated() {
    let entry = |token: &str| format!("[{{token={token}, subject=\"u\", scopes=[]}}]");
    let wrong = [
        ("ORDERMILL_AUTH__TOKENS", "hunter2".to_owned()),
        ("ORDERMILL_AUTH__TOKENS", "[\"hunter2\"]".to_owned()),
        ("ORDERMILL_AUTH__TOKENS", entry("\"hunter2\"")),
        ("ORDERMILL_AUTH__TOKENS", entry("[\"hunter2\"]")),
        ("ORDERMILL_RECORDS__TOKEN", "hunter2".to_owned()),
    ];
    for (name, value) in wrong {
        let found = problems(None, &[(name, &value)], &[]);
        assert!(found.len() == 1 && found[0].starts_with(name), "{found:?}");
        assert!(!found[0].contains("hunter2"), "{found:?}");
    }
    for file in
        ["[auth]\ntokens = \"hunter2\"\n", "[auth.tokens]\ntoken = \"hunter2\"\n", "[records]\ntoken = \"hunter2\"\n"]
    {
        let found = problems(Some(file), &[], &[]);
        assert!(found.len() == 1 && !found[0].contains("hunter2"), "{found:?}");
    }
}

#[test]
fn tokens_that_cannot_be_told_apart_or_lack_a_part_are_refused() {
    let one = "{token=\"env:T\", subject=\"u\", scopes=[]}";
    let refused = |list: String, part: &str| {
        let found = problems(None, &[("ORDERMILL_AUTH__TOKENS", &list)], &[]);
        assert!(found.len() == 1 && found[0].contains(part), "{part:?} not in {found:?}");
    };
    refused(format!("[{one}, {one}]"), "env:T is there twice");
    refused("[{token=\"env:T\", scopes=[]}]".to_owned(), "must have \"subject\"");
    refused("[{token=\"env:T\", subject=\"u\", scope=[]}]".to_owned(), "did you mean \"scopes\"?");
    refused("[{token=\"env:T\", subject=\" \", scopes=[]}]".to_owned(), "subject of entry 1");
    refused("[{token=\"env:T\", subject=\"u\", scopes=[\"a b\"]}]".to_owned(), "is no scope");
}

#[test]
fn a_token_for_records_may_be_absent_and_lists_are_checked() {
    assert_eq!(load(None, &[], &[]).expect("valid").config.records.token, None);
    let effective = load(None, &[("ORDERMILL_RECORDS__TOKEN", "file:token.txt")], &[]).expect("valid");
    assert_eq!(effective.config.records.token, Some(crate::SecretRef::File("token.txt".into())));
    assert_eq!(setting(&effective, "records.token").value, "\"file:token.txt\"");
    for origins in ["[\"shop.example\"]", "[\"https://shop.example/\"]", "[\"https://\"]", "[\"null\"]"] {
        assert!(problems(None, &[("ORDERMILL_HTTP__CORS_ORIGINS", origins)], &[])[0].contains("is no origin"));
    }
    for origins in ["[]", "[\"*\"]", "[\"https://shop.example:8443\", \"http://127.0.0.1:5173\"]"] {
        assert!(load(None, &[("ORDERMILL_HTTP__CORS_ORIGINS", origins)], &[]).is_ok(), "{origins}");
    }
    let found = problems(None, &[("ORDERMILL_WIRE__ORDER_API__CURRENCY", "dollars")], &[]);
    assert!(found[0].contains("ISO 4217"), "{found:?}");
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
    let expected = if cfg!(feature = "postgres") { "?password=env:NAME" } else { "needs the feature `postgres`" };
    assert!(found[0].contains(expected) && !found[0].contains("hunter2"), "{found:?}");
}
