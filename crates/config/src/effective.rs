//! All layers together: what holds, and where it was said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::value::Value;

use crate::layer::{Layer, Place};
use crate::problem::{ConfigError, Problem};
use crate::section::Config;
use crate::suggest::nearest;
use crate::{FILE_NAME, check, schema};

/// An option given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The option: `http.listen`.
    pub key: String,
    /// Its value, as text.
    pub value: String,
    /// How the flag is written, for messages: `--listen`.
    pub written: String,
}

impl Flag {
    /// A flag.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>, written: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into(), written: written.into() }
    }
}

/// One option as it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The option: `http.listen`.
    pub key: String,
    /// Its value, as it would be written in a file.
    pub value: String,
    /// Where it was said.
    pub place: Place,
}

/// A configuration with the place of each of its values.
#[derive(Debug)]
pub struct Effective {
    /// The configuration.
    pub config: Config,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    settings: BTreeMap<String, (Value, Place)>,
}

impl Config {
    /// Reads the defaults, the file (`file`, or `ordermill.toml` in the data directory if it is there), the environment of this
    /// process, and the flags.
    ///
    /// # Errors
    /// [`ConfigError`], with everything that is wrong and where.
    pub fn load(file: Option<&Path>, flags: &[Flag]) -> Result<Self, ConfigError> {
        Effective::load(file, flags).map(|effective| effective.config)
    }

    /// The defaults alone, with this data directory: no file, no environment.
    ///
    /// # Panics
    /// Never: the defaults are valid, as a test shows.
    #[must_use]
    pub fn with_defaults(data: &Path) -> Self {
        let mut config =
            assemble(&[Layer::defaults()], &mut Vec::new()).expect("the defaults are valid, as a test shows");
        config.lay_under_data(data);
        config.data = data.to_owned();
        config
    }
}

impl Effective {
    /// As [`Config::load`], keeping the places.
    ///
    /// # Errors
    /// [`ConfigError`], with everything that is wrong and where.
    pub fn load(file: Option<&Path>, flags: &[Flag]) -> Result<Self, ConfigError> {
        // A value that is not UTF-8 is kept, mangled: it is then refused with its name.
        let variables = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
        Self::from_layers(file, variables, flags)
    }

    fn from_layers(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
        flags: &[Flag],
    ) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let environment = Layer::env(variables, &mut problems);
        let written = flags.iter().map(|flag| (flag.key.as_str(), flag.value.as_str(), flag.written.as_str()));
        let flags = Layer::flags(written, &mut problems);
        let defaults = Layer::defaults();
        let found = match file {
            Some(path) => Some((path.to_owned(), read(path)?)),
            None => beside_data(&[&defaults, &environment, &flags])?,
        };
        let (file_path, file_layer) = match found {
            Some((path, text)) => {
                let layer = Layer::file(&path, &text, &mut problems);
                if file.is_none() {
                    refuse_data(&layer, &mut problems);
                }
                (Some(path), layer)
            }
            None => (None, Layer::default()),
        };
        let layers = [defaults, file_layer, environment, flags];
        let config = assemble(&layers, &mut problems);
        let Some(mut config) = config.filter(|_| problems.is_empty()) else {
            return Err(ConfigError::Invalid(problems));
        };
        let data = config.data.clone();
        config.lay_under_data(&data);
        // The first layer is the defaults.
        config.http.is_listen_given = layers.iter().skip(1).any(|layer| layer.settings.contains_key("http.listen"));
        let settings = layers.into_iter().flat_map(|layer| layer.settings).collect();
        Ok(Self { config, file: file_path, settings })
    }

    /// What is wrong with an option, with its place.
    #[must_use]
    pub fn problem(&self, key: &str, message: String) -> Problem {
        let place = self.settings.get(key).map_or(Place::Default, |(_, place)| place.clone());
        Problem { place, key: Some(key.to_owned()), message }
    }

    /// Every option, by key.
    pub fn settings(&self) -> impl Iterator<Item = Setting> {
        self.settings.iter().map(|(key, (value, place))| Setting {
            key: key.clone(),
            value: written(value),
            place: place.clone(),
        })
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// The file in the data directory, if it is there.
fn beside_data(layers: &[&Layer]) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let data = layers.iter().rev().find_map(|layer| layer.settings.get("data")).and_then(|(value, _)| value.as_str());
    let path = Path::new(data.unwrap_or_default()).join(FILE_NAME);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Unreadable { path, source }),
    }
}

/// A file that was found in the data directory cannot say where the data directory is.
fn refuse_data(layer: &Layer, problems: &mut Vec<Problem>) {
    if let Some((_, place)) = layer.settings.get("data") {
        let message = "this file was found in the data directory, so it cannot name another; use --data, ORDERMILL_DATA \
                       or a file given with --config";
        problems.push(Problem { place: place.clone(), key: Some("data".to_owned()), message: message.to_owned() });
    }
}

/// Lays the layers over each other. Every bad value is reported, not only the first: one that was is put back to its default
/// before the rest is looked at.
fn assemble(layers: &[Layer], problems: &mut Vec<Problem>) -> Option<Config> {
    let place_of = |key: &str| {
        let place = layers.iter().rev().find_map(|layer| layer.settings.get(key)).map(|(_, place)| place.clone());
        place.unwrap_or(Place::Default)
    };
    let mut figment = layers.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
    let config = loop {
        match figment.extract::<Config>() {
            Ok(config) => break config,
            Err(error) => {
                let path = error.path.join(".");
                // Within a list the path goes on behind the option.
                let key = schema::option_at(&path);
                let default = schema::options().get(key);
                problems.push(Problem {
                    place: place_of(key),
                    key: Some(path.clone()),
                    message: describe(&error.kind, schema::is_about_secrets(&path)),
                });
                let default = Value::serialize(default?).ok()?;
                figment = figment.merge((key, default));
            }
        }
    };
    let found = check::problems(&config);
    problems.extend(found.into_iter().map(|(key, message)| Problem {
        place: place_of(key),
        key: Some(key.to_owned()),
        message,
    }));
    Some(config)
}

fn describe(kind: &Kind, is_secret: bool) -> String {
    match kind {
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) if is_secret => {
            format!("must be {}", plain(expected))
        }
        Kind::UnknownField(given, known) => {
            let hint = nearest(given, known.iter().copied()).map(|near| format!("; did you mean {near:?}?"));
            format!("has no {given:?}, only {}{}", known.join(", "), hint.unwrap_or_default())
        }
        Kind::MissingField(name) => format!("must have {name:?}"),
        Kind::UnknownVariant(given, known) => {
            let listed: Vec<String> = known.iter().map(|name| format!("{name:?}")).collect();
            let hint = nearest(given, known.iter().copied()).map(|near| format!("; did you mean {near:?}?"));
            format!("{given:?} must be one of {}{}", listed.join(", "), hint.unwrap_or_default())
        }
        Kind::InvalidType(given, expected) => format!("must be {}, not {given}", plain(expected)),
        Kind::InvalidValue(given, expected) => format!("must be {}, not {given}", plain(expected)),
        Kind::Message(message) => message.clone(),
        other => other.to_string(),
    }
}

/// Rust's names of types say nothing to an operator.
fn plain(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative",
        "i64" => "a whole number",
        "f64" => "a number",
        "path string" | "a string" => "a text in quotes",
        "a sequence" => "a list in square brackets",
        other => other,
    }
}

/// A value as it would be written in a file.
fn written(value: &Value) -> String {
    match value {
        Value::String(_, text) => toml::Value::String(text.clone()).to_string(),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, number) => match (number.to_i128(), number.to_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(fraction)) => toml::Value::Float(fraction).to_string(),
            (None, None) => String::new(),
        },
        Value::Array(_, entries) => format!("[{}]", entries.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Dict(_, fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name} = {}", written(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        // TOML has neither.
        Value::Char(..) | Value::Empty(..) => String::new(),
    }
}

#[cfg(test)]
#[path = "effective_tests.rs"]
mod tests;
