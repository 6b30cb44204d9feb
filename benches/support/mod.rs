//! What the benchmarks share: inputs, a check of the answer, and throughput in the field's units.

#![allow(dead_code)]

use std::fmt;
use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput};
use maxfold::maxsim::reference;
use maxfold::multivector::{MultiVectors, TokenMatrix, TokenMatrixRef};
use rand::prelude::*;

/// A request's size: a query against documents of one length.
#[derive(Clone, Copy)]
pub struct Shape {
    pub query_tokens: usize,
    pub document_tokens: usize,
    pub dim: usize,
    pub documents: usize,
}

impl Shape {
    /// ColBERT text, short documents, and ColPali pages with a short query and a page as query.
    pub const ALL: [Self; 4] = [
        Self::new(32, 180, 128, 1_000),
        Self::new(32, 8, 128, 10_000),
        Self::new(20, 1_030, 128, 100),
        Self::new(1_024, 1_030, 128, 5),
    ];

    pub const fn new(
        query_tokens: usize,
        document_tokens: usize,
        dim: usize,
        documents: usize,
    ) -> Self {
        Self { query_tokens, document_tokens, dim, documents }
    }

    /// Documents, and floating-point operations: a multiplication and an addition a column of each
    /// pair of tokens.
    pub fn throughput(self) -> Throughput {
        let tokens = self.query_tokens * self.document_tokens;
        let operations = 2 * tokens * self.dim * self.documents;
        Throughput::ElementsAndBytes { elements: self.documents as u64, bytes: operations as u64 }
    }

    /// A query and documents of unit vectors in random directions.
    pub fn inputs(self) -> (TokenMatrix, MultiVectors) {
        let mut rng = StdRng::seed_from_u64(1);
        let query =
            TokenMatrix::normalized(&random(&mut rng, self.query_tokens * self.dim), self.dim);
        let mut documents = MultiVectors::empty(self.dim).unwrap();
        for _ in 0..self.documents {
            let values = random(&mut rng, self.document_tokens * self.dim);
            documents.push(TokenMatrix::normalized(&values, self.dim).unwrap().view()).unwrap();
        }
        (query.unwrap(), documents)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { query_tokens, document_tokens, dim, documents } = self;
        write!(f, "{query_tokens}x{document_tokens}x{dim}, {documents}")
    }
}

/// A query and documents of unit vectors that lie around topics, so that scores differ as those of a
/// model's embeddings do: a few documents are near the query, most are not.
///
/// Each of 50 topics is a random direction with 40 words around it; a token is a word and a little of
/// its context. A document is about three topics, the query about one.
pub fn around_topics(shape: Shape) -> (TokenMatrix, MultiVectors) {
    let Shape { query_tokens, document_tokens, dim, documents } = shape;
    let mut rng = StdRng::seed_from_u64(2);
    let topics: Vec<Vec<Vec<f32>>> = (0..50).map(|_| words(&mut rng, dim)).collect();
    let mut matrix = |topics_of: usize, tokens: usize| {
        let about: Vec<_> = (0..topics_of).map(|_| rng.random_range(0..topics.len())).collect();
        let token = |_| {
            let topic = &topics[about[rng.random_range(0..topics_of)]];
            let word = &topic[rng.random_range(0..topic.len())];
            near(&mut rng, word, 0.5)
        };
        TokenMatrix::normalized(&(0..tokens).flat_map(token).collect::<Vec<_>>(), dim).unwrap()
    };
    let query = matrix(1, query_tokens);
    let mut packed = MultiVectors::empty(dim).unwrap();
    for _ in 0..documents {
        packed.push(matrix(3, document_tokens).view()).unwrap();
    }
    (query, packed)
}

/// The words of a topic.
fn words(rng: &mut StdRng, dim: usize) -> Vec<Vec<f32>> {
    let topic = near(rng, &vec![0.0; dim], 1.0);
    (0..40).map(|_| near(rng, &topic, 1.0)).collect()
}

/// A direction, and a random one of about the length `distance`.
fn near(rng: &mut StdRng, direction: &[f32], distance: f32) -> Vec<f32> {
    let scale = distance * (3.0 / direction.len() as f32).sqrt();
    direction.iter().map(|x| x + scale * rng.random_range(-1.0..1.0_f32)).collect()
}

/// Values from −1 to 1.
pub fn random(rng: &mut StdRng, values: usize) -> Vec<f32> {
    (0..values).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Panics unless some of the scores are right: a wrong answer is not worth timing.
pub fn check(query: &TokenMatrix, documents: &[TokenMatrixRef<'_>], scores: &[f32]) {
    assert_eq!(scores.len(), documents.len());
    for at in [0, documents.len() / 2, documents.len() - 1] {
        let expected = reference::score(query.view(), documents[at]);
        let error = (f64::from(scores[at]) - expected).abs();
        assert!(error <= 1e-5 * query.tokens() as f64, "document {at} is off by {error:e}");
    }
}

/// Criterion that prints documents a second and GFLOP/s.
pub fn criterion() -> Criterion<Work> {
    Criterion::default().with_measurement(Work)
}

/// Wall time, with throughput as documents a second (`elements`) and as FLOP/s (`bytes`).
pub struct Work;

impl Measurement for Work {
    type Intermediate = Instant;
    type Value = Duration;

    fn start(&self) -> Instant {
        WallTime.start()
    }

    fn end(&self, start: Instant) -> Duration {
        WallTime.end(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        WallTime.add(a, b)
    }

    fn zero(&self) -> Duration {
        WallTime.zero()
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

impl ValueFormatter for Work {
    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(
        &self,
        _typical: f64,
        throughput: &Throughput,
        values: &mut [f64],
    ) -> &'static str {
        // Values are nanoseconds, so operations over values are already GFLOP/s.
        let (amount, unit) = match *throughput {
            Throughput::Bytes(operations) => (operations as f64, "GFLOP/s"),
            Throughput::Elements(items) => (items as f64 * 1e9, "documents/s"),
            _ => (1e9, "calls/s"),
        };
        values.iter_mut().for_each(|nanoseconds| *nanoseconds = amount / *nanoseconds);
        unit
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_for_machines(values)
    }
}
