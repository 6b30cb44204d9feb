//! What `ingest` takes, and what it should leave: for the tests of `maxfold ingest` and `maxfold search`.

#![allow(dead_code)]

use std::fs;
use std::io::Write;
use std::process::{Command, Output};

use maxfold::collection::{Collection, Vector};
use maxfold::multivector::{DenseVectors, Interchange, MultiVectors};
use rand::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::Values;

pub const POINTS: usize = 600;
pub const DENSE: usize = 12;
pub const TOKENS: usize = 16;

pub const CONFIG: &str = r#"{"vectors": {
    "dense": {"size": 12, "distance": "Dot"},
    "tokens": {"size": 16, "distance": "Dot", "multivector_config": {"comparator": "max_sim"},
        "quantization_config": {"scalar": {"type": "int8"}}}
}, "sparse_vectors": {"words": {}}}"#;

/// A command of the program.
pub fn maxfold(command: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_maxfold"));
    program.arg(command);
    program
}

pub fn payload(item: usize) -> Value {
    let color = ["red", "green", "blue"][item % 3];
    json!({"n": item, "color": color})
}

/// Indices that few and many points have.
fn words(item: usize) -> Vector {
    let (indices, value) = (vec![item as u32 % 4, 100 + item as u32 / 3], item as f32 / 16.0);
    Vector::Sparse { indices, values: vec![value, 1.0] }
}

/// A folder with what `ingest` takes, and room for a collection.
pub struct Files {
    folder: TempDir,
    pub vectors: Interchange,
}

impl Files {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rng = StdRng::seed_from_u64(3);
        let rows: Vec<usize> = (0..POINTS).map(|_| rng.random_range(1..20)).collect();
        let tokens: MultiVectors = Values::Unit.documents(&mut rng, &rows, TOKENS);
        let dense = (0..POINTS * DENSE).map(|_| rng.random_range(-1.0..1.0)).collect();
        let dense = Some(DenseVectors::new(dense, DENSE).unwrap());
        let vectors = Interchange::new(tokens).dense(dense);
        vectors.write(folder.path().join("vectors")).unwrap();
        let files = Self { folder, vectors };
        files.write("config", CONFIG);
        let line = |item| {
            let vector = json!({"words": words(item)});
            json!({"id": item, "payload": payload(item), "vector": vector}).to_string() + "\n"
        };
        files.write("points", &(0..POINTS).map(line).collect::<String>());
        files
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().into()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A file of token vectors in f32.
    pub fn write_tokens(&self, name: &str, values: &[f32], dim: usize, offsets: &[u64]) {
        let bytes = |values: &[f32]| values.iter().flat_map(|it| it.to_le_bytes()).collect();
        let (values, rows): (Vec<u8>, _) = (bytes(values), values.len() / dim);
        let starts: Vec<u8> = offsets.iter().flat_map(|it| it.to_le_bytes()).collect();
        let tokens = TensorView::new(Dtype::F32, vec![rows, dim], &values).unwrap();
        let offsets = TensorView::new(Dtype::U64, vec![offsets.len()], &starts).unwrap();
        let tensors = [("tokens", tokens), ("offsets", offsets)];
        fs::write(self.path(name), safetensors::serialize(tensors, None).unwrap()).unwrap();
    }

    pub fn ingest(&self, collection: &str, arguments: &[&str]) -> Command {
        let vectors = self.path("vectors");
        let vectors = ["dense", "tokens"].map(|name| format!("--vectors={name}={vectors}"));
        self.ingest_only(collection, &[&[&*vectors[0], &*vectors[1]], arguments].concat())
    }

    /// Without vectors.
    pub fn ingest_only(&self, collection: &str, arguments: &[&str]) -> Command {
        let mut command = maxfold("ingest");
        command.args(["--collection", &self.path(collection), "--points", &self.path("points")]);
        command.args(["--config", &self.path("config")]).args(arguments);
        command
    }

    pub fn search(&self, collection: &str, arguments: &[&str]) -> Output {
        let mut command = maxfold("search");
        command.args(["--collection", &self.path(collection)]).args(arguments).output().unwrap()
    }

    pub fn count(&self, collection: &str, arguments: &[&str]) -> usize {
        let arguments = [&["--count"], arguments].concat();
        let output = self.search(collection, &arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().parse().unwrap()
    }

    /// The results of requests, and the seconds they took.
    pub fn answer(
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
    pub fn check(&self, collection: &str, least: usize) -> usize {
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
            assert_eq!(point.vectors["words"], words(item));
        }
        snapshot.len()
    }

    /// Search finds what is nearest of the first `count` points.
    pub fn check_search(&self, collection: &str, count: usize) {
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
        // Those with the index 3: the value of a later one is larger.
        let query = json!({"indices": [3], "values": [1.0]});
        let request = json!({"query": query, "using": "words", "limit": POINTS});
        let (results, _) = self.answer(collection, &request, &["--backend", "cpu"]);
        let expected: Vec<usize> = (0..count).rev().filter(|id| id % 4 == 3).collect();
        assert_eq!(found(&results[0]), expected);
    }
}

pub fn found(result: &Value) -> Vec<usize> {
    let points = result["points"].as_array().unwrap();
    points.iter().map(|it| it["id"].as_u64().unwrap() as usize).collect()
}

/// The numbers of all lines `committed N`.
pub fn committed(stdout: &[u8]) -> Vec<usize> {
    let text = String::from_utf8(stdout.to_vec()).unwrap();
    text.lines().map(|line| line.strip_prefix("committed ").unwrap().parse().unwrap()).collect()
}

/// Exit code 1, nothing on stdout but commits, and one line on stderr, which has all the `parts`.
pub fn assert_refused(output: &Output, parts: &[&str]) {
    assert_error(output, 1, parts);
}

/// The same of a command line that makes no sense: exit code 2.
pub fn assert_wrong_usage(output: &Output, parts: &[&str]) {
    assert_error(output, 2, parts);
}

fn assert_error(output: &Output, code: i32, parts: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.starts_with("error: ") && error.lines().count() == 1, "{error}");
    for part in parts {
        assert!(error.contains(part), "{part} in {error}");
    }
    committed(&output.stdout);
}

/// How often something random is tried: `MAXFOLD_ROUNDS`, or so often.
pub fn rounds(default: usize) -> usize {
    std::env::var("MAXFOLD_ROUNDS").map_or(default, |rounds| rounds.parse().unwrap())
}

/// Written to stderr itself, because the test harness hides what passing tests print.
pub fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
