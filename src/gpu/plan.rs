//! Plan of a request, split so that every limit of a device is kept. No GPU in it.
//!
//! A *group* is one query, or several with the same candidates: their tokens follow one another, and rows
//! are read once for all of them. A *slice* is some candidates of a group. A *batch* is slices whose results
//! are read back together: a request is one batch, unless that exceeds a limit; then it is halved.

use std::ops::Range;

use super::shader::{Format, OCTET_BYTES, ShaderVariant};
use super::tuning::{BOUNDS, Shape, Tuning, Tunings};
use crate::{Error, Result};

/// Query tokens that are read past the last: a block has 64 at most.
pub(super) const TOKEN_SLACK: usize = 64;

/// Rows that are read past the last of a page: a tile has 16, and may begin 16 columns late.
pub(super) const ROW_SLACK: usize = 18;

/// Rows of maxima that a document may have, of whatever parts it consists.
const MAXIMA_ROWS: usize = 32;

/// Limits of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeviceLimits {
    /// Bytes of a storage binding.
    pub binding_bytes: usize,
    /// Workgroups in each dimension of a dispatch.
    pub workgroups: u32,
    /// Lanes of a subgroup at most.
    pub most_lanes: u32,
    /// Multiplications of a submission: drivers take one that keeps them waiting for seconds for a hang.
    pub submission_work: u64,
}

impl DeviceLimits {
    /// Columns of a row at most: whole tiles of a query token, and of the slack behind it, fit a binding.
    pub(super) fn most_columns(&self) -> usize {
        self.binding_bytes / ((TOKEN_SLACK + 1) * size_of::<half::f16>()) / 16 * 16
    }

    /// Submissions that so many multiplications are cut into.
    pub(super) fn pieces(&self, work: u64) -> usize {
        work.div_ceil(self.submission_work).max(1) as usize
    }

    /// Cuts units of work into as many dispatches as workgroups allow, but at least `pieces`; with each
    /// its workgroups in x and y, of which every one takes so many units.
    pub(super) fn split(
        &self,
        units: Range<usize>,
        of_workgroup: usize,
        pieces: usize,
    ) -> impl Iterator<Item = (Range<usize>, (u32, u32))> + use<> {
        let width = self.workgroups as usize;
        let most = width.saturating_mul(width).saturating_mul(of_workgroup);
        let step = units.len().div_ceil(pieces).clamp(1, most);
        let end = units.end;
        units.step_by(step).map(move |start| {
            let units = start..end.min(start + step);
            let workgroups = units.len().div_ceil(of_workgroup);
            (units, (workgroups.min(width) as u32, workgroups.div_ceil(width) as u32))
        })
    }
}

/// Result that is wanted of every pair, a query and one of its candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Its score.
    Scores,
    /// Its score, if it is one of its query's best so many: from 1 to `top_k::MOST_KEPT`.
    Best(usize),
    /// Its matches.
    Matches,
}

/// Some neighbouring queries with the same candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub queries: Range<usize>,
    /// Tokens of each query.
    pub tokens: Vec<usize>,
    pub candidates: usize,
}

/// Some candidates of a group, and some of its tokens: all, unless its query is beyond a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub group: usize,
    pub tokens: Range<usize>,
    pub candidates: Range<usize>,
}

/// Sizes that a request is laid out by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub limits: DeviceLimits,
    pub wish: Wish,
    /// Format of the rows.
    pub format: Format,
    /// Tokens of the longest query.
    pub tokens: usize,
    /// Columns of a row.
    pub dim: usize,
    /// Octets of a row, and of a query token.
    pub row_octets: usize,
    pub query_octets: usize,
    /// Shape that the kernel is compiled for.
    pub shape: Shape,
    pub tuning: Tuning,
}

impl Plan {
    /// For queries of up to `tokens` tokens and rows of `dim` columns.
    ///
    /// # Errors
    /// A row, with the slack that tiles need, exceeds a binding.
    pub(super) fn new(
        limits: DeviceLimits,
        (variant, tunings): (ShaderVariant, Tunings),
        wish: Wish,
        (tokens, dim): (usize, usize),
    ) -> Result<Self> {
        check_columns(limits, dim)?;
        Ok(Self {
            limits,
            wish,
            format: Format::F16,
            tokens,
            dim,
            row_octets: Format::F16.octets(dim),
            query_octets: Shape::query_octets(variant, dim),
            shape: Shape::new(variant, tunings, dim, tokens),
            tuning: tunings.of(tokens),
        })
    }

    /// For upper bounds of scores, from rows in int8.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub(super) fn of_bounds(limits: DeviceLimits, (tokens, dim): (usize, usize)) -> Result<Self> {
        check_columns(limits, dim)?;
        let row_octets = Format::Int8.octets(dim);
        Ok(Self {
            limits,
            wish: Wish::Scores,
            format: Format::Int8,
            tokens,
            dim,
            row_octets,
            // The constants of a token are one more.
            query_octets: row_octets + 1,
            shape: Shape::of_bounds(row_octets),
            tuning: BOUNDS,
        })
    }

    /// Bytes of a row on the device, without what is beside it.
    pub(super) fn row_bytes(&self) -> usize {
        self.row_octets * OCTET_BYTES
    }

    /// Bytes of a query token on the device.
    pub(super) fn query_bytes(&self) -> usize {
        self.query_octets * OCTET_BYTES
    }

    /// Query tokens of a slice at most.
    pub(super) fn most_tokens(&self) -> usize {
        let rows = self.limits.binding_bytes / self.query_bytes();
        let maxima = self.limits.binding_bytes / (2 * MAXIMA_ROWS * size_of::<u32>());
        rows.saturating_sub(TOKEN_SLACK).min(maxima).max(1)
    }

    /// Puts neighbouring queries with the same candidates together, as long as they fit. `same` says
    /// whether a query has those of the one before it.
    pub(super) fn groups(
        &self,
        queries: impl Iterator<Item = (usize, usize)>,
        same: impl Fn(usize) -> bool,
    ) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (query, (tokens, candidates)) in queries.enumerate() {
            let last = groups.last_mut().filter(|last| {
                let together = last.tokens.iter().sum::<usize>() + tokens;
                self.wish != Wish::Matches && together <= self.most_tokens() && same(query)
            });
            match last {
                Some(group) => {
                    group.queries.end = query + 1;
                    group.tokens.push(tokens);
                }
                None => groups.push(Group {
                    queries: query..query + 1,
                    tokens: vec![tokens],
                    candidates,
                }),
            }
        }
        groups
    }

    /// Every candidate of every group.
    pub(super) fn slices(&self, groups: &[Group]) -> Vec<Slice> {
        let mut slices = Vec::new();
        for (number, group) in groups.iter().enumerate().filter(|(_, it)| it.candidates > 0) {
            let tokens = group.tokens.iter().sum::<usize>();
            for start in (0..tokens).step_by(self.most_tokens()) {
                let tokens = start..tokens.min(start + self.most_tokens());
                slices.push(Slice { group: number, tokens, candidates: 0..group.candidates });
            }
        }
        slices
    }

    /// Returns `true` if some slices may fit one batch, wherever their candidates are.
    pub(super) fn may_fit(&self, groups: &[Group], slices: &[Slice]) -> bool {
        let sum = |of: &dyn Fn(&Slice) -> usize| slices.iter().map(of).sum::<usize>();
        let tokens = sum(&|slice| slice.tokens.len()) + TOKEN_SLACK;
        let items = sum(&|slice| slice.candidates.len());
        let results = sum(&|slice| self.least_results(&groups[slice.group], slice));
        let binding = self.limits.binding_bytes;
        tokens.saturating_mul(self.query_bytes()) <= binding
            && items.saturating_mul(size_of::<u32>()) <= binding
            && results.saturating_mul(size_of::<u32>()) <= binding
    }

    /// Words of a slice's results at least.
    fn least_results(&self, group: &Group, slice: &Slice) -> usize {
        let candidates = slice.candidates.len();
        let cells = candidates.saturating_mul(slice.tokens.len());
        match self.wish {
            Wish::Matches => 2 * cells,
            // Entries of the best have two words.
            _ if self.is_direct(group, slice) => 2 * candidates,
            _ => 2 * group.tokens.len() * candidates + cells,
        }
    }

    /// Returns `true` if the kernel computes scores, and not only maxima.
    pub(super) fn is_direct(&self, group: &Group, slice: &Slice) -> bool {
        self.wish != Wish::Matches
            && group.tokens.len() == 1
            && slice.tokens.len() <= self.shape.tokens
    }
}

/// Refuses rows that, with the slack that tiles need, exceed a binding.
pub(super) fn check_columns(limits: DeviceLimits, dim: usize) -> Result<()> {
    let most = limits.most_columns();
    if dim > most {
        let expected = format!("at most {most}, what one binding holds");
        let got = dim.to_string();
        return Err(Error::DeviceLimit { what: "the dimension", expected, got });
    }
    Ok(())
}

/// The halves of what doesn't fit one batch; `None` if it can't be halved.
pub(super) fn halves(slices: &[Slice]) -> Option<[Vec<Slice>; 2]> {
    if let (first, last @ [_, ..]) = slices.split_at(slices.len() / 2)
        && !first.is_empty()
    {
        return Some([first.to_vec(), last.to_vec()]);
    }
    let slice = slices.first()?;
    let Range { start, end } = slice.candidates;
    let middle = start + (end - start) / 2;
    let half = |candidates| vec![Slice { candidates, ..slice.clone() }];
    (middle > start).then(|| [half(start..middle), half(middle..end)])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::gpu::tuning::tests::room;

    pub(in crate::gpu) const LARGE: DeviceLimits = DeviceLimits {
        binding_bytes: 2 << 30,
        workgroups: 65_535,
        most_lanes: 32,
        submission_work: 1 << 36,
    };
    pub(in crate::gpu) const SMALL: DeviceLimits =
        DeviceLimits { binding_bytes: 1 << 20, workgroups: 256, ..LARGE };

    pub(in crate::gpu) fn plan(
        limits: DeviceLimits,
        wish: Wish,
        tokens: usize,
        dim: usize,
    ) -> Plan {
        let variant = ShaderVariant::ALL[0];
        let tunings = Tunings::candidates(variant, &room(false))[0];
        Plan::new(limits, (variant, tunings), wish, (tokens, dim)).unwrap()
    }

    /// Every token of every query with every candidate exactly once, however often it is halved.
    #[test]
    fn halves_cover_the_whole() {
        for (limits, tokens, candidates) in
            [(LARGE, vec![32], vec![1_000]), (SMALL, vec![32, 9_000, 1], vec![5, 700, 3])]
        {
            let plan = plan(limits, Wish::Scores, 9_000, 128);
            let queries = tokens.iter().copied().zip(candidates.iter().copied());
            let groups = plan.groups(queries, |_| false);
            let mut seen: Vec<Vec<usize>> =
                candidates.iter().map(|count| vec![0; *count]).collect();
            let mut left = vec![plan.slices(&groups)];
            while let Some(slices) = left.pop() {
                if slices.iter().map(|it| it.candidates.len()).sum::<usize>() > 3 {
                    left.extend(halves(&slices).unwrap());
                    continue;
                }
                for Slice { group, tokens, candidates } in slices {
                    candidates.for_each(|at| seen[group][at] += tokens.len());
                }
            }
            for (seen, tokens) in seen.iter().zip(&tokens) {
                assert!(seen.iter().all(|it| it == tokens));
            }
        }
        assert_eq!(halves(&[Slice { group: 0, tokens: 0..9, candidates: 4..5 }]), None);
    }

    #[test]
    fn an_ordinary_request_fits_one_batch() {
        for (tokens, candidates) in [(32, 1_000), (1_024, 1_000), (32, 100_000)] {
            let plan = plan(LARGE, Wish::Best(10), tokens, 128);
            let groups = plan.groups([(tokens, candidates); 16].into_iter(), |_| false);
            assert!(plan.may_fit(&groups, &plan.slices(&groups)));
        }
    }

    #[test]
    fn queries_with_the_same_candidates_share_a_group() {
        let plan = plan(SMALL, Wish::Best(10), 32, 128);
        let groups = plan.groups([(32, 9); 4].into_iter(), |query| query == 1 || query == 3);
        let queries: Vec<_> = groups.iter().map(|group| group.queries.clone()).collect();
        assert_eq!(queries, [0..2, 2..4]);
        let groups = plan.groups([(4_000, 9); 2].into_iter(), |query| query == 1);
        assert_eq!(groups.len(), 2, "they don't fit together");
    }

    #[test]
    fn a_dimension_of_any_size_is_an_error_or_fits() {
        let variant = ShaderVariant::ALL[0];
        let tunings = Tunings::candidates(variant, &room(false))[0];
        for dim in [1, 16_384, 600_000, usize::MAX] {
            let plan = Plan::new(SMALL, (variant, tunings), Wish::Scores, (1, dim));
            assert_eq!(plan.is_ok(), dim == 1, "{dim}");
        }
        let plan = Plan::new(LARGE, (variant, tunings), Wish::Scores, (1, usize::MAX));
        let error = plan.unwrap_err().to_string();
        assert!(
            error.contains("at most 16519104") && error.contains("18446744073709551615"),
            "{error}"
        );
    }
}
