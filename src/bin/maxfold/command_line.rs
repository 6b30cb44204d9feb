//! Command lines and exit codes: one line on stderr, and 2 for wrong usage, 1 for what failed.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use clap::Parser;

/// Wrong usage: a command line that asks for what cannot be, whatever the files hold.
#[derive(Debug)]
pub struct Usage(String);

impl Usage {
    pub fn new(message: impl ToString) -> Self {
        Self(message.to_string())
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Usage {}

/// Parses the arguments and runs with them.
pub fn main<A: Parser>(run: impl FnOnce(&A) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(help) if !help.use_stderr() => help.exit(),
        Err(error) => return refuse(&first_paragraph(&error.to_string()), 2),
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("error: {}", error.to_string().replace('\n', " "));
            refuse(&line, if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

fn refuse(line: &str, code: u8) -> ExitCode {
    eprintln!("{line}");
    ExitCode::from(code)
}

/// The fault that clap found, in one line, without the usage below it.
fn first_paragraph(message: &str) -> String {
    let lines = message.lines().take_while(|line| !line.is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}
