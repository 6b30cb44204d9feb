//! [`TextMatch`]: matching of text, token by token.

use std::collections::BTreeSet;

use super::TextParams;

/// Words that a string has to have: as the text index of its field divides them, or else by
/// [`TextParams::DEFAULT`], letters and digits without regard to case.
///
/// With an index, all strings that a field of a point has are one text, except to a phrase; without, a
/// string has to match by itself. So it is in Qdrant. A text without words matches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// All words of this text, in any order; `text` in JSON.
    All(String),
    /// One of the words of this text; `text_any` in JSON.
    Any(String),
    /// The words of this text, one after the other; `phrase` in JSON.
    Phrase(String),
}

static WITHOUT_INDEX: TextParams = TextParams::DEFAULT;

impl TextMatch {
    /// Returns `true` if the strings of a field, which may have a text index, match.
    pub(super) fn holds<'a>(
        &self,
        mut strings: impl Iterator<Item = &'a str>,
        index: Option<&TextParams>,
    ) -> bool {
        let params = index.unwrap_or(&WITHOUT_INDEX);
        let wanted = self.wanted(params);
        if wanted.is_empty() {
            return false;
        }
        let has_them = |tokens: BTreeSet<String>| match self {
            Self::Any(_) => wanted.iter().any(|it| tokens.contains(it)),
            _ => wanted.iter().all(|it| tokens.contains(it)),
        };
        match (self, index) {
            (Self::Phrase(_), _) => {
                strings.any(|text| params.words(text).windows(wanted.len()).any(|it| it == wanted))
            }
            (_, None) => strings.any(|text| has_them(params.tokens(text).into_iter().collect())),
            (_, Some(_)) => has_them(strings.flat_map(|text| params.tokens(text)).collect()),
        }
    }

    /// The tokens that it asks for.
    pub(super) fn wanted(&self, params: &TextParams) -> Vec<String> {
        match self {
            Self::All(text) | Self::Any(text) => params.query_tokens(text),
            Self::Phrase(text) => params.words(text),
        }
    }
}
