//! [`TextParams`]: how text is divided into tokens.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::Result;
use crate::json::{Foreign, Node};

/// How text is divided into the tokens that are compared, in Qdrant's terms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct TextParams {
    /// What a token is.
    pub tokenizer: Tokenizer,
    /// Compares tokens without regard to case.
    pub lowercase: bool,
    /// Shorter tokens are left out; in characters.
    pub min_token_len: Option<usize>,
    /// Longer tokens are left out, or, by [`Tokenizer::Prefix`], cut.
    pub max_token_len: Option<usize>,
    /// Tokens that are left out.
    pub stopwords: BTreeSet<String>,
}

/// Rule by which text is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Tokenizer {
    /// Tokens are of letters and digits.
    Word,
    /// Tokens are what stands between white space.
    Whitespace,
    /// A token is a word, and each of its beginnings; in a query, the word alone.
    Prefix,
}

/// The names of Qdrant's fields, but for those of no effect.
const FIELDS: &[&str] =
    &["type", "tokenizer", "lowercase", "min_token_len", "max_token_len", "stopwords"];

/// Phrases are found with any index; the others change no answer, or have to be off.
const BESIDE: &[Foreign] = &[
    Foreign::flag("phrase_matching"),
    Foreign::flag("on_disk"),
    Foreign::hint("memory"),
    Foreign::flag("enable_hnsw"),
    Foreign::unless("ascii_folding", "folding of accents", is_off),
    Foreign::unless("scoring", "ranking by BM25", is_off),
    Foreign::new("stemmer", "stemming"),
    Foreign::new("nested", "an index of nested objects"),
];

fn is_off(value: &Value) -> bool {
    *value == Value::Bool(false)
}

impl Default for TextParams {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TextParams {
    /// Words, without regard to case: what text means where no index says otherwise.
    pub const DEFAULT: Self = Self {
        tokenizer: Tokenizer::Word,
        lowercase: true,
        min_token_len: None,
        max_token_len: None,
        stopwords: BTreeSet::new(),
    };

    /// The tokens of a payload's text.
    pub(super) fn tokens(&self, text: &str) -> Vec<String> {
        let words = self.words(text);
        if self.tokenizer != Tokenizer::Prefix {
            return words;
        }
        let least = self.min_token_len.unwrap_or(1).max(1);
        let most = self.max_token_len.unwrap_or(usize::MAX);
        let mut tokens = Vec::new();
        for word in &words {
            let ends = word.char_indices().map(|(at, c)| at + c.len_utf8());
            let beginnings = ends.take(most).skip(least - 1).map(|end| word[..end].to_owned());
            tokens.extend(beginnings);
        }
        tokens
    }

    /// The tokens that text in a query asks for.
    pub(super) fn query_tokens(&self, text: &str) -> Vec<String> {
        let mut words = self.words(text);
        if let (Tokenizer::Prefix, Some(most)) = (self.tokenizer, self.max_token_len) {
            for word in &mut words {
                let end = word.char_indices().nth(most).map_or(word.len(), |(end, _)| end);
                word.truncate(end);
            }
        }
        words
    }

    /// The words of a text, in their order.
    pub(super) fn words(&self, text: &str) -> Vec<String> {
        let pieces: &mut dyn Iterator<Item = &str> = match self.tokenizer {
            Tokenizer::Whitespace => &mut text.split_whitespace(),
            Tokenizer::Word | Tokenizer::Prefix => &mut text.split(|c: char| !c.is_alphanumeric()),
        };
        let spelled = |it: &str| if self.lowercase { it.to_lowercase() } else { it.into() };
        pieces.filter(|it| !it.is_empty()).map(spelled).filter(|it| self.keeps(it)).collect()
    }

    fn keeps(&self, word: &str) -> bool {
        let length = word.chars().count();
        let cut = self.tokenizer == Tokenizer::Prefix;
        self.min_token_len.is_none_or(|least| length >= least)
            && (cut || self.max_token_len.is_none_or(|most| length <= most))
            && !self.stopwords.contains(word)
    }

    /// Reads `{"type": "text", …}`.
    pub(super) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object_beside(FIELDS, BESIDE)?;
        let lowercase = object.map("lowercase", Node::bool)?.unwrap_or(true);
        let length = |name| {
            object.map(name, |node| match node.count()? {
                0 => Err(node.expected("at least 1")),
                length => Ok(length),
            })
        };
        let stopwords = object.map("stopwords", read_stopwords)?.unwrap_or_default();
        let spelled = |it: String| if lowercase { it.to_lowercase() } else { it };
        Ok(Self {
            tokenizer: object.map("tokenizer", Tokenizer::read)?.unwrap_or(Tokenizer::Word),
            lowercase,
            min_token_len: length("min_token_len")?,
            max_token_len: length("max_token_len")?,
            stopwords: stopwords.into_iter().map(spelled).collect(),
        })
    }

    /// The fields of Qdrant's that differ from the default.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let Self { tokenizer, lowercase, min_token_len, max_token_len, stopwords } = self;
        let fields = [
            ("tokenizer", json!(tokenizer.name()), *tokenizer != Tokenizer::Word),
            ("lowercase", json!(lowercase), !lowercase),
            ("min_token_len", json!(min_token_len), min_token_len.is_some()),
            ("max_token_len", json!(max_token_len), max_token_len.is_some()),
            ("stopwords", json!({"custom": stopwords}), !stopwords.is_empty()),
        ];
        let given = fields.into_iter().filter(|(_, _, given)| *given);
        given.map(|(name, value, _)| (name.into(), value)).collect()
    }
}

fn read_stopwords(node: &Node<'_>) -> Result<Vec<String>> {
    const LANGUAGES: &str = "a language's stop words";
    if node.value().is_string() {
        return Err(node.unsupported(LANGUAGES));
    }
    let object = node.object(&["languages", "custom"])?;
    match object.get("languages") {
        Some(languages) if !languages.is_empty_array() => {
            return Err(languages.unsupported(LANGUAGES));
        }
        _ => {}
    }
    let words = |node: &Node<'_>| {
        node.array()?.iter().map(|word| word.string().map(String::from)).collect::<Result<_>>()
    };
    Ok(object.map("custom", words)?.unwrap_or_default())
}

impl Tokenizer {
    /// `word`, `whitespace` or `prefix`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::Whitespace => "whitespace",
            Self::Prefix => "prefix",
        }
    }

    fn read(node: &Node<'_>) -> Result<Self> {
        match node.string()? {
            "word" => Ok(Self::Word),
            "whitespace" => Ok(Self::Whitespace),
            "prefix" => Ok(Self::Prefix),
            "multilingual" => Err(node.unsupported("the multilingual tokenizer")),
            _ => Err(node.expected("word, whitespace or prefix")),
        }
    }
}
