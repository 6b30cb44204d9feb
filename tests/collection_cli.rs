//! The contract of the `ingest` and `search` examples, as another program sees it: also when it is
//! killed, and when there is no room.
#![cfg(all(feature = "gpu", feature = "collection", unix))]

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use maxfold::collection::{Collection, Vector};
use maxfold::filter::Filter;
use maxfold::maxsim::reference;
use maxfold::multivector::{DenseVectors, Interchange, MultiVectors, TokenMatrix};
use rand::prelude::*;
use serde_json::{Value, json};
use support::Values;
use tempfile::TempDir;

const POINTS: usize = 600;
const DENSE: usize = 12;
const TOKENS: usize = 16;

const CONFIG: &str = r#"{"vectors": {
    "dense": {"size": 12, "distance": "Dot"},
    "tokens": {"size": 16, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}
}}"#;

/// The example's binary: `cargo test` builds it beside the folder of this test's.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join("examples").join(name)
}

fn payload(item: usize) -> Value {
    let color = ["red", "green", "blue"][item % 3];
    json!({"n": item, "color": color})
}

/// A folder with what `ingest` takes, and room for a collection.
struct Files {
    folder: TempDir,
    vectors: Interchange,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rng = StdRng::seed_from_u64(3);
        let rows: Vec<usize> = (0..POINTS).map(|_| rng.random_range(1..20)).collect();
        let tokens: MultiVectors = Values::Unit.documents(&mut rng, &rows, TOKENS);
        let dense = (0..POINTS * DENSE).map(|_| rng.random_range(-1.0..1.0)).collect();
        let dense = Some(DenseVectors::new(dense, DENSE).unwrap());
        let vectors = Interchange { tokens, dense };
        vectors.write(folder.path().join("vectors")).unwrap();
        let files = Self { folder, vectors };
        files.write("config", CONFIG);
        let line = |item| json!({"id": item, "payload": payload(item)}).to_string() + "\n";
        files.write("points", &(0..POINTS).map(line).collect::<String>());
        files
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().into()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn ingest(&self, collection: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("ingest"));
        let vectors = self.path("vectors");
        command.args(["--collection", &self.path(collection), "--points", &self.path("points")]);
        command.arg(format!("--vectors=dense={vectors}"));
        command.arg(format!("--vectors=tokens={vectors}"));
        command.args(["--config", &self.path("config")]).args(arguments);
        command
    }

    fn search(&self, collection: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary("search"));
        command.args(["--collection", &self.path(collection)]).args(arguments).output().unwrap()
    }

    fn count(&self, collection: &str, arguments: &[&str]) -> usize {
        let arguments = [&["--count"], arguments].concat();
        let output = self.search(collection, &arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().parse().unwrap()
    }

    /// The results of requests, and the seconds they took.
    fn answer(
        &self,
        collection: &str,
        requests: &Value,
        arguments: &[&str],
    ) -> (Vec<Value>, usize) {
        self.write("request", &requests.to_string());
        let (request, out) = (self.path("request"), self.path("out"));
        let arguments = [&["--request", &request, "--output", &out], arguments].concat();
        let output = self.search(collection, &arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty());
        let out: Value = serde_json::from_slice(&fs::read(out).unwrap()).unwrap();
        let seconds = out["seconds"].as_array().unwrap();
        assert!(seconds.iter().all(|it| it.as_f64().unwrap() > 0.0));
        (out["results"].as_array().unwrap().clone(), seconds.len())
    }

    /// The collection has the first of the points, whole, and no others; how many.
    fn check(&self, collection: &str, least: usize) -> usize {
        let collection = Collection::open(self.path(collection)).unwrap();
        let snapshot = collection.snapshot().unwrap();
        assert!((least..=POINTS).contains(&snapshot.len()), "{least}: {}", snapshot.len());
        for item in 0..snapshot.len() {
            let point = snapshot.get((item as u64).into()).unwrap().unwrap();
            assert_eq!(Value::Object(point.payload), payload(item));
            let dense = self.vectors.dense.as_ref().unwrap().get(item).unwrap().to_vec();
            assert_eq!(point.vectors["dense"], Vector::Dense(dense));
            let tokens = Vector::from(self.vectors.tokens.get(item).unwrap());
            assert_eq!(point.vectors["tokens"], tokens);
        }
        snapshot.len()
    }

    /// Search finds what is nearest of the first `count` points.
    fn check_search(&self, collection: &str, count: usize) {
        let query: Vec<f64> = (0..DENSE).map(|at| (at as f64 - 5.5) / 8.0).collect();
        let dense = self.vectors.dense.as_ref().unwrap();
        let mut ids: Vec<usize> = (0..count).collect();
        let score = |id: usize| -> f64 {
            dense.get(id).unwrap().iter().zip(&query).map(|(a, b)| f64::from(*a) * b).sum()
        };
        ids.sort_by(|a, b| score(*b).total_cmp(&score(*a)));
        ids.truncate(5);
        let request = json!({"query": query, "using": "dense", "limit": 5});
        let (results, _) = self.answer(collection, &request, &["--backend", "cpu"]);
        assert_eq!(found(&results[0]), ids);
    }
}

fn found(result: &Value) -> Vec<usize> {
    let points = result["points"].as_array().unwrap();
    points.iter().map(|it| it["id"].as_u64().unwrap() as usize).collect()
}

/// The numbers of all lines `committed N`.
fn committed(stdout: &[u8]) -> Vec<usize> {
    let text = String::from_utf8(stdout.to_vec()).unwrap();
    text.lines().map(|line| line.strip_prefix("committed ").unwrap().parse().unwrap()).collect()
}

/// Exit code 2, nothing on stdout but commits, and one line on stderr, which has all the `parts`.
fn assert_refused(output: &Output, parts: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.starts_with("error: ") && error.lines().count() == 1, "{error}");
    for part in parts {
        assert!(error.contains(part), "{part} in {error}");
    }
    committed(&output.stdout);
}

#[test]
fn what_is_ingested_is_found() {
    let files = Files::new();
    let output = files.ingest("c", &["--batch", "250"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Not a terminal: no progress bar.
    assert!(output.stderr.is_empty());
    assert_eq!(committed(&output.stdout), [250, 500, 600]);
    assert_eq!(files.check("c", POINTS), POINTS);
    assert!(Path::new(&files.path("c/graph-0")).exists());

    // Once more, without --config: the same points, in the place of those that are there.
    let output = files.ingest("c", &[]).output().unwrap();
    assert_eq!(committed(&output.stdout), [600]);
    assert_eq!(files.count("c", &[]), POINTS);
    files.write("filter", r#"{"must": {"key": "color", "match": {"value": "green"}}}"#);
    assert_eq!(files.count("c", &["--filter", &files.path("filter")]), 200);
    files.check_search("c", POINTS);

    let query = Values::Unit.query(&mut StdRng::seed_from_u64(9), 4, TOKENS);
    let rows: Vec<Vec<f32>> =
        query.view().rows().map(|row| row.iter().map(|it| it.to_f32()).collect()).collect();
    let filter: Value = serde_json::to_value(
        fs::read_to_string(files.path("filter")).unwrap().parse::<Filter>().unwrap(),
    )
    .unwrap();
    let request = json!({
        "prefetch": {"query": vec![0.5; DENSE], "using": "dense", "limit": POINTS},
        "query": rows, "using": "tokens", "filter": filter, "limit": 7, "with_payload": true,
    });
    for backend in ["cpu", "gpu"] {
        if backend == "gpu" && support::gpu_context(Default::default()).is_none() {
            continue;
        }
        for store in ["resident", "streamed"] {
            let arguments = ["--backend", backend, "--store", store, "--repeat", "3"];
            let (results, repeats) = files.answer("c", &json!([request, request]), &arguments);
            assert_eq!((results.len(), repeats), (2, 3));
            check_green(&files, &query, &results[1], backend);
        }
    }
}

/// The nearest green points, by the reference.
fn check_green(files: &Files, query: &TokenMatrix, result: &Value, backend: &str) {
    let score =
        |item: usize| reference::score(query.view(), files.vectors.tokens.get(item).unwrap());
    let mut ids: Vec<usize> = (0..POINTS).filter(|it| it % 3 == 1).collect();
    ids.sort_by(|a, b| score(*b).total_cmp(&score(*a)));
    ids.truncate(7);
    assert_eq!(found(result), ids);
    assert_eq!(result["backend"], backend);
    assert!(result["plan"]["prefetch"][0]["method"].is_string());
    for (point, id) in result["points"].as_array().unwrap().iter().zip(ids) {
        assert_eq!(point["payload"], payload(id));
        assert!((point["score"].as_f64().unwrap() - score(id)).abs() < 1e-4);
    }
}

#[test]
fn bad_input_is_refused_in_one_line() {
    let files = Files::new();
    let refused = |arguments: &[&str], parts: &[&str]| {
        assert_refused(&files.ingest("none", arguments).output().unwrap(), parts);
        assert!(!Path::new(&files.path("none")).exists(), "{arguments:?}");
    };
    refused(&["--batch", "0"], &["--batch", "0"]);
    refused(&["--vectors", "dense"], &["NAME=FILE"]);
    refused(
        &["--vectors", &format!("other={}", files.path("vectors"))],
        &["other", "dense, tokens"],
    );
    refused(&["--vectors", "dense=/nowhere"], &["/nowhere"]);
    refused(&["--vectors", &format!("dense={}", files.path("config"))], &["safetensors"]);

    let points = fs::read_to_string(files.path("points")).unwrap();
    files.write("points", points.split_once('\n').unwrap().1);
    refused(&[], &["599 points", "600"]);
    files.write("points", &points);
    files.write("config", "{}");
    refused(&[], &["config", "vectors"]);
    fs::remove_file(files.path("config")).unwrap();
    refused(&[], &["config"]);

    files.write("config", CONFIG);
    files.write("points", &points.replacen("\"id\":3,", "\"id\":-3,", 1));
    let output = files.ingest("c", &["--batch", "2"]).output().unwrap();
    assert_refused(&output, &["line 4 of", "unsigned integer"]);
    assert_eq!(committed(&output.stdout), [2]);
    assert_eq!(files.check("c", 2), 2);

    files.write("config", &CONFIG.replace("12", "13"));
    assert_refused(&files.ingest("c", &[]).output().unwrap(), &["configuration", "another"]);
    refused_searches(&files);
}

fn refused_searches(files: &Files) {
    let out = files.path("out");
    let refused = |request: &str, parts: &[&str]| {
        files.write("request", request);
        let request = files.path("request");
        assert_refused(&files.search("c", &["--request", &request, "--output", &out]), parts);
        assert!(!Path::new(&out).exists());
    };
    refused("{", &["request"]);
    refused(r#"{"using": "dense"}"#, &["query"]);
    refused(r#"{"query": [1, 2], "using": "dense"}"#, &["12", "2"]);
    refused(r#"{"query": [1, 2], "using": "other"}"#, &["other", "dense, tokens"]);
    refused(r#"{"query": [1, 2], "using": "tokens"}"#, &["tokens", "many", "one"]);
    assert_refused(&files.search("c", &["--request", "/nowhere"]), &["--output"]);
    assert_refused(&files.search("none", &["--count"]), &["expected a collection", "none"]);
    assert_refused(&files.search("c", &["--count", "--filter", "/nowhere"]), &["/nowhere"]);
    files.write("request", &json!({"query": vec![1; DENSE], "using": "dense"}).to_string());
    let arguments = ["--request", &files.path("request"), "--output", "/dev/full"];
    if Path::new("/dev/full").exists() {
        assert_refused(&files.search("c", &arguments), &["/dev/full"]);
    }
}

/// Killed at any moment, `ingest` leaves what it said is committed, whole, and nothing in part.
///
/// `MAXFOLD_KILLS` says how often it is tried.
#[test]
fn a_killed_ingest_leaves_what_it_committed() {
    let kills = std::env::var("MAXFOLD_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let files = Files::new();
    let start = Instant::now();
    assert!(files.ingest("whole", &["--batch", "20"]).output().unwrap().status.success());
    let whole = start.elapsed();
    let mut rng = StdRng::seed_from_u64(kills);
    for kill in 0..kills {
        let name = format!("killed-{kill}");
        let mut ingest = files.ingest(&name, &["--batch", "20"]);
        let mut child = ingest.stdout(Stdio::piped()).spawn().unwrap();
        thread::sleep(whole.mul_f64(rng.random_range(0.0..1.1)));
        child.kill().unwrap();
        let committed = committed(&child.wait_with_output().unwrap().stdout);
        let least = committed.last().copied().unwrap_or(0);
        if least == 0 && !Path::new(&files.path(&name)).join("data.mdb").exists() {
            continue;
        }
        if least == 0 && Collection::open(files.path(&name)).is_err() {
            // Killed while it was made: made again, it is whole.
            assert!(files.ingest(&name, &[]).output().unwrap().status.success());
        }
        let count = files.check(&name, least);
        assert!(count.is_multiple_of(20), "{count}: a batch in part");
        assert_eq!(files.count(&name, &[]), count);
        files.check_search(&name, count);
    }
}

/// No room for more, as far as it can be had without a file system of one's own: files may not grow
/// beyond a limit. `MAXFOLD_SMALL_DISK` may name a directory on a small file system as well.
#[test]
fn no_room_is_an_error_and_loses_nothing() {
    let files = Files::new();
    let ingest = files.ingest("c", &["--batch", "20"]);
    let mut limited = Command::new("sh");
    // The signal that goes with the limit is ignored, so that it is an error like that of a full disk.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 400; exec \"$@\"", "sh"]);
    limited.arg(ingest.get_program()).args(ingest.get_args());
    let output = limited.output().unwrap();
    assert_refused(&output, &["expected to write"]);
    let least = *committed(&output.stdout).last().unwrap();
    let count = files.check("c", least);
    files.check_search("c", count);
    assert!(files.ingest("c", &[]).output().unwrap().status.success());
    assert_eq!(files.check("c", POINTS), POINTS);
    match std::env::var("MAXFOLD_SMALL_DISK") {
        Ok(disk) => fill(&files, Path::new(&disk)),
        Err(_) => say("skipped: a full disk: MAXFOLD_SMALL_DISK names no directory"),
    }
}

fn fill(files: &Files, disk: &Path) {
    let collection = tempfile::tempdir_in(disk).unwrap();
    let path = collection.path().to_str().unwrap();
    let output = files.ingest(path, &["--batch", "20"]).output().unwrap();
    assert_refused(&output, &["expected to"]);
    let least = committed(&output.stdout).last().copied().unwrap_or(0);
    let count = files.check(path, least);
    files.check_search(path, count);
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let files = Files::new();
    assert!(files.ingest("c", &[]).output().unwrap().status.success());
    let directory = PathBuf::from(files.path("c"));
    let set = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
    set(0o555);
    if fs::write(directory.join("probe"), "").is_ok() {
        fs::remove_file(directory.join("probe")).unwrap();
        say("skipped: a read-only directory: this user may write anywhere");
    } else {
        for file in fs::read_dir(&directory).unwrap() {
            fs::set_permissions(file.unwrap().path(), fs::Permissions::from_mode(0o444)).unwrap();
        }
        assert_refused(&files.ingest("c", &[]).output().unwrap(), &["expected to"]);
        for file in fs::read_dir(&directory).unwrap() {
            fs::set_permissions(file.unwrap().path(), fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
    set(0o755);
    assert_eq!(files.check("c", POINTS), POINTS);
    if let Ok(read_only) = std::env::var("MAXFOLD_READ_ONLY_COLLECTION") {
        let output = files.ingest(&read_only, &[]).output().unwrap();
        assert_refused(&output, &["expected to"]);
    }
}

/// Written to stderr itself, because the test harness hides what passing tests print.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
