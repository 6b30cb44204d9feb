//! `maxfold adapters`: what there is to compute with.

use std::error::Error;

use maxfold::gpu::{self, AdapterDescription, ShaderVariant};
use maxfold::maxsim::InstructionSet;
use maxfold::rerank::{Backend, Reranker};
use serde_json::{Value, json};

use crate::output;

/// Lists instruction sets and GPU adapters, with the shader variants that they run, and which of
/// them the backend auto takes.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  maxfold adapters --json")]
pub struct Args {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let auto = Reranker::new(Backend::Auto)?;
    if args.json { output::json(None, &as_json(&auto)) } else { print(&auto) }
}

/// Prints the same list as text.
pub fn list() -> Result<(), Box<dyn Error>> {
    print(&Reranker::new(Backend::Auto)?)
}

fn chosen(auto: &Reranker, adapter: &AdapterDescription) -> bool {
    auto.gpu().is_some_and(|gpu| gpu.adapter() == adapter)
}

fn print(auto: &Reranker) -> Result<(), Box<dyn Error>> {
    let mut lines = vec!["instruction sets:".to_owned()];
    lines.extend(InstructionSet::available().iter().map(|set| format!("  {set}")));
    lines.push("shader variants:".into());
    lines.extend(ShaderVariant::ALL.iter().map(|variant| format!("  {variant}")));
    lines.push("adapters:".into());
    for adapter in gpu::adapters() {
        let taken = if chosen(auto, &adapter) { " (auto takes this one)" } else { "" };
        lines.push(format!("  {adapter}: {}{taken}", texts(&adapter.variants).join(", ")));
    }
    lines.push(format!("auto: {}\n", auto.execution()));
    output::write(None, lines.join("\n").as_bytes())
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn as_json(auto: &Reranker) -> Value {
    let adapter = |adapter: &AdapterDescription| {
        json!({
            "name": adapter.name,
            "backend": adapter.backend,
            "driver": adapter.driver,
            "software": adapter.software,
            "variants": texts(&adapter.variants),
            "auto": chosen(auto, adapter),
        })
    };
    let execution = auto.execution();
    json!({
        "instruction_sets": texts(&InstructionSet::available()),
        "shader_variants": texts(&ShaderVariant::ALL),
        "adapters": gpu::adapters().iter().map(adapter).collect::<Vec<_>>(),
        "auto": {
            "backend": execution.backend().to_string(),
            "adapter": execution.adapter(),
            "variant": execution.variant(),
            "reason": execution.reason.to_string(),
        },
    })
}
