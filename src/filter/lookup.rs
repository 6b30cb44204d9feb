//! [`Lookup`]: which keys of an index answer a test.

use std::ops::RangeInclusive;

use super::geo_cells::{self, Cover};
use super::index_keys::{
    FILLED, LONG, NULL, OTHER, Span, VALUE, bool_key, bound_key, datetime_span, integer_key,
    keyword, number_span, uuid_key,
};
use super::{GeoArea, IndexKind, Match, Scalar, Scalars, Test, TextMatch, TextParams};

/// Keys of an index under which a test finds its points.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// Keys whose points pass.
    pub sure: Vec<Span>,
    /// Keys whose points may pass.
    pub possible: Vec<Span>,
    /// It is the points without those keys that pass.
    pub inverted: bool,
}

impl IndexKind {
    /// Keys of the points that pass `test`, if an index of this kind knows: points pass that every one of the
    /// lookups finds.
    pub(super) fn lookup(&self, test: &Test) -> Option<Vec<Lookup>> {
        let one = match (self, test) {
            (_, Test::IsEmpty(wanted)) => Lookup::class(FILLED, *wanted),
            (_, Test::IsNull(wanted)) => Lookup::class(NULL, !*wanted),
            (Self::Integer | Self::Float, Test::Range(range)) => Lookup::sure(number_span(range)),
            (Self::Datetime, Test::Datetime(range)) => Lookup::sure(datetime_span(range)),
            (Self::Geo, Test::Geo(area)) => Lookup::within(area),
            (Self::Text(params), Test::Match(Match::Text(text))) => {
                return Some(lookup_text(text, params));
            }
            (_, Test::Match(matched)) => self.lookup_match(matched)?,
            _ => return None,
        };
        Some(vec![one])
    }

    fn lookup_match(&self, matched: &Match) -> Option<Lookup> {
        let strings = || match matched {
            Match::Value(Scalar::String(value)) => Some(vec![value.as_str()]),
            Match::Any(Scalars::Strings(values)) => Some(values.iter().map(|it| &**it).collect()),
            _ => None,
        };
        let integers = || match matched {
            Match::Value(Scalar::Integer(value)) => Some(vec![*value]),
            Match::Any(Scalars::Integers(values)) => Some(values.iter().copied().collect()),
            _ => None,
        };
        let keys = match (self, matched) {
            (Self::Keyword, Match::Except(Scalars::Strings(values))) => {
                return Some(Lookup::except(values.iter().map(|value| keyword(value))));
            }
            (Self::Keyword, Match::Prefix(prefix)) => return Some(Lookup::prefix(prefix)),
            (Self::Integer, Match::Except(Scalars::Integers(values))) => {
                return Some(Lookup::except(values.iter().map(|&value| integer_key(value))));
            }
            (Self::Bool, Match::Value(Scalar::Bool(value))) => vec![bool_key(*value)],
            (Self::Keyword, _) => strings()?.into_iter().map(keyword).collect(),
            (Self::Integer, _) => integers()?.into_iter().map(integer_key).collect(),
            (Self::Uuid, _) => {
                let key = |it| uuid_key(it).unwrap_or_else(|| vec![OTHER]);
                strings()?.into_iter().map(key).collect()
            }
            _ => return None,
        };
        Some(Lookup::any(keys))
    }
}

/// Every word of a text, or any of them. Whether they are side by side, only the text itself says.
fn lookup_text(text: &TextMatch, params: &TextParams) -> Vec<Lookup> {
    let words = text.wanted(params);
    if words.is_empty() {
        return vec![Lookup::default()];
    }
    match text {
        TextMatch::Any(_) => vec![Lookup::any(words.iter().map(|it| keyword(it)))],
        TextMatch::All(_) => words.iter().map(|it| Lookup::any([keyword(it)])).collect(),
        TextMatch::Phrase(phrase) => {
            let tokens = params.query_tokens(phrase);
            tokens.iter().map(|it| Lookup::any([keyword(it)]).unsure()).collect()
        }
    }
}

impl Lookup {
    fn sure(span: Option<Span>) -> Self {
        Self { sure: span.into_iter().collect(), ..Self::default() }
    }

    /// Points with a string that begins with a prefix.
    fn prefix(prefix: &str) -> Self {
        let start = [&[VALUE], prefix.as_bytes()].concat();
        let mut end = start.clone();
        // No byte of UTF-8 is the last one.
        end.last_mut().into_iter().for_each(|last| *last += 1);
        Self { sure: vec![Span { start, end }], possible: vec![Span::class(LONG)], inverted: false }
    }

    /// The same points, none of them for sure.
    fn unsure(self) -> Self {
        Self { possible: [self.sure, self.possible].concat(), ..Self::default() }
    }

    /// Points with a place in an area.
    fn within(area: &GeoArea) -> Self {
        let span = |cells: RangeInclusive<u64>| {
            let (start, end) = (u128::from(*cells.start()), u128::from(*cells.end()) + 1);
            Span { start: bound_key(start), end: bound_key(end) }
        };
        let Cover { sure, possible } = geo_cells::cover(area);
        let spans = |cells: Vec<_>| cells.into_iter().map(span).collect();
        Self { sure: spans(sure), possible: spans(possible), inverted: false }
    }

    fn class(class: u8, inverted: bool) -> Self {
        Self { sure: vec![Span::class(class)], inverted, ..Self::default() }
    }

    /// Points with at least one of these keys.
    fn any(keys: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut lookup = Self::default();
        for key in keys {
            let spans = if key[0] == VALUE { &mut lookup.sure } else { &mut lookup.possible };
            spans.push(Span::of(key));
        }
        lookup
    }

    /// Points with at least one value under none of these keys, which ascend.
    fn except(keys: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut sure = vec![Span::class(OTHER)];
        let mut start = vec![VALUE];
        for excluded in keys.filter(|key| key[0] == VALUE).map(Span::of) {
            sure.push(Span { start, end: excluded.start });
            start = excluded.end;
        }
        sure.push(Span { start, end: vec![VALUE + 1] });
        Self { sure, possible: vec![Span::class(LONG)], inverted: false }
    }
}
