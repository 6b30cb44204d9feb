//! The embedded demo: a bicycle owner's handbook, questions about it, and their vectors.

use std::collections::BTreeMap;
use std::error::Error;

use maxfold::collection::{Point, Vector};
use maxfold::eval::Qrels;
use maxfold::multivector::{Interchange, TokenMatrix};
use serde::Deserialize;

/// A section of the handbook: what a search result shows.
#[derive(Deserialize)]
pub struct Section {
    pub id: u64,
    pub page_title: String,
    pub section_title: String,
    pub url: String,
    pub anchor: String,
    pub text: String,
}

/// A question, with the vectors that a model made of it.
pub struct Question {
    pub id: String,
    pub text: String,
    pub dense: Vec<f32>,
    pub tokens: TokenMatrix,
}

const SECTIONS: &str = include_str!("handbook/sections.jsonl");
const SECTION_VECTORS: &[u8] = include_bytes!("handbook/sections.safetensors");

pub struct Handbook {
    /// By id.
    pub sections: BTreeMap<u64, Section>,
    /// What a collection keeps of them.
    pub points: Vec<Point>,
    pub questions: Vec<Question>,
    /// Which sections answer which question: judged before any ranking was looked at.
    pub qrels: Qrels,
}

impl Handbook {
    /// Of the sections and their vectors.
    pub fn checksum() -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(SECTIONS.as_bytes());
        hasher.update(SECTION_VECTORS);
        hasher.finalize()
    }

    /// Reads what is embedded in this program.
    pub fn embedded() -> Result<Self, Box<dyn Error>> {
        let sections = read_lines::<Section>(SECTIONS)?;
        let vectors = read_vectors(SECTION_VECTORS)?;
        let points = sections.iter().zip(vectors).zip(read_lines(SECTIONS)?);
        let points = points.map(|((section, (dense, tokens)), payload)| {
            let point = Point::new(section.id).vector("dense", dense).payload(payload);
            point.vector("tokens", Vector::from(tokens.view()))
        });

        #[derive(Deserialize)]
        struct Line {
            id: String,
            text: String,
        }
        let questions = read_lines::<Line>(include_str!("handbook/queries.jsonl"))?;
        let vectors = read_vectors(include_bytes!("handbook/queries.safetensors"))?;
        let questions = questions.into_iter().zip(vectors).map(|(line, (dense, tokens))| {
            Question { id: line.id, text: line.text, dense, tokens }
        });

        Ok(Self {
            points: points.collect(),
            sections: sections.into_iter().map(|section| (section.id, section)).collect(),
            questions: questions.collect(),
            qrels: Qrels::parse_beir(include_str!("handbook/qrels.tsv"))?,
        })
    }
}

fn read_lines<'a, T: Deserialize<'a>>(jsonl: &'a str) -> serde_json::Result<Vec<T>> {
    jsonl.lines().map(serde_json::from_str).collect()
}

/// What a model made of an item: a dense vector, and a token matrix.
type Vectors = (Vec<f32>, TokenMatrix);

/// The items of an interchange file.
fn read_vectors(bytes: &[u8]) -> Result<Vec<Vectors>, Box<dyn Error>> {
    let Interchange { tokens, dense, .. } = Interchange::from_bytes(bytes)?;
    let dense = dense.ok_or("expected a tensor \"dense\" in the embedded vectors")?;
    let items = dense.iter().zip(tokens.iter());
    Ok(items.map(|(dense, tokens)| (dense.to_vec(), tokens.to_owned())).collect())
}
