//! [`RequestLimits`]: how much one request may ask for.

use super::query::{Asked, QueryRequest};
use crate::{Error, Result};

/// Ceilings of what one request may ask for, so that none costs a host more than it would give. There
/// are none by default, but for the nesting of filters, which are evaluated one inside the other.
///
/// ```
/// use maxfold::search::RequestLimits;
///
/// let limits = RequestLimits::new().limit(1000).bytes(1 << 20);
/// let refused = limits.read(r#"{"query": [1, 0], "limit": 800, "offset": 300}"#).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "request[0]: expected limit and offset together to be at most 1000, got 1100"
/// );
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    limit: usize,
    prefetch_limit: usize,
    prefetches: usize,
    depth: usize,
    bytes: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        let any = usize::MAX;
        Self { limit: any, prefetch_limit: any, prefetches: any, depth: 100, bytes: any }
    }
}

impl RequestLimits {
    /// No ceilings, but 100 levels of filters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows `limit` results, those that `offset` leaves out included.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Allows so many candidates of each prefetch.
    pub fn prefetch_limit(self, prefetch_limit: usize) -> Self {
        Self { prefetch_limit, ..self }
    }

    /// Allows so many prefetches, those of prefetches included.
    pub fn prefetches(self, prefetches: usize) -> Self {
        Self { prefetches, ..self }
    }

    /// Allows filters nested so deeply, but not beyond [`Filter::DEEPEST`]; one without others inside has a
    /// depth of 1.
    ///
    /// [`Filter::DEEPEST`]: crate::filter::Filter::DEEPEST
    pub fn depth(self, depth: usize) -> Self {
        Self { depth, ..self }
    }

    /// Allows so many bytes of JSON, for all requests of one text.
    pub fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Reads requests from JSON, as [`QueryRequest::read_all`] does, if they keep the ceilings.
    ///
    /// # Errors
    /// The text is no request, or exceeds a ceiling.
    pub fn read(&self, text: &str) -> Result<Vec<QueryRequest>> {
        at_most("the request's bytes", text.len(), self.bytes)?;
        let requests = QueryRequest::read_all(text)?;
        for (at, request) in requests.iter().enumerate() {
            self.check(request).map_err(|error| error.in_request(at))?;
        }
        Ok(requests)
    }

    /// Refuses a request that exceeds a ceiling.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`].
    pub fn check(&self, request: &QueryRequest) -> Result<()> {
        let results = request.limit.saturating_add(request.offset);
        at_most("limit and offset together", results, self.limit)?;
        let root = request.asked();
        at_most("the levels of prefetches", root.depth(Asked::DEEPEST), Asked::DEEPEST)?;
        let mut left = self.prefetches;
        self.check_stage(&root, &mut left)
    }

    /// Checks what every stage has, from the top down; so many prefetches are `left`.
    fn check_stage(&self, stage: &Asked<'_>, left: &mut usize) -> Result<()> {
        let mut filters = stage.filter.into_iter().chain(stage.idf_corpus);
        filters.try_for_each(|filter| filter.check_depth(self.depth))?;
        let count = stage.prefetch.len();
        match left.checked_sub(count) {
            Some(rest) => *left = rest,
            None => at_most(
                "the number of prefetches",
                self.prefetches - *left + count,
                self.prefetches,
            )?,
        }
        stage.below().try_for_each(|below| {
            at_most("a prefetch's limit", below.limit, self.prefetch_limit)?;
            self.check_stage(&below, left)
        })
    }
}

fn at_most(name: &'static str, got: usize, most: usize) -> Result<()> {
    if got <= most {
        return Ok(());
    }
    let (expected, got) = (format!("at most {most}"), got.to_string());
    Err(Error::InvalidParameter { name, expected, got })
}
