//! `peers agree`: the same points in Maxfold and in Qdrant Edge, the same requests to both.
//!
//! | file | holds |
//! |---|---|
//! | `points.rs`, `filters.rs`, `requests.rs` | what is asked of what, at random |
//! | `engines.rs` | both engines |
//! | `reference.rs` | scores in f64, and how far rounding takes them |
//! | `lists.rs` | two lists of results, place by place |
//! | `verdict.rs` | whether two answers are one, and if not, why |

pub mod engines;
mod filters;
mod lists;
mod points;
mod reference;
mod requests;
mod verdict;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use qdrant_edge::VectorStorageDatatype;
use rand::SeedableRng;
use rand::rngs::StdRng;

use engines::Engines;
use points::Sample;
use requests::Shape;
use verdict::{Judge, Kind, Verdict};

/// Asks Maxfold and Qdrant Edge the same, and compares the answers.
#[derive(clap::Args)]
pub struct Options {
    /// Points in each of the collections.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..))]
    points: u32,
    /// Requests, each with Edge's multivectors in float16 and in float32.
    #[arg(long, default_value_t = 500)]
    requests: u32,
    /// Other points, other requests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the requests in whose answers an index of Edge shows.
    #[arg(long)]
    verbose: bool,
}

/// What came of the requests of a shape.
#[derive(Default)]
struct Tally {
    kinds: BTreeMap<Kind, usize>,
    hits: usize,
    empty: usize,
    error: f64,
}

type Tallies = BTreeMap<Shape, Tally>;

/// Unexplained differences that are printed in full.
const PRINTED: usize = 5;

/// # Errors
/// An engine fails; an answer differs and rounding doesn't explain it.
pub fn run(options: &Options) -> Result<()> {
    let points = points::points(options.points as usize, options.seed);
    let mut unexplained = 0;
    for (name, datatype) in
        [("float16", VectorStorageDatatype::Float16), ("float32", VectorStorageDatatype::Float32)]
    {
        let folder = tempfile::tempdir()?;
        let engines = Engines::new(&points, datatype, folder.path())?;
        let tallies = compare(options, &points, &engines);
        println!("{}", table(name, &tallies));
        unexplained += count(&tallies, Kind::Unexplained);
    }
    ensure!(unexplained == 0, "{unexplained} answers differ, and rounding doesn't explain it");
    Ok(())
}

fn compare(options: &Options, points: &[Sample], engines: &Engines) -> Tallies {
    let judge = Judge::new(points);
    // The same requests for both types.
    let mut rng = StdRng::seed_from_u64(!options.seed);
    let mut tallies = Tallies::new();
    for _ in 0..options.requests {
        let asked = requests::request(&mut rng, points);
        let verdict = judge.judge(engines, &asked);
        let print = match verdict.kind {
            Kind::Unexplained => count(&tallies, Kind::Unexplained) < PRINTED,
            Kind::EdgeIndex => options.verbose,
            _ => false,
        };
        if print {
            eprintln!("{}: {}\n    {}", verdict.kind.title(), verdict.why, asked.body);
        }
        tallies.entry(asked.shape).or_default().add(&verdict);
    }
    tallies
}

impl Tally {
    fn add(&mut self, verdict: &Verdict) {
        *self.kinds.entry(verdict.kind).or_default() += 1;
        self.hits += verdict.hits;
        self.empty += usize::from(verdict.hits == 0);
        self.error = self.error.max(verdict.error);
    }
}

fn count(tallies: &Tallies, kind: Kind) -> usize {
    tallies.values().filter_map(|it| it.kinds.get(&kind)).sum()
}

/// A Markdown table, a row for each shape.
fn table(datatype: &str, tallies: &Tallies) -> String {
    let requests: usize = tallies.values().flat_map(|it| it.kinds.values()).sum();
    let differing = requests - count(tallies, Kind::Same);
    let titles = Kind::ALL.map(Kind::title).join(" | ");
    let mut lines = vec![
        format!("## Qdrant Edge's multivectors in {datatype}\n"),
        format!("{requests} requests compared, {differing} differ.\n"),
        format!(
            "| | requests | {titles} | hits | without hits | largest difference, of the bound |"
        ),
        format!("|{}", " --- |".repeat(Kind::ALL.len() + 5)),
    ];
    for shape in Shape::ALL {
        let Some(tally) = tallies.get(&shape) else { continue };
        let kinds = Kind::ALL.map(|kind| tally.kinds.get(&kind).copied().unwrap_or(0));
        let requests: usize = kinds.iter().sum();
        let kinds = kinds.map(|it| it.to_string()).join(" | ");
        let Tally { hits, empty, error, .. } = tally;
        let title = shape.title();
        lines.push(format!("| {title} | {requests} | {kinds} | {hits} | {empty} | {error:.4} |"));
    }
    lines.join("\n") + "\n"
}
