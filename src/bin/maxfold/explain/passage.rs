//! Text of a hit, and where its tokens stand.

use std::ops::Range;

use maxfold::filter::Payload;
use maxfold::serde_json::Value;
use unicode_normalization::UnicodeNormalization;

/// Farthest that a token may be from that before it, in characters: otherwise it is taken not to be in the text.
const GAP: usize = 40;

/// A text with its tokens, one for each row of the multivector.
pub struct Passage {
    pub text: String,
    pub tokens: Vec<String>,
    /// The bytes of each token; none for such as aren't in the text, `[CLS]` and the like.
    pub places: Vec<Option<Range<usize>>>,
}

impl Passage {
    /// The text and the tokens that a payload has, if it has tokens. Without a text they are joined.
    pub fn of(payload: &Payload, key: &str) -> Option<Self> {
        let tokens = tokens(payload)?;
        let text = payload.get(key).and_then(Value::as_str);
        let text = text.map_or_else(|| joined(&tokens), str::to_owned);
        let places = places(&tokens, &text);
        Some(Self { text, tokens, places })
    }
}

/// The tokens that a payload has.
pub fn tokens(payload: &Payload) -> Option<Vec<String>> {
    let tokens = payload.get("tokens")?.as_array()?.iter();
    tokens.map(|token| token.as_str().map(str::to_owned)).collect()
}

/// A token without what WordPiece (##), SentencePiece (▁) and byte-level BPE (Ġ) write before it.
pub fn plain(token: &str) -> &str {
    let token = token.trim_start_matches(WORD_STARTS);
    token.strip_prefix("##").unwrap_or(token)
}

const WORD_STARTS: [char; 2] = ['▁', 'Ġ'];

fn joined(tokens: &[String]) -> String {
    let marked = tokens.iter().any(|token| token.starts_with(WORD_STARTS));
    let mut text = String::new();
    for token in tokens {
        let is_start =
            if marked { token.starts_with(WORD_STARTS) } else { !token.starts_with("##") };
        if is_start && !text.is_empty() {
            text.push(' ');
        }
        text += plain(token);
    }
    text
}

/// Bytes of the text at which each token stands, each after the one before it.
fn places(tokens: &[String], text: &str) -> Vec<Option<Range<usize>>> {
    let letters: Vec<(Range<usize>, char)> = text
        .char_indices()
        .map(|(at, letter)| (at..at + letter.len_utf8(), folded(letter)))
        .collect();
    let mut from = 0;
    let place = |token: &String| {
        let word: Vec<char> = plain(token).chars().map(folded).collect();
        let near = &letters[from..letters.len().min(from + GAP + word.len())];
        let is_word =
            |it: &[(Range<usize>, char)]| it.iter().map(|it| it.1).eq(word.iter().copied());
        // Of no letters there are no windows.
        let at = near.windows(word.len().max(1)).position(is_word)?;
        let found = &near[at..at + word.len()];
        from += at + word.len();
        Some(found.first()?.0.start..found.last()?.0.end)
    };
    tokens.iter().map(place).collect()
}

/// A letter without case and accents, as tokenizers may make it.
fn folded(letter: char) -> char {
    let base = std::iter::once(letter).nfd().next().unwrap_or(letter);
    base.to_lowercase().next().unwrap_or(base)
}
