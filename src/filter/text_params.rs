//! [`TextParams`]: how text is divided into tokens.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::Language;
use crate::Result;
use crate::json::{Foreign, Json, Node, Object};

/// Rules by which text is divided into the tokens that are compared, in Qdrant's terms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct TextParams {
    /// Rule by which text is divided.
    pub tokenizer: Tokenizer,
    /// Compares tokens without regard to case.
    pub lowercase: bool,
    /// Shorter tokens are left out; in characters.
    pub min_token_len: Option<usize>,
    /// Longer tokens are left out, or, by [`Tokenizer::Prefix`], cut.
    pub max_token_len: Option<usize>,
    /// Tokens that are left out.
    pub stopwords: BTreeSet<String>,
    /// Languages whose stop words are left out, too.
    pub stopword_languages: BTreeSet<Language>,
    /// Language whose Snowball stemmer takes the endings off.
    pub stemmer: Option<Language>,
    /// Takes the accents off letters: é becomes e.
    pub ascii_folding: bool,
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
const FIELDS: &[&str] = &[
    "type",
    "tokenizer",
    "lowercase",
    "min_token_len",
    "max_token_len",
    "stopwords",
    "stemmer",
    "ascii_folding",
];

/// Phrases are found with any index; the others change no answer, or have to be off.
const BESIDE: &[Foreign] = &[
    Foreign::flag("phrase_matching"),
    Foreign::flag("on_disk"),
    Foreign::hint("memory"),
    Foreign::flag("enable_hnsw"),
    Foreign::unless("scoring", "ranking by BM25", is_off),
    Foreign::new("nested", "an index of nested objects"),
];

fn is_off(value: Json<'_>) -> bool {
    value.as_bool() == Some(false)
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
        stopword_languages: BTreeSet::new(),
        stemmer: None,
        ascii_folding: false,
    };

    /// The tokens of a payload's text.
    pub(crate) fn tokens(&self, text: &str) -> Vec<String> {
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
    pub(crate) fn query_tokens(&self, text: &str) -> Vec<String> {
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
        let stemmer = self.stemmer.and_then(Language::stemmer);
        let words = pieces.filter(|it| !it.is_empty()).map(|it| self.spelled(it));
        let words = words.filter(|it| !self.is_stop_word(it)).map(|it| match &stemmer {
            Some(stemmer) => stemmer.stem(&it).into_owned(),
            None => it,
        });
        words.filter(|it| self.has_length(it)).collect()
    }

    fn spelled(&self, word: &str) -> String {
        let folded: Cow<'_, str> = match self.ascii_folding && !word.is_ascii() {
            true => word.nfkd().filter(|it| !is_combining_mark(*it)).collect(),
            false => word.into(),
        };
        if self.lowercase { folded.to_lowercase() } else { folded.into_owned() }
    }

    fn is_stop_word(&self, word: &str) -> bool {
        self.stopwords.contains(word)
            || self.stopword_languages.iter().any(|it| it.stop_words().contains(&word))
    }

    fn has_length(&self, word: &str) -> bool {
        let length = word.chars().count();
        let cut = self.tokenizer == Tokenizer::Prefix;
        self.min_token_len.is_none_or(|least| length >= least)
            && (cut || self.max_token_len.is_none_or(|most| length <= most))
    }

    /// Reads `{"type": "text", …}`.
    pub(super) fn read(node: &Node<'_>) -> Result<Self> {
        Self::read_fields(&node.object_beside(FIELDS, BESIDE)?)
    }

    /// Reads them among other fields.
    pub(crate) fn read_fields(object: &Object<'_>) -> Result<Self> {
        let lowercase = object.map("lowercase", Node::bool)?.unwrap_or(true);
        let length = |name| {
            object.map(name, |node| match node.count()? {
                0 => Err(node.expected("at least 1")),
                length => Ok(length),
            })
        };
        let (stopwords, stopword_languages) =
            object.map("stopwords", read_stopwords)?.unwrap_or_default();
        let spelled = |it: String| if lowercase { it.to_lowercase() } else { it };
        Ok(Self {
            tokenizer: object.map("tokenizer", Tokenizer::read)?.unwrap_or(Tokenizer::Word),
            lowercase,
            min_token_len: length("min_token_len")?,
            max_token_len: length("max_token_len")?,
            stopwords: stopwords.into_iter().map(spelled).collect(),
            stopword_languages,
            stemmer: object.map("stemmer", read_stemmer)?.flatten(),
            ascii_folding: object.map("ascii_folding", Node::bool)?.unwrap_or(false),
        })
    }

    /// The fields of Qdrant's that differ from the default.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let Self { tokenizer, lowercase, min_token_len, max_token_len, .. } = self;
        let stopwords = self.stopwords_to_json();
        let stemmer = self.stemmer.map(|it| json!({"type": "snowball", "language": it.name()}));
        let fields = [
            ("tokenizer", json!(tokenizer.name()), *tokenizer != Tokenizer::Word),
            ("lowercase", json!(lowercase), !lowercase),
            ("min_token_len", json!(min_token_len), min_token_len.is_some()),
            ("max_token_len", json!(max_token_len), max_token_len.is_some()),
            ("stopwords", json!(stopwords), stopwords.is_some()),
            ("stemmer", json!(stemmer), stemmer.is_some()),
            ("ascii_folding", json!(true), self.ascii_folding),
        ];
        let given = fields.into_iter().filter(|(_, _, given)| *given);
        given.map(|(name, value, _)| (name.into(), value)).collect()
    }
}

type Stopwords = (Vec<String>, BTreeSet<Language>);

/// A language, or an object with languages and words.
fn read_stopwords(node: &Node<'_>) -> Result<Stopwords> {
    if node.json().is_string() {
        return Ok((Vec::new(), [read_language(node)?].into()));
    }
    let object = node.object(&["languages", "custom"])?;
    let languages =
        |node: &Node<'_>| node.array()?.iter().map(read_language).collect::<Result<_>>();
    let words = |node: &Node<'_>| node.array()?.iter().map(Node::text).collect::<Result<_>>();
    let custom = object.map("custom", words)?.unwrap_or_default();
    Ok((custom, object.map("languages", languages)?.unwrap_or_default()))
}

fn read_language(node: &Node<'_>) -> Result<Language> {
    node.string()?.parse().map_err(|error| node.wrong(error))
}

/// `{"type": "snowball", "language": …}`, or none, by `{"type": "none"}`.
fn read_stemmer(node: &Node<'_>) -> Result<Option<Language>> {
    let object = node.object(&["type", "language"])?;
    let kind = object.required("type")?;
    match kind.string()? {
        "none" => Ok(None),
        "snowball" => {
            let node = object.required("language")?;
            let language = read_language(&node)?;
            let expected = "a language that has a stemmer";
            if language.has_stemmer() { Ok(Some(language)) } else { Err(node.expected(expected)) }
        }
        _ => Err(kind.expected("snowball or none")),
    }
}

impl TextParams {
    fn stopwords_to_json(&self) -> Option<Value> {
        let languages: Vec<_> = self.stopword_languages.iter().map(|it| it.name()).collect();
        match (&languages[..], self.stopwords.is_empty()) {
            ([], true) => None,
            ([], false) => Some(json!({"custom": self.stopwords})),
            ([language], true) => Some(json!(language)),
            (_, true) => Some(json!({"languages": languages})),
            (_, false) => Some(json!({"languages": languages, "custom": self.stopwords})),
        }
    }
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
