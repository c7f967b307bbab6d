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
            Ok(table) => reader.root(table.into_inner()),
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
                Some((key, default)) => {
                    layer.settings.insert(key.clone(), (text_value(&text, default), place));
                }
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
                Some(default) => {
                    layer.settings.insert(key.to_owned(), (text_value(text, default), place));
                }
                None => {
                    problems.push(Problem { place, key: Some(key.to_owned()), message: schema::unknown(key) });
                }
            }
        }
        layer
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut root = Dict::new();
        for (key, (value, _)) in &self.settings {
            match key.split_once('.') {
                None => {
                    root.insert(key.clone(), value.clone());
                }
                Some((section, name)) => {
                    let section = root.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
                    if let Value::Dict(_, dict) = section {
                        dict.insert(name.to_owned(), value.clone());
                    }
                }
            }
        }
        Ok(Profile::Default.collect(root))
    }
}

fn figment_value(value: &toml::Value) -> Value {
    Value::serialize(value).expect("TOML values are plain data, which always serializes")
}

/// A text from outside as the kind of value the option has. What does not fit stays a text and is refused later, with its place.
fn text_value(text: &str, default: &toml::Value) -> Value {
    let parsed = match default {
        toml::Value::Integer(_) => text.replace('_', "").parse::<i64>().ok().map(Value::from),
        toml::Value::Float(_) => text.parse::<f64>().ok().map(Value::from),
        toml::Value::Boolean(_) => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::from(text))
}

struct FileReader<'a> {
    path: &'a Path,
    text: &'a str,
    problems: &'a mut Vec<Problem>,
    layer: Layer,
}

impl FileReader<'_> {
    fn root(&mut self, table: DeTable<'_>) {
        for (name, value) in table {
            let offset = name.span().start;
            let name = name.into_inner();
            let span = value.span();
            match (value.into_inner(), schema::is_section(&name)) {
                (DeValue::Table(section), true) => self.section(&name, section),
                (DeValue::Table(_), false) => {
                    let message = schema::unknown_section(&name);
                    self.report(offset, Some(name.into_owned()), message);
                }
                (_, true) => self.report(offset, Some(name.to_string()), format!("is a section: write [{name}]")),
                (value, false) => self.setting(name.into_owned(), offset, Spanned::new(span, value)),
            }
        }
    }

    fn section(&mut self, section: &str, table: DeTable<'_>) {
        for (name, value) in table {
            self.setting(format!("{section}.{}", name.get_ref()), name.span().start, value);
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
