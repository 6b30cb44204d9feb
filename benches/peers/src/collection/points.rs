//! What both collections hold, and what they are asked.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{DENSE, TOKENS};

/// How many points of what size.
#[derive(Deserialize)]
pub struct Shape {
    pub points: usize,
    pub dense: usize,
    /// Tokens of a point: the least and the most.
    pub tokens: (usize, usize),
    pub dim: usize,
    pub queries: usize,
    pub query_tokens: usize,
}

/// Unit vectors in clusters, as embeddings are more like than they are like noise. All are rounded to
/// f16 before anyone gets them, but for the dense ones.
pub struct Points {
    pub shape: Shape,
    /// `[points, dense]`.
    pub dense: Vec<f32>,
    tokens: Vec<f16>,
    /// Of points, in rows of `tokens`.
    offsets: Vec<usize>,
    /// A dense vector, and rows.
    pub queries: Vec<(Vec<f32>, Vec<Vec<f32>>)>,
}

/// Points of a cluster.
const CLUSTER: usize = 100;

/// What the points of a cluster are near to.
struct Topic {
    dense: Vec<f32>,
    tokens: Vec<Vec<f32>>,
}

impl Points {
    pub fn random(shape: Shape) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let count = shape.points.div_ceil(CLUSTER).max(10);
        let topics: Vec<Topic> = (0..count).map(|_| Topic::random(&mut rng, &shape)).collect();
        let (least, most) = shape.tokens;
        let (mut dense, mut tokens, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
        for _ in 0..shape.points {
            let topic = &topics[rng.random_range(0..count)];
            dense.extend(near(&mut rng, &topic.dense));
            for _ in 0..rng.random_range(least..=most) {
                tokens.extend(topic.token(&mut rng).into_iter().map(f16::from_f32));
            }
            offsets.push(tokens.len() / shape.dim);
        }
        let query = |_| {
            let topic = &topics[rng.random_range(0..count)];
            let rows = (0..shape.query_tokens).map(|_| topic.token(&mut rng)).collect();
            (near(&mut rng, &topic.dense), rows)
        };
        let queries = (0..shape.queries).map(query).collect();
        Self { shape, dense, tokens, offsets, queries }
    }

    pub fn dense(&self, point: usize) -> &[f32] {
        &self.dense[point * self.shape.dense..][..self.shape.dense]
    }

    /// A point's rows, widened.
    pub fn tokens(&self, point: usize) -> Vec<f32> {
        let rows = self.offsets[point] * self.shape.dim..self.offsets[point + 1] * self.shape.dim;
        let mut wide = vec![0.0; rows.len()];
        self.tokens[rows].convert_to_f32_slice(&mut wide);
        wide
    }

    /// Of the rows in f16, and of the dense vectors in f32.
    pub fn bytes(&self) -> (usize, usize) {
        (size_of_val(self.tokens.as_slice()), size_of_val(self.dense.as_slice()))
    }

    /// A request for the best points by the dense vector.
    pub fn by_dense(&self, query: usize, limit: usize) -> Value {
        json!({"query": self.queries[query].0, "using": DENSE, "limit": limit})
    }

    /// A request for the best points by MaxSim, of all or of so many candidates.
    pub fn by_max_sim(&self, query: usize, candidates: Option<usize>, limit: usize) -> Value {
        let mut body = json!({"query": self.queries[query].1, "using": TOKENS, "limit": limit});
        if let Some(candidates) = candidates {
            body["prefetch"] = json!([self.by_dense(query, candidates)]);
        }
        body
    }
}

impl Topic {
    fn random(rng: &mut StdRng, shape: &Shape) -> Self {
        let tokens = (0..shape.tokens.1).map(|_| random(rng, shape.dim)).collect();
        Self { dense: random(rng, shape.dense), tokens }
    }

    fn token(&self, rng: &mut StdRng) -> Vec<f32> {
        let token = &self.tokens[rng.random_range(0..self.tokens.len())];
        near(rng, token)
    }
}

fn random(rng: &mut StdRng, size: usize) -> Vec<f32> {
    (0..size).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A unit vector.
fn near(rng: &mut StdRng, centre: &[f32]) -> Vec<f32> {
    let mut values: Vec<f32> =
        centre.iter().map(|it| it + rng.random_range(-0.5..0.5_f32)).collect();
    let norm = values.iter().map(|it| it * it).sum::<f32>().sqrt();
    values.iter_mut().for_each(|it| *it /= norm);
    values
}
