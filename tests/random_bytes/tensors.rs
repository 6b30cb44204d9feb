//! Door: the interchange file.

use std::fs;

use maxfold::maxsim::CpuMaxSim;
use maxfold::multivector::{DenseVectors, Interchange, MultiVectors, VectorFile};
use rand::prelude::*;
use serde_json::{Map, Value, json};

use crate::{mutate, trials};

/// A file that is read is the same when it is written, and item by item.
#[test]
fn tensors_are_read_as_they_stand() {
    let _alone = trials::alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file.safetensors");
    let input = |rng: &mut StdRng| match rng.random_range(0..10) {
        0 => mutate::noise(rng),
        1..5 => forged(rng),
        5 => valid(rng),
        _ => {
            let whole = valid(rng);
            mutate::bytes(rng, whole)
        }
    };
    trials::door("tensors", input, |bytes| {
        let Ok(read) = Interchange::from_bytes(bytes) else { return false };
        let matrices: Vec<_> = read.tokens.iter().collect();
        assert_eq!(matrices.iter().map(|it| it.tokens()).sum::<usize>(), read.tokens.tokens());
        if let Some(query) = matrices.first() {
            let scores = CpuMaxSim::new().score(*query, &matrices).unwrap();
            assert!(scores.iter().all(|score| score.is_finite()));
        }
        let again = Interchange::from_bytes(&read.to_bytes().unwrap()).unwrap();
        assert_eq!((&again.tokens, &again.dense), (&read.tokens, &read.dense));
        fs::write(&path, bytes).unwrap();
        let mut file = VectorFile::tokens(&path).unwrap();
        for (item, matrix) in matrices.iter().enumerate() {
            let halves = matrix.values().iter().map(|it| it.to_f32());
            let read = file.get(item).unwrap().unwrap();
            assert!(read.into_iter().map(|it| half::f16::from_f32(it).to_f32()).eq(halves));
        }
        true
    });
}

/// A header of its own, with shapes that may overflow, before random bytes.
fn forged(rng: &mut StdRng) -> Vec<u8> {
    const TYPES: &[&str] = &["F16", "BF16", "F32", "U8", "I64", "U64", "I8", "F64", "BOOL", "F4"];
    let huge = |rng: &mut StdRng| *[1 << 32, 1 << 62, 1 << 63, u64::MAX].choose(rng).unwrap();
    let body = rng.random_range(0..64_u64);
    let mut tensors = Map::new();
    for name in ["tokens", "offsets", "dense"] {
        let length = |rng: &mut StdRng| match rng.random_bool(0.8) {
            true => rng.random_range(0..5),
            false => huge(rng),
        };
        let shape: Vec<u64> = (0..rng.random_range(0..4)).map(|_| length(rng)).collect();
        let mut ends = [rng.random_range(0..=body), rng.random_range(0..=body)];
        ends.sort_unstable();
        let ends = if rng.random_bool(0.9) { ends } else { [huge(rng), huge(rng)] };
        let kind = TYPES.choose(rng).unwrap();
        let tensor = json!({"dtype": kind, "shape": shape, "data_offsets": ends});
        tensors.insert(name.into(), tensor);
    }
    let header = Value::from(tensors).to_string().into_bytes();
    let length = if rng.random_bool(0.95) { header.len() as u64 } else { huge(rng) };
    let body: Vec<u8> = (0..body).map(|_| rng.random()).collect();
    [&length.to_le_bytes(), header.as_slice(), &body].concat()
}

fn valid(rng: &mut StdRng) -> Vec<u8> {
    let (items, dim) = (rng.random_range(0..4), rng.random_range(1..5));
    let mut offsets = vec![0];
    (0..items).for_each(|item| offsets.push(offsets[item] + rng.random_range(1..4)));
    let values = offsets[items] as usize * dim;
    let values: Vec<f32> = (0..values).map(|_| rng.random_range(-9.0..9.0)).collect();
    let tokens = MultiVectors::new(&values, &offsets, dim).unwrap();
    let dense = rng.random_bool(0.5).then(|| DenseVectors::new(vec![0.5; items * 2], 2).unwrap());
    Interchange::new(tokens).dense(dense).to_bytes().unwrap()
}
