//! `ordermill config show|check|default`

use anyhow::Result;
use ordermill_config::{DEFAULT_TOML, Effective, Place};
use serde_json::json;

use super::{ConfigArgs, Global};
use crate::assembly;
use crate::exit::Exit;
use crate::output::{self, Align};

/// Arguments of `config`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print every option as it holds, and where it was said.
    Show(ConfigArgs),
    /// Read the configuration and say whether it is valid; exit code 2 if not.
    Check(ConfigArgs),
    /// Print the documented defaults: every option with its meaning and its environment name.
    Default,
}

/// Shows or checks the configuration.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    match args.command {
        Command::Show(config) => show(&config.load(Vec::new())?, global)?,
        Command::Check(config) => {
            let effective = config.load(Vec::new())?;
            assembly::check(&effective)?;
            check(&effective, global)?;
        }
        Command::Default => output::line(DEFAULT_TOML.trim_end())?,
    }
    Ok(Exit::Ok)
}

fn show(effective: &Effective, global: &Global) -> Result<()> {
    let settings: Vec<_> = effective.settings().collect();
    if global.json {
        let entries: Vec<_> = settings
            .iter()
            .map(|setting| json!({ "option": setting.key, "value": setting.value, "from": setting.place.to_string() }))
            .collect();
        output::json_lines(&entries)?;
        return Ok(());
    }
    let rows =
        settings.into_iter().map(|setting| vec![setting.key, setting.value, setting.place.to_string()]).collect();
    output::table(&[("option", Align::Left), ("value", Align::Left), ("from", Align::Left)], rows)?;
    Ok(())
}

fn check(effective: &Effective, global: &Global) -> Result<()> {
    let changed = effective.settings().filter(|setting| setting.place != Place::Default).count();
    let file = effective.file.as_ref().map(|file| file.display().to_string());
    if global.json {
        output::json(&json!({ "valid": true, "file": file, "options_set": changed }))?;
        return Ok(());
    }
    let file = file.map_or_else(|| "no file".to_owned(), |file| format!("file {file}"));
    output::line(format_args!("the configuration is valid: {file}, {changed} options set"))?;
    Ok(())
}
