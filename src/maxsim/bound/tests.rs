//! Bounds against the reference and the kernel, and every kind of lanes against the portable ones.

use half::f16;
use rand::prelude::*;

use super::integers::Integers;
use super::kernel::{Estimates, Scratch};
use super::lanes::Columns;
use super::query::{Bounds, QuantizedQuery};
use crate::maxsim::{CpuMaxSim, InstructionSet, reference};
use crate::multivector::{MultiVectors, TokenMatrix, TokenMatrixRef};

/// Matrices of many kinds.
#[derive(Clone, Copy, Debug)]
pub(in crate::maxsim) enum Kind {
    Unit,
    /// Values from −100 to 100.
    Large,
    /// Subnormal in f16.
    Tiny,
    /// Row after row a thousand times as large, or as small.
    Scales,
    /// One number everywhere.
    Constant,
    /// Nothing but zeros, but for one value in a hundred.
    Sparse,
    Zero,
    /// Queries positive, documents negative: no similarity is positive.
    Opposed,
    /// Queries exact in integers; documents a hair below half an integer: all rounded one way.
    Halves,
    /// The same of integers of 8 bits.
    HalfBytes,
}

impl Kind {
    pub(in crate::maxsim) const ALL: [Self; 10] = [
        Self::Unit,
        Self::Large,
        Self::Tiny,
        Self::Scales,
        Self::Constant,
        Self::Sparse,
        Self::Zero,
        Self::Opposed,
        Self::Halves,
        Self::HalfBytes,
    ];

    /// `sign` is 1 for queries, −1 for documents.
    pub(in crate::maxsim) fn matrix(
        self,
        rng: &mut StdRng,
        tokens: usize,
        dim: usize,
        sign: f32,
    ) -> TokenMatrix {
        let constant = rng.random_range(-2.0..2.0_f32);
        let mut value = |at: usize| match self {
            Self::Unit => rng.random_range(-1.0..1.0) / (dim as f32).sqrt(),
            Self::Large => rng.random_range(-100.0..100.0),
            Self::Tiny => rng.random_range(-6e-6..6e-6),
            Self::Scales => rng.random_range(-1.0..1.0) * [1.0, 1e3, 1e-3][at / dim % 3],
            Self::Constant => constant,
            Self::Sparse if rng.random_ratio(1, 100) => rng.random_range(-1.0..1.0),
            Self::Sparse | Self::Zero => 0.0,
            Self::Opposed => sign * rng.random_range(0.01..1.0),
            Self::Halves => {
                halves(dim, at, sign, (i32::MAX as f32 / dim as f32).sqrt().floor().min(32767.0))
            }
            Self::HalfBytes => halves(dim, at, sign, 127.0),
        };
        let values: Vec<f32> = (0..tokens * dim).map(&mut value).collect();
        TokenMatrix::new(&values, dim).unwrap()
    }
}

/// A document whose largest value is 1, and whose others are just below half an integer; a query of so
/// few ones that integers stand for them exactly, and none where the document has its largest.
fn halves(dim: usize, at: usize, sign: f32, limit: f32) -> f32 {
    match (sign > 0.0, at % dim) {
        (true, column) => f32::from(column % 32 == 1),
        (false, 0) => 1.0,
        _ => f16::from_f32(0.499 / limit).to_f32(),
    }
}

/// Documents of a kind; some are given several times, so that scores tie.
pub(in crate::maxsim) fn documents(
    kind: Kind,
    rng: &mut StdRng,
    many: usize,
    dim: usize,
) -> MultiVectors {
    let mut documents = MultiVectors::empty(dim).unwrap();
    while documents.len() < many {
        let other = if rng.random_ratio(1, 8) { Kind::Scales } else { kind };
        let tokens = rng.random_range(1..=30);
        let matrix = other.matrix(rng, tokens, dim, -1.0);
        for _ in 0..rng.random_range(1..=3) {
            documents.push(matrix.view()).unwrap();
        }
    }
    documents
}

/// Scored, sorted and cut.
pub(in crate::maxsim) fn expected(
    cpu: &CpuMaxSim,
    query: TokenMatrixRef<'_>,
    documents: &[TokenMatrixRef<'_>],
    k: usize,
) -> Vec<(usize, u32)> {
    let scores = cpu.score(query, documents).unwrap();
    let mut all: Vec<_> = scores.into_iter().enumerate().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    bits(all)
}

pub(in crate::maxsim) fn bits(scored: Vec<(usize, f32)>) -> Vec<(usize, u32)> {
    scored.into_iter().map(|(at, score)| (at, score.to_bits())).collect()
}

fn estimates(
    integers: Integers,
    query: &QuantizedQuery,
    document: TokenMatrixRef<'_>,
) -> Estimates {
    let mut scratch = Scratch::new(query);
    scratch.reset();
    integers.fold(query, document.values(), &[], &mut scratch);
    scratch.estimates().clone()
}

/// One kind of so many integers a lane.
fn of(columns: Columns) -> Integers {
    Integers::all().into_iter().find(|it| it.layout().1 == columns).unwrap()
}

fn bounds(
    integers: Integers,
    query: TokenMatrixRef<'_>,
    document: TokenMatrixRef<'_>,
) -> Option<Bounds> {
    let query = QuantizedQuery::new(query, integers.layout())?;
    Some(estimates(integers, &query, document).bounds(&query))
}

/// Calls `check` with a few thousand queries and documents.
fn each_shape(mut check: impl FnMut(Kind, TokenMatrixRef<'_>, TokenMatrixRef<'_>)) {
    let mut rng = StdRng::seed_from_u64(31);
    for dim in [1, 2, 3, 7, 16, 31, 33, 45, 64, 100, 128, 129, 384, 768] {
        for round in 0..20 {
            for kind in Kind::ALL {
                let (tokens, rows) = (rng.random_range(1..=70), rng.random_range(1..=120));
                let query = kind.matrix(&mut rng, tokens, dim, 1.0);
                let other = if round % 3 == 0 { Kind::Unit } else { kind };
                let document = other.matrix(&mut rng, rows, dim, -1.0);
                check(kind, query.view(), document.view());
            }
        }
    }
}

#[test]
fn scores_lie_between_bounds() {
    let scorers: Vec<_> = InstructionSet::available()
        .into_iter()
        .map(|set| CpuMaxSim::new().with_instruction_set(set))
        .collect();
    let integers = [of(Columns::Pairs), of(Columns::Quads)];
    each_shape(|kind, query, document| {
        let exact = reference::score(query, document);
        let scores = scorers.iter().map(|cpu| f64::from(cpu.score(query, &[document]).unwrap()[0]));
        let scores: Vec<f64> = scores.chain([exact]).collect();
        for it in integers {
            let Bounds { lower, upper } = bounds(it, query, document).unwrap();
            let within = scores.iter().all(|score| (lower..=upper).contains(score));
            let shape = (query.tokens(), document.tokens(), query.dim());
            assert!(within, "{it:?} {kind:?} {shape:?} {lower} {scores:?} {upper}");
        }
    });
}

#[test]
fn every_kind_of_lanes_estimates_the_same() {
    let all = Integers::all();
    each_shape(|kind, query, document| {
        let estimates = |integers: Integers| {
            let packed = QuantizedQuery::new(query, integers.layout()).unwrap();
            let mut estimates = estimates(integers, &packed, document);
            estimates.maxima.truncate(query.tokens());
            estimates
        };
        for integers in &all {
            let expected = estimates(integers.portable());
            assert_eq!(estimates(*integers), expected, "{integers:?} {kind:?}");
        }
    });
}

/// Roundings that all go one way nearly reach the bound: a smaller one would not hold, which is what
/// makes the tests above able to fail.
#[test]
fn rounding_that_goes_one_way_reaches_the_bound() {
    let kinds = [(Kind::Halves, Columns::Pairs), (Kind::HalfBytes, Columns::Quads)];
    for (dim, (kind, columns)) in
        [32, 128, 768].into_iter().flat_map(|dim| kinds.map(|it| (dim, it)))
    {
        let mut rng = StdRng::seed_from_u64(1);
        let query = kind.matrix(&mut rng, 16, dim, 1.0);
        let document = kind.matrix(&mut rng, 9, dim, -1.0);
        let Bounds { lower, upper } = bounds(of(columns), query.view(), document.view()).unwrap();
        let score = reference::score(query.view(), document.view());
        assert!(upper - score < 0.2 * (upper - lower) / 2.0, "{dim}: {lower} {score} {upper}");
    }
}

/// Sums that come as close to overflowing as the limits allow.
#[test]
fn no_sum_overflows() {
    for dim in [1, 2, 3, 45, 128, 768, 5_000, 32_767] {
        for (sign, value) in [(1.0, 65_504.0), (-1.0, 65_504.0), (1.0, 6e-8), (-1.0, 0.3)] {
            let query = TokenMatrix::new(&vec![value; 3 * dim], dim).unwrap();
            let document = TokenMatrix::new(&vec![sign * value; 5 * dim], dim).unwrap();
            let score = reference::score(query.view(), document.view());
            for integers in Integers::all() {
                let Bounds { lower, upper } =
                    bounds(integers, query.view(), document.view()).unwrap();
                assert!(lower <= score && score <= upper, "{integers:?} {dim}: {lower} {upper}");
                assert!(upper - lower < 0.02 * score.abs(), "{integers:?} {dim}: {lower} {upper}");
            }
        }
    }
}

#[test]
fn dimensions_that_leave_few_bits_have_no_bounds() {
    for (dim, columns) in [(32_769, Columns::Pairs), (65_537, Columns::Quads)] {
        let query = TokenMatrix::new(&vec![1.0_f32; dim], dim).unwrap();
        assert!(QuantizedQuery::new(query.view(), (8, columns)).is_none());
    }
}
