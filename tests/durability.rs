//! Killed at any moment, or without room, or where nothing can be written: what was committed is
//! there, whole, and nothing in part.
//!
//! `MAXFOLD_ROUNDS` says how often each thing is tried.
#![cfg(all(feature = "cli", unix))]

#[path = "support/ingested.rs"]
mod ingested;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ingested::*;
use maxfold::collection::{Collection, PayloadIndex, PointVectors, Selector, Vector, VectorConfig};
use maxfold::filter::{Filter, IndexKind};
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{Searcher, SearcherOptions};
use maxfold::{Distance, Error};
use rand::prelude::*;
use serde_json::json;

fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a command, and kills it at a random moment of the time that it may take; its output.
fn kill(command: &mut Command, time: Duration, rng: &mut StdRng) -> Output {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    thread::sleep(time.mul_f64(rng.random_range(0.0..1.1)));
    child.kill().unwrap();
    child.wait_with_output().unwrap()
}

// --- Killed ----------------------------------------------------------------------------------------

#[test]
fn a_killed_ingest_leaves_what_it_committed() {
    let files = Files::new();
    let start = Instant::now();
    assert_success(&files.ingest("whole", &["--batch", "20"]).output().unwrap());
    let (whole, mut rng) = (start.elapsed(), StdRng::seed_from_u64(1));
    let mut counts = Vec::new();
    for round in 0..rounds(6) {
        let name = format!("killed-{round}");
        let output = kill(&mut files.ingest(&name, &["--batch", "20"]), whole, &mut rng);
        let least = committed(&output.stdout).last().copied().unwrap_or(0);
        if let Err(error) = Collection::open(files.path(&name)) {
            // Killed while it was made: it can be made again.
            assert!(least == 0 && matches!(error, Error::NoCollection { .. }), "{least}: {error}");
            assert_success(&files.ingest(&name, &[]).output().unwrap());
        }
        let count = files.check(&name, least);
        assert!(count.is_multiple_of(20), "{count}: a batch in part");
        assert_eq!(files.count(&name, &[]), count);
        files.check_search(&name, count);
        assert_nothing_in_part(Path::new(&files.path(&name)));
        counts.push(count);
    }
    println!("{counts:?} points after {} kills", counts.len());
}

/// What a kill leaves of a file that was being written is gone after the next search by one that may
/// write.
fn assert_nothing_in_part(directory: &Path) {
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    let searcher = Searcher::with_options(Collection::open(directory).unwrap(), options).unwrap();
    searcher.close().unwrap();
    let names = fs::read_dir(directory).unwrap().map(|it| it.unwrap().file_name());
    let partial: Vec<_> = names.filter(|it| it.to_string_lossy().contains(".partial")).collect();
    assert!(partial.is_empty(), "{partial:?}");
}

/// Removes all that is derived.
fn forget_graphs(directory: &Path) {
    for file in fs::read_dir(directory).unwrap().map(|it| it.unwrap()) {
        if file.file_name().to_string_lossy().starts_with("graph-") {
            fs::remove_file(file.path()).unwrap();
        }
    }
}

#[test]
fn a_killed_search_leaves_what_was_there() {
    let files = Files::new();
    assert_success(&files.ingest("c", &[]).output().unwrap());
    let request = json!({"query": vec![0.5; DENSE], "using": "dense"});
    files.write("request", &request.to_string());
    // Graphs are built, but it is not a search's to save them.
    let search = |rng: Option<&mut StdRng>, time| {
        forget_graphs(Path::new(&files.path("c")));
        let mut command = maxfold("search");
        command.args(["--collection", &files.path("c"), "--request", &files.path("request")]);
        command.args(["--output", &files.path("killed-out"), "--backend", "cpu"]);
        match rng {
            Some(rng) => drop(kill(&mut command, time, rng)),
            None => assert_success(&command.output().unwrap()),
        }
    };
    let start = Instant::now();
    search(None, Duration::ZERO);
    let (whole, mut rng) = (start.elapsed(), StdRng::seed_from_u64(2));
    for _ in 0..rounds(6) {
        search(Some(&mut rng), whole);
        assert_eq!(files.check("c", POINTS), POINTS);
        files.check_search("c", POINTS);
        assert_nothing_in_part(Path::new(&files.path("c")));
    }
}

/// Where a test that runs as a process of its own finds its collection.
const CHILD: &str = "MAXFOLD_CHILD";

/// A test of this program, as a process of its own.
fn child(test: &str, collection: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", test]).env(CHILD, collection);
    command
}

#[test]
fn a_killed_creation_of_indexes_leaves_no_index_in_part() {
    let files = Files::new();
    assert_success(&files.ingest("c", &[]).output().unwrap());
    let (path, mut rng) = (PathBuf::from(files.path("c")), StdRng::seed_from_u64(3));
    let (mut indexes, mut steps) = (0, 0);
    for _ in 0..rounds(6) {
        let mut killed = child("indexes_come_and_go", &path);
        kill(&mut killed, Duration::from_millis(300), &mut rng);
        let collection = Collection::open(&path).unwrap();
        let snapshot = collection.snapshot().unwrap();
        let step = |id: u64| snapshot.get(id.into()).unwrap().unwrap().payload.remove("step");
        let first = step(0);
        assert!((0..POINTS as u64).all(|id| step(id) == first), "a batch in part");
        let green = filter(json!({"must": {"key": "color", "match": {"value": "green"}}}));
        assert_eq!(snapshot.select(&green).unwrap().points.len(), 200);
        let step = first.unwrap_or_default().as_u64().unwrap_or(0);
        let same = filter(json!({"must": {"key": "step", "match": {"value": step}}}));
        let expected = if step == 0 { 0 } else { POINTS as u64 };
        assert_eq!(snapshot.select(&same).unwrap().points.len(), expected);
        // Nor is there a word or a place of another step.
        for (other, expected) in [(step, expected), (step + 1, 0)] {
            let word = json!({"key": "text", "match": {"text": format!("s{other}e")}});
            let center = json!({"lon": longitude(other), "lat": 0.5});
            let near = json!({"key": "at", "geo_radius": {"center": center, "radius": 1000}});
            for condition in [word, near] {
                let found = snapshot.select(&filter(json!({"must": condition}))).unwrap();
                assert_eq!(found.points.len(), expected, "{condition}");
            }
        }
        indexes += snapshot.indexes().len();
        steps += step;
    }
    println!("{indexes} indexes and {steps} steps after kills");
}

fn longitude(step: u64) -> f64 {
    (step % 170) as f64
}

fn filter(json: serde_json::Value) -> Filter {
    json.to_string().parse().unwrap()
}

#[test]
#[ignore = "killed by a_killed_creation_of_indexes_leaves_no_index_in_part"]
fn indexes_come_and_go() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let collection = Collection::open(path).unwrap();
    let index = |key, kind| PayloadIndex::new(key, kind).unwrap();
    let indexes = [
        index("color", IndexKind::Keyword),
        index("step", IndexKind::Integer),
        index("text", IndexKind::Text(Default::default())),
        index("at", IndexKind::Geo),
    ];
    for step in 1_u64.. {
        for index in &indexes {
            let there = collection.snapshot().unwrap().indexes().any(|it| it == index);
            match there {
                true => collection.drop_index(index.clone()).unwrap(),
                false => collection.create_index(index.clone()).unwrap(),
            }
            let at = json!({"lon": longitude(step), "lat": 0.5});
            let payload = json!({"step": step, "text": format!("step s{step}e of many"), "at": at});
            let payload = payload.as_object().unwrap().clone();
            collection.set_payload(Selector::Filter(Filter::new()), &payload).unwrap();
        }
    }
}

/// A vector is there for all points or for none, and what it had is gone with it.
#[test]
fn a_killed_change_of_the_configuration_leaves_all_or_nothing() {
    let files = Files::new();
    assert_success(&files.ingest("c", &[]).output().unwrap());
    let (path, mut rng) = (PathBuf::from(files.path("c")), StdRng::seed_from_u64(4));
    let mut there = 0;
    for _ in 0..rounds(6) {
        kill(&mut child("vectors_come_and_go", &path), Duration::from_millis(300), &mut rng);
        let collection = Collection::open(&path).unwrap();
        let snapshot = collection.snapshot().unwrap();
        if let Ok(having) = snapshot.having("extra") {
            assert!([0, POINTS as u64].contains(&having.len()), "{}", having.len());
            let known = |number| snapshot.dense("extra", number).unwrap() == Some(vec![0.5, 2.0]);
            assert!(having.iter().all(known));
            there += 1;
        }
        drop(snapshot);
        drop(collection);
        assert_eq!(files.check("c", POINTS), POINTS);
    }
    println!("a vector was there after {there} kills");
}

#[test]
#[ignore = "killed by a_killed_change_of_the_configuration_leaves_all_or_nothing"]
fn vectors_come_and_go() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let collection = Collection::open(path).unwrap();
    loop {
        if !collection.delete_vector("extra").unwrap() {
            let config = VectorConfig::dense(2, Distance::Dot);
            collection.create_vector("extra", config).unwrap();
            let vector = Vector::from(vec![0.5, 2.0]);
            let with = |id: u64| PointVectors {
                id: id.into(),
                vectors: [("extra".to_owned(), vector.clone())].into(),
            };
            collection.update_vectors((0..POINTS as u64).map(with).collect()).unwrap();
        }
    }
}

// --- Without room ----------------------------------------------------------------------------------

/// Files may not grow beyond a limit, which every system has.
#[test]
fn a_limit_of_files_is_an_error_and_loses_nothing() {
    let files = Files::new();
    let ingest = files.ingest("c", &["--batch", "20"]);
    let mut limited = Command::new("sh");
    // The signal that goes with the limit is ignored, so that it is an error like that of a full disk.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 400; exec \"$@\"", "sh"]);
    limited.arg(ingest.get_program()).args(ingest.get_args());
    let output = limited.output().unwrap();
    assert_refused(&output, &["cannot write"]);
    let least = *committed(&output.stdout).last().unwrap();
    let count = files.check("c", least);
    files.check_search("c", count);
    assert_success(&files.ingest("c", &[]).output().unwrap());
    assert_eq!(files.check("c", POINTS), POINTS);
}

/// Runs a test of this program with a small file system, mounted where no one else sees it; whether
/// that could be had.
fn on_a_small_disk(test: &str) {
    let disk = tempfile::tempdir().unwrap();
    let child = child(test, disk.path());
    let mut command = Command::new("unshare");
    let mount = "mount -t tmpfs -o size=8m tmpfs \"$0\" && exec \"$@\"";
    let mut probe = Command::new("unshare");
    probe.args(["--map-root-user", "--mount", "sh", "-c", mount]).arg(disk.path()).arg("true");
    if !probe.output().is_ok_and(|it| it.status.success()) {
        return say(&format!("skipped: {test}: this user may not mount a file system"));
    }
    command.args(["--map-root-user", "--mount", "sh", "-c", mount]).arg(disk.path());
    command.arg(child.get_program()).args(child.get_args()).env(CHILD, disk.path());
    let output = command.output().unwrap();
    let text = [output.stderr, output.stdout].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    println!("{text}");
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    on_a_small_disk("ingest_fills_a_disk");
    on_a_small_disk("indexes_fill_a_disk");
}

#[test]
fn a_read_only_file_system_is_an_error_and_loses_nothing() {
    on_a_small_disk("a_disk_turns_read_only");
}

/// A disk that has as much room left as a test says.
struct Disk(PathBuf);

impl Disk {
    fn new() -> Option<Self> {
        std::env::var(CHILD).ok().map(|path| Self(path.into()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Leaves room for so many bytes.
    fn leave(&self, bytes: u64) {
        let ballast = fs::File::create(self.path("ballast")).unwrap();
        let block = [1; 4096];
        while std::io::Write::write_all(&mut &ballast, &block).is_ok() {}
        let size = ballast.metadata().unwrap().len();
        ballast.set_len(size.saturating_sub(bytes)).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.path("ballast")).unwrap();
    }
}

/// What the files of a directory take.
fn bytes(directory: &Path, wanted: impl Fn(&str) -> bool) -> u64 {
    let files = fs::read_dir(directory).unwrap().map(|it| it.unwrap());
    let files = files.filter(|it| wanted(&it.file_name().to_string_lossy()));
    files.map(|it| it.metadata().unwrap().len()).sum()
}

#[test]
#[ignore = "run by a_full_disk_is_an_error_and_loses_nothing"]
fn ingest_fills_a_disk() {
    let Some(disk) = Disk::new() else { return };
    let (files, path) = (Files::new(), disk.path("c"));
    let name = path.to_str().unwrap();
    assert_success(&files.ingest(name, &["--batch", "20"]).output().unwrap());
    let all = bytes(&path, |_| true);
    let graphs = bytes(&path, |file| file.starts_with("graph-"));
    fs::remove_dir_all(&path).unwrap();
    // All but the graphs have room, or as much as comes.
    let mut rooms = vec![all - graphs / 2, all - graphs + 4096, 0, 4096, 65536, 80_000];
    let mut rng = StdRng::seed_from_u64(4);
    rooms.extend((0..rounds(6)).map(|_| rng.random_range(0..all)));
    let mut late = 0;
    for room in rooms {
        disk.leave(room);
        let output = files.ingest(name, &["--batch", "20"]).output().unwrap();
        assert_refused(&output, &["cannot "]);
        let least = committed(&output.stdout).last().copied().unwrap_or(0);
        late += usize::from(least == POINTS);
        match Collection::open(&path).map(drop) {
            Err(error) => assert!(least == 0, "{room}: {error}"),
            Ok(()) => {
                let count = files.check(name, least);
                // Without room for graphs, there are answers all the same.
                files.check_search(name, count);
                assert_eq!(files.count(name, &[]), count);
            }
        }
        disk.make_room();
        assert_success(&files.ingest(name, &[]).output().unwrap());
        assert_eq!(files.check(name, POINTS), POINTS);
        files.check_search(name, POINTS);
        fs::remove_dir_all(&path).unwrap();
    }
    assert!(late >= 2, "graphs always had room");
}

#[test]
#[ignore = "run by a_full_disk_is_an_error_and_loses_nothing"]
fn indexes_fill_a_disk() {
    let Some(disk) = Disk::new() else { return };
    let (files, path) = (Files::new(), disk.path("c"));
    assert_success(&files.ingest(path.to_str().unwrap(), &[]).output().unwrap());
    let green = filter(json!({"must": {"key": "color", "match": {"value": "green"}}}));
    let index = |key| PayloadIndex::new(key, IndexKind::Keyword).unwrap();
    let (mut refused, mut collection) = (0, Collection::open(&path).unwrap());
    for room in (0..rounds(40) as u64).map(|it| it % 40 * 2048) {
        disk.leave(room);
        let made = collection.create_index(index("color"));
        assert_eq!(collection.count(&green).unwrap(), 200);
        let there = collection.snapshot().unwrap().indexes().len();
        match made {
            Ok(()) => assert_eq!(there, 1),
            Err(error) => {
                assert!(there == 0 && error.to_string().contains("cannot write"), "{error}");
                refused += 1;
            }
        }
        disk.make_room();
        // The same collection goes on, and so does one that is opened again.
        if room % 4096 == 0 {
            drop(collection);
            collection = Collection::open(&path).unwrap();
        }
        if there == 0 {
            collection.create_index(index("color")).unwrap();
        }
        assert_eq!(collection.count(&green).unwrap(), 200);
        collection.drop_index(index("color")).unwrap();
        collection.delete([9999]).unwrap();
    }
    assert!(refused > 0, "indexes always had room");
    drop(collection);
    assert_eq!(files.check(path.to_str().unwrap(), POINTS), POINTS);
}

// --- Where nothing can be written ------------------------------------------------------------------

#[test]
#[ignore = "run by a_read_only_file_system_is_an_error_and_loses_nothing"]
fn a_disk_turns_read_only() {
    let Some(disk) = Disk::new() else { return };
    let (files, path) = (Files::new(), disk.path("c"));
    let name = path.to_str().unwrap();
    assert_success(&files.ingest(name, &[]).output().unwrap());
    let remount = |how: &str| {
        let options = format!("remount,bind,{how}");
        let output = Command::new("mount").args(["-o", &options]).arg(&disk.0).output();
        assert_success(&output.unwrap());
    };
    remount("ro");
    let parts = ["cannot ", "Read-only file system"];
    assert_refused(&files.ingest(name, &[]).output().unwrap(), &parts);
    assert_refused(
        &files.ingest(disk.path("new").to_str().unwrap(), &[]).output().unwrap(),
        &parts,
    );
    // What nobody can write can be read.
    assert_eq!(files.count(name, &[]), POINTS);
    files.check_search(name, POINTS);
    remount("rw");
    assert_eq!(files.check(name, POINTS), POINTS);
    files.check_search(name, POINTS);
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let files = Files::new();
    assert_success(&files.ingest("c", &[]).output().unwrap());
    let directory = PathBuf::from(files.path("c"));
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let set_all = |file, folder| {
        let entries = fs::read_dir(&directory).unwrap();
        entries.for_each(|it| set(&it.unwrap().path(), file));
        set(&directory, folder);
    };
    set_all(0o444, 0o555);
    if fs::write(directory.join("probe"), "").is_ok() {
        fs::remove_file(directory.join("probe")).unwrap();
        say("skipped: a read-only directory: this user may write anywhere");
    } else {
        assert_refused(&files.ingest("c", &[]).output().unwrap(), &["cannot "]);
        assert_refused(&files.search("c", &["--count"]), &["cannot "]);
    }
    set_all(0o644, 0o755);
    assert_eq!(files.check("c", POINTS), POINTS);
}
