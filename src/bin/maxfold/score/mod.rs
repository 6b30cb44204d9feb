//! `maxfold score`: token matrices in, MaxSim scores out, for other languages to use and to check.

mod items;
mod report;
mod scoring;

use std::error::Error;
use std::path::PathBuf;

use clap::ValueEnum;
use maxfold::gpu::ShaderVariant;
use maxfold::maxsim::{CpuMaxSim, InstructionSet};
use maxfold::rerank::{Backend, Reranker, RerankerOptions};

use crate::adapters;
use crate::backend::{BackendArgs, implied};
use crate::cleanup::CleanupArgs;
use crate::command_line::Usage;
use items::Items;
use scoring::Job;

/// Scores every query against every document with MaxSim.
///
/// Each file holds `tokens` [sum of tokens, dim] (F16, BF16 or F32), `offsets` [items + 1] (any
/// integer type), and in its metadata, if items have them, `ids` (a JSON list of strings). Without
/// --output, --run and --json, the best documents are printed as a table.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  maxfold score --queries Q.safetensors --docs D.safetensors --top-k 100 --run RUN.trec"
)]
pub struct Args {
    /// Safetensors file with the queries' `tokens` and `offsets`.
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    queries: Option<PathBuf>,
    /// Safetensors file with the documents' `tokens` and `offsets`.
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    docs: Option<PathBuf>,
    /// File for the JSON result.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// File for a TREC run, by the ids that the files have, or else by positions from 0.
    #[arg(long, value_name = "FILE")]
    run: Option<PathBuf>,
    /// Prints the JSON result.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
    /// An instruction set (on the CPU) or a shader variant (on the GPU); see --list.
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Sends documents to the GPU along with every query, or keeps them in its memory.
    #[arg(long, value_name = "STORE", default_value = "streamed")]
    store: Store,
    /// Threads of the CPU backend, at most 256 or one a core; by default one a core.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Only each query's best K documents, instead of all scores; in the table 10 by default.
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Times that everything is scored; each is timed.
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    #[command(flatten)]
    cleanup: CleanupArgs,
    /// Prints the adapters, instruction sets and shader variants of this machine.
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Streamed,
    Resident,
}

/// Documents a query in the table.
const DEFAULT_TOP_K: usize = 10;

impl Args {
    /// Returns `true` if the result is printed as a table, because nothing else was asked for.
    fn table(&self) -> bool {
        self.output.is_none() && self.run.is_none() && !self.json
    }
}

pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if args.list {
        return adapters::list();
    }
    // clap lets nobody past who gave neither --list nor these.
    let (Some(queries), Some(docs)) = (&args.queries, &args.docs) else {
        return Err(Usage::new("expected --queries and --docs").into());
    };
    let options = options(args)?;
    let queries = Items::read(queries, args.cleanup.cleanup())?;
    let docs = Items::read(docs, args.cleanup.cleanup())?;
    if queries.tokens.dim() != docs.tokens.dim() {
        let (queries, docs) = (queries.tokens.dim(), docs.tokens.dim());
        return Err(format!("expected documents of dimension {queries}, got {docs}").into());
    }
    let job = Job {
        reranker: &Reranker::with_options(&options)?,
        queries: &queries.tokens,
        docs: &docs.tokens,
        top_k: args.top_k.or(args.table().then_some(DEFAULT_TOP_K)),
        repeat: args.repeat,
    };
    let scoring = match args.store {
        Store::Streamed => job.streamed()?,
        Store::Resident => job.resident()?,
    };
    for items in [&queries, &docs] {
        args.cleanup.warn(&items.file, items.found, false);
    }
    report::write(args, &scoring, &queries, &docs)
}

/// Options that the arguments ask for. The name of a variant or of an adapter implies its backend.
fn options(args: &Args) -> Result<RerankerOptions, Usage> {
    let (mut backend, mut gpu) = args.backend.choice()?;
    let mut cpu = CpuMaxSim::new();
    if let Some(threads) = args.threads {
        cpu = cpu.with_threads(threads).map_err(Usage::new)?;
    }
    if args.store == Store::Resident {
        backend = implied(backend, "--store resident", Backend::Gpu)?;
    }
    match args.variant.as_deref().map(variant).transpose()? {
        None => {}
        Some(Variant::Cpu(instructions)) => {
            backend = implied(backend, "this --variant", Backend::Cpu)?;
            cpu = cpu.with_instruction_set(instructions);
        }
        Some(Variant::Gpu(variant)) => {
            backend = implied(backend, "this --variant", Backend::Gpu)?;
            gpu = gpu.variant(variant);
        }
    }
    Ok(RerankerOptions::new().backend(backend).cpu(cpu).gpu(gpu))
}

enum Variant {
    Cpu(InstructionSet),
    Gpu(ShaderVariant),
}

fn variant(name: &str) -> Result<Variant, Usage> {
    if let Ok(variant) = name.parse() {
        return Ok(Variant::Gpu(variant));
    }
    name.parse().map(Variant::Cpu).map_err(|_| {
        let sets = InstructionSet::available().into_iter().map(|set| set.to_string());
        let names = sets.chain(ShaderVariant::ALL.map(|variant| variant.to_string()));
        let names = names.collect::<Vec<_>>().join(", ");
        Usage::new(format!("expected one of this machine's variants ({names}), got {name}"))
    })
}
