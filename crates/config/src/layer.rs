//! One layer of settings: where each was said, and its value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::problem::Problem;
use crate::{ENV_OTHER, ENV_PREFIX, schema};

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The embedded defaults.
    Default,
    /// A file, at this line, counted from 1.
    File(PathBuf, usize),
    /// This environment variable.
    Env(String),
    /// This flag: `--listen`.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One layer. Later layers win, option by option.
#[derive(Debug, Default)]
pub struct Layer {
    name: &'static str,
    /// By key.
    pub settings: BTreeMap<String, (Value, Place)>,
}

impl Layer {
    /// The embedded defaults.
    pub fn defaults() -> Self {
        let settings = schema::options()
            .iter()
            .map(|(key, value)| (key.clone(), (figment_value(value), Place::Default)))
            .collect();
        Self { name: "defaults", settings }
    }

    /// A file's text. What is no option goes to `problems`.
    pub fn file(path: &Path, text: &str, problems: &mut Vec<Problem>) -> Self {
        let mut reader = FileReader { path, text, problems, layer: Self { name: "file", ..Self::default() } };
        match DeTable::parse(text) {
            Ok(table) => reader.section("", table.into_inner()),
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                reader.report(offset, None, error.message().to_owned());
            }
        }
        reader.layer
    }

    /// The environment. Names that are not ours are passed over; names of ours that are no option go to `problems`.
    pub fn env(variables: impl IntoIterator<Item = (String, String)>, problems: &mut Vec<Problem>) -> Self {
        let mut layer = Self { name: "environment", ..Self::default() };
        for (name, text) in variables {
            if !name.starts_with(ENV_PREFIX) || ENV_OTHER.contains(&name.as_str()) {
                continue;
            }
            let place = Place::Env(name.clone());
            match schema::options().iter().find(|(key, _)| schema::env_name(key) == name) {
                Some((key, default)) => layer.insert_text(key, &text, default, place, problems),
                None => problems.push(Problem { place, key: None, message: schema::unknown_env(&name) }),
            }
        }
        layer
    }

    /// Flags: key, text, and how the flag is written.
    pub fn flags<'a>(
        flags: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut layer = Self { name: "flags", ..Self::default() };
        for (key, text, written) in flags {
            let place = Place::Flag(written.to_owned());
            match schema::options().get(key) {
                Some(default) => layer.insert_text(key, text, default, place, problems),
                None => {
                    problems.push(Problem { place, key: Some(key.to_owned()), message: schema::unknown(key) });
                }
            }
        }
        layer
    }

    fn insert_text(&mut self, key: &str, text: &str, default: &toml::Value, place: Place, problems: &mut Vec<Problem>) {
        match text_value(text, default) {
            Ok(value) => {
                self.settings.insert(key.to_owned(), (value, place));
            }
            Err(message) => problems.push(Problem { place, key: Some(key.to_owned()), message: message.to_owned() }),
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut root = Dict::new();
        for (key, (value, _)) in &self.settings {
            put(&mut root, key, value.clone());
        }
        Ok(Profile::Default.collect(root))
    }
}

/// Puts a value into the section of its key, and that into the section around it.
fn put(dict: &mut Dict, key: &str, value: Value) {
    let Some((section, rest)) = key.split_once('.') else {
        dict.insert(key.to_owned(), value);
        return;
    };
    if let Value::Dict(_, inner) = dict.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new())) {
        put(inner, rest, value);
    }
}

fn figment_value(value: &toml::Value) -> Value {
    Value::serialize(value).expect("TOML values are plain data, which always serializes")
}

/// A text from outside as the kind of value the option has. What does not fit stays a text and is refused later, with its place;
/// a list that is none is refused here, unseen, as it may hold a secret.
fn text_value(text: &str, default: &toml::Value) -> Result<Value, &'static str> {
    let parsed = match default {
        toml::Value::Integer(_) => text.replace('_', "").parse::<i64>().ok().map(Value::from),
        toml::Value::Float(_) => text.parse::<f64>().ok().map(Value::from),
        toml::Value::Boolean(_) => text.parse::<bool>().ok().map(Value::from),
        toml::Value::Array(_) => return list(text),
        _ => None,
    };
    Ok(parsed.unwrap_or_else(|| Value::from(text)))
}

/// A list as it is written in a file: `["a", "b"]`, or `[{name = "a"}, {name = "b"}]`.
fn list(text: &str) -> Result<Value, &'static str> {
    let document: toml::Table = format!("list = {}", text.trim()).parse().map_err(|_| NO_LIST)?;
    match document.get("list") {
        Some(list) if list.is_array() && document.len() == 1 => Ok(figment_value(list)),
        _ => Err(NO_LIST),
    }
}

const NO_LIST: &str = r#"must be a list as in a file, such as ["a", "b"] or [{name = "a"}, {name = "b"}]"#;

struct FileReader<'a> {
    path: &'a Path,
    text: &'a str,
    problems: &'a mut Vec<Problem>,
    layer: Layer,
}

impl FileReader<'_> {
    /// Reads a section, and the sections in it; the one without a name is the file.
    fn section(&mut self, section: &str, table: DeTable<'_>) {
        for (name, value) in table {
            let offset = name.span().start;
            let key = schema::join(section, name.get_ref());
            let span = value.span();
            match (value.into_inner(), schema::is_section(&key)) {
                (DeValue::Table(inner), true) => self.section(&key, inner),
                (DeValue::Table(_), false) => {
                    let message = schema::unknown_section(&key);
                    self.report(offset, Some(key), message);
                }
                (_, true) => {
                    let message = format!("is a section: write [{key}]");
                    self.report(offset, Some(key), message);
                }
                (value, false) => self.setting(key, offset, Spanned::new(span, value)),
            }
        }
    }

    fn setting(&mut self, key: String, offset: usize, value: Spanned<DeValue<'_>>) {
        let Some(default) = schema::options().get(&key) else {
            let message = schema::unknown(&key);
            return self.report(offset, Some(key), message);
        };
        match toml::Value::deserialize(ValueDeserializer::from(value)) {
            // A whole number stands for a fraction too: 0 for 0.0.
            Ok(toml::Value::Integer(whole)) if default.is_float() => {
                self.insert(key, offset, Value::from(whole as f64));
            }
            Ok(value) => self.insert(key, offset, figment_value(&value)),
            Err(error) => self.report(offset, Some(key), error.message().to_owned()),
        }
    }

    fn insert(&mut self, key: String, offset: usize, value: Value) {
        let place = Place::File(self.path.to_owned(), self.line(offset));
        self.layer.settings.insert(key, (value, place));
    }

    fn report(&mut self, offset: usize, key: Option<String>, message: String) {
        let place = Place::File(self.path.to_owned(), self.line(offset));
        self.problems.push(Problem { place, key, message });
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
    }
}
