//! `ordermill completions SHELL`

use std::io::{self, Write};

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;
use crate::exit::Exit;

/// Arguments of `completions`.
#[derive(clap::Args)]
#[command(after_help = "\
For bash:  ordermill completions bash > ~/.local/share/bash-completion/completions/ordermill
For zsh:   ordermill completions zsh > \"${fpath[1]}/_ordermill\"
For fish:  ordermill completions fish > ~/.config/fish/completions/ordermill.fish")]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the completions.
pub fn run(args: Args) -> Result<Exit> {
    // The generator panics when it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ordermill", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Exit::Ok)
}
