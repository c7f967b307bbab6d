//! Which options there are: the leaves of the default file.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use toml::{Table, Value};

use crate::suggest::nearest;
use crate::{DEFAULT_TOML, ENV_OTHER, ENV_PREFIX};

/// Every option by its key (`process.reservation_ttl`) with its default.
static OPTIONS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let table: Table = DEFAULT_TOML.parse().expect("the embedded defaults are TOML, as a test shows");
    let mut options = BTreeMap::new();
    add_leaves("", table, &mut options);
    options
});

/// The options of a section and of the sections in it. A list is one option, whatever its entries are.
fn add_leaves(section: &str, table: Table, options: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = join(section, &name);
        match value {
            Value::Table(inner) => add_leaves(&key, inner, options),
            value => {
                options.insert(key, value);
            }
        }
    }
}

/// The key of what a section calls `name`; the section without a name is the top level.
pub fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// Every option with its default, by key.
pub fn options() -> &'static BTreeMap<String, Value> {
    &OPTIONS
}

/// Whether this is a section: `process`, or `wire.order_api` in another.
pub fn is_section(name: &str) -> bool {
    OPTIONS.keys().any(|key| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// The option that a place in the configuration belongs to: `auth.tokens` of `auth.tokens.0.subject`.
pub fn option_at(path: &str) -> &str {
    let mut key = path;
    while !OPTIONS.contains_key(key) {
        match key.rsplit_once('.') {
            Some((shorter, _)) => key = shorter,
            None => return path,
        }
    }
    key
}

/// Whether what is given for this option may be a secret by mistake, so that a message never repeats it.
pub fn is_about_secrets(path: &str) -> bool {
    path.starts_with("auth.") || path.ends_with(".token")
}

/// The environment name of an option: `ORDERMILL_PROCESS__RESERVATION_TTL`.
pub fn env_name(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// What to say of a key that is no option.
pub fn unknown(key: &str) -> String {
    // The right name in the wrong section is more likely than a slip of the pen.
    let name = key.rsplit('.').next().unwrap_or(key);
    let elsewhere = OPTIONS.keys().find(|known| known.rsplit('.').next() == Some(name)).map(String::as_str);
    let meant = nearest(key, OPTIONS.keys().map(String::as_str)).or(elsewhere).or_else(|| nearest_name(name));
    with_hint("there is no such option", meant)
}

/// What to say of a table that is no section.
pub fn unknown_section(name: &str) -> String {
    match OPTIONS.get(name) {
        Some(Value::Array(_)) => return format!("is a list: write [[{name}]] for each of its entries"),
        Some(value) => return format!("is one value, such as {value}, not a section"),
        None => {}
    }
    let sections = OPTIONS.keys().filter_map(|key| key.rsplit_once('.')).map(|(section, _)| section);
    with_hint("there is no such section", nearest(name, sections))
}

/// What to say of an environment name of ours that is no option.
pub fn unknown_env(name: &str) -> String {
    let names: Vec<String> = OPTIONS.keys().map(|key| env_name(key)).collect();
    let candidates = names.iter().map(String::as_str).chain(ENV_OTHER);
    // Nearly all of a name is the prefix; only the rest is compared.
    let rest = name.strip_prefix(ENV_PREFIX).unwrap_or(name);
    let near = nearest(rest, candidates.filter_map(|candidate| candidate.strip_prefix(ENV_PREFIX)));
    let meant = near.map(|rest| format!("{ENV_PREFIX}{rest}"));
    with_hint("no option has this environment name", meant.as_deref())
}

fn nearest_name(name: &str) -> Option<&'static str> {
    let short = nearest(name, OPTIONS.keys().filter_map(|key| key.rsplit('.').next()))?;
    OPTIONS.keys().map(String::as_str).find(|key| key.rsplit('.').next() == Some(short))
}

fn with_hint(problem: &str, meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!("{problem}; did you mean {meant}?"),
        None => format!("{problem}; `ordermill config default` lists them all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_documented_with_its_environment_name() {
        let mut section = String::new();
        let mut comment = String::new();
        let mut seen = 0;
        for line in DEFAULT_TOML.lines() {
            if let Some(text) = line.strip_prefix('#') {
                comment.push_str(text);
            } else if line.starts_with('[') {
                section = format!("{}.", line.trim_matches(['[', ']']));
                comment.clear();
            } else if let Some((name, _)) = line.split_once(" = ") {
                let env = env_name(&format!("{section}{name}"));
                assert!(comment.contains(&format!(" {env}")), "the comment of {section}{name} does not name {env}");
                assert!(comment.len() > env.len() + 20, "{section}{name} has no explanation");
                comment.clear();
                seen += 1;
            }
        }
        assert_eq!(seen, options().len());
    }

    #[test]
    fn sections_lie_in_sections_and_a_list_is_one_option() {
        assert!(
            is_section("wire") && is_section("wire.order_api") && !is_section("wire.order") && !is_section("ledger")
        );
        assert_eq!(env_name("wire.order_api.auth"), "ORDERMILL_WIRE__ORDER_API__AUTH");
        assert_eq!(option_at("auth.tokens.0.subject"), "auth.tokens");
        assert_eq!(option_at("http.listen"), "http.listen");
        assert_eq!(option_at("nowhere.at.all"), "nowhere.at.all");
    }

    #[test]
    fn suggestions_find_slips_wrong_sections_and_wrong_environment_names() {
        assert_eq!(
            unknown("process.reservation_tll"),
            "there is no such option; did you mean process.reservation_ttl?"
        );
        assert_eq!(unknown("http.undecided_max"), "there is no such option; did you mean intake.undecided_max?");
        assert_eq!(unknown("lisen"), "there is no such option; did you mean http.listen?");
        assert!(unknown("colour").contains("config default"));
        assert!(unknown_section("proces").contains("did you mean process?"));
        assert!(unknown_section("payments").contains("one value"));
        assert!(unknown_section("wire.oder_api").contains("did you mean wire.order_api?"));
        assert!(unknown_env("ORDERMILL_LEGDER").contains("ORDERMILL_LEDGER?"));
        assert!(unknown_env("ORDERMILL_HTTP_LISTEN").contains("ORDERMILL_HTTP__LISTEN?"));
    }
}
