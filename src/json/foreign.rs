//! [`Foreign`]: fields of Qdrant's that mean nothing to us.

use super::Json;

/// A field that Qdrant's clients may write beside ours. `null` there asks for nothing.
pub(crate) struct Foreign {
    pub(super) field: &'static str,
    /// Tells whether a value changes no answer.
    pub(super) fits: fn(Json<'_>) -> bool,
    pub(super) otherwise: Otherwise,
}

/// The fault of a value that doesn't fit.
pub(super) enum Otherwise {
    Unknown,
    Expected(&'static str),
    Unsupported(&'static str),
}

impl Foreign {
    /// A field that would change an answer.
    pub const fn new(field: &'static str, what: &'static str) -> Self {
        Self::unless(field, what, |_| false)
    }

    /// A field that would change an answer, except with some values.
    pub const fn unless(
        field: &'static str,
        what: &'static str,
        fits: fn(Json<'_>) -> bool,
    ) -> Self {
        Self { field, fits, otherwise: Otherwise::Unsupported(what) }
    }

    /// A field that belongs elsewhere.
    pub const fn elsewhere(field: &'static str) -> Self {
        Self { field, fits: |_| false, otherwise: Otherwise::Unknown }
    }

    /// A yes or no that changes at most what an answer costs.
    pub const fn flag(field: &'static str) -> Self {
        Self::fitting(field, "true or false", |it| it.as_bool().is_some())
    }

    /// An integer that changes at most what an answer costs.
    pub const fn count(field: &'static str) -> Self {
        Self::fitting(field, "an integer of at least 0", |it| it.as_u64().is_some())
    }

    /// An integer above 0 that changes at most what an answer costs.
    pub const fn positive(field: &'static str) -> Self {
        let fits = |value: Json<'_>| value.as_u64().is_some_and(|it| it > 0);
        Self::fitting(field, "an integer of at least 1", fits)
    }

    /// A word or an object that changes at most what an answer costs.
    pub const fn hint(field: &'static str) -> Self {
        let fits = |value: Json<'_>| value.is_object() || value.is_string();
        Self::fitting(field, "an object or a word", fits)
    }

    /// A value that changes at most what an answer costs, if it is what Qdrant takes.
    pub const fn fitting(
        field: &'static str,
        expected: &'static str,
        fits: fn(Json<'_>) -> bool,
    ) -> Self {
        Self { field, fits, otherwise: Otherwise::Expected(expected) }
    }
}
