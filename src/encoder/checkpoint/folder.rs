//! [`Folder`]: the files of a model, and what they say about texts.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// A folder as PyLate writes it, or ColBERT.
pub(super) struct Folder {
    pub path: PathBuf,
    /// The folder of the transformer: itself, or one in it.
    pub transformer: PathBuf,
    /// The folders of the layers after it.
    pub heads: Vec<PathBuf>,
    /// The layer after it has its weights among the transformer's, as in ColBERT's own checkpoints.
    pub has_linear: bool,
    pub texts: Texts,
}

/// Treatment of texts.
pub(super) struct Texts {
    pub query: Kind,
    pub document: Kind,
    pub expansion: Expansion,
    /// Tokens that are left out of documents.
    pub skipped: Vec<String>,
    pub lower_case: bool,
}

/// Treatment of texts of one kind.
pub(super) struct Kind {
    /// The token that follows the first one.
    pub marker: Option<String>,
    /// Most tokens, with the marker and the special ones; none if the model's positions set the limit.
    pub length: Option<usize>,
}

/// Filling of queries with mask tokens, to their full length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expansion {
    None,
    /// Mask tokens see the words, which don't see them.
    Unattended,
    Attended,
}

/// An entry of `modules.json`.
#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// `config_sentence_transformers.json`.
#[derive(Deserialize, Default)]
struct Pylate {
    query_prefix: Option<String>,
    document_prefix: Option<String>,
    query_length: Option<usize>,
    document_length: Option<usize>,
    do_query_expansion: Option<bool>,
    attend_to_expansion_tokens: Option<bool>,
    skiplist_words: Option<Vec<String>>,
    default_prompt_name: Option<String>,
}

/// `artifact.metadata`.
#[derive(Deserialize, Default)]
struct Colbert {
    query_token_id: Option<String>,
    doc_token_id: Option<String>,
    query_maxlen: Option<usize>,
    doc_maxlen: Option<usize>,
    attend_to_mask_tokens: Option<bool>,
    mask_punctuation: Option<bool>,
}

/// `sentence_bert_config.json`.
#[derive(Deserialize, Default)]
struct SentenceTransformer {
    max_seq_length: Option<usize>,
    do_lower_case: Option<bool>,
}

/// `config.json`, as far as it says whose it is.
#[derive(Deserialize)]
struct Architectures {
    architectures: Option<Vec<String>>,
}

/// Lengths that PyLate and ColBERT take where a checkpoint says nothing.
const QUERY_LENGTH: usize = 32;
const DOCUMENT_LENGTH: usize = 180;
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

impl Folder {
    pub fn open(path: &Path) -> Result<Self> {
        let modules: Vec<Module> = read(path, "modules.json")?.unwrap_or_default();
        let folders = |kind: &'static str| {
            let of_kind = modules.iter().filter(move |it| it.kind.rsplit('.').next() == Some(kind));
            of_kind.map(|it| path.join(&it.path))
        };
        let transformer = folders("Transformer").next().unwrap_or_else(|| path.into());
        let heads: Vec<PathBuf> = folders("Dense").collect();
        let config: Architectures = required(&transformer, "config.json")?;
        let is_colbert = |it: &String| it == "HF_ColBERT";
        let has_linear =
            heads.is_empty() && config.architectures.iter().flatten().take(1).any(is_colbert);
        let metadata = read(path, "artifact.metadata")?.filter(|_| has_linear);
        let metadata = metadata.or(has_linear.then(Colbert::default));
        let pylate: Pylate = read(path, "config_sentence_transformers.json")?.unwrap_or_default();
        if let Some(name) = &pylate.default_prompt_name {
            let fault = format!("expected no prompt before every text, got the prompt {name:?}");
            return Err(unusable(path, fault));
        }
        let limits: SentenceTransformer =
            read(&transformer, "sentence_bert_config.json")?.unwrap_or_default();
        let texts = Texts::new(pylate, metadata, limits);
        Ok(Self { path: path.into(), transformer, heads, has_linear, texts })
    }
}

impl Texts {
    /// PyLate's file has the first word, then ColBERT's. Where neither has markers, the model isn't made for late
    /// interaction, and its texts are taken as they are.
    fn new(pylate: Pylate, colbert: Option<Colbert>, limits: SentenceTransformer) -> Self {
        let lower_case = limits.do_lower_case.unwrap_or(false);
        if colbert.is_none() && pylate.query_prefix.is_none() {
            let plain = || Kind { marker: None, length: limits.max_seq_length };
            let (query, document, expansion) = (plain(), plain(), Expansion::None);
            return Self { query, document, expansion, skipped: Vec::new(), lower_case };
        }
        let colbert = colbert.unwrap_or_default();
        let kind = |marker: [Option<String>; 2], unused: &str, length: [Option<usize>; 2], most| {
            let marker = marker.into_iter().flatten().next().unwrap_or_else(|| unused.into());
            let length = length.into_iter().flatten().next().unwrap_or(most);
            Kind { marker: Some(marker).filter(|it| !it.is_empty()), length: Some(length) }
        };
        let query = [pylate.query_prefix, colbert.query_token_id];
        let document = [pylate.document_prefix, colbert.doc_token_id];
        let query_length = [pylate.query_length, colbert.query_maxlen];
        let document_length = [pylate.document_length, colbert.doc_maxlen];
        let attended = pylate.attend_to_expansion_tokens.or(colbert.attend_to_mask_tokens);
        let punctuation = || PUNCTUATION.chars().map(String::from).collect();
        let without = || colbert.mask_punctuation == Some(false);
        Self {
            query: kind(query, "[unused0]", query_length, QUERY_LENGTH),
            document: kind(document, "[unused1]", document_length, DOCUMENT_LENGTH),
            expansion: match (pylate.do_query_expansion, attended) {
                (Some(false), _) => Expansion::None,
                (_, Some(true)) => Expansion::Attended,
                _ => Expansion::Unattended,
            },
            skipped: pylate
                .skiplist_words
                .unwrap_or_else(|| if without() { Vec::new() } else { punctuation() }),
            lower_case,
        }
    }
}

/// A fault of a model.
pub(super) fn unusable(path: &Path, fault: impl ToString) -> Error {
    Error::UnusableModel { path: path.into(), fault: fault.to_string() }
}

/// A file of a folder, which has to be there.
pub(super) fn bytes(folder: &Path, name: &'static str) -> Result<Vec<u8>> {
    let path = folder.join(name);
    fs::read(&path).map_err(|fault| match fault.kind() {
        ErrorKind::NotFound => Error::NoModel { path: folder.into(), missing: name },
        _ => Error::io("read", &path, fault),
    })
}

/// A file of JSON, which has to be there.
pub(super) fn required<T: DeserializeOwned>(folder: &Path, name: &'static str) -> Result<T> {
    let bytes = bytes(folder, name)?;
    serde_json::from_slice(&bytes).map_err(|fault| unusable(&folder.join(name), fault))
}

/// A file of JSON, if it is there.
pub(super) fn read<T: DeserializeOwned>(folder: &Path, name: &'static str) -> Result<Option<T>> {
    match required(folder, name) {
        Err(Error::NoModel { .. }) => Ok(None),
        read => read.map(Some),
    }
}
