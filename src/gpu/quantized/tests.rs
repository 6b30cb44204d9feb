//! Bounds against the reference, the kernel against what it should compute, and every term of a bound against what it is
//! there for.

use half::{bf16, f16};
use rand::prelude::*;

use super::query::{Constants, int8_tokens};
use super::rows::{append_codes, twelve_bits, word_beside};
use crate::gpu::bounds::bounds;
use crate::gpu::{GpuContext, GpuOptions, QuantizedStore, Stores};
use crate::maxsim::{CpuMaxSim, reference};
use crate::multivector::{QuantizedMatrix, Quantizer, TokenMatrix, TokenMatrixRef};
use crate::ranking::{Query, Wanted};

/// A context, or `None` where there is no GPU and none is required.
fn context() -> Option<GpuContext> {
    match GpuContext::with_options(&GpuOptions::default()) {
        Err(crate::Error::NoAdapter { .. })
            if std::env::var_os("MAXFOLD_REQUIRE_BACKENDS").is_none() =>
        {
            eprintln!("skipped: there is no GPU");
            None
        }
        context => Some(context.unwrap()),
    }
}

/// A query as the kernel has it.
struct Tokens(Vec<(Vec<i8>, Constants)>);

impl Tokens {
    fn new(query: TokenMatrixRef<'_>) -> Self {
        let bytes = int8_tokens(query).unwrap();
        let columns = query.dim().next_multiple_of(16);
        let token = |bytes: &[u8]| {
            let (codes, constants) = bytes.split_at(columns);
            let constants: Vec<f32> = bytemuck::pod_collect_to_vec(constants);
            let [unit, length, error, _] = constants[..] else { panic!() };
            (bytemuck::pod_collect_to_vec(codes), Constants { unit, length, error })
        };
        Self(bytes.chunks_exact(columns + 16).map(token).collect())
    }

    fn each(mut self, change: impl Fn(&mut Constants)) -> Self {
        self.0.iter_mut().for_each(|(_, constants)| change(constants));
        self
    }
}

/// A document as the kernel has it.
struct Rows {
    rows: Vec<(Vec<i8>, u32)>,
    longest: f32,
}

impl Rows {
    fn new(document: TokenMatrixRef<'_>) -> Self {
        let quantized = QuantizedMatrix::new(document).unwrap();
        let parts = quantized.view().parts();
        let mut rows = Vec::new();
        append_codes(quantized.view(), 0..document.tokens(), |codes| {
            let word = word_beside(&parts, rows.len(), document.dim());
            rows.push((bytemuck::pod_collect_to_vec(codes), word));
        });
        Self { rows, longest: parts.longest }
    }

    /// With residuals that were less by so much.
    fn less(mut self, by: f64) -> Self {
        for (_, word) in &mut self.rows {
            let residual = f64::from(residual_of(*word)) - by;
            *word = *word & !0xfff | twelve_bits(residual.max(0.0));
        }
        self
    }
}

fn scale_of(word: u32) -> f32 {
    f32::from_bits((word >> 12) << 11)
}

fn residual_of(word: u32) -> f32 {
    f32::from_bits((word & 0xfff) << 19)
}

/// Bound as the kernel computes it, without its roundings; and the sum of its terms without their
/// signs.
fn computed(query: &Tokens, document: &Rows) -> (f64, f64) {
    let (mut bound, mut terms) = (0.0, 0.0);
    for (integers, constants) in &query.0 {
        let [unit, length, error] =
            [constants.unit, constants.length, constants.error].map(f64::from);
        let row = |(codes, word): &(Vec<i8>, u32)| {
            let products = integers.iter().zip(codes);
            let sum: i64 = products.map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
            let similarity = sum as f64 * f64::from(scale_of(*word));
            (similarity, f64::from(residual_of(*word)) * length)
        };
        let rows: Vec<(f64, f64)> = document.rows.iter().map(row).collect();
        let highest = rows.iter().map(|(a, b)| a + b).fold(f64::NEG_INFINITY, f64::max);
        let largest = rows.iter().map(|(a, b)| a.abs() + b).fold(0.0, f64::max);
        let more = error * f64::from(document.longest);
        bound += unit * (highest + more);
        terms += unit * (largest + more);
    }
    (bound, terms)
}

fn upper(query: &TokenMatrix, document: &TokenMatrix) -> f64 {
    computed(&Tokens::new(query.view()), &Rows::new(document.view())).0
}

/// Values of many kinds; `sign` is 1 for queries, −1 for documents.
fn value(kind: usize, rng: &mut StdRng, at: usize, dim: usize, sign: f32) -> f32 {
    match kind {
        0 => rng.random_range(-1.0..1.0) / (dim as f32).sqrt(),
        1 => rng.random_range(-100.0..100.0),
        // Subnormal in f16.
        2 => rng.random_range(-6e-6..6e-6),
        3 => rng.random_range(-1.0..1.0) * [1.0, 1e3, 1e-3][at / dim % 3],
        4 => {
            if rng.random() {
                65_504.0
            } else {
                -65_504.0
            }
        }
        5 => f32::from(rng.random_ratio(1, 100)),
        6 => 0.0,
        // No similarity is positive.
        _ => sign * rng.random_range(0.01..1.0),
    }
}

const KINDS: usize = 8;

fn matrix(kind: usize, rng: &mut StdRng, tokens: usize, dim: usize, sign: f32) -> TokenMatrix {
    let values: Vec<f32> = (0..tokens * dim).map(|at| value(kind, rng, at, dim, sign)).collect();
    TokenMatrix::new(&values, dim).unwrap()
}

/// The GPU's bounds and its scores.
fn on_gpu(
    gpu: &GpuContext,
    query: TokenMatrixRef<'_>,
    documents: &[TokenMatrix],
) -> (Vec<f32>, Vec<f32>) {
    let store = QuantizedStore::with_budget(gpu, query.dim(), 64 << 20).unwrap();
    let quantized: Vec<_> =
        documents.iter().map(|it| QuantizedMatrix::new(it.view()).unwrap()).collect();
    let named: Vec<_> = (0..).zip(&quantized).map(|(id, it): (u64, _)| (id, it.view())).collect();
    store.load(&named, |_| {}).unwrap();
    let candidates: Vec<u64> = (0..documents.len() as u64).collect();
    let queries = [Query { tokens: query, candidates: &candidates }];
    let (mut bounds, _) = bounds(&gpu.gpu, &store, &queries).unwrap().unwrap();
    let stores = Stores { exact: None, quantized: None };
    let matrices = |id: u64| Ok(Some(documents[id as usize].view()));
    let ranked = gpu.answer(&queries, &stores, &matrices, Wanted::all()).unwrap().0.swap_remove(0);
    let mut scores = vec![0.0; documents.len()];
    ranked.hits.iter().for_each(|hit| scores[hit.id as usize] = hit.score);
    (bounds.swap_remove(0), scores)
}

#[test]
fn no_score_is_above_its_bound_and_bounds_are_what_they_should_be() {
    let Some(gpu) = context() else { return };
    let mut rng = StdRng::seed_from_u64(81);
    for dim in [1, 2, 3, 4, 7, 15, 16, 17, 45, 100, 128, 129, 256, 257, 384, 1_030] {
        for kind in 0..KINDS {
            let tokens = [1, 7, 32, 33, 70][rng.random_range(0..5)];
            let query = matrix(kind, &mut rng, tokens, dim, 1.0);
            let documents: Vec<_> = (0..8)
                .map(|at| {
                    let rows = [1, 2, 31, 33, 90, 300][rng.random_range(0..6)];
                    matrix(if at == 0 { 0 } else { kind }, &mut rng, rows, dim, -1.0)
                })
                .collect();
            let (bounds, scores) = on_gpu(&gpu, query.view(), &documents);
            let packed = Tokens::new(query.view());
            for ((document, bound), score) in documents.iter().zip(bounds).zip(scores) {
                let name = format!("{dim} columns, kind {kind}, {tokens} tokens");
                let exact = reference::score(query.view(), document.view());
                assert!(score <= bound && exact <= f64::from(bound), "{name}: {score} {bound}");
                let (computed, terms) = computed(&packed, &Rows::new(document.view()));
                let off = (f64::from(bound) - computed).abs();
                // Of zeros, all is so small that a device may take it for 0.
                assert!(off <= (2e-6 * terms).max(1e-30), "{name}: {bound} for {computed}");
            }
        }
    }
}

/// Documents in several pieces, divided ones, and queries in several blocks.
#[test]
fn bounds_are_the_same_however_they_are_divided() {
    let Some(gpu) = context() else { return };
    let mut rng = StdRng::seed_from_u64(82);
    let narrow = GpuContext::with_options(&GpuOptions::default().binding_limit(1 << 20)).unwrap();
    for tokens in [20, 200] {
        let query = matrix(0, &mut rng, tokens, 64, 1.0);
        let rows = [5_000, 17, 1, 20_000, 300];
        let documents = rows.map(|rows| matrix(0, &mut rng, rows, 64, -1.0));
        let (bounds, scores) = on_gpu(&narrow, query.view(), &documents);
        let (others, _) = on_gpu(&gpu, query.view(), &documents);
        for (at, document) in documents.iter().enumerate() {
            let (computed, terms) =
                computed(&Tokens::new(query.view()), &Rows::new(document.view()));
            for bound in [bounds[at], others[at]] {
                assert!((f64::from(bound) - computed).abs() <= 2e-6 * terms && bound >= scores[at]);
            }
        }
    }
}

/// A query that integers stand for exactly, and a document of which all that codes leave out points the query's way.
fn all_residual(dim: usize) -> (TokenMatrix, TokenMatrix) {
    let mut rng = StdRng::seed_from_u64(83);
    let quantizer = Quantizer::new(dim).unwrap();
    let signs: Vec<f32> = (0..dim).map(|_| *[-1.0, 1.0].choose(&mut rng).unwrap()).collect();
    let mut value = |at: usize| match at {
        0 => 127.0,
        _ => rng.random_range(-120..=120) as f32 + 0.4 * signs[at],
    };
    let row: Vec<f32> = (0..dim).map(&mut value).collect();
    let matrix = |row: &[f32]| TokenMatrix::from_rows(&[quantizer.rotated_back(row)]).unwrap();
    (matrix(&signs), matrix(&row))
}

#[test]
fn a_bound_needs_the_residuals() {
    let (query, document) = all_residual(64);
    let score = reference::score(query.view(), document.view());
    assert!(score <= upper(&query, &document));
    let tokens = Tokens::new(query.view()).each(|it| it.length = 0.0);
    assert!(score > computed(&tokens, &Rows::new(document.view())).0);
}

/// The roles changed: the document is exact in codes, and what the query's integers leave out points its way.
#[test]
fn a_bound_needs_the_errors_of_the_query() {
    let (document, query) = all_residual(64);
    let score = reference::score(query.view(), document.view());
    assert!(score <= upper(&query, &document));
    let tokens = Tokens::new(query.view()).each(|it| it.error = 0.0);
    assert!(score > computed(&tokens, &Rows::new(document.view())).0);
}

/// Of one column, codes say everything, but for the scale's last digits.
#[test]
fn a_bound_needs_what_is_cut_off_a_scale() {
    let query = TokenMatrix::new(&[1.0_f32], 1).unwrap();
    let mut needed = 0;
    for value in 0..200 {
        let value = 1_024.0 + value as f32;
        let document = TokenMatrix::new(&[value], 1).unwrap();
        let score = reference::score(query.view(), document.view());
        assert!(score <= upper(&query, &document), "{value}");
        let quantized = QuantizedMatrix::new(document.view()).unwrap();
        let parts = quantized.view().parts();
        let kept = f64::from(scale_of(word_beside(&parts, 0, 1)));
        let scale = f64::from(f32::from_le_bytes(parts.scales[0]));
        let moved = (scale - kept).abs() / scale * f64::from(parts.longest);
        // All else that raises a residual is a thousandth of that.
        let rows = Rows::new(document.view()).less(1.1 * moved);
        needed += usize::from(score > computed(&Tokens::new(query.view()), &rows).0);
    }
    assert!(needed > 50, "{needed} of 200");
}

/// Scores with f16 that are below 2⁻¹⁴ taken for 0.
fn flushed(query: &TokenMatrix, document: &TokenMatrix) -> f64 {
    let flushed = |matrix: &TokenMatrix| {
        let least = f16::MIN_POSITIVE.to_f32();
        let values = matrix.view().values().iter().map(|it| it.to_f32());
        let values: Vec<f32> = values.map(|it| if it.abs() < least { 0.0 } else { it }).collect();
        TokenMatrix::new(&values, matrix.dim()).unwrap()
    };
    reference::score(flushed(query).view(), flushed(document).view())
}

#[test]
fn a_bound_covers_f16_that_are_taken_for_0_and_needs_to() {
    let ones = |value: f32| TokenMatrix::new(&[value; 64], 64).unwrap();
    // True scores are negative, those of such a device are 0.
    for (query, document) in [(ones(6e-5), ones(-1.0)), (ones(1.0), ones(-6e-5))] {
        let score = flushed(&query, &document);
        assert_eq!(score, 0.0);
        assert!(reference::score(query.view(), document.view()) < -3e-3);
        assert!(score <= upper(&query, &document));
    }
    let tokens = Tokens::new(ones(6e-5).view()).each(|it| it.error *= 0.5);
    assert!(computed(&tokens, &Rows::new(ones(-1.0).view())).0 < 0.0);
    let document = Rows::new(ones(-6e-5).view());
    let rows = Rows { longest: document.longest, rows: document.rows.clone() }.less(4.5e-4);
    assert!(computed(&Tokens::new(ones(1.0).view()), &rows).0 < 0.0);
}

/// A product of two f16 may be such that sums of it are rounded up again and again; codes say a single value exactly.
#[test]
fn a_bound_needs_the_roundings_of_the_score() {
    let query = TokenMatrix::new(&[1.0 + 1.0 / 1024.0; 2_048], 1).unwrap();
    let score = |it: &TokenMatrix| {
        f64::from(CpuMaxSim::new().score(query.view(), &[it.view()]).unwrap()[0])
    };
    let excess = |it: &TokenMatrix| score(it) / reference::score(query.view(), it.view());
    let values = (0..1_024).map(|at| TokenMatrix::new(&[1.0 + at as f32 / 1_024.0], 1).unwrap());
    let document = values.max_by(|a, b| excess(a).total_cmp(&excess(b))).unwrap();
    assert!(score(&document) <= upper(&query, &document));
    let tokens = Tokens::new(query.view()).each(|it| it.error = 0.0);
    // Nor with what is beside rounding: a scale's last digits, and f16 that may be taken for 0.
    let rows = Rows { rows: Rows::new(document.view()).rows, longest: 0.0 }.less(1.0);
    let scale = f64::from(scale_of(rows.rows[0].1));
    let exact = f64::from(f32::from_le_bytes(
        QuantizedMatrix::new(document.view()).unwrap().view().parts().scales[0],
    ));
    let without = computed(&tokens, &rows).0 * exact / scale;
    assert!(score(&document) > without, "{} {without}", score(&document));
}

/// Words say no less than what they are of.
#[test]
fn residuals_are_rounded_up_and_scales_to_thirteen_digits() {
    let mut rng = StdRng::seed_from_u64(84);
    for _ in 0..100_000 {
        let value = 2.0_f64.powf(rng.random_range(-40.0..30.0));
        let kept = f64::from(f32::from_bits(twelve_bits(value) << 19));
        assert!(kept >= value && kept <= value * 1.0626, "{value} {kept}");
    }
    let document = matrix(0, &mut rng, 500, 100, 1.0);
    let quantized = QuantizedMatrix::new(document.view()).unwrap();
    let parts = quantized.view().parts();
    for row in 0..500 {
        let word = word_beside(&parts, row, 100);
        let scale = f32::from_le_bytes(parts.scales[row]);
        assert!((scale_of(word) - scale).abs() <= scale / 8_192.0);
        let residual = bf16::from_le_bytes(parts.residuals[row]).to_f32();
        assert!(residual_of(word) > residual && residual_of(word) < 1.5 * residual);
    }
}

/// 128 columns take 132 bytes a token, of 256 in f16.
#[test]
fn int8_takes_about_half_of_the_memory() {
    let Some(gpu) = context() else { return };
    let store = QuantizedStore::with_budget(&gpu, 128, 1 << 20).unwrap();
    let document = matrix(0, &mut StdRng::seed_from_u64(85), 100, 128, 1.0);
    store.insert(1, QuantizedMatrix::new(document.view()).unwrap().view()).unwrap();
    assert_eq!(store.statistics().used_bytes, 100 * 132);
}
