//! `maxfold explain`: why a point is a hit, in words, as a web page, as a heat map over a page.
//!
//! | file | holds |
//! |---|---|
//! | `hits.rs` | hits, with what each query token matched in them |
//! | `question.rs` | the query: its vectors, and the names of its tokens |
//! | `model.rs` | query and texts by a model in a folder |
//! | `passage.rs` | a text, and where its tokens stand |
//! | `marks.rs` | which tokens are marked, how strongly, and for which query token |
//! | `page.rs` | the grid and the image of a page, and the picture |
//! | `terminal.rs`, `html.rs`, `json.rs` | what is printed and written |

mod hits;
mod html;
mod json;
mod marks;
mod model;
mod page;
mod passage;
mod question;
mod terminal;

use std::error::Error;
use std::path::PathBuf;

use maxfold::PointId;
use maxfold::collection::Collection;
use maxfold::rerank::Reranker;
use maxfold::search::{Searcher, SearcherOptions};

use crate::backend::BackendArgs;
use crate::command_line::Usage;
use crate::output;

/// Shows why a point is a hit.
///
/// For each query token there is the token of the hit that it matched, with their similarity, and the
/// hit's text with those tokens marked. Tokens and text stand in the payload, under `tokens` and `text`;
/// of a page `grid` and `image` do. The query of REQUEST.json is a multivector, or the id of a point that
/// has one. Without --html, --json and --png, all is printed.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  maxfold explain --collection DIR --request REQUEST.json --query-tokens 'who lights the lamp'"
)]
pub struct Args {
    /// The collection's directory.
    #[arg(long, value_name = "DIR")]
    collection: PathBuf,
    /// The body of Qdrant's query call.
    #[arg(long, value_name = "REQUEST.json", required_unless_present = "words")]
    request: Option<PathBuf>,
    #[command(flatten)]
    model: model::ModelArgs,
    /// Names of the query's tokens: words, or a JSON array of strings.
    #[arg(long, value_name = "WORDS")]
    query_tokens: Option<String>,
    /// Explains this point, whether it is among the hits or not.
    #[arg(long, value_name = "ID")]
    point: Option<PointId>,
    /// Hits that are explained, the best first.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "point", value_parser = clap::value_parser!(u32).range(1..))]
    hits: u32,
    /// Explains this query token alone, by its position from 0; may be given several times.
    #[arg(long = "token", value_name = "N")]
    tokens: Vec<usize>,
    /// The key of the payload that has the text.
    #[arg(long, value_name = "KEY", default_value = "text")]
    text: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// File for a web page that needs no other file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// File for a heat map over the page: of one query token, or the largest similarity to any of them.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    #[command(flatten)]
    page: page::PageArgs,
    #[command(flatten)]
    backend: BackendArgs,
}

pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if args.png.is_some() && args.hits > 1 {
        return Err(Usage::new(format!("expected --png with one hit, got {}", args.hits)).into());
    }
    let reranker = Reranker::with_options(&args.backend.options()?)?;
    // What is compared once need not be kept on a GPU.
    let options = SearcherOptions::new().reranker(reranker).resident_bytes(0);
    let searcher = Searcher::with_options(Collection::open_read_only(&args.collection)?, options)?;
    let explained = hits::explain(args, &searcher)?;
    if let Some(file) = &args.png {
        let hit = explained.hits.first().ok_or("expected a hit to be drawn, got none")?;
        let heat = args.page.heat(&explained, hit)?;
        output::write(Some(file), &args.page.picture(&heat, hit)?)?;
    }
    if let Some(file) = &args.html {
        output::write(Some(file), html::page(&args.page, &explained)?.as_bytes())?;
    }
    if args.json {
        output::json(None, &json::explanation(&explained))?;
    }
    let printed = args.html.is_none() && args.png.is_none() && !args.json;
    if printed { terminal::print(&explained) } else { Ok(()) }
}
