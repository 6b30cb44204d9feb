//! Door: the file that says what a graph is of, with a checksum that is right.

use std::fs;

use maxfold::recall::{Distance, HnswIndex, HnswLoader, HnswParams, SearchParams};
use rand::prelude::*;

use crate::{mutate, trials};

const POINTS: u32 = 200;

/// A graph finds all vectors that it is given, whatever its file says, and has those that it keeps.
#[test]
fn graphs_have_what_they_are_given() {
    let _alone = trials::alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("graph");
    let params = HnswParams::new().m(4).ef_construct(16).ef_search(8);
    let mut rng = StdRng::seed_from_u64(7);
    let mut vectors = || [rng.random_range(-1.0..1.0_f32), rng.random_range(-1.0..1.0)];
    let vectors: Vec<[f32; 2]> = (0..POINTS).map(|_| vectors()).collect();
    let index = HnswIndex::new(Distance::Dot, params, 2).unwrap();
    index.insert((0..).zip(vectors.iter().map(|it| &it[..]))).unwrap();
    let mut batch = index.batch();
    (0..20).for_each(|number| batch.remove(number));
    batch.publish(3);
    index.save(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let whole = &whole[..whole.len() - 8];

    let input = |rng: &mut StdRng| {
        let mut bytes = whole.to_vec();
        if rng.random_bool(0.3) {
            bytes = mutate::bytes(rng, bytes);
        }
        for _ in 0..rng.random_range(1..4) {
            if let Some(word) = bytes.as_chunks_mut::<4>().0.choose_mut(rng) {
                let number = [0, 1, POINTS - 1, POINTS, 1 << 31, u32::MAX].choose(rng).unwrap();
                *word = number.to_le_bytes();
            }
        }
        // The file is less than a piece that has a checksum of its own.
        let piece = twox_hash::XxHash3_64::oneshot(&bytes).to_le_bytes();
        [bytes.as_slice(), &twox_hash::XxHash3_64::oneshot(&piece).to_le_bytes()].concat()
    };
    trials::door("graphs", input, |bytes| {
        fs::write(&path, bytes).unwrap();
        let Ok(mut loader) = HnswLoader::from_snapshot(&path, Distance::Dot, params, 2) else {
            return false;
        };
        for (number, vector) in (0..).zip(&vectors) {
            loader.add(number, vector).unwrap();
        }
        let index = loader.finish(1).unwrap().index;
        assert_eq!(index.len(), POINTS as usize);
        let search = SearchParams::new().hnsw_ef(1);
        assert_eq!(index.search(&[1.0, 0.5], 5, search, None).unwrap().candidates.len(), 5);
        let search = SearchParams::new().exact(true);
        let all = index.search(&[1.0, 0.5], POINTS as usize, search, None).unwrap();
        assert_eq!(all.candidates.len(), POINTS as usize);
        let mut loader = HnswLoader::from_snapshot(&path, Distance::Dot, params, 2).unwrap();
        let kept = (0..POINTS).filter(|&number| loader.keep(number, None)).count();
        let index = loader.finish(1).unwrap().index;
        assert_eq!(index.len(), kept);
        let all = index.search(&[1.0, 0.5], POINTS as usize, search, None).unwrap();
        assert_eq!(all.candidates.len(), kept);
        true
    });
}
