//! Words to search for, by a model.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};

use maxfold::collection::{Collection, CollectionConfig, Vector, VectorConfig, VectorKind};
use maxfold::filter::PayloadSelector;
use maxfold::search::{Prefetch, QueryRequest, ScoredPoint};
use serde_json::Value;

use crate::command_line::Usage;
use crate::model::{self, BYTES, DOCUMENT, MEAN, PASSAGE, POOLED, TOKENS};
use crate::output;

/// Points that are nearest by the mean, and go on to the next stage.
const RECALLED: usize = 1000;
/// Points that are best by pooled vectors, and go on to the last stage.
const KEPT: usize = 100;
/// Characters of a text that are shown.
const SHOWN: usize = 100;

#[derive(clap::Args)]
pub struct WordArgs {
    /// Words to search for.
    #[arg(value_name = "WORDS", requires = "model", conflicts_with = "request")]
    words: Option<String>,
    /// Folder of the model that the collection was ingested with.
    #[arg(long, value_name = "MODEL", requires = "words")]
    model: Option<PathBuf>,
    /// The key of the payload that has the text.
    #[arg(long = "text", value_name = "FIELD", default_value = model::TEXT)]
    field: String,
    /// Most points that are found by words.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Shows all passages that are found; by default the best one of each document.
    #[arg(long, requires = "words")]
    all_passages: bool,
}

impl WordArgs {
    /// Tells whether, of points that are passages, the best one of each document is wanted.
    pub fn wants_documents(&self, collection: &Collection) -> maxfold::Result<bool> {
        Ok(self.words.is_some() && !self.all_passages && model::has_passages(collection)?)
    }

    /// Leaves the best passage of each document, and as many of these as are wanted.
    pub fn keep_documents(&self, points: &mut Vec<ScoredPoint>) {
        let mut seen = BTreeSet::new();
        points.retain(|point| {
            let payload = point.payload.as_ref().filter(|it| it.contains_key(PASSAGE));
            let document = payload.and_then(|it| it.get(DOCUMENT)?.as_str());
            // What is no passage is a document of its own.
            document.is_none_or(|it| seen.insert(it.to_owned()))
        });
        points.truncate(self.limit as usize);
    }

    /// The request of a collection for the words. Of passages all that are recalled are asked for, as many may be of one
    /// document: groups of the engine would recall anew for each few.
    pub fn request(
        &self,
        config: &CollectionConfig,
        wants_documents: bool,
    ) -> Result<QueryRequest, Box<dyn Error>> {
        let words = self.words.as_deref().unwrap_or_default();
        if words.trim().is_empty() {
            return Err(Usage::new("expected words to search for, got none").into());
        }
        let query =
            model::open(self.model.as_deref().unwrap_or_else(|| Path::new("")))?.query(words)?;
        let (dim, mean) = (query.dim(), Vector::from(query.mean()));
        let tokens = Vector::Multi { values: query.into_values(), dim };
        let wanted = self.limit as usize;
        let limit = if wants_documents { RECALLED.max(wanted) } else { wanted };
        let shown = [model::PATH, &self.field, DOCUMENT, PASSAGE, BYTES].into_iter();
        let shown = shown.map(str::parse);
        let request = QueryRequest::new(tokens.clone())
            .using(TOKENS)
            .limit(limit)
            .with_payload(PayloadSelector::Include(shown.collect::<Result<_, _>>()?));
        let has = |name, fits: fn(&VectorConfig) -> bool| {
            config.get(name).is_ok_and(|it| it.size == dim && fits(it))
        };
        let recall = has(MEAN, |it| matches!(it.kind, VectorKind::Dense(_)))
            .then(|| Prefetch::new(mean).using(MEAN).limit(RECALLED.max(limit)));
        let pooled = has(POOLED, |it| it.kind == VectorKind::Multi)
            .then(|| Prefetch::new(tokens).using(POOLED).limit(KEPT.max(wanted)));
        Ok(match (recall, pooled) {
            (Some(recall), Some(pooled)) => request.prefetch(pooled.prefetch(recall)),
            (recall, pooled) => recall.or(pooled).into_iter().fold(request, QueryRequest::prefetch),
        })
    }

    /// Prints points with the beginnings of their texts.
    pub fn table(&self, points: &[ScoredPoint]) -> Result<(), Box<dyn Error>> {
        let row = |(rank, point): (usize, &ScoredPoint)| {
            let (id, score) = (point.id.to_string(), format!("{:.3}", point.score));
            [rank.to_string(), id, score, self.shown(point)]
        };
        let rows: Vec<_> = (1..).zip(points).map(row).collect();
        output::table(["rank", "point", "score", "text"], &rows)
    }

    /// The file of a text, if it was one, which passage of it this is, and its beginning, in one line.
    fn shown(&self, point: &ScoredPoint) -> String {
        let value = |key: &str| point.payload.as_ref()?.get(key);
        let payload = |key: &str| value(key).and_then(Value::as_str);
        let passage = value(PASSAGE).and_then(Value::as_u64).filter(|number| *number > 0);
        let place = match (payload(model::PATH), passage) {
            (Some(path), Some(number)) => format!("{path}, passage {number}: "),
            (Some(path), None) => format!("{path}: "),
            (None, Some(number)) => {
                let document = payload(DOCUMENT).unwrap_or_default();
                format!("{document}, passage {number}: ")
            }
            (None, None) => String::new(),
        };
        let text = payload(&self.field).unwrap_or_default();
        let words: Vec<&str> = text.split_whitespace().take(SHOWN).collect();
        // What a terminal would obey is no text.
        let line = words.join(" ").replace(char::is_control, "");
        match line.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{place}{}…", &line[..end]),
            None => place + &line,
        }
    }
}
