//! [`Encoder`]: texts to token matrices, with the place of each token in its text.

use std::ops::Range;

use crate::{Error, Result, TokenMatrix};

/// Encoder of texts as token matrices; [`Checkpoint`](super::Checkpoint) is one.
///
/// Another kind (a service over HTTP, another runtime) is an implementation of its first three functions:
///
/// ```
/// use maxfold::Result;
/// use maxfold::encoder::{Encoder, Encoding, Token};
///
/// /// Each word is a token; those of even length are near one another.
/// struct ByLength;
///
/// impl Encoder for ByLength {
///     fn dim(&self) -> usize {
///         2
///     }
///
///     fn queries(&self, texts: &[&str]) -> Result<Vec<Encoding>> {
///         self.documents(texts)
///     }
///
///     fn documents(&self, texts: &[&str]) -> Result<Vec<Encoding>> {
///         let encode = |text: &&str| {
///             let even = |word: &str| (word.len() % 2) as f32;
///             let values = text.split(' ').flat_map(|word| [even(word), 1.0 - even(word)]).collect();
///             Encoding::new(values, 2, text.split(' ').map(Token::new).collect())
///         };
///         texts.iter().map(encode).collect()
///     }
/// }
///
/// let encoding = ByLength.query("cats purr")?;
/// assert_eq!(encoding.matrix()?.tokens(), 2);
/// # Ok::<(), maxfold::Error>(())
/// ```
pub trait Encoder: Send + Sync {
    /// Number of columns of every matrix.
    fn dim(&self) -> usize;

    /// Encodes texts that are looked for.
    ///
    /// # Errors
    /// The model's.
    fn queries(&self, texts: &[&str]) -> Result<Vec<Encoding>>;

    /// Encodes texts that are to be found.
    ///
    /// # Errors
    /// The model's.
    fn documents(&self, texts: &[&str]) -> Result<Vec<Encoding>>;

    /// Most tokens of a text that is to be found, without those that the model adds: what goes beyond is not encoded.
    /// By default there is no limit.
    fn document_length(&self) -> Option<usize> {
        None
    }

    /// The bytes of each token of a text that is to be found, of all that it has, whatever the limit, and without those
    /// that the model adds; a token that stands for nothing has an empty range. By default those of its encoding.
    ///
    /// # Errors
    /// The model's.
    fn document_spans(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let encoding = self.document(text)?;
        Ok(encoding.tokens.into_iter().filter_map(|token| token.span).collect())
    }

    /// Encodes one text that is looked for.
    ///
    /// # Errors
    /// As [`Encoder::queries`].
    fn query(&self, text: &str) -> Result<Encoding> {
        only(self.queries(&[text])?)
    }

    /// Encodes one text that is to be found.
    ///
    /// # Errors
    /// As [`Encoder::documents`].
    fn document(&self, text: &str) -> Result<Encoding> {
        only(self.documents(&[text])?)
    }
}

fn only(mut encodings: Vec<Encoding>) -> Result<Encoding> {
    match (encodings.len(), encodings.pop()) {
        (1, Some(encoding)) => Ok(encoding),
        (got, _) => Err(Error::CountMismatch { what: "encoding of a text", expected: 1, got }),
    }
}

/// Token vectors of one text, in f32, and the token that each row stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    values: Vec<f32>,
    dim: usize,
    tokens: Vec<Token>,
}

impl Encoding {
    /// Takes `[tokens, dim]` values.
    ///
    /// # Errors
    /// There are not as many rows as tokens.
    pub fn new(values: Vec<f32>, dim: usize, tokens: Vec<Token>) -> Result<Self> {
        if values.len() != tokens.len() * dim {
            let (expected, got) = (tokens.len() * dim, values.len());
            return Err(Error::CountMismatch { what: "values of tokens", expected, got });
        }
        Ok(Self { values, dim, tokens })
    }

    /// The token matrix, rounded to f16.
    ///
    /// # Errors
    /// As [`TokenMatrix::new`]; a text of which no token is kept.
    pub fn matrix(&self) -> Result<TokenMatrix> {
        TokenMatrix::new(&self.values, self.dim)
    }

    /// The mean of all rows: a dense vector, for recall.
    pub fn mean(&self) -> Vec<f32> {
        let mut mean = vec![0.0; self.dim];
        for row in self.values.chunks_exact(self.dim) {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        mean.iter_mut().for_each(|sum| *sum /= self.tokens.len() as f32);
        mean
    }

    /// Number of columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, row after row, without a copy.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// The tokens, in the order of the rows.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }
}

/// Token of a text: how its model writes it, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// The model's own spelling, for example `##ing`.
    pub text: String,
    /// The bytes of the text that it stands for; none for markers, `[CLS]` and the like.
    pub span: Option<Range<usize>>,
}

impl Token {
    /// A token that stands for no part of the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), span: None }
    }

    /// The bytes of the text that it stands for.
    pub fn span(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }
}
