//! [`Bm25`]: sparse vectors of the words of a text.

use std::collections::BTreeMap;
use std::io::Cursor;

use crate::collection::Vector;
use crate::filter::{Language, TextParams};
use crate::json::{Node, Object};
use crate::{Error, Result};

/// Encoder of text as sparse vectors whose dot product, with [`Modifier::Idf`](crate::collection::Modifier),
/// is BM25 ([Robertson and Zaragoza, 2009][bm25]); the one that Qdrant's clients call `Qdrant/bm25`.
///
/// A word's index is a hash of it: the absolute value of MurmurHash3's 32 bits as a signed integer.
///
/// ```
/// use maxfold::collection::Vector;
/// use maxfold::encoder::Bm25;
///
/// let bm25 = Bm25::new();
/// let Vector::Sparse { indices, values } = bm25.document("The cats and a cat")? else { panic!() };
/// // One word, twice, of three that count: the others are stop words.
/// assert_eq!((indices.len(), values.len()), (1, 1));
/// assert_eq!(bm25.query("cats")?, Vector::Sparse { indices, values: vec![1.0] });
/// # Ok::<(), maxfold::Error>(())
/// ```
///
/// [bm25]: https://doi.org/10.1561/1500000019
#[derive(Clone, Debug, PartialEq)]
pub struct Bm25 {
    k: f64,
    b: f64,
    average_length: f64,
    words: TextParams,
}

const FIELDS: &[&str] = &[
    "k",
    "b",
    "avg_len",
    "language",
    "tokenizer",
    "lowercase",
    "ascii_folding",
    "stopwords",
    "stemmer",
    "min_token_len",
    "max_token_len",
];

impl Default for Bm25 {
    fn default() -> Self {
        Self::of(Language::ENGLISH)
    }
}

impl Bm25 {
    /// English, k = 1.2, b = 0.75, and texts of 256 words on average.
    pub fn new() -> Self {
        Self::default()
    }

    /// Without the stop words of a language, and by its stemmer.
    pub fn of(language: Language) -> Self {
        let words = TextParams {
            stopword_languages: [language].into(),
            stemmer: Some(language).filter(|it| it.has_stemmer()),
            ..TextParams::DEFAULT
        };
        Self { k: 1.2, b: 0.75, average_length: 256.0, words }
    }

    /// Reads the options that Qdrant's clients send.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(FIELDS)?;
        let none = |node: &Node<'_>| Ok(node.string()? == "none");
        let mut bm25 = if object.map("language", none)?.unwrap_or(false) {
            Self { words: TextParams::DEFAULT, ..Self::new() }
        } else {
            let language = object.map("language", |node| node.parse("a language"))?;
            Self::of(language.unwrap_or(Language::ENGLISH))
        };
        bm25.words = read_words(&object, bm25.words)?;
        let number = |key, least: f64, most: f64| {
            object.map(key, |node| match node.number()? {
                number if (least..=most).contains(&number) => Ok(number),
                _ => Err(node.expected(format!("a number from {least} to {most}"))),
            })
        };
        bm25.k = number("k", 0.0, f64::from(f32::MAX))?.unwrap_or(bm25.k);
        bm25.b = number("b", 0.0, 1.0)?.unwrap_or(bm25.b);
        let shortest = f64::from(f32::MIN_POSITIVE);
        let length = number("avg_len", shortest, f64::from(f32::MAX))?;
        bm25.average_length = length.unwrap_or(bm25.average_length);
        Ok(bm25)
    }

    /// Encodes a text that is to be found: each word weighs the more, the oftener it stands there, and the less, the
    /// longer the text is.
    ///
    /// # Errors
    /// None; a text of 4 GiB.
    pub fn document(&self, text: &str) -> Result<Vector> {
        let words = self.words.tokens(text);
        let mut counts: BTreeMap<u32, f64> = BTreeMap::new();
        for word in &words {
            *counts.entry(index(word)?).or_default() += 1.0;
        }
        let length = words.len() as f64 / self.average_length;
        let saturation = self.k * (1.0 - self.b + self.b * length);
        let weight = |count: f64| (count * (self.k + 1.0) / (count + saturation)) as f32;
        let (indices, values) = counts.into_iter().map(|(word, n)| (word, weight(n))).unzip();
        Ok(Vector::Sparse { indices, values })
    }

    /// Encodes words that are looked for: each weighs 1.
    ///
    /// # Errors
    /// As [`Bm25::document`].
    pub fn query(&self, text: &str) -> Result<Vector> {
        let words = self.words.query_tokens(text);
        let weights = words.iter().map(|word| Ok((index(word)?, 1.0)));
        let weights = weights.collect::<Result<BTreeMap<u32, f32>>>()?;
        let (indices, values) = weights.into_iter().unzip();
        Ok(Vector::Sparse { indices, values })
    }
}

/// Options that change which words there are; what isn't said is the language's.
fn read_words(object: &Object<'_>, of_language: TextParams) -> Result<TextParams> {
    let mut words = TextParams::read_fields(object)?;
    if object.get("stopwords").is_none() {
        words.stopword_languages = of_language.stopword_languages;
    }
    if object.get("stemmer").is_none() {
        words.stemmer = of_language.stemmer;
    }
    Ok(words)
}

/// The index of a word.
fn index(word: &str) -> Result<u32> {
    let hash = murmur3::murmur3_32(&mut Cursor::new(word), 0);
    let hash = hash.map_err(|_| Error::TooMany { what: "bytes of a word", most: u32::MAX })?;
    Ok(hash.cast_signed().unsigned_abs())
}
