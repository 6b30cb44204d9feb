//! Bounds against the reference and the kernel, every kind of lanes against the portable ones, and every term of a bound
//! against what it is there for.

use half::f16;
use rand::prelude::*;

use super::integers::Integers;
use super::kernel::Scratch;
use super::query::QuantizedQuery;
use crate::maxsim::bound::tests::Kind;
use crate::maxsim::{CpuMaxSim, InstructionSet, reference};
use crate::multivector::{QuantizedMatrix, Quantizer, TokenMatrix, TokenMatrixRef};

fn bound(integers: Integers, query: &QuantizedQuery, document: &QuantizedMatrix) -> f64 {
    integers.bound(query, document.view(), None, &mut Scratch::new(query))
}

/// The reference's score and those of every instruction set.
fn scores(query: TokenMatrixRef<'_>, document: TokenMatrixRef<'_>) -> Vec<f64> {
    let sets = InstructionSet::available().into_iter();
    let cpus = sets.map(|set| CpuMaxSim::new().with_instruction_set(set));
    let scores = cpus.map(|cpu| f64::from(cpu.score(query, &[document]).unwrap()[0]));
    scores.chain([reference::score(query, document)]).collect()
}

/// Calls `check` with a few thousand queries and documents.
fn each_shape(mut check: impl FnMut(Kind, TokenMatrixRef<'_>, TokenMatrixRef<'_>)) {
    let mut rng = StdRng::seed_from_u64(51);
    for dim in [1, 2, 3, 4, 7, 16, 31, 33, 45, 64, 100, 128, 129, 384, 768, 1030] {
        for round in 0..20 {
            for kind in Kind::ALL {
                let (tokens, rows) = (rng.random_range(1..=70), rng.random_range(1..=60));
                let query = kind.matrix(&mut rng, tokens, dim, 1.0);
                let other = if round % 3 == 0 { Kind::Unit } else { kind };
                let document = other.matrix(&mut rng, rows, dim, -1.0);
                check(kind, query.view(), document.view());
            }
        }
    }
}

#[test]
fn no_score_is_above_its_bound() {
    let integers = Integers::all()[0];
    each_shape(|kind, query, document| {
        let quantized = QuantizedMatrix::new(document).unwrap();
        let upper = bound(integers, &integers.query(query).unwrap(), &quantized);
        for score in scores(query, document) {
            let shape = (query.tokens(), document.tokens(), query.dim());
            assert!(score <= upper, "{kind:?} {shape:?} {score} {upper}");
        }
    });
}

/// With integers that none of them overflows, all lanes find the same maxima to the bit.
#[test]
fn every_kind_of_lanes_bounds_the_same() {
    let all = Integers::all();
    let (portable, native) = all.split_last().unwrap();
    each_shape(|kind, query, document| {
        let quantized = QuantizedMatrix::new(document).unwrap();
        let maxima = |integers: Integers| {
            let packed = QuantizedQuery::new(query, integers.lane_width(), 64.0).unwrap();
            let mut scratch = Scratch::new(&packed);
            integers.bound(&packed, quantized.view(), None, &mut scratch);
            scratch.maxima[..query.tokens()].to_vec()
        };
        let expected = maxima(*portable);
        for integers in native {
            assert_eq!(maxima(*integers), expected, "{integers:?} {kind:?}");
        }
    });
}

/// The row whose rotation is nearest to `rotated`, in f16.
fn rotated_back(rotated: &[f32]) -> Vec<f16> {
    Quantizer::new(rotated.len()).unwrap().rotated_back(rotated)
}

/// A query that integers stand for exactly, and a document of which all that codes leave out points the query's way.
fn all_residual(dim: usize) -> (TokenMatrix, TokenMatrix) {
    let mut rng = StdRng::seed_from_u64(52);
    let signs: Vec<f32> = (0..dim).map(|_| *[-1.0, 1.0].choose(&mut rng).unwrap()).collect();
    let rows = (0..5).map(|_| {
        // The largest value is the largest code, and so a code is 1.
        let mut value = |at: usize| match at {
            0 => 127.0,
            _ => rng.random_range(-120..=120) as f32 + 0.4 * signs[at],
        };
        let row: Vec<f32> = (0..dim).map(&mut value).collect();
        rotated_back(&row)
    });
    let document = TokenMatrix::from_rows(&rows.collect::<Vec<_>>()).unwrap();
    (TokenMatrix::from_rows(&[rotated_back(&signs)]).unwrap(), document)
}

#[test]
fn a_bound_may_be_all_but_reached() {
    for dim in [16, 64, 256] {
        let (query, document) = all_residual(dim);
        let integers = Integers::all()[0];
        let mut packed = integers.query(query.view()).unwrap();
        let quantized = QuantizedMatrix::new(document.view()).unwrap();
        let upper = bound(integers, &packed, &quantized);
        packed.lengths.fill(0.0);
        let without_residual = bound(integers, &packed, &quantized);
        let score = reference::score(query.view(), document.view());
        let reached = (score - without_residual) / (upper - without_residual);
        assert!(score <= upper && reached > 0.7, "{dim}: {reached} of the residual's term");
    }
}

#[test]
fn a_bound_needs_the_residuals() {
    let (query, document) = all_residual(64);
    let integers = Integers::all()[0];
    let mut packed = integers.query(query.view()).unwrap();
    packed.lengths.fill(0.0);
    let quantized = QuantizedMatrix::new(document.view()).unwrap();
    let score = reference::score(query.view(), document.view());
    assert!(score > bound(integers, &packed, &quantized));
}

/// The roles changed: the document is exact in codes, and what the query's integers leave out points its way.
#[test]
fn a_bound_needs_the_errors_of_the_query() {
    let (document, query) = all_residual(64);
    let integers = Integers::all()[0];
    let mut packed = integers.query(query.view()).unwrap();
    let quantized = QuantizedMatrix::new(document.view()).unwrap();
    let score = reference::score(query.view(), document.view());
    assert!(score <= bound(integers, &packed, &quantized));
    packed.errors = 0.0;
    assert!(score > bound(integers, &packed, &quantized));
}

/// A product of two f16 may be such that sums of it are rounded up again and again; codes say a single value exactly.
#[test]
fn a_bound_needs_the_roundings_of_the_score() {
    let query = TokenMatrix::new(&[1.0 + 1.0 / 1024.0; 2_048], 1).unwrap();
    let excess = |document: &TokenMatrix| {
        let exact = reference::score(query.view(), document.view());
        f64::from(CpuMaxSim::new().score(query.view(), &[document.view()]).unwrap()[0]) / exact
    };
    let values = (0..1_024).map(|at| TokenMatrix::new(&[1.0 + at as f32 / 1_024.0], 1).unwrap());
    let document = values.max_by(|a, b| excess(a).total_cmp(&excess(b))).unwrap();
    let quantized = QuantizedMatrix::new(document.view()).unwrap();
    let integers = Integers::all()[0];
    let mut packed = integers.query(query.view()).unwrap();
    let score = f64::from(CpuMaxSim::new().score(query.view(), &[document.view()]).unwrap()[0]);
    assert!(score <= bound(integers, &packed, &quantized));
    packed.rounding = 0.0;
    assert!(score > bound(integers, &packed, &quantized), "rounded by {:e}", excess(&document));
}

/// Sums that come as close to overflowing as codes allow, and values at both ends of f16.
#[test]
fn no_sum_overflows() {
    for dim in [1, 2, 3, 45, 128, 768, 65_536] {
        for (sign, value) in [(1.0, 65_504.0), (-1.0, 65_504.0), (1.0, 6e-8), (-1.0, 0.3)] {
            let query = TokenMatrix::new(&vec![value; 3 * dim], dim).unwrap();
            let document = TokenMatrix::new(&vec![sign * value; 5 * dim], dim).unwrap();
            let score = reference::score(query.view(), document.view());
            let quantized = QuantizedMatrix::new(document.view()).unwrap();
            for integers in Integers::all() {
                let upper = bound(integers, &integers.query(query.view()).unwrap(), &quantized);
                assert!(score <= upper, "{integers:?} {dim}: {score} {upper}");
                assert!(upper - score <= 0.05 * score.abs(), "{integers:?} {dim}: {score} {upper}");
            }
        }
    }
}

#[test]
fn more_columns_than_sums_hold_are_an_error() {
    let matrix = TokenMatrix::new(&vec![1.0_f32; 65_537], 65_537).unwrap();
    let error = QuantizedMatrix::new(matrix.view()).unwrap_err().to_string();
    assert!(error.contains("65536") && error.contains("65537"), "{error}");
    assert!(Integers::all()[0].query(matrix.view()).is_none());
}
