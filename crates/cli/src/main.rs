//! The program `ordermill`: the server, and the command line that talks to it.

mod assembly;
mod command;
mod exit;
mod import;
mod output;
mod progress;
mod shutdown;

use std::process::ExitCode;

use clap::Parser;

use command::{Command, Global};

/// Orders live as many small texts and lists that one thread makes and another drops; glibc's allocator spends a sixth of the
/// server's time on that under load (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes orders and drives each one through payment, stock, confirmation, mail and archive, so that none is lost or counted twice.
#[derive(Parser)]
#[command(name = "ordermill", version, propagate_version = true, arg_required_else_help = true, max_term_width = 110)]
#[command(after_help = "\
Begin with:
  ordermill demo                          see 500 real orders go through
  ordermill serve --data shop             start a server; everything it keeps lies in ./shop
  ordermill product import FILE           fill the catalogue
  ordermill order place --product ID      place an order; add --watch to follow it
  ordermill doctor --data shop            check every order, every cent and every unit

Exit codes: 0 ok, 1 failure, 2 usage or configuration, 3 some input lines refused (no order was made of them), \
4 an invariant is violated, 5 no server answers.")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = cli.command.run(&cli.global);
    exit::report(outcome, cli.global.json)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        fn walk(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path} has no description");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{path}: {} has no description", argument.get_id());
            }
            for sub in command.get_subcommands() {
                walk(sub, &path);
            }
        }
        walk(&Cli::command(), "");
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "ordermill",
            "ordermill serv",
            "ordermill order place --quantity x --product a",
            "ordermill stock adjust a",
            "ordermill invoke order-management",
            "ordermill record list --queued --stored",
            "ordermill order place --mock --product a",
            "ordermill product seed --currency dollars",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        for line in [
            "ordermill order list --status placed --json --url http://127.0.0.1:1",
            "ordermill product seed --currency EUR --json",
            "ordermill bus tail order_queue --last 5 --no-follow",
            "ordermill invoke order-management --payload -",
            "ordermill customer set ann --name Ann",
            "ordermill parcel track ord_1 picked_up --at 2026-01-31T12:00:00Z",
            "ordermill record list --queued --all",
            "ordermill order place --mock --watch",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }
}
