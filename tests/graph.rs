//! An index that changes: against a model, under searches, from snapshots whole and broken.
#![cfg(feature = "recall")]

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use maxfold::Error;
use maxfold::multivector::DenseVectors;
use maxfold::recall::{
    Allowed, Candidate, Distance, ExactIndex, HnswIndex, HnswLoader, HnswParams, LoadedIndex,
    SearchParams, Strategy,
};
use rand::prelude::*;
use twox_hash::XxHash3_64;

const EXACT: SearchParams = SearchParams::new().exact(true);
/// A search that walks wherever it can.
const NARROW: SearchParams = SearchParams::new().hnsw_ef(1);

type Model = BTreeMap<u32, Vec<f32>>;

/// Small integers, whose products and squares f32 holds exactly: equal vectors, and ties, abound.
fn integers(rng: &mut StdRng, dim: usize) -> Vec<f32> {
    (0..dim).map(|_| rng.random_range(-3_i8..=3).into()).collect()
}

fn similarity(distance: Distance, a: &[f32], b: &[f32]) -> f32 {
    let pairs = || a.iter().zip(b).map(|(&x, &y)| (f64::from(x), f64::from(y)));
    let similarity = match distance {
        Distance::Euclid => 0.0 - pairs().map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt(),
        Distance::Manhattan => 0.0 - pairs().map(|(x, y)| (x - y).abs()).sum::<f64>(),
        _ => pairs().map(|(x, y)| x * y).sum(),
    };
    similarity as f32
}

/// Allowed documents, best first.
fn ranking(
    distance: Distance,
    model: &Model,
    query: &[f32],
    allowed: Option<&Allowed>,
) -> Vec<(usize, f32)> {
    let scored = |(&number, vector): (&u32, &Vec<f32>)| {
        (number as usize, similarity(distance, query, vector))
    };
    let mut ranking: Vec<_> = model.iter().map(scored).collect();
    ranking.retain(|(number, _)| allowed.is_none_or(|set| set.contains(*number)));
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranking
}

/// Searches that must agree with the model; says how many of them walked.
fn check(index: &HnswIndex, model: &Model, rng: &mut StdRng) -> usize {
    assert_eq!(index.len(), model.len());
    let mut walks = 0;
    for limit in [0, 1, 3, 10] {
        let keep = rng.random_range(0.0..2.0);
        let numbers = model.keys().map(|&number| number as usize).chain([77, usize::MAX]);
        let some: Allowed = numbers.filter(|_| rng.random_bool(f64::min(keep, 1.0))).collect();
        let allowed = (keep < 1.5).then_some(&some);
        let query = integers(rng, index.dim());
        let expected = ranking(index.distance(), model, &query, allowed);
        let exact = index.search(&query, limit, EXACT, allowed).unwrap().candidates;
        let exact: Vec<_> = exact.iter().map(|it| (it.document, it.score)).collect();
        assert_eq!(exact, expected[..limit.min(expected.len())]);

        let found = index.search(&query, limit, NARROW, allowed).unwrap();
        walks += usize::from(matches!(found.strategy, Strategy::Graph { .. }));
        assert_eq!(found.candidates.len(), limit.min(expected.len()), "{}", found.strategy);
        let known: BTreeMap<_, _> = expected.into_iter().collect();
        let numbers: HashSet<_> = found.candidates.iter().map(|it| it.document).collect();
        assert_eq!(numbers.len(), found.candidates.len());
        assert!(found.candidates.iter().all(|it| known.get(&it.document) == Some(&it.score)));
    }
    walks
}

fn numbers(model: &Model, rng: &mut StdRng, count: usize) -> Vec<u32> {
    model.keys().copied().choose_multiple(rng, count)
}

fn load(path: &Path, index: &HnswIndex, model: &Model, stamp: u64) -> LoadedIndex {
    let (distance, params, dim) = (index.distance(), index.params(), index.dim());
    let mut loader = HnswLoader::from_snapshot(path, distance, params, dim).unwrap();
    model.iter().for_each(|(&number, vector)| loader.add(number, vector).unwrap());
    loader.finish(stamp).unwrap()
}

/// Batches published and dropped, linked at once or later, rebuilds, snapshots as old as may be.
#[test]
fn a_long_life_agrees_with_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    for (distance, m, seed) in
        [(Distance::Dot, 3, 1), (Distance::Euclid, 2, 2), (Distance::Euclid, 0, 3)]
    {
        let mut rng = StdRng::seed_from_u64(seed);
        let params = HnswParams::new().m(m).ef_construct(20).ef_search(5);
        let mut index = HnswIndex::new(distance, params, 4).unwrap();
        let (mut model, mut walks) = (Model::new(), 0);
        index.save(&path).unwrap();
        for step in 0..300_u64 {
            let mut next = model.clone();
            let mut batch = index.batch();
            for _ in 0..rng.random_range(0..3) {
                let point = |_| (rng.random_range(0..400) * 7_919_777, integers(&mut rng, 4));
                let points: Vec<_> = (0..20).map(point).collect();
                let vectors = points.iter().map(|(number, vector)| (*number, &vector[..]));
                match rng.random_bool(0.5) {
                    true => batch.insert(vectors).unwrap(),
                    false => batch.append(vectors).unwrap(),
                }
                next.extend(points);
                for number in numbers(&next, &mut rng, 12).into_iter().chain([5]) {
                    batch.remove(number);
                    next.remove(&number);
                }
            }
            if rng.random_bool(0.8) {
                batch.publish(step);
                model = next;
                assert_eq!(index.view().stamp(), step);
            } else {
                drop(batch);
            }
            match rng.random_range(0..20) {
                0 => index.rebuild().unwrap(),
                1 => index.save(&path).unwrap(),
                2 => index = load(&path, &index, &model, step).index,
                3..6 => drop(index.link(rng.random_range(0..30))),
                _ => {}
            }
            walks += check(&index, &model, &mut rng);
        }
        assert!(walks > 100 || m == 0, "{walks} walks");
    }
}

/// Vectors that nobody has linked are compared one by one, so none of the nearest of them is missed.
#[test]
fn appended_vectors_are_found_at_once_and_linked_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    for (distance, dim) in [(Distance::Cosine, 64), (Distance::Dot, 8), (Distance::Manhattan, 16)] {
        let mut rng = StdRng::seed_from_u64(11);
        let vectors = clustered(&mut rng, 6000, dim);
        let index = HnswIndex::new(distance, DENSER, dim).unwrap();
        index.insert((0..).zip(vectors[..4000].iter().map(|vector| &vector[..]))).unwrap();
        let mut batch = index.batch();
        batch.append((4000..).zip(vectors[4000..].iter().map(|vector| &vector[..]))).unwrap();
        assert_eq!(index.len(), 4000);
        batch.publish(5);
        assert_eq!(index.len(), 6000);

        let appended: Allowed = (4000..6000).collect();
        let some: Allowed = (0..6000).step_by(2).collect();
        let walk = SearchParams::new().hnsw_ef(60);
        for left in [2000, 1300, 600, 0] {
            for query in vectors.iter().step_by(200) {
                let found = index.search(query, 10, walk, None).unwrap();
                assert!(matches!(found.strategy, Strategy::Graph { .. }), "{}", found.strategy);
                assert_eq!(found.unlinked, left);
                // All of the nearest that are not linked are there.
                let nearest = index.search(query, 10, EXACT, None).unwrap().candidates;
                let unlinked = |it: &&Candidate| 6000 - it.document <= left;
                let missed =
                    nearest.iter().filter(unlinked).find(|it| !found.candidates.contains(it));
                assert_eq!(missed, None);

                let found = index.search(query, 10, walk, Some(&some)).unwrap();
                assert!(found.candidates.iter().all(|it| some.contains(it.document)));
                let walked = matches!(found.strategy, Strategy::Graph { .. });
                assert_eq!(found.unlinked, if walked { left / 2 } else { 0 });
                let all = index.search(query, 2000, walk, Some(&appended)).unwrap().candidates;
                assert_eq!(all.len(), 2000);
            }
            assert!(recall(&index, &of(&vectors)).0 > 0.95);
            if left == 1300 {
                // A file has what is linked; the rest is given again.
                index.save(&path).unwrap();
                let loaded = load(&path, &index, &of(&vectors), 6);
                assert_eq!((loaded.kept, loaded.inserted), (4700, 1300));
                assert!(recall(&loaded.index, &of(&vectors)).0 > 0.95);
            }
            assert_eq!(index.link(700), left.saturating_sub(700));
        }
        assert_eq!(index.view().stamp(), 5);
    }
}

#[test]
fn a_view_stays_as_it_is() {
    let index = HnswIndex::new(Distance::Dot, HnswParams::default(), 1).unwrap();
    index.insert([(1, &[1.0][..]), (2, &[2.0])]).unwrap();
    let view = index.view();
    let mut batch = index.batch();
    batch.remove(1);
    batch.insert([(2, &[5.0][..]), (3, &[3.0])]).unwrap();
    let unpublished = index.view();
    batch.publish(9);
    index.rebuild().unwrap();
    for old in [view, unpublished] {
        let found = old.search(&[1.0], 10, SearchParams::default(), None).unwrap().candidates;
        let found: Vec<_> = found.iter().map(|it| (it.document, it.score)).collect();
        assert_eq!((found, old.stamp()), (vec![(2, 2.0), (1, 1.0)], 0));
    }
    let now = index.view();
    assert_eq!((now.vector(2), now.vector(1), now.stamp()), (Some(&[5.0][..]), None, 9));
    assert!(now.contains(3) && !now.contains(1));
}

/// Each batch gives every document a vector of its generation. No answer mixes generations, lacks a
/// document, or falls behind one that was given before.
#[test]
fn searches_during_changes_see_one_batch_or_the_next() {
    const DOCUMENTS: u32 = 300;
    let params = HnswParams::new().m(4).ef_construct(20).ef_search(12);
    let index = HnswIndex::new(Distance::Dot, params, 3).unwrap();
    let publish = |generation: u64| {
        let vector = |number: u32| {
            let angle = number as f32 * std::f32::consts::TAU / DOCUMENTS as f32;
            (number, [generation as f32, angle.cos(), angle.sin()])
        };
        let points: Vec<_> = (0..DOCUMENTS).map(vector).collect();
        let mut batch = index.batch();
        batch.insert(points.iter().map(|(number, vector)| (*number, &vector[..]))).unwrap();
        batch.publish(generation);
    };
    let (done, search_walks) = (AtomicBool::new(false), AtomicBool::new(false));
    let search = || {
        let mut last = 1.0;
        while !done.load(Ordering::Relaxed) {
            for (params, limit) in [(NARROW, 10), (EXACT, DOCUMENTS as usize)] {
                let found = index.search(&[1.0, 0.0, 0.0], limit, params, None).unwrap();
                let generation = found.candidates[0].score;
                assert_eq!(found.candidates.len(), limit);
                assert!(found.candidates.iter().all(|it| it.score == generation));
                assert!(generation >= last);
                last = generation;
                let walked = matches!(found.strategy, Strategy::Graph { .. });
                search_walks.fetch_or(walked, Ordering::Relaxed);
            }
        }
    };
    publish(1);
    std::thread::scope(|scope| {
        let searches: Vec<_> = (0..4).map(|_| scope.spawn(search)).collect();
        for generation in 2..60 {
            publish(generation);
            if index.wants_rebuild() {
                scope.spawn(|| index.rebuild().unwrap());
            }
        }
        done.store(true, Ordering::Relaxed);
        searches.into_iter().for_each(|search| search.join().unwrap());
    });
    assert!(search_walks.into_inner());
    index.rebuild().unwrap();
    assert!(!index.wants_rebuild());
}

/// As in a server that works in jobs of a pool. A thread of the pool that waits takes up another job
/// meanwhile, which must not need what the first one holds.
#[test]
fn jobs_of_a_pool_may_insert() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let index = Arc::new(HnswIndex::new(Distance::Euclid, PARAMS, 8).unwrap());
    let (done, finished) = channel();
    for job in 0..30 {
        let (index, done) = (Arc::clone(&index), done.clone());
        pool.spawn(move || {
            let mut rng = StdRng::seed_from_u64(job.into());
            let vectors: Vec<_> = (0..250).map(|_| [0; 8].map(|_| rng.random::<f32>())).collect();
            let numbers = job * 250..;
            index.insert(numbers.zip(vectors.iter().map(|vector| &vector[..]))).unwrap();
            if job % 10 == 0 {
                index.rebuild().unwrap();
            }
            done.send(()).unwrap();
        });
    }
    for job in 0..30 {
        let finished = finished.recv_timeout(Duration::from_secs(120));
        finished.unwrap_or_else(|_| panic!("stuck after {job} of 30 jobs"));
    }
    assert_eq!(index.len(), 7500);
}

/// A change of a large index is prepared beside it, however long that takes.
#[test]
fn no_search_waits_for_a_change() {
    const DOCUMENTS: u32 = 1_000_000;
    let params = HnswParams::new().m(0);
    let index = HnswIndex::new(Distance::Dot, params, 1).unwrap();
    let vectors: Vec<[f32; 1]> = (0..DOCUMENTS).map(|number| [number as f32]).collect();
    index.insert((0..).zip(vectors.iter().map(|vector| &vector[..]))).unwrap();
    let (views, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    // As long as somebody searches what was there, it can't be changed in its place.
    let _searched = index.view();
    let publish = |number| {
        let mut batch = index.batch();
        batch.insert([(number, &[0.5][..])]).unwrap();
        let (before, start) = (views.load(Ordering::Relaxed), Instant::now());
        batch.publish(1);
        (views.load(Ordering::Relaxed) - before, start.elapsed())
    };
    // Behind a lock there would be one view or two in each change. That there are more is seen where both threads run:
    // on a busy machine after some rounds.
    let nobody_waits = |round: u32| {
        let first = DOCUMENTS + 20 * round;
        let changes: Vec<_> = (first..first + 20).map(publish).collect();
        let during: usize = changes.iter().map(|(during, _)| during).sum();
        let publishing: Duration = changes.iter().map(|(_, time)| time).sum();
        println!("{during} views during {publishing:?} of changes");
        publishing < Duration::from_millis(5) || during > 2000
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert!(index.view().len() >= DOCUMENTS as usize);
                views.fetch_add(1, Ordering::Relaxed);
            }
        });
        let nobody_waits = (0..100).any(nobody_waits);
        done.store(true, Ordering::Relaxed);
        assert!(nobody_waits, "in 100 rounds");
    });
}

/// Vectors around 30 centres.
fn clustered(rng: &mut StdRng, count: usize, dim: usize) -> Vec<Vec<f32>> {
    let centres: Vec<_> = (0..30).map(|_| integers(rng, dim)).collect();
    let mut near = |_| {
        let centre = centres.choose(rng).unwrap().clone();
        centre.into_iter().map(|at| at + rng.random_range(-1.0..1.0)).collect()
    };
    (0..count).map(&mut near).collect()
}

fn of(vectors: &[Vec<f32>]) -> Model {
    (0..).zip(vectors.iter().cloned()).collect()
}

fn insert(index: &HnswIndex, model: &Model) {
    index.insert(model.iter().map(|(&number, vector)| (number, &vector[..]))).unwrap();
}

/// Mean recall@20, and how many searches walked.
fn recall(index: &HnswIndex, model: &Model) -> (f64, usize) {
    let numbers: Vec<_> = model.keys().copied().collect();
    let values = model.values().flatten().copied().collect();
    let vectors = DenseVectors::new(values, index.dim()).unwrap();
    let exact = ExactIndex::new(index.distance(), vectors.clone()).unwrap();
    let (mut hits, mut walks) = (0, 0);
    for query in vectors.iter().step_by(vectors.len() / 50).take(50) {
        let nearest = exact.search(query, 20, None).unwrap();
        let nearest: HashSet<_> = nearest.iter().map(|it| numbers[it.document] as usize).collect();
        let found = index.search(query, 20, SearchParams::default(), None).unwrap();
        hits += found.candidates.iter().filter(|it| nearest.contains(&it.document)).count();
        walks += usize::from(matches!(found.strategy, Strategy::Graph { .. }));
    }
    (hits as f64 / 1000.0, walks)
}

const PARAMS: HnswParams = HnswParams::new().m(8).ef_construct(60).ef_search(40);

/// Where recall counts. With half as many links, one graph in twenty has a cluster of 30 that walks
/// don't come to (measured: recall 0.94).
const DENSER: HnswParams = HnswParams::new().m(16).ef_construct(100).ef_search(40);

#[test]
fn a_snapshot_gives_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let mut rng = StdRng::seed_from_u64(4);
    let model = of(&clustered(&mut rng, 4000, 16));
    for distance in Distance::ALL {
        let index = HnswIndex::new(distance, PARAMS, 16).unwrap();
        insert(&index, &model);
        index.save(&path).unwrap();
        let kept = keep(&path, &index, model.keys().map(|&number| (number, 0)));
        for loaded in [load(&path, &index, &model, 3), kept.1.finish(3).unwrap()] {
            let LoadedIndex { index: loaded, kept, inserted, .. } = loaded;
            assert_eq!((kept, inserted, loaded.view().stamp()), (4000, 0, 3));
            let mut walks = 0;
            for query in model.values().step_by(40) {
                let found = index.search(query, 10, SearchParams::default(), None).unwrap();
                walks += usize::from(matches!(found.strategy, Strategy::Graph { .. }));
                assert_eq!(loaded.search(query, 10, SearchParams::default(), None).unwrap(), found);
            }
            assert!(walks > 90, "{distance}: {walks} walks");
        }
    }
}

/// A loader that was asked to keep documents of these revisions, and those that it kept.
fn keep(
    path: &Path,
    index: &HnswIndex,
    documents: impl IntoIterator<Item = (u32, u32)>,
) -> (Vec<u32>, HnswLoader) {
    let (distance, params, dim) = (index.distance(), index.params(), index.dim());
    let mut loader = HnswLoader::from_snapshot(path, distance, params, dim).unwrap();
    let documents = documents.into_iter();
    let kept = documents.filter(|&(number, revision)| loader.keep(number, Some(revision)));
    (kept.map(|(number, _)| number).collect(), loader)
}

/// Documents keep their vectors by number and revision, in any order; whatever else there is is given.
#[test]
fn documents_keep_the_vectors_of_their_revisions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let mut rng = StdRng::seed_from_u64(12);
    let vectors = clustered(&mut rng, 1000, 60);
    let index = HnswIndex::new(Distance::Euclid, PARAMS, 60).unwrap();
    let number = |at: usize| at as u32 * 3;
    let of = |ats: std::ops::Range<usize>| (ats.clone()).map(number).zip(vectors[ats].iter());
    index.insert(of(0..900).map(|(number, vector)| (number, &vector[..]))).unwrap();
    let revision = |number: u32| (number != 30).then_some(number ^ 0xFFFF_0000);
    index.save_revisions(&path, revision).unwrap();

    // 30 has no revision, 60 another one; 61 is in no file.
    let changed = |number: u32| if number == 60 { 7 } else { number ^ 0xFFFF_0000 };
    let mut asked: Vec<_> = (0..900).map(number).chain([61, 2700]).collect();
    asked.rotate_left(450);
    let (kept, mut loader) = keep(&path, &index, asked.iter().map(|&it| (it, changed(it))));
    let expected = asked.iter().copied().filter(|it| ![30, 60, 61, 2700].contains(it));
    assert_eq!(kept, expected.collect::<Vec<_>>());
    loader.add(30, &vectors[10]).unwrap();
    loader.add(60, &vectors[950]).unwrap();
    // Of what is said of a document, the last counts.
    loader.add(90, &vectors[951]).unwrap();
    assert!(loader.keep(90, Some(changed(90))));
    assert!(loader.keep(93, None));
    loader.add(93, &vectors[952]).unwrap();
    let loaded = loader.finish(5).unwrap();
    assert_eq!((loaded.index.len(), loaded.kept, loaded.inserted), (900, 899, 3));
    for (number, vector) in of(0..900) {
        let expected = match number {
            60 => &vectors[950],
            93 => &vectors[952],
            _ => vector,
        };
        assert_eq!(loaded.index.view().vector(number), Some(&expected[..]), "{number}");
    }
}

/// What comes after it was loaded changes the index, and not the file; saved, it is as one that was built.
#[test]
fn a_loaded_index_grows_beside_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, second) = (folder.path().join("graph"), folder.path().join("second"));
    let mut rng = StdRng::seed_from_u64(13);
    let vectors = clustered(&mut rng, 3000, 64);
    for distance in Distance::ALL {
        let mut model = of(&vectors[..2000]);
        let index = HnswIndex::new(distance, DENSER, 64).unwrap();
        insert(&index, &model);
        index.save(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        let loaded = load(&path, &index, &model, 1).index;
        let more: Model = (2000..).zip(vectors[2000..].iter().cloned()).collect();
        insert(&loaded, &more);
        model.extend(more);
        assert!(fs::read(&path).unwrap() == whole, "{distance}: the file has changed");
        let (found, walks) = recall(&loaded, &model);
        assert!(found > 0.95 && walks > 40, "{distance}: {found}, {walks} walks");
        loaded.save(&second).unwrap();
        let (kept, loader) = keep(&second, &loaded, model.keys().map(|&number| (number, 0)));
        let again = loader.finish(2).unwrap();
        assert_eq!((kept.len(), again.kept, again.inserted), (3000, 3000, 0));
        for query in model.values().step_by(300) {
            let search = |it: &HnswIndex| it.search(query, 10, SearchParams::default(), None);
            assert_eq!(search(&again.index).unwrap(), search(&loaded).unwrap());
        }
    }
}

/// Of 400, 50 went before it was saved and 6 after, 10 have other vectors since, and 40 are new.
#[test]
fn a_snapshot_may_be_older_than_the_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let mut rng = StdRng::seed_from_u64(5);
    let vectors = clustered(&mut rng, 5000, 16);
    for distance in Distance::ALL {
        let mut model = of(&vectors[..4000]);
        let index = HnswIndex::new(distance, DENSER, 16).unwrap();
        insert(&index, &model);
        // Some go before the snapshot, some after: a node without a document, and one without a vector.
        let mut batch = index.batch();
        (0..500).for_each(|number| batch.remove(number));
        batch.publish(1);
        index.save(&path).unwrap();
        model.retain(|&number, _| number >= 560);
        model.extend((8000..).zip(vectors[4000..4400].iter().cloned()));
        model.extend((2000..).zip(vectors[4400..4500].iter().cloned()));
        let loaded = load(&path, &index, &model, 2);
        assert_eq!((loaded.kept, loaded.inserted, loaded.index.len()), (3340, 500, 3840));
        let numbers = loaded.index.search(&vectors[0], 9000, EXACT, None).unwrap().candidates;
        let numbers: HashSet<_> = numbers.iter().map(|it| it.document as u32).collect();
        assert_eq!(numbers, model.keys().copied().collect());
        let built = HnswIndex::new(distance, DENSER, 16).unwrap();
        insert(&built, &model);
        let ((built, _), (loaded, walks)) = (recall(&built, &model), recall(&loaded.index, &model));
        assert!(loaded > built - 0.02 && built > 0.95, "{distance}: {loaded}, {built} if built");
        assert!(walks > 40, "{distance}: {walks} walks");
        // Where most is of no use any more, what is left is inserted anew.
        model.retain(|&number, _| number >= 1700);
        let loaded = load(&path, &index, &model, 3);
        assert_eq!((loaded.kept, loaded.inserted), (0, 2700));
    }
}

#[test]
fn a_rebuild_leaves_out_what_is_gone_and_takes_in_what_comes() {
    let mut rng = StdRng::seed_from_u64(6);
    let vectors = clustered(&mut rng, 6000, 16);
    let mut model = of(&vectors[..5000]);
    let index = HnswIndex::new(Distance::Cosine, DENSER, 16).unwrap();
    insert(&index, &model);
    assert!(!index.wants_rebuild());
    let mut batch = index.batch();
    (0..1700).for_each(|number| batch.remove(number));
    batch.publish(1);
    assert!(index.wants_rebuild());
    model.retain(|&number, _| number >= 1700);
    std::thread::scope(|scope| {
        scope.spawn(|| index.rebuild().unwrap());
        for (number, vector) in (5000..).zip(&vectors[5000..]) {
            index.insert([(number, &vector[..]), (number - 3000, vector)]).unwrap();
            model.insert(number, vector.clone());
            model.insert(number - 3000, vector.clone());
        }
    });
    let found = index.search(&vectors[0], 9000, EXACT, None).unwrap().candidates;
    assert_eq!(found.len(), model.len());
    for (&number, vector) in &model {
        let known = index.view().vector(number).map(|known| known.to_vec()).unwrap();
        let cosine = similarity(Distance::Dot, vector, &known);
        let length = similarity(Distance::Dot, vector, vector).sqrt();
        assert!((cosine / length - 1.0).abs() < 1e-5);
    }
    index.rebuild().unwrap();
    assert!(!index.wants_rebuild());
    let (recall, walks) = recall(&index, &model);
    assert!(recall > 0.97 && walks > 40, "{recall}, {walks} walks");
}

fn from_snapshot(path: &Path, distance: Distance, m: usize, dim: usize) -> Result<u64, Error> {
    let params = PARAMS.m(m);
    HnswLoader::from_snapshot(path, distance, params, dim).map(|loader| loader.stamp())
}

#[test]
fn a_damaged_snapshot_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let mut rng = StdRng::seed_from_u64(7);
    let index = HnswIndex::new(Distance::Dot, PARAMS, 4).unwrap();
    let model = of(&clustered(&mut rng, 300, 4));
    insert(&index, &model);
    // So that there are vectors of no document in it.
    let mut batch = index.batch();
    (0..20).for_each(|number| batch.remove(number));
    batch.publish(0);
    index.save(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    assert_eq!(from_snapshot(&path, Distance::Dot, 8, 4).unwrap(), 0);
    for step in 0..1000 {
        let bytes = damage(&mut rng, &whole);
        fs::write(&path, &bytes).unwrap();
        let read = from_snapshot(&path, Distance::Dot, 8, 4);
        assert_eq!(matches!(read, Err(Error::Damaged { .. })), bytes != whole, "{step}");
    }
    fs::remove_file(&path).unwrap();
    let read = from_snapshot(&path, Distance::Dot, 8, 4);
    assert!(matches!(read, Err(Error::Io { action: "read", .. })));
    fs::write(&path, whole).unwrap();
    assert_eq!(load(&path, &index, &model, 1).kept, 300);
}

/// Damage with a checksum that fits: it is refused, or what it says of links and near vectors is
/// believed; no document has another vector for it.
#[test]
fn a_forged_snapshot_is_an_error_or_gives_the_right_documents() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let mut rng = StdRng::seed_from_u64(9);
    let index = HnswIndex::new(Distance::Dot, PARAMS, 4).unwrap();
    let mut model = of(&clustered(&mut rng, 2500, 4));
    insert(&index, &model);
    let mut batch = index.batch();
    (0..20).for_each(|number| batch.remove(number));
    batch.publish(0);
    model.retain(|&number, _| number >= 20);
    index.save(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let (mut refused, mut used) = (0, 0);
    for step in 0..1000 {
        let mut bytes = match step % 2 {
            0 => damage(&mut rng, &whole[..whole.len() - 8]),
            _ => other_number(&mut rng, &whole[..whole.len() - 8]),
        };
        bytes.extend(checksum(&bytes));
        fs::write(&path, &bytes).unwrap();
        let mut loader = match HnswLoader::from_snapshot(&path, Distance::Dot, PARAMS, 4) {
            Ok(loader) => loader,
            Err(Error::Damaged { .. }) => {
                refused += 1;
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        model.iter().for_each(|(&number, vector)| loader.add(number, vector).unwrap());
        let loaded = loader.finish(1).unwrap();
        used += usize::from(loaded.kept > 0);
        assert_eq!(loaded.index.len(), model.len());
        let query = integers(&mut rng, 4);
        for params in [NARROW, SearchParams::default()] {
            let found = loaded.index.search(&query, 10, params, None).unwrap().candidates;
            assert_eq!(found.len(), 10);
            for it in found {
                let vector = &model[&(it.document as u32)];
                let error = it.score - similarity(Distance::Dot, &query, vector);
                assert!(error.abs() < 1e-4, "{it:?}, {error}");
            }
        }
    }
    assert!(refused > 100 && used > 100, "{refused} refused, {used} used");
}

/// The checksum at the end of a snapshot.
fn checksum(bytes: &[u8]) -> [u8; 8] {
    let pieces = bytes.chunks(1 << 20).map(|piece| XxHash3_64::oneshot(piece).to_le_bytes());
    XxHash3_64::oneshot(&pieces.collect::<Vec<_>>().concat()).to_le_bytes()
}

/// Some bits turned, or an end cut off or added.
fn damage(rng: &mut StdRng, whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    match rng.random_range(0..4) {
        0 => bytes.truncate(rng.random_range(0..bytes.len())),
        1 => bytes.extend((0..rng.random_range(1..30)).map(|_| rng.random::<u8>())),
        _ => {
            for _ in 0..rng.random_range(1..9) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
        }
    }
    bytes
}

/// One number is another, which may well be one that could stand there.
fn other_number(rng: &mut StdRng, whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let at = rng.random_range(0..bytes.len() / 4) * 4;
    bytes[at] ^= 1 << rng.random_range(0..8);
    bytes
}

/// What was saved before goes when what is saved now is complete, and not before.
#[test]
fn a_snapshot_takes_the_place_of_another_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let names = || -> Vec<_> {
        fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect()
    };
    let mut rng = StdRng::seed_from_u64(8);
    let model = of(&clustered(&mut rng, 600, 4));
    let index = HnswIndex::new(Distance::Dot, PARAMS, 4).unwrap();
    insert(&index, &model.clone().into_iter().take(300).collect());
    index.save(&path).unwrap();
    assert_eq!(load(&path, &index, &model, 1).kept, 300);
    insert(&index, &model);
    index.save(&path).unwrap();
    assert_eq!(load(&path, &index, &model, 1).kept, 600);
    assert_eq!(names(), ["graph"]);

    // It can't be written: there is a folder in its place.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(index.save(&path), Err(Error::Io { action: "write", .. })));
    assert_eq!(names(), ["graph"]);
}

#[test]
fn a_snapshot_that_does_not_belong_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    let missing = from_snapshot(&path, Distance::Dot, 8, 4);
    assert!(matches!(missing, Err(Error::Io { .. })));
    fs::write(&path, "something else").unwrap();
    let message =
        |distance, m, dim| from_snapshot(&path, distance, m, dim).unwrap_err().to_string();
    let expected = format!("expected {} as it was written, got ", path.display());
    let foreign = format!("{expected}something that is not a snapshot of a graph");
    assert_eq!(message(Distance::Dot, 8, 4), foreign);
    HnswIndex::new(Distance::Dot, PARAMS, 4).unwrap().save(&path).unwrap();
    assert_eq!(message(Distance::Dot, 9, 4), format!("{expected}m 8 instead of 9"));
    assert_eq!(message(Distance::Dot, 8, 5), format!("{expected}dimension 4 instead of 5"));
    assert_eq!(message(Distance::Cosine, 8, 4), format!("{expected}distance 1 instead of 0"));
    let saved = HnswIndex::new(Distance::Dot, PARAMS, 4).unwrap().save(folder.path());
    assert!(matches!(saved, Err(Error::Io { action: "write", .. })));

    let mut loader = HnswLoader::new(Distance::Dot, PARAMS, 2).unwrap();
    assert!(matches!(loader.add(3, &[1.0]), Err(Error::InPoint { id, .. }) if id == "3"));
    assert!(matches!(loader.add(3, &[1.0, f32::NAN]), Err(Error::InPoint { id, .. }) if id == "3"));
    assert!(loader.finish(0).unwrap().index.is_empty());
}
