//! Output of results: to files, or stdout as JSON, as a table, as a TREC run.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use maxfold::eval::Run;
use serde::Serialize;

/// Writes to a file, or to stdout.
pub fn write(file: Option<&Path>, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let (mut to, name): (Box<dyn Write>, _) = match file {
        None => (Box::new(io::stdout().lock()), "stdout".into()),
        Some(path) => {
            let create = File::create(path).map(|file| -> Box<dyn Write> { Box::new(file) });
            (
                create.map_err(|error| cannot_write(path.display(), error))?,
                path.display().to_string(),
            )
        }
    };
    let written = to.write_all(bytes).and_then(|()| to.flush());
    Ok(written.map_err(|error| cannot_write(name, error))?)
}

fn cannot_write(name: impl std::fmt::Display, error: io::Error) -> String {
    format!("cannot write {name}: {error}")
}

/// Writes one JSON document.
pub fn json(file: Option<&Path>, value: &impl Serialize) -> Result<(), Box<dyn Error>> {
    let mut text = serde_json::to_vec(value)?;
    if file.is_none() {
        text.push(b'\n');
    }
    write(file, &text)
}

/// Prints a table: columns as wide as their widest cell, numbers to be compared one below the other.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Result<(), Box<dyn Error>> {
    let lines = aligned(head, rows).into_iter();
    let text: String = lines.map(|line| line.join("  ").trim_end().to_owned() + "\n").collect();
    write(None, text.as_bytes())
}

/// The lines of a table, its head first, with cells as wide as the widest of their column.
pub fn aligned<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Vec<[String; N]> {
    let head = head.map(str::to_owned);
    let lines = || std::iter::once(&head).chain(rows);
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines().map(|line| line[column].chars().count()).max().unwrap_or(0)
    });
    let padded = |line: &[String; N]| {
        std::array::from_fn(|column| format!("{:width$}", line[column], width = widths[column]))
    };
    lines().map(padded).collect()
}

/// Writes a TREC run.
pub fn run(file: &Path, run: &Run) -> Result<(), Box<dyn Error>> {
    write(Some(file), run.to_trec("maxfold")?.as_bytes())
}

/// The number of 64 bits that is written with the same digits: a run keeps scores in 64 bits, where
/// 0.1 of 32 bits is 0.10000000149011612.
pub fn decimal(score: f32) -> f64 {
    score.to_string().parse().unwrap_or_else(|_| score.into())
}
