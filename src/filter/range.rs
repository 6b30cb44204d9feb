//! [`Range`]: bounds on numbers, datetimes and counts.

/// Bounds that a value has to keep; those that are not given bound nothing.
///
/// ```
/// use maxfold::filter::Range;
///
/// let range = Range::new().gte(1.0).lt(2.0);
/// assert!(range.contains(1.0) && range.contains(1.5) && !range.contains(2.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<T> {
    /// The value is greater.
    pub gt: Option<T>,
    /// The value is greater or equal.
    pub gte: Option<T>,
    /// The value is less.
    pub lt: Option<T>,
    /// The value is less or equal.
    pub lte: Option<T>,
}

impl<T> Default for Range<T> {
    fn default() -> Self {
        Self { gt: None, gte: None, lt: None, lte: None }
    }
}

impl<T> Range<T> {
    /// No bounds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Values greater than `bound`.
    pub fn gt(self, bound: T) -> Self {
        Self { gt: Some(bound), ..self }
    }

    /// Values greater than or equal to `bound`.
    pub fn gte(self, bound: T) -> Self {
        Self { gte: Some(bound), ..self }
    }

    /// Values less than `bound`.
    pub fn lt(self, bound: T) -> Self {
        Self { lt: Some(bound), ..self }
    }

    /// Values less than or equal to `bound`.
    pub fn lte(self, bound: T) -> Self {
        Self { lte: Some(bound), ..self }
    }

    /// The bounds in JSON's names, with what `read` makes of them.
    pub(super) fn try_from_bounds<E>(
        mut read: impl FnMut(&'static str) -> Result<Option<T>, E>,
    ) -> Result<Self, E> {
        Ok(Self { gt: read("gt")?, gte: read("gte")?, lt: read("lt")?, lte: read("lte")? })
    }

    /// The bounds under JSON's names.
    pub(super) fn bounds(&self) -> [(&'static str, Option<&T>); 4] {
        let Self { gt, gte, lt, lte } = self;
        [("gt", gt.as_ref()), ("gte", gte.as_ref()), ("lt", lt.as_ref()), ("lte", lte.as_ref())]
    }
}

impl<T: PartialOrd> Range<T> {
    /// Returns `true` if a value keeps every bound.
    pub fn contains(&self, value: T) -> bool {
        let Self { gt, gte, lt, lte } = self;
        gt.as_ref().is_none_or(|bound| value > *bound)
            && gte.as_ref().is_none_or(|bound| value >= *bound)
            && lt.as_ref().is_none_or(|bound| value < *bound)
            && lte.as_ref().is_none_or(|bound| value <= *bound)
    }
}
