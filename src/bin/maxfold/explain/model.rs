//! Query and texts by a model in a folder.

use std::error::Error;
use std::path::PathBuf;
use std::sync::OnceLock;

use maxfold::Vector;
use maxfold::collection::VectorKind;
use maxfold::encoder::Encoder;
use maxfold::filter::Payload;
use maxfold::search::{QueryRequest, Searcher};
use maxfold::serde_json::Value;

use super::passage::Passage;
use super::question::Question;
use crate::command_line::Usage;
use crate::model::{self, TOKENS};

#[derive(clap::Args)]
pub struct ModelArgs {
    /// The query, in words, which the model encodes.
    #[arg(value_name = "WORDS", requires = "folder", conflicts_with_all = ["request", "query_tokens"])]
    words: Option<String>,
    /// The folder of the model that made the vectors: texts are encoded again, which tells where their
    /// tokens stand.
    #[arg(id = "folder", long = "model", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The multivector that words are compared with; by default `tokens`, or the only one.
    #[arg(long, value_name = "NAME", requires = "words")]
    using: Option<String>,
    /// The model, once it is needed.
    #[arg(skip)]
    opened: OnceLock<Box<dyn Encoder>>,
}

impl ModelArgs {
    fn model(&self) -> maxfold::Result<Option<&dyn Encoder>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        if self.opened.get().is_none() {
            let model = model::open(folder)?;
            return Ok(Some(self.opened.get_or_init(|| model).as_ref()));
        }
        Ok(self.opened.get().map(Box::as_ref))
    }

    /// A question in words, if there is one.
    pub fn question(&self, searcher: &Searcher) -> Result<Option<Question>, Box<dyn Error>> {
        let (Some(words), Some(model)) = (&self.words, self.model()?) else { return Ok(None) };
        let using = match &self.using {
            Some(name) => name.clone(),
            None => multivector(searcher)?,
        };
        let encoding = model.query(words)?;
        let names = encoding.tokens().iter().map(|token| token.text.clone()).collect();
        let dim = encoding.dim();
        let query = Vector::Multi { values: encoding.into_values(), dim };
        let request = QueryRequest::unscored().using(using);
        Ok(Some(Question { request, query, names: Some(names) }))
    }

    /// The text of a payload, with where its tokens stand.
    pub fn passage(&self, payload: &Payload, key: &str) -> maxfold::Result<Option<Passage>> {
        let text = payload.get(key).and_then(Value::as_str);
        let (Some(text), Some(model)) = (text, self.model()?) else { return Ok(None) };
        let encoding = model.document(text)?;
        let tokens = encoding.tokens().iter().map(|token| token.text.clone()).collect();
        let places = encoding.tokens().iter().map(|token| token.span.clone()).collect();
        Ok(Some(Passage { text: text.into(), tokens, places }))
    }
}

/// The name of the multivector with all tokens: the one that `ingest` makes, or the only one.
fn multivector(searcher: &Searcher) -> Result<String, Usage> {
    let config = searcher.collection().config();
    let multi = config.vectors().filter(|(_, vector)| vector.kind == VectorKind::Multi);
    let names: Vec<_> = multi.map(|(name, _)| name).collect();
    match names[..] {
        [only] => Ok(only.into()),
        _ if names.contains(&TOKENS) => Ok(TOKENS.into()),
        _ => {
            let message = "expected --using, as the collection has not one multivector but";
            Err(Usage::new(format!("{message} {}", names.len())))
        }
    }
}
