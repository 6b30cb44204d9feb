//! Backups: whole, of one moment, compact, and never in the place of another collection.
#![cfg(feature = "collection")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use maxfold::collection::{Collection, Selector};
use maxfold::{CollectionConfig, Distance, Error, Point, Vector, VectorConfig};
use serde_json::json;

const POINTS: u64 = 24;
const WRITERS: u64 = 4;

fn config() -> CollectionConfig {
    CollectionConfig::new()
        .vector("dense", VectorConfig::dense(2, Distance::Dot))
        .vector("tokens", VectorConfig::multi(2, Distance::Dot))
}

/// Points that say everywhere which generation they are of.
fn generation(writer: u64, generation: u64) -> Vec<Point> {
    // f16 tells so many apart.
    let value = (generation % 2000) as f32;
    let point = |id| {
        let payload = json!({"generation": generation}).as_object().unwrap().clone();
        Point::new(writer * POINTS + id)
            .vector("dense", vec![value, 1.0])
            .vector("tokens", Vector::Multi { values: vec![value, 1.0, value, 2.0], dim: 2 })
            .payload(payload)
    };
    (0..POINTS).map(point).collect()
}

/// The generation of a writer's points, if all of them, in all their parts, are of the same.
fn generation_of(collection: &Collection, writer: u64) -> u64 {
    let snapshot = collection.snapshot().unwrap();
    let point = |id: u64| snapshot.get((writer * POINTS + id).into()).unwrap().unwrap();
    let first = point(0).payload["generation"].as_u64().unwrap();
    let expected = generation(writer, first);
    (0..POINTS).zip(expected).for_each(|(id, expected)| assert_eq!(point(id), expected));
    first
}

fn size(directory: &Path) -> u64 {
    fs::metadata(directory.join("data.mdb")).unwrap().len()
}

#[test]
fn a_backup_is_of_one_moment_while_others_write() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path().join("live"), config()).unwrap();
    for writer in 0..WRITERS {
        collection.upsert(generation(writer, 0)).unwrap();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (collection, done) = (&collection, &done);
            scope.spawn(move || {
                for number in 1.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    collection.upsert(generation(writer, number)).unwrap();
                }
            });
        }
        let mut last = 0;
        for round in 0..50 {
            let path = directory.path().join(format!("backup-{round}"));
            collection.backup(&path).unwrap();
            let backup = Collection::open(&path).unwrap();
            assert_eq!(backup.snapshot().unwrap().len() as u64, WRITERS * POINTS);
            let now = (0..WRITERS).map(|writer| generation_of(&backup, writer)).sum::<u64>();
            assert!(now >= last, "{now} after {last}");
            last = now;
            // A collection like any other.
            for number in 0..3 {
                backup.upsert(generation(0, number)).unwrap();
                assert_eq!(generation_of(&backup, 0), number);
            }
            backup.remove().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(last > 0);
    });
    let left = fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["live"]);
}

#[test]
fn a_backup_is_compact() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path().join("live"), config()).unwrap();
    let tokens = || Vector::Multi { values: vec![1.0; 2 * 2000], dim: 2 };
    let points = (0..3000_u64).map(|id| Point::new(id).vector("tokens", tokens()));
    collection.upsert(points.collect()).unwrap();
    let gone = (0..2000_u64).map(Into::into).collect();
    assert_eq!(collection.delete(Selector::Ids(gone)).unwrap(), 2000);
    let path = directory.path().join("backup");
    collection.backup(&path).unwrap();
    let (before, after) = (size(collection.path()), size(&path));
    println!("{before} bytes, a backup of {after}");
    assert!(after * 5 < before * 2, "{before} bytes, a backup of {after}");
    assert_eq!(Collection::open(&path).unwrap().snapshot().unwrap().len(), 1000);
}

#[test]
fn a_backup_takes_no_place_that_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path().join("live"), config()).unwrap();
    collection.upsert(generation(0, 7)).unwrap();

    let itself = collection.backup(collection.path()).unwrap_err();
    assert!(matches!(itself, Error::CollectionExists { .. }), "{itself}");
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("note"), "kept").unwrap();
    let taken = collection.backup(&other).unwrap_err();
    assert!(matches!(taken, Error::Io { .. }), "{taken}");
    assert_eq!(fs::read_to_string(other.join("note")).unwrap(), "kept");

    // Also of one that is read alone, into directories that are made.
    let path = directory.path().join("a/b/c");
    drop(collection);
    let collection = Collection::open_read_only(directory.path().join("live")).unwrap();
    collection.backup(&path).unwrap();
    assert_eq!(generation_of(&Collection::open(&path).unwrap(), 0), 7);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
}

#[test]
fn statistics_count_points_and_bytes() {
    let collection = Collection::temporary(config()).unwrap();
    let tokens = || Vector::Multi { values: vec![1.0; 2 * 2000], dim: 2 };
    let points = (0..300_u64).map(|id| {
        let point = Point::new(id).vector("tokens", tokens());
        if id < 100 { point.vector("dense", vec![1.0, 2.0]) } else { point }
    });
    collection.upsert(points.collect()).unwrap();
    let full = collection.statistics().unwrap();
    assert_eq!((full.points, full.vectors["dense"], full.vectors["tokens"]), (300, 100, 300));
    // f16 values, and at most a page of 4 KiB beside those of each point.
    let values = 300 * 2 * 2 * 2000;
    assert!((values..values + 300 * 4096).contains(&full.bytes["vectors"]), "{full:?}");
    assert_eq!(full.file_bytes, size(collection.path()));
    assert!(full.bytes.values().sum::<u64>() + full.free_bytes == full.file_bytes, "{full:?}");

    collection.delete(Selector::Ids((0..200_u64).map(Into::into).collect())).unwrap();
    let less = collection.statistics().unwrap();
    assert_eq!((less.points, less.vectors["dense"], less.vectors["tokens"]), (100, 0, 100));
    assert!(less.transaction > full.transaction);
    assert!(less.free_bytes >= full.free_bytes + 200 * 2 * 2 * 2000, "{less:?} after {full:?}");
    let json = serde_json::to_value(&less).unwrap();
    assert_eq!((&json["points"], &json["vectors"]["tokens"]), (&json!(100), &json!(100)));
}
