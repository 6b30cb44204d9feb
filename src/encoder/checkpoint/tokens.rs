//! [`Tokens`]: a model's tokenizer, and what late interaction adds to it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use tokenizers::normalizers::{Lowercase, Sequence};
use tokenizers::tokenizer::{Encoding, PostProcessor, Tokenizer, TruncationDirection};

use super::folder::{Expansion, Folder, Kind, bytes, read, unusable};
use crate::encoder::Token;
use crate::{Error, Result};

pub(super) struct Tokens {
    tokenizer: Tokenizer,
    query: Form,
    document: Form,
}

/// Shape of texts of one kind.
struct Form {
    /// Inserted after the first token.
    marker: Option<u32>,
    /// Most tokens, with the marker.
    length: usize,
    /// Fills a text to its full length, if it is to be filled.
    filler: Option<u32>,
    /// Fillers are seen by all tokens.
    attended: bool,
    /// Left out of the result.
    skipped: BTreeSet<u32>,
}

/// Input of a model.
pub(super) struct Prepared {
    pub ids: Vec<u32>,
    /// Tokens, from the first, that all tokens see.
    pub attended: usize,
    /// The tokens whose vectors are wanted, with their positions.
    pub kept: Vec<(usize, Token)>,
}

/// `tokenizer_config.json`.
#[derive(Deserialize, Default)]
struct Config {
    mask_token: Option<Special>,
    unk_token: Option<Special>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Special {
    Text(String),
    Object { content: String },
}

impl Special {
    fn text(&self) -> &str {
        let (Self::Text(text) | Self::Object { content: text }) = self;
        text
    }
}

impl Tokens {
    /// `longest` is the most tokens that the model takes.
    pub fn open(folder: &Folder, longest: usize) -> Result<Self> {
        let (path, texts) = (&folder.transformer, &folder.texts);
        let bytes = bytes(path, "tokenizer.json")?;
        let tokenizer = Tokenizer::from_bytes(&bytes);
        let mut tokenizer = tokenizer
            .map_err(|fault| unusable(&path.join("tokenizer.json"), fault))
            .and_then(|it| unlimited(it, path))?;
        if texts.lower_case {
            let first = Lowercase.into();
            let normalizers = std::iter::once(first).chain(tokenizer.get_normalizer().cloned());
            let normalizer = Sequence::new(normalizers.collect());
            let set = tokenizer.with_normalizer(Some(normalizer)).map(drop);
            set.map_err(|fault| unusable(path, fault))?;
        }
        let config: Config = read(path, "tokenizer_config.json")?.unwrap_or_default();
        let id = |token: &Special| tokenizer.token_to_id(token.text());
        let unknown = config.unk_token.as_ref().and_then(id);
        let mask = config.mask_token.as_ref().and_then(id);
        let filler = match texts.expansion {
            Expansion::None => None,
            _ => Some(mask.ok_or_else(|| {
                unusable(
                    path,
                    "expected a mask token in tokenizer_config.json, to expand queries with",
                )
            })?),
        };
        let document = form(path, &tokenizer, &texts.document, longest)?;
        // A word that is no token is the unknown one, as for PyLate.
        let skipped = texts.skipped.iter().filter_map(|it| tokenizer.token_to_id(it).or(unknown));
        let document = Form { skipped: skipped.collect(), ..document };
        let query = form(path, &tokenizer, &texts.query, longest)?;
        let query = Form { filler, attended: texts.expansion == Expansion::Attended, ..query };
        Ok(Self { tokenizer, query, document })
    }

    pub fn query(&self, text: &str) -> Result<Prepared> {
        self.prepare(text, &self.query)
    }

    pub fn document(&self, text: &str) -> Result<Prepared> {
        self.prepare(text, &self.document)
    }

    /// Most tokens of a document, without those that are added.
    pub fn document_length(&self) -> usize {
        self.room(&self.document)
    }

    /// The bytes of all tokens of a text, without those that are added.
    pub fn spans(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let (encoding, offset) = self.encode(text)?;
        Ok(encoding.get_offsets().iter().map(|(start, end)| offset + start..offset + end).collect())
    }

    /// A text's own tokens, and where it begins.
    fn encode(&self, text: &str) -> Result<(Encoding, usize)> {
        let trimmed = text.trim_matches(is_space);
        let offset = text.find(trimmed).unwrap_or(0);
        Ok((self.tokenizer.encode(trimmed, false).map_err(refused)?, offset))
    }

    fn room(&self, form: &Form) -> usize {
        form.length - usize::from(form.marker.is_some()) - self.special_tokens()
    }

    fn prepare(&self, text: &str, form: &Form) -> Result<Prepared> {
        let (mut encoding, offset) = self.encode(text)?;
        encoding.truncate(self.room(form), 0, TruncationDirection::Right);
        let encoding = self.tokenizer.post_process(encoding, None, true).map_err(refused)?;
        let mut tokens = tokens_of(&encoding, offset);
        if let Some(marker) = form.marker {
            tokens.insert(tokens.len().min(1), (marker, self.token(marker)));
        }
        let words = tokens.len();
        if let Some(filler) = form.filler {
            tokens.resize_with(form.length.max(words), || (filler, self.token(filler)));
        }
        let attended = if form.attended { tokens.len() } else { words };
        let ids = tokens.iter().map(|(id, _)| *id).collect();
        let kept = tokens.into_iter().enumerate();
        let kept = kept.filter(|(_, (id, _))| !form.skipped.contains(id));
        let kept = kept.map(|(position, (_, token))| (position, token)).collect();
        Ok(Prepared { ids, attended, kept })
    }

    fn token(&self, id: u32) -> Token {
        Token::new(self.tokenizer.id_to_token(id).unwrap_or_default())
    }

    fn special_tokens(&self) -> usize {
        special_tokens(&self.tokenizer)
    }
}

fn refused(source: tokenizers::Error) -> Error {
    Error::Unencodable { source }
}

/// The tokenizer without limits of its own, which a file may have kept from its last use.
fn unlimited(mut tokenizer: Tokenizer, path: &Path) -> Result<Tokenizer> {
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|fault| unusable(path, fault))?;
    Ok(tokenizer)
}

fn special_tokens(tokenizer: &Tokenizer) -> usize {
    tokenizer.get_post_processor().map_or(0, |it| it.added_tokens(false))
}

fn form(path: &Path, tokenizer: &Tokenizer, kind: &Kind, longest: usize) -> Result<Form> {
    let missing = |marker| {
        unusable(path, format!("expected the marker {marker:?} among the tokens, got none"))
    };
    let marker = kind.marker.as_ref();
    let marker =
        marker.map(|it| tokenizer.token_to_id(it).ok_or_else(|| missing(it))).transpose()?;
    let length = kind.length.unwrap_or(longest);
    let least = special_tokens(tokenizer) + usize::from(marker.is_some());
    if !(least..=longest).contains(&length) {
        let fault = format!("expected lengths of texts from {least} to {longest}, got {length}");
        return Err(unusable(path, fault));
    }
    let (filler, attended, skipped) = (None, false, BTreeSet::new());
    Ok(Form { marker, length, filler, attended, skipped })
}

/// Ids and tokens; `offset` is where the text begins.
fn tokens_of(encoding: &Encoding, offset: usize) -> Vec<(u32, Token)> {
    let tokens = encoding.get_ids().iter().zip(encoding.get_tokens());
    let places = encoding.get_offsets().iter().zip(encoding.get_special_tokens_mask());
    let tokens = tokens.zip(places).map(|((id, text), ((start, end), special))| {
        let token = Token::new(text.as_str());
        let stands_for_text = *special == 0 && start < end;
        (*id, if stands_for_text { token.span(offset + start..offset + end) } else { token })
    });
    tokens.collect()
}

/// White space as Python's `strip` sees it, which has four separators more.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}
