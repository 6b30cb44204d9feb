//! What is timed: a name and a call.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

/// Scores every document for every query, query after query.
pub type Call = Box<dyn FnMut() -> Result<Vec<f32>>>;

/// A peer, in the way of calling it that suits the shape best.
pub struct Peer {
    name: String,
    variant: String,
    call: Call,
    flops: Option<f64>,
}

#[derive(Serialize)]
pub struct Description {
    name: String,
    variant: String,
}

impl Peer {
    pub fn new(name: impl Into<String>, call: impl FnMut() -> Result<Vec<f32>> + 'static) -> Self {
        Self { name: name.into(), variant: String::new(), call: Box::new(call), flops: None }
    }

    /// The fastest of several ways of calling a peer, each tried a few times.
    pub fn fastest(name: &str, variants: Vec<(String, Call)>) -> Result<Self> {
        let mut best: Option<(Duration, String, Call)> = None;
        for (variant, mut call) in variants {
            let took = trial(&mut call).with_context(|| format!("{name}, {variant}"))?;
            if best.as_ref().is_none_or(|(least, ..)| took < *least) {
                best = Some((took, variant, call));
            }
        }
        let (_, variant, call) = best.with_context(|| format!("{name} has no variants"))?;
        Ok(Self { name: name.into(), variant, call, flops: None })
    }

    /// The same, with the operations of a call.
    pub fn with_flops(self, flops: f64) -> Self {
        Self { flops: Some(flops), ..self }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn flops(&self) -> Option<f64> {
        self.flops
    }

    pub fn describe(&self) -> Description {
        Description { name: self.name.clone(), variant: self.variant.clone() }
    }

    pub fn call(&mut self) -> Result<Vec<f32>> {
        (self.call)()
    }
}

/// The least of five calls after an untimed one.
fn trial(call: &mut Call) -> Result<Duration> {
    call()?;
    let mut least = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        call()?;
        least = least.min(start.elapsed());
    }
    Ok(least)
}
