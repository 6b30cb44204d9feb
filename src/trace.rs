//! Spans of `tracing`, with the feature of that name; without it, nothing.

/// Opens a span of the target `maxfold`, which ends when the returned [`Span`] is dropped. A field without a
/// value is recorded later.
///
/// Without the feature no value is computed.
macro_rules! span {
    ($name:literal $(, $field:ident $(= $value:expr)?)* $(,)?) => {{
        #[cfg(feature = "tracing")]
        let span = $crate::trace::Span::entered(tracing::debug_span!(
            target: "maxfold",
            $name,
            $($field = $crate::trace::span!(@value $($value)?)),*
        ));
        #[cfg(not(feature = "tracing"))]
        let span = {
            // Never called: its values count as used.
            let _ = || { $($(let _ = &$value;)?)* };
            $crate::trace::Span
        };
        span
    }};
    (@value) => { tracing::field::Empty };
    (@value $value:expr) => { $value };
}

pub(crate) use span;

/// Span that is open until it is dropped.
#[cfg(feature = "tracing")]
pub(crate) struct Span(tracing::span::EnteredSpan);

#[cfg(feature = "tracing")]
impl Span {
    pub fn entered(span: tracing::Span) -> Self {
        Self(span.entered())
    }

    /// Records a field that was left open.
    pub fn record(&self, field: &str, value: impl std::fmt::Display) {
        if !self.0.is_disabled() {
            self.0.record(field, tracing::field::display(value));
        }
    }
}

/// Span that is open until it is dropped.
#[cfg(not(feature = "tracing"))]
pub(crate) struct Span;

#[cfg(not(feature = "tracing"))]
impl Span {
    /// Records a field that was left open.
    #[inline(always)]
    pub fn record(&self, _: &str, _: impl std::fmt::Display) {}
}
