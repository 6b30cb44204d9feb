//! Marks in a text: which tokens of a hit were matched, by which query tokens, and how strongly.

use std::collections::BTreeMap;

use super::hits::{Explained, Hit};
use super::passage::Passage;

/// Mark of a token that was matched.
pub struct Mark {
    /// The query token that is most similar to it, whose colour it has.
    pub token: usize,
    /// From 0.2 to 1, beside the strongest mark.
    pub strength: f32,
    /// All query tokens that matched it.
    pub tokens: Vec<(usize, f32)>,
}

/// Part of a text, with its mark if it has one.
pub struct Piece<'a> {
    pub text: &'a str,
    pub mark: Option<&'a Mark>,
}

/// By row of the hit.
pub fn marks(explained: &Explained, hit: &Hit) -> BTreeMap<usize, Mark> {
    let mut matched: BTreeMap<usize, Vec<(usize, f32)>> = BTreeMap::new();
    for (token, it) in explained.matches(hit) {
        matched.entry(it.token as usize).or_default().push((token, it.similarity));
    }
    let all = matched.values().flatten();
    let most = all.map(|(_, similarity)| *similarity).fold(f32::MIN_POSITIVE, f32::max);
    let mark = |(row, tokens): (usize, Vec<(usize, f32)>)| {
        let (token, similarity) = tokens.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let strength = (similarity / most).clamp(0.2, 1.0);
        Some((row, Mark { token, strength, tokens }))
    };
    matched.into_iter().filter_map(mark).collect()
}

/// The text, cut where marks begin and end.
pub fn pieces<'a>(passage: &'a Passage, marks: &'a BTreeMap<usize, Mark>) -> Vec<Piece<'a>> {
    let placed = marks.iter().filter_map(|(row, mark)| {
        let place = passage.places.get(*row)?.as_ref()?;
        Some((place.start, place.end, mark))
    });
    let mut placed: Vec<_> = placed.collect();
    placed.sort_by_key(|(start, end, _)| (*start, *end));
    let (mut pieces, mut from) = (Vec::new(), 0);
    let mut push = |range: std::ops::Range<usize>, mark| {
        if let Some(text) = passage.text.get(range).filter(|text| !text.is_empty()) {
            pieces.push(Piece { text, mark });
        }
    };
    for (start, end, mark) in placed {
        // Parts of one letter may be tokens: the first has the mark.
        let start = start.max(from);
        push(from..start, None);
        push(start..end.max(start), Some(mark));
        from = end.max(start);
    }
    push(from..passage.text.len(), None);
    pieces
}

/// Tokens that were matched and aren't in the text, as `[CLS]`.
pub fn elsewhere<'a>(
    passage: &'a Passage,
    marks: &'a BTreeMap<usize, Mark>,
) -> Vec<(&'a str, &'a Mark)> {
    let outside = marks.iter().filter(|(row, _)| matches!(passage.places.get(**row), Some(None)));
    outside.filter_map(|(row, mark)| Some((passage.tokens.get(*row)?.as_str(), mark))).collect()
}
