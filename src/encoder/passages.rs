//! [`Passages`]: a long text in pieces that a model reads whole.

use std::cmp::Reverse;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::Encoder;
use super::boundaries::{Boundary, Level, boundaries};
use crate::{Error, Result};

/// Cutting of texts into passages that a model reads whole: what a text has beyond the model's length isn't encoded.
///
/// A passage has at most so many of the model's tokens, and at least half of them, unless the text ends or a word is
/// longer. In this range the text is cut before a paragraph, if one begins there, else before a sentence, a line, a
/// word; where there is none of these, between letters as people see them. A text of less than two passages is halved as
/// nearly as that allows.
///
/// ```no_run
/// use maxfold::encoder::{Checkpoint, Encoder, Passages};
///
/// let model = Checkpoint::open("GTE-ModernColBERT-v1")?;
/// let text = "A long text.\n\nIts second paragraph.";
/// let passages = Passages::new().overlap(20).cut(&model, text)?;
/// let texts: Vec<&str> = passages.into_iter().map(|passage| &text[passage]).collect();
/// let encodings = model.documents(&texts)?;
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passages {
    tokens: Option<usize>,
    overlap: usize,
}

impl Passages {
    /// Passages of the model's length, without overlap.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the tokens of a passage, without those that the model adds.
    pub fn tokens(self, tokens: usize) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// Lets a passage begin with the end of the one before it: at most so many tokens, from the beginning of a sentence,
    /// if there is one among them, else of a line or a word.
    pub fn overlap(self, tokens: usize) -> Self {
        Self { overlap: tokens, ..self }
    }

    /// The bytes of each passage of a text, in order, without white space around it: `&text[passage]` is its text.
    ///
    /// All but white space is in a passage. One that is a single character may have more tokens than asked for. A blank text has no
    /// passages.
    ///
    /// # Errors
    /// The encoder's. A passage of no tokens, or of more than the model reads; an overlap of more than half a passage.
    pub fn cut(&self, encoder: &dyn Encoder, text: &str) -> Result<Vec<Range<usize>>> {
        let room = self.room(encoder)?;
        let whole = trimmed(text, 0..text.len());
        let spans = encoder.document_spans(text)?;
        if whole.is_empty() || spans.len() <= room {
            return Ok(if whole.is_empty() { Vec::new() } else { vec![whole] });
        }
        let cutter = Cutter::new(text, &spans);
        let mut passages = Vec::new();
        let (mut from, mut end) = (whole.start, whole.start);
        while end < whole.end {
            let passage = cutter.fitting(encoder, from..end, room)?;
            end = passage.end;
            from = cutter.overlap(passage.clone(), self.overlap);
            passages.push(trimmed(text, passage));
        }
        passages.retain(|it| !it.is_empty());
        Ok(passages)
    }

    /// Most tokens of a passage.
    fn room(&self, encoder: &dyn Encoder) -> Result<usize> {
        let refused = |name, expected, got: usize| {
            Err(Error::InvalidParameter { name, expected, got: got.to_string() })
        };
        let longest = encoder.document_length().unwrap_or(usize::MAX);
        let room = self.tokens.unwrap_or(longest);
        if !(1..=longest).contains(&room) {
            let expected = match encoder.document_length() {
                Some(0) => "possible, by a model that reads some of a text".into(),
                Some(longest) => format!("from 1 to {longest}, which is what the model reads"),
                None => "at least 1".into(),
            };
            return refused("the tokens of a passage", expected, room);
        }
        match self.overlap > room / 2 {
            true => refused(
                "the overlap of passages",
                format!("at most {}, half of a passage", room / 2),
                self.overlap,
            ),
            false => Ok(room),
        }
    }
}

/// A range of a text, without white space around it.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let start = range.end - piece.trim_start().len();
    start..start + piece.trim().len()
}

/// A text, with the ends of its tokens and the places where it may be cut.
struct Cutter<'a> {
    text: &'a str,
    ends: Vec<usize>,
    boundaries: Vec<Boundary>,
}

impl<'a> Cutter<'a> {
    fn new(text: &'a str, spans: &[Range<usize>]) -> Self {
        let mut last = 0;
        // A token that stands for nothing is where the last one ended.
        let ends = spans.iter().map(|span| {
            last = last.max(span.end);
            last
        });
        Self { text, ends: ends.collect(), boundaries: boundaries(text) }
    }

    /// Number of tokens that end before a place.
    fn tokens(&self, at: usize) -> usize {
        self.ends.partition_point(|end| *end <= at)
    }

    /// Boundaries in a range of places.
    fn within(&self, range: Range<usize>) -> &[Boundary] {
        let before = |at: usize| self.boundaries.partition_point(|it| it.at < at);
        let first = before(range.start);
        &self.boundaries[first..before(range.end).max(first)]
    }

    /// The next passage, which goes beyond `known`, the end of the last one that it begins with.
    ///
    /// Alone it may have other tokens than in the whole text, which is tried.
    fn fitting(
        &self,
        encoder: &dyn Encoder,
        mut known: Range<usize>,
        room: usize,
    ) -> Result<Range<usize>> {
        let excess = |passage: &Range<usize>| {
            let spans = encoder.document_spans(&self.text[passage.clone()])?;
            Ok(spans.len().saturating_sub(room))
        };
        let mut tokens = room;
        loop {
            let passage = known.start..self.end(&known, tokens);
            let excess_tokens = excess(&passage)?;
            let least = excess_tokens + self.tokens(known.end) - self.tokens(known.start);
            match excess_tokens {
                0 => return Ok(passage),
                _ if tokens > least => tokens -= excess_tokens,
                // It does without the overlap, then with a single token, then with some of its characters.
                _ if !known.is_empty() => (known.start, tokens) = (known.end, room),
                _ if tokens > 1 => tokens = 1,
                _ => return self.shortened(passage, excess),
            }
        }
    }

    /// A passage that ends earlier: after half of its characters, again and again, until it fits or is a single one.
    fn shortened(
        &self,
        mut passage: Range<usize>,
        excess: impl Fn(&Range<usize>) -> Result<usize>,
    ) -> Result<Range<usize>> {
        while excess(&passage)? > 0 {
            let text = &self.text[passage.clone()];
            let half = text.chars().count() / 2;
            match text.char_indices().nth(half).filter(|_| half > 0) {
                Some((at, _)) => passage.end = passage.start + at,
                None => break,
            }
        }
        Ok(passage)
    }

    /// Where a passage ends that begins with `known`.
    fn end(&self, known: &Range<usize>, room: usize) -> usize {
        let first = self.tokens(known.start);
        let left = self.ends.len() - first;
        if left <= room {
            return self.text.len();
        }
        // The first token that has no room any more ends here.
        let far = self.ends[first + room];
        let rest = &self.text[known.end..];
        // White space alone is no step forward.
        let next = known.end + rest.len() - rest.trim_start().len();
        let half = first + room / 2;
        let near = half.checked_sub(1).map_or(0, |token| self.ends[token]).max(next + 1);
        let wanted = if left < 2 * room { left / 2 } else { room };
        let distance = |it: &Boundary| (self.tokens(it.at) - first).abs_diff(wanted);
        let best = self.within(near..far).iter().max_by_key(|it| (it.level, Reverse(distance(it))));
        let before_long_word = || self.within(next + 1..far).last();
        best.or_else(before_long_word).map_or_else(|| self.inside_word(next, far), |it| it.at)
    }

    /// Where to cut in a range without boundaries: between letters as people see them, or between characters.
    fn inside_word(&self, from: usize, far: usize) -> usize {
        let rest = &self.text[from..];
        let fits = |at: &usize| *at > 0 && from + at < far;
        let letters = rest.grapheme_indices(true).map(|(at, _)| at);
        let letter = letters.take_while(|at| from + at < far).filter(fits).last();
        let characters = || {
            let mut ends = rest.char_indices().map(|(at, it)| at + it.len_utf8());
            let first = ends.next().unwrap_or(rest.len());
            ends.take_while(|at| from + at < far).last().unwrap_or(first)
        };
        from + letter.unwrap_or_else(characters)
    }

    /// Where the passage after this one begins.
    fn overlap(&self, passage: Range<usize>, overlap: usize) -> usize {
        let tokens = self.tokens(passage.end);
        let Some(before) = tokens.checked_sub(overlap + 1).filter(|_| overlap > 0) else {
            return passage.end;
        };
        let window = self.ends[before].max(passage.start + 1)..passage.end;
        let rank = |it: &&Boundary| (it.level.min(Level::Sentence), Reverse(it.at));
        self.within(window).iter().max_by_key(rank).map_or(passage.end, |it| it.at)
    }
}
