//! `maxfold`, the program: what the library does, for the command line and for other languages.
//!
//! A command is a module with its arguments and a function `run`. Exit codes: 0; 1 for what failed,
//! 2 for wrong usage, each with one line on stderr that begins with `error:`.

mod adapters;
mod backend;
mod backup;
mod cleanup;
mod command_line;
mod completions;
mod document;
mod evaluate;
mod explain;
mod headless;
mod ingest;
mod model;
mod output;
mod progress;
mod score;
mod search;
mod serve;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Late-interaction reranking: scores and searches with MaxSim, on a GPU or the CPU.
#[derive(Parser)]
#[command(name = "maxfold", version, arg_required_else_help = false)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

// What is done with files of vectors, with collections, with results; then what helps.
#[derive(Subcommand)]
enum Command {
    Score(score::Args),
    Ingest(ingest::Args),
    Search(search::Args),
    Explain(explain::Args),
    Serve(serve::Args),
    Evaluate(evaluate::Args),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Compact(backup::CompactArgs),
    Adapters(adapters::Args),
    Completions(completions::Args),
}

fn main() -> ExitCode {
    headless::no_display_wanted();
    command_line::main(run)
}

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    match &cli.command {
        Command::Score(args) => score::run(args),
        Command::Ingest(args) => ingest::run(args),
        Command::Search(args) => search::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Backup(args) => backup::backup(args),
        Command::Restore(args) => backup::restore(args),
        Command::Compact(args) => backup::compact(args),
        Command::Adapters(args) => adapters::run(args),
        Command::Completions(args) => completions::run(args),
    }
}
