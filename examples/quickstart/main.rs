//! Why late interaction is worth it, on real input: a small handbook, recalled with one vector a
//! section and reranked with one vector a token.
//!
//! ```sh
//! cargo run --release --example quickstart
//! ```

mod handbook;
#[path = "../support/headless.rs"]
mod headless;
mod report;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use handbook::{Handbook, Question, Section};
use maxfold::gpu::GpuOptions;
use maxfold::rerank::{Backend, Reranker, RerankerOptions};
use maxfold::search::{EngineConfig, Request, Response, SearchEngine};
use report::{Answer, Outcome};

/// Searches a bicycle handbook, with and without late interaction.
#[derive(Parser)]
#[command(name = "quickstart")]
struct Args {
    /// auto, cpu or gpu; gpu takes a software adapter if there is no other.
    #[arg(long, default_value_t)]
    backend: Backend,
    /// Part of the GPU adapter's name, in any case.
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
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
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let handbook = Handbook::embedded()?;
    let sections = handbook.sections.len();
    let mut engine = SearchEngine::new(config(args)?)?;
    engine.add(handbook.sections)?;
    let prepared = start.elapsed();

    let mut answers = Vec::new();
    for question in handbook.questions {
        answers.push(answer(&engine, question)?);
    }
    let outcome = Outcome { sections, answers, qrels: handbook.qrels, prepared };
    if args.json {
        println!("{}", outcome.to_json(&engine)?);
    } else {
        outcome.print(&engine)?;
    }
    Ok(())
}

fn config(args: &Args) -> maxfold::Result<EngineConfig> {
    let mut gpu = GpuOptions::default();
    if let Some(name) = &args.adapter {
        gpu = gpu.adapter(name);
    }
    let options = RerankerOptions { backend: args.backend, gpu, ..Default::default() };
    // all-MiniLM-L6-v2: 384 dimensions; its token vectors were projected to 128.
    Ok(EngineConfig::new(384, 128).reranker(Reranker::with_options(&options)?))
}

/// Asks for every prefetched section, so that both rankings can be told from one response.
fn answer(engine: &SearchEngine<Section>, question: Question) -> maxfold::Result<Answer> {
    let request = Request::new(&question.dense, question.tokens.view());
    let Response { hits, report } = engine.search(&request.prefetch(PREFETCH).limit(PREFETCH))?;
    let reranked = hits.iter().map(|hit| (hit.id, hit.score)).collect();
    let mut recalled: Vec<_> =
        hits.iter().filter_map(|hit| Some((hit.recall?.rank, hit.id, hit.recall?.score))).collect();
    recalled.sort_unstable_by_key(|&(rank, ..)| rank);
    let recalled = recalled.into_iter().map(|(_, id, score)| (id, score)).collect();
    Ok(Answer { question, recalled, reranked, report })
}
