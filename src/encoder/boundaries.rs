//! Where a text may be cut: before paragraphs, sentences, lines, words.

use unicode_segmentation::UnicodeSegmentation;

/// Place of a cut, the better the larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Before a word that no space precedes, as in Chinese.
    Word,
    /// After a space.
    Space,
    Line,
    Sentence,
    Paragraph,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Boundary {
    pub at: usize,
    pub level: Level,
}

/// All boundaries of a text, in order, one a place.
pub(super) fn boundaries(text: &str) -> Vec<Boundary> {
    let mut all: Vec<_> = lines(text).chain(words(text)).collect();
    // The end of a line ends no sentence: many texts are wrapped.
    let flowing = text.replace(['\n', '\r'], " ");
    let sentences = flowing.split_sentence_bound_indices();
    all.extend(sentences.map(|(at, _)| Boundary { at, level: Level::Sentence }));
    all.sort_unstable_by(|a, b| b.cmp(a));
    all.dedup_by_key(|it| it.at);
    all.reverse();
    all
}

/// Beginnings of lines, and of paragraphs, which come after blank ones.
fn lines(text: &str) -> impl Iterator<Item = Boundary> {
    let (mut next, mut after_blank) = (0, false);
    text.split_inclusive('\n').filter_map(move |line| {
        let at = next;
        next += line.len();
        let is_blank = line.trim().is_empty();
        let level = if after_blank { Level::Paragraph } else { Level::Line };
        after_blank = is_blank;
        (!is_blank).then_some(Boundary { at, level })
    })
}

fn words(text: &str) -> impl Iterator<Item = Boundary> {
    let is_space = |it: Option<char>| it.is_some_and(char::is_whitespace);
    let mut after_space = false;
    text.split_word_bound_indices().filter_map(move |(at, segment)| {
        let first = segment.chars().next();
        let level = match after_space {
            true => Some(Level::Space),
            false => first.is_some_and(char::is_alphanumeric).then_some(Level::Word),
        };
        after_space = is_space(segment.chars().next_back());
        level.filter(|_| !is_space(first)).map(|level| Boundary { at, level })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands before each boundary of a level, and after it.
    fn cuts(text: &str, level: Level) -> Vec<&str> {
        let places = boundaries(text).into_iter().filter(|it| it.level == level);
        let mut places: Vec<usize> = places.map(|it| it.at).collect();
        places.push(text.len());
        let mut from = 0;
        let pieces = places.into_iter().map(|at| &text[std::mem::replace(&mut from, at)..at]);
        pieces.filter(|it| !it.is_empty()).collect()
    }

    #[test]
    fn a_paragraph_comes_after_a_blank_line_whatever_the_line_ends() {
        let expected = ["One.\nTwo.\n \n\n", "Three."];
        let text = expected.concat();
        assert_eq!(cuts(&text, Level::Paragraph), expected);
        let expected = expected.map(|it| it.replace('\n', "\r\n"));
        assert_eq!(cuts(&expected.concat(), Level::Paragraph), expected);
    }

    #[test]
    fn a_sentence_goes_on_in_the_next_line() {
        let text = "It costs 3.50\nEuros. \"Really?\" Yes.\r\nThe end";
        let expected = ["It costs 3.50\nEuros. ", "\"Really?\" ", "Yes.\r\n", "The end"];
        assert_eq!(cuts(text, Level::Sentence), expected);
        assert_eq!(cuts("one\ntwo\nthree", Level::Line), ["one\n", "two\n", "three"]);
    }

    #[test]
    fn punctuation_stays_with_its_word() {
        assert_eq!(cuts("a (b, c)  d", Level::Space), ["a ", "(b, ", "c)  ", "d"]);
        let text = "\u{4e16}\u{754c}, \u{4eba}";
        assert_eq!(cuts(text, Level::Word), ["\u{4e16}", "\u{754c}, \u{4eba}"]);
    }
}
