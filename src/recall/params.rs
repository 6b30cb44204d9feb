//! HNSW build and search parameters.

use std::ops::RangeInclusive;

use crate::{Error, Result};

/// HNSW build parameters, and the default of searches.
///
/// The names and the defaults are the paper's and Qdrant's.
///
/// ```
/// use maxfold::recall::HnswParams;
///
/// let denser = HnswParams::new().m(32);
/// assert_eq!((denser.ef_construct, denser.ef_search), (100, 128));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HnswParams {
    /// Links of a vector on each layer, twice as many on the lowest, and there twice that with the dot
    /// product: 2 to 255. Or 0, for no graph:
    /// then every search is a scan.
    pub m: usize,
    /// Number of near vectors considered as links of a new one: 1 to 65,536.
    pub ef_construct: usize,
    /// Least number of near vectors that a search keeps on its walk: 1 or more. More find more, and
    /// take longer. Where they would find less than 95 % of the ten nearest, as in noise of many
    /// dimensions, a search keeps more, or scans: a sample of the graph's own vectors tells.
    pub ef_search: usize,
}

impl Default for HnswParams {
    fn default() -> Self {
        Self::new()
    }
}

/// One link leads nowhere; with more than 255, a scan would be faster.
const M: RangeInclusive<usize> = 2..=255;

/// In the time that a walk takes for each vector that it keeps, a scan compares so many for each of
/// the `m` links of a vector.
const SCANS_PER_LINK: usize = 2;

/// The same of a walk that looks for the few that are allowed.
const SCANS_PER_LINK_TO_FEW: usize = 6;

const EF_CONSTRUCT: RangeInclusive<usize> = 1..=1 << 16;

impl HnswParams {
    /// 16 links, 100 vectors considered for a new one, 128 kept on a walk.
    pub const fn new() -> Self {
        Self { m: 16, ef_construct: 100, ef_search: 128 }
    }

    /// With so many links of a vector on each layer.
    pub const fn m(self, m: usize) -> Self {
        Self { m, ..self }
    }

    /// With so many near vectors considered as links of a new one.
    pub const fn ef_construct(self, ef_construct: usize) -> Self {
        Self { ef_construct, ..self }
    }

    /// With so many near vectors, at least, kept on a walk.
    pub const fn ef_search(self, ef_search: usize) -> Self {
        Self { ef_search, ..self }
    }

    /// Refuses parameters outside their ranges.
    pub(crate) fn check(self) -> Result<()> {
        if self.m != 0 && !M.contains(&self.m) {
            let expected = format!("0 or {} to {}", M.start(), M.end());
            return Err(Error::InvalidParameter { name: "m", expected, got: self.m.to_string() });
        }
        check("ef_construct", self.ef_construct, EF_CONSTRUCT)?;
        check("ef_search", self.ef_search, 1..=usize::MAX)
    }

    /// Returns `true` if a scan of so many vectors is cheaper than a walk, or no dearer.
    pub(super) fn is_scan_cheaper(self, ef: usize, vectors: usize) -> bool {
        self.m == 0 || vectors <= ef.saturating_mul(SCANS_PER_LINK * self.m)
    }

    /// The same for a walk that looks for few among many.
    pub(super) fn is_scan_of_few_cheaper(self, ef: usize, vectors: usize) -> bool {
        self.m == 0 || vectors <= ef.saturating_mul(SCANS_PER_LINK_TO_FEW * self.m)
    }
}

/// Parameters of one search; by default those of the index.
///
/// ```
/// use maxfold::recall::SearchParams;
///
/// let wide = SearchParams::new().hnsw_ef(512);
/// assert_eq!((wide.hnsw_ef, wide.exact), (Some(512), false));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SearchParams {
    /// For this search, instead of [`HnswParams::ef_search`], and taken as it is: the
    /// [`Strategy`](super::Strategy) says if it is likely to miss.
    pub hnsw_ef: Option<usize>,
    /// Compare every document.
    pub exact: bool,
}

impl SearchParams {
    /// Those of the index.
    pub const fn new() -> Self {
        Self { hnsw_ef: None, exact: false }
    }

    /// Keeps so many near vectors on the walk.
    pub const fn hnsw_ef(self, ef: usize) -> Self {
        Self { hnsw_ef: Some(ef), ..self }
    }

    /// Compares every document, or not.
    pub const fn exact(self, exact: bool) -> Self {
        Self { exact, ..self }
    }
}

/// Refuses a parameter outside its range.
pub(super) fn check(name: &'static str, got: usize, range: RangeInclusive<usize>) -> Result<()> {
    if range.contains(&got) {
        return Ok(());
    }
    let expected = match *range.end() {
        usize::MAX => format!("at least {}", range.start()),
        end => format!("{} to {end}", range.start()),
    };
    Err(Error::InvalidParameter { name, expected, got: got.to_string() })
}
