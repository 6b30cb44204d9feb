//! What the command-line examples have in common: bad input is one line on stderr, and exit code 2.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

/// Parses the arguments and runs with them.
pub fn main<A: Parser>(run: impl FnOnce(&A) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(help) if !help.use_stderr() => help.exit(),
        Err(error) => return refuse(&first_paragraph(&error.to_string())),
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&format!("error: {}", error.to_string().replace('\n', " "))),
    }
}

fn refuse(line: &str) -> ExitCode {
    eprintln!("{line}");
    ExitCode::from(2)
}

/// What clap says is wrong, in one line, without the usage below it.
fn first_paragraph(message: &str) -> String {
    let lines = message.lines().take_while(|line| !line.is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}
