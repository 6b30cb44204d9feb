//! Why late interaction is worth it, on real input: a small handbook, recalled with one vector a
//! section and reranked with one vector a token. Its collection is made on the first run.
//!
//! ```sh
//! cargo run --release --example quickstart
//! ```

#[path = "../../src/bin/maxfold/backend.rs"]
mod backend;
#[path = "../../src/bin/maxfold/command_line.rs"]
mod command_line;
mod handbook;
#[path = "../../src/bin/maxfold/headless.rs"]
mod headless;
mod report;
mod stored;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use backend::BackendArgs;
use clap::Parser;
use handbook::{Handbook, Question};
use maxfold::collection::Vector;
use maxfold::filter::PointId;
use maxfold::rerank::Reranker;
use maxfold::search::{Prefetch, QueryRequest, QueryResponse, Searcher, SearcherOptions};
use report::{Answer, Outcome};
use stored::Stored;

/// Searches a bicycle handbook, with and without late interaction.
#[derive(Parser)]
#[command(name = "quickstart")]
struct Args {
    #[command(flatten)]
    backend: BackendArgs,
    /// The directory of the collection; by default one beside this program.
    #[arg(long, value_name = "DIR")]
    collection: Option<PathBuf>,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Sections that recall hands to the rerank.
const PREFETCH: usize = 50;

/// Sections of an answer.
const LIMIT: usize = 10;

fn main() -> ExitCode {
    headless::no_display_wanted();
    command_line::main(run)
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut handbook = Handbook::embedded()?;
    let Stored { collection, temporary: _temporary } =
        Stored::open(args.collection.as_deref(), &handbook)?;
    let reranker = Reranker::with_options(&args.backend.options()?)?;
    let searcher = Searcher::with_options(collection, SearcherOptions::new().reranker(reranker))?;
    let prepared = start.elapsed();

    let mut answers = Vec::new();
    for question in std::mem::take(&mut handbook.questions) {
        answers.push(answer(&searcher, question)?);
    }
    let outcome =
        Outcome { handbook, answers, prepared, execution: searcher.reranker().execution() };
    if args.json {
        println!("{}", outcome.to_json()?);
    } else {
        outcome.print()?;
    }
    Ok(searcher.close()?)
}

/// The ranking of recall alone, and that after the rerank of all that it found.
fn answer(searcher: &Searcher, question: Question) -> Result<Answer, Box<dyn Error>> {
    let dense = || question.dense.clone();
    let recall = QueryRequest::new(dense()).using("dense").limit(PREFETCH);
    let rerank = QueryRequest::new(Vector::from(question.tokens.view()))
        .using("tokens")
        .prefetch(Prefetch::new(dense()).using("dense").limit(PREFETCH))
        .limit(PREFETCH);
    let responses = searcher.query_batch(&[recall, rerank])?;
    let [recalled, reranked] = responses.as_slice() else {
        return Err("expected two answers to two requests".into());
    };
    let plan = reranked.plan.clone();
    Ok(Answer { question, recalled: ranking(recalled), reranked: ranking(reranked), plan })
}

fn ranking(response: &QueryResponse) -> Vec<(u64, f32)> {
    let ranked = response.points.iter().map(|point| match point.id {
        PointId::Number(id) => Some((id, point.score)),
        PointId::Uuid(_) => None,
    });
    ranked.flatten().collect()
}
