//! The Rust half of the harness: a worker that holds inputs and times one call at a time; and
//! `peers agree`, `peers flow` and `peers certified`, which stand alone.
//!
//! The worker answers one line of JSON on stdout for each line of JSON on stdin ([`protocol`]); the
//! Python half, `harness/`, decides what is timed when. A worker serves one shape, or one collection,
//! with one number of threads and ends with its stdin.
//!
//! | file | holds |
//! |---|---|
//! | `worker.rs`, `protocol.rs` | what the worker does; requests and answers |
//! | `inputs.rs` | the shape's queries and documents, in f16 and widened to f32 |
//! | `measure.rs` | wall time, CPU time and peak memory of a call |
//! | `peer.rs` | what is timed: a name and a call |
//! | `scorers.rs` | Maxfold, lateweave and NumKong |
//! | `fma.rs` | what the cores can do: loops of independent FMAs |
//! | `edge.rs` | Qdrant Edge: prefetch and rerank beside Maxfold's kernel |
//! | `collection/` | Maxfold's collection beside Qdrant Edge's |
//! | `flow.rs` | one request with everything, beside Qdrant Edge's |
//! | `certified.rs` | the best of all documents from int8, beside Qdrant Edge's |
//! | `agree/` | whether the two answer alike |
//! | `edge_json.rs` | Qdrant's JSON as requests to Qdrant Edge |

mod agree;
mod certified;
mod collection;
mod edge;
mod edge_json;
mod flow;
mod fma;
mod inputs;
mod measure;
mod peer;
mod protocol;
mod scorers;
mod worker;

use anyhow::Result;
use clap::Parser;

/// Maxfold beside its peers. Without a command: a worker, which takes requests on stdin.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    Agree(agree::Options),
    Certified(certified::Options),
    Flow(flow::Options),
}

fn main() -> Result<()> {
    match Args::parse().command {
        Some(Command::Agree(options)) => agree::run(&options),
        Some(Command::Certified(options)) => certified::run(&options),
        Some(Command::Flow(options)) => flow::run(&options),
        None => worker::run(),
    }
}
