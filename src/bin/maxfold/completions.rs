//! `maxfold completions`: a script that completes commands and options in a shell.

use std::error::Error;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::{Cli, output};

/// Prints a script that completes commands and options in a shell.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  maxfold completions bash > ~/.local/share/bash-completion/completions/maxfold"
)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    // Not to stdout at once: clap_complete panics where that can't be written.
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "maxfold", &mut script);
    output::write(None, &script)
}
