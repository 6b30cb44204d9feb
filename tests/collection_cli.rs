//! The contract of `maxfold ingest` and `maxfold search`, as another program sees it.
#![cfg(all(feature = "cli", unix))]

#[path = "support/ingested.rs"]
mod ingested;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ingested::*;
use maxfold::collection::{Collection, Vector};
use maxfold::eval::Run;
use maxfold::filter::Filter;
use maxfold::maxsim::reference;
use maxfold::multivector::{DenseVectors, Interchange, MultiVectors, TokenMatrix};
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{QueryRequest, Searcher, SearcherOptions};
use rand::prelude::*;
use serde_json::{Value, json};
use support::Values;

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

#[cfg(not(feature = "encoder"))]
#[test]
fn a_model_needs_another_build() {
    let files = Files::new();
    let told = |output: std::process::Output| {
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("expected a build with the feature `encoder`"), "{stderr}");
    };
    let points = files.path("points");
    let (c, model) = (files.path("c"), ["--model", "somewhere"]);
    let mut ingest = maxfold("ingest");
    told(ingest.args(["--collection", &c, "--points", &points]).args(model).output().unwrap());
    files.ingest("c", &[]).output().unwrap();
    let mut search = maxfold("search");
    told(search.args(["--collection", &c, "words"]).args(model).output().unwrap());
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
    assert!(result["plan"]["query"]["prefetch"][0]["method"].is_string());
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
    let wrong_usage = |arguments: &[&str], parts: &[&str]| {
        assert_wrong_usage(&files.ingest("none", arguments).output().unwrap(), parts);
        assert!(!Path::new(&files.path("none")).exists(), "{arguments:?}");
    };
    wrong_usage(&["--batch", "0"], &["--batch", "0"]);
    wrong_usage(&["--vectors", "dense"], &["NAME=FILE"]);
    refused(
        &["--vectors", &format!("other={}", files.path("vectors"))],
        &["other", "dense, tokens"],
    );
    // Files::ingest gives those of dense and tokens already.
    wrong_usage(&["--vectors", "dense=/nowhere"], &["--vectors dense=FILE once"]);

    for (file, part) in [("/nowhere", "/nowhere"), (&files.path("config"), "safetensors")] {
        let vectors = format!("--vectors=dense={file}");
        assert_refused(&files.ingest_only("none", &[&vectors]).output().unwrap(), &[part]);
    }

    let points = fs::read_to_string(files.path("points")).unwrap();
    files.write("points", points.split_once('\n').unwrap().1);
    refused(&[], &["599 points", "600"]);
    files.write("points", &points);
    // Without vectors a collection may be, but not what the files bring.
    files.write("config", "{}");
    refused(&[], &["the name of a vector (none)", "dense"]);
    fs::remove_file(files.path("config")).unwrap();
    refused(&[], &["config"]);

    files.write("config", CONFIG);
    files.write("points", &points.replacen("\"id\":3,", "\"id\":-3,", 1));
    let output = files.ingest("c", &["--batch", "2"]).output().unwrap();
    assert_refused(&output, &["points: line 4: ", "unsigned integer"]);
    assert_eq!(committed(&output.stdout), [2]);
    assert_eq!(files.check("c", 2), 2);

    files.write("config", &CONFIG.replace("12", "13"));
    assert_refused(
        &files.ingest("c", &["--vectors", "dense=/nowhere"]).output().unwrap(),
        &["configuration", "another: config.vectors.dense.size is 13, not 12"],
    );
    refused_searches(&files);
}

/// A first ingest that fails leaves nothing behind, so it can be tried again with another configuration.
#[test]
fn a_refused_first_ingest_leaves_nothing() {
    let files = Files::new();
    let refused = |parts: &[&str]| {
        assert_refused(&files.ingest("c", &[]).output().unwrap(), parts);
        assert!(!Path::new(&files.path("c")).exists(), "{parts:?}");
    };
    files.write("config", &CONFIG.replace("12", "13"));
    refused(&["vectors of dimension 13 in ", "got 12"]);
    files.write("config", CONFIG);
    let points = fs::read_to_string(files.path("points")).unwrap();
    files.write("points", &points.replacen("\"id\":3,", "\"id\":3,\"id\":4,", 1));
    refused(&["points: expected point.id once, got it again in line 4, column"]);
    let mut lines: Vec<&str> = points.lines().collect();
    let again = lines[3].replace("\"vector\":{", "\"vector\":{\"dense\":[1],");
    lines[3] = &again;
    files.write("points", &lines.join("\n"));
    refused(&["vector \"dense\" of point 3 once"]);
    let mut deep = json!(1);
    (0..110).for_each(|_| deep = json!([deep]));
    let line = json!({"id": 3, "payload": {"a": deep}}).to_string();
    let lines: Vec<&str> = points.lines().collect();
    files.write("points", &[&lines[..3], &[&line], &lines[4..]].concat().join("\n"));
    // Only found out when the points are written.
    refused(&["point 3", "100 levels"]);

    files.write("points", &format!("\u{feff}{}\r\n\r\n", points.replace('\n', "\r\n\r\n")));
    let output = files.ingest("c", &[]).output().unwrap();
    assert_eq!(committed(&output.stdout), [POINTS], "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(files.check("c", POINTS), POINTS);
}

/// A file of vectors is read as it is needed: it may be larger than memory.
#[cfg(target_os = "linux")]
#[test]
fn files_of_vectors_are_not_held_in_memory() {
    const ITEMS: usize = 1000;
    const ROWS: usize = 125;
    const DIM: usize = 128;
    let files = Files::new();
    files.write("config", &CONFIG.replace("16", &DIM.to_string()));
    files.write("points", &(0..ITEMS).map(|id| format!("{{\"id\":{id}}}\n")).collect::<String>());
    let offsets: Vec<u64> = (0..=ITEMS).map(|item| (item * ROWS) as u64).collect();
    files.write_tokens("large", &vec![0.5; ITEMS * ROWS * DIM], DIM, &offsets);
    let vectors = format!("--vectors=tokens={}", files.path("large"));
    let mut ingest = files.ingest_only("c", &["--batch", "50", &vectors]);
    let mut ingest = ingest.stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", ingest.id());
    let mut most = 0;
    while ingest.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or("0");
        let own = own.trim_matches(|it: char| !it.is_ascii_digit());
        most = most.max(own.parse::<u64>().unwrap() / 1024);
        thread::sleep(Duration::from_millis(1));
    }
    assert!(ingest.wait().unwrap().success());
    assert_eq!(files.count("c", &[]), ITEMS);
    let file = fs::metadata(files.path("large")).unwrap().len() >> 20;
    assert!(0 < most && most < file / 2, "{most} MB of its own for a file of {file} MB");
}

/// The length of a vector means nothing to the cosine, so it is taken out before numbers are rounded.
#[test]
fn cosine_does_not_depend_on_length() {
    let files = Files::new();
    let mut rng = StdRng::seed_from_u64(4);
    let values: Vec<f32> = (0..12 * 8).map(|_| rng.random_range(-1.0..1.0)).collect();
    let config = r#"{"vectors": {"size": 8, "distance": "Cosine",
        "multivector_config": {"comparator": "max_sim"}}}"#;
    files.write("config", config);
    files.write("points", &(0..4).map(|id| format!("{{\"id\":{id}}}\n")).collect::<String>());
    let query: Vec<Vec<f64>> = vec![vec![0.5; 8], vec![-1.0, 1.0, 0.0, 0.0, 0.25, 0.0, 0.0, 2.0]];
    for scale in [1.0, 1e-7, 1e-30, 1e5, 1e30] {
        let scaled: Vec<f32> = values.iter().map(|value| value * scale).collect();
        files.write_tokens("scaled", &scaled, 8, &[0, 3, 6, 9, 12]);
        let name = format!("c{scale}");
        let vectors = format!("--vectors=={}", files.path("scaled"));
        let output = files.ingest_only(&name, &[&vectors]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (results, _) = files.answer(&name, &json!({"query": query}), &["--backend", "cpu"]);
        let scores = results[0]["points"].as_array().unwrap();
        assert_eq!(scores.len(), 4);
        for point in scores {
            let id = point["id"].as_u64().unwrap() as usize;
            let expected = cosine_max_sim(&query, &values[id * 24..(id + 1) * 24]);
            let got = point["score"].as_f64().unwrap();
            // Every number is rounded to 11 bits, on both sides of each of two products.
            let bound = 4.0 * 2_f64.powi(-11);
            assert!((got - expected).abs() < bound, "times {scale}: {got}, expected {expected}");
        }
    }
}

/// In f64, from what was given.
fn cosine_max_sim(query: &[Vec<f64>], document: &[f32]) -> f64 {
    let norm = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>().sqrt();
    let cosine = |a: &[f64], b: &[f32]| {
        let b: Vec<f64> = b.iter().map(|x| f64::from(*x)).collect();
        a.iter().zip(&b).map(|(x, y)| x * y).sum::<f64>() / norm(a) / norm(&b)
    };
    let best = |row: &Vec<f64>| document.chunks(8).map(|it| cosine(row, it)).fold(-1.0, f64::max);
    query.iter().map(best).sum()
}

/// A number of 32 bits is printed with the digits that tell it apart; an error says in which request.
#[test]
fn what_is_printed() {
    let files = Files::new();
    assert!(files.ingest("c", &[]).output().unwrap().status.success());
    let request =
        json!({"query": vec![0.1; DENSE], "using": "dense", "limit": 3, "with_vectors": ["dense"]});
    files.write("requests", &request.to_string());
    let (requests, out) = (files.path("requests"), files.path("out"));
    let search = || files.search("c", &["--request", &requests, "--output", &out]);
    assert!(search().status.success());
    let text = fs::read_to_string(&out).unwrap();
    let longest = text.split(|c: char| !(c.is_ascii_digit() || c == '.')).map(str::len).max();
    assert!(longest.unwrap() <= 16, "{text}");

    let mut wrong = request.clone();
    wrong["using"] = json!("tokens");
    let many = [vec![request.clone(); 4], vec![wrong.clone()], vec![request.clone(); 5]].concat();
    files.write("requests", &json!(many).to_string());
    assert_refused(&search(), &["request[4]: ", "tokens"]);
    wrong["limit"] = json!(0);
    files.write("requests", &json!([request, wrong]).to_string());
    assert_refused(&search(), &["requests: expected request[1].limit to be at least 1, got 0"]);
    files.write("requests", "[{\"query\": [1], \"query\": [2]}]");
    assert_refused(
        &search(),
        &["requests: expected request[0].query once, got it again in line 1"],
    );
}

/// While one process writes, others read, each of them one state as it was committed: once, or for
/// `MAXFOLD_SECONDS`.
#[test]
fn others_read_while_one_ingests() {
    let seconds = std::env::var("MAXFOLD_SECONDS").map_or(0, |it| it.parse().unwrap());
    let start = Instant::now();
    read_while_one_ingests();
    while start.elapsed().as_secs() < seconds {
        read_while_one_ingests();
    }
}

fn read_while_one_ingests() {
    let files = Files::new();
    let mut ingest = files.ingest("c", &["--batch", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(ingest.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "committed 1");
    let drain = thread::spawn(move || lines.count());
    let request = json!({
        "query": vec![0.5; DENSE], "using": "dense", "limit": POINTS,
        "with_payload": true, "with_vector": true,
    });
    let (mut seen, mut states) = (1, BTreeSet::new());
    while ingest.try_wait().unwrap().is_none() {
        let before = files.count("c", &[]);
        let (results, _) = files.answer("c", &request, &["--backend", "cpu"]);
        let after = files.count("c", &[]);
        check_state(&files, &results[0]);
        let count = found(&results[0]).len();
        assert!(seen <= before && before <= count && count <= after, "{before} {count} {after}");
        seen = after;
        states.insert(count);
    }
    assert!(ingest.wait().unwrap().success());
    assert_eq!(drain.join().unwrap(), POINTS - 1);
    assert!(states.len() > 3, "{states:?}");
}

/// The first so many points, whole.
fn check_state(files: &Files, result: &Value) {
    let mut ids = found(result);
    ids.sort_unstable();
    assert!(ids.iter().copied().eq(0..ids.len()), "{ids:?}");
    for point in result["points"].as_array().unwrap() {
        let id = point["id"].as_u64().unwrap() as usize;
        assert_eq!(point["payload"], payload(id));
        let dense: Vec<f32> = serde_json::from_value(point["vector"]["dense"].clone()).unwrap();
        assert_eq!(dense, files.vectors.dense.as_ref().unwrap().get(id).unwrap());
        let rows: Vec<Vec<f32>> =
            serde_json::from_value(point["vector"]["tokens"].clone()).unwrap();
        let tokens = Vector::from(files.vectors.tokens.get(id).unwrap());
        assert_eq!(Vector::Multi { values: rows.concat(), dim: TOKENS }, tokens);
    }
}

/// A searcher that reads alone keeps nobody from writing, and finds what was written.
#[test]
fn a_reader_follows_the_writer() {
    let files = Files::new();
    let points = fs::read_to_string(files.path("points")).unwrap();
    let vectors = files.vectors.clone();
    let ingest = |range: Range<usize>| {
        let lines: Vec<&str> = points.lines().skip(range.start).take(range.len()).collect();
        files.write("points", &lines.join("\n"));
        let mut tokens = MultiVectors::empty(TOKENS).unwrap();
        range.clone().for_each(|at| tokens.push(vectors.tokens.get(at).unwrap()).unwrap());
        let dense = vectors.dense.as_ref().unwrap().values();
        let dense = dense[range.start * DENSE..range.end * DENSE].to_vec();
        let dense = Some(DenseVectors::new(dense, DENSE).unwrap());
        Interchange::new(tokens).dense(dense).write(files.path("vectors")).unwrap();
        let output = files.ingest("c", &[]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    ingest(0..400);
    let graph = fs::read(files.path("c/graph-0")).unwrap();
    let reranker = Reranker::new(Backend::Cpu).unwrap();
    let collection = Collection::open_read_only(files.path("c")).unwrap();
    let options = SearcherOptions::new().reranker(reranker);
    let searcher = Searcher::with_options(collection, options).unwrap();
    let request = QueryRequest::new(vec![0.5; DENSE]).using("dense").limit(POINTS);
    let old = searcher.collection().snapshot().unwrap();
    assert_eq!(searcher.query(&request).unwrap().points.len(), 400);
    ingest(400..POINTS);
    assert_eq!(searcher.query(&request).unwrap().points.len(), POINTS);
    assert_eq!((old.len(), searcher.collection().snapshot().unwrap().len()), (400, POINTS));
    assert_eq!(old.select(&Filter::new()).unwrap().points.len(), 400);
    drop(old);
    // The graph is the writer's to save.
    let saved = fs::read(files.path("c/graph-0")).unwrap();
    assert_ne!(saved, graph);
    searcher.close().unwrap();
    assert_eq!(fs::read(files.path("c/graph-0")).unwrap(), saved);
}

/// An adapter that nothing has is an error, wherever it is named.
#[test]
fn an_adapter_means_the_same_everywhere() {
    let files = Files::new();
    assert!(files.ingest("c", &[]).output().unwrap().status.success());
    files.write("request", &json!({"query": vec![1; DENSE], "using": "dense"}).to_string());
    let (request, out) = (files.path("request"), files.path("out"));
    let adapter = ["--adapter", "Voodoo 2"];
    let arguments = [&["--request", &request, "--output", &out], &adapter[..]].concat();
    assert_refused(&files.search("c", &arguments), &["Voodoo 2"]);
    let quickstart = Command::new(quickstart()).args(adapter).output().unwrap();
    assert_refused(&quickstart, &["Voodoo 2"]);
}

/// The example's binary: `cargo test` builds it beside the folder of this test's.
fn quickstart() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join("examples").join("quickstart")
}

/// Queries and points are called what the caller calls them, and a run prints scores as JSON does.
#[test]
fn a_run_of_a_search() {
    let files = Files::new();
    let points = fs::read_to_string(files.path("points")).unwrap();
    let named = |(item, line): (usize, &str)| {
        line.replace("\"payload\":{", &format!("\"payload\":{{\"doc\":\"doc-{item}\",")) + "\n"
    };
    files.write("points", &points.lines().enumerate().map(named).collect::<String>());
    let output = files.ingest("c", &[]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dense = json!({"query": vec![0.1; DENSE], "using": "dense", "limit": 3});
    let tokens = json!({"query": vec![vec![0.1; TOKENS]; 2], "using": "tokens", "limit": 4});
    files.write("request", &json!([dense, tokens]).to_string());
    files.write("ids", "\u{feff}first\r\n\r\nsecond\r\n");
    let [request, run, ids, out] = ["request", "run", "ids", "out"].map(|name| files.path(name));
    let search = |arguments: &[&str]| {
        let arguments = [&["--request", &request, "--backend", "cpu"], arguments].concat();
        files.search("c", &arguments)
    };
    let both = ["--run", &run, "--output", &out];
    for (names, queries, prefix) in [
        (&[][..], ["0", "1"], ""),
        (&["--query-ids", &ids, "--id-key", "doc"], ["first", "second"], "doc-"),
    ] {
        let output = search(&[&both[..], names].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty());
        let out: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
        let mut expected = String::new();
        for (query, result) in queries.iter().zip(out["results"].as_array().unwrap()) {
            for (rank, point) in (1..).zip(result["points"].as_array().unwrap()) {
                let (id, score) = (&point["id"], &point["score"]);
                expected += &format!("{query} Q0 {prefix}{id} {rank} {score} maxfold\n");
            }
        }
        assert_eq!(expected.lines().count(), 7);
        assert_eq!(fs::read_to_string(&run).unwrap(), expected);
    }
    let json = search(&["--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!([0, 1].map(|at| found(&json["results"][at]).len()), [3, 4]);
    let table = String::from_utf8(search(&[]).stdout).unwrap();
    assert_eq!((table.lines().count(), table.split_whitespace().nth(3)), (8, Some("score")));

    files.write("ids", "only one");
    assert_refused(
        &search(&[&both[..], &["--query-ids", &ids]].concat()),
        &["2 requests", "got 1"],
    );
    assert_refused(
        &search(&[&both[..], &["--id-key", "color.a"]].concat()),
        &["\"color.a\"", "nothing"],
    );
    assert_wrong_usage(&search(&["--query-ids", &ids]), &["--run"]);
}

/// In a run more is better; with Euclid less is nearer.
#[test]
fn a_run_of_distances_is_in_order() {
    let files = Files::new();
    files.write(
        "config",
        r#"{"vectors": {"size": 12, "distance": "Euclid"}, "sparse_vectors": {"words": {}}}"#,
    );
    let vectors = format!("--vectors=={}", files.path("vectors"));
    let output = files.ingest_only("c", &[&vectors]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    files.write("request", &json!({"query": vec![0.1; DENSE], "limit": 5}).to_string());
    let [request, run, out] = ["request", "run", "out"].map(|name| files.path(name));
    let output = files.search("c", &["--request", &request, "--run", &run, "--output", &out]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    let run = Run::read(&run).unwrap();
    let ranked: Vec<usize> =
        run.ranking("0").iter().map(|it| it.document.parse().unwrap()).collect();
    assert_eq!((ranked.len(), &ranked), (5, &found(&out["results"][0])));
}

/// Rows that mean nothing are warned of, once, or mended.
#[test]
fn traps_are_warned_of_or_mended() {
    let files = Files::new();
    let config = |distance: &str| {
        let config = json!({"vectors": {"size": 2, "distance": distance,
            "multivector_config": {"comparator": "max_sim"}}});
        files.write("config", &config.to_string());
    };
    files.write("points", "{\"id\":0}\n{\"id\":1}\n");
    files.write_tokens("rows", &[3.0, 4.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], 2, &[0, 2, 4]);
    let ingest = |name: &str, options: &[&str]| {
        let vectors = format!("--vectors=={}", files.path("rows"));
        let arguments = [&[vectors.as_str(), "--batch", "1"], options].concat();
        let output = files.ingest_only(name, &arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stderr).unwrap()
    };
    let (zero, length) = ("2 of 4 token vectors in ", "1 of 4 token vectors in ");
    let found = |stderr: &str| {
        let parts = ["--drop-zero-rows", "--normalize"].map(|option| stderr.contains(option));
        assert!(stderr.lines().all(|line| line.starts_with("warning: ")), "{stderr}");
        assert_eq!(parts, [zero, length].map(|part| stderr.contains(part)), "{stderr}");
        assert_eq!(stderr.lines().count(), parts.iter().filter(|part| **part).count());
        parts
    };
    config("Dot");
    assert_eq!(found(&ingest("plain", &[])), [true, true]);
    assert_eq!(found(&ingest("scaled", &["--normalize"])), [true, false]);
    assert_eq!(found(&ingest("mended", &["--normalize", "--drop-zero-rows"])), [false, false]);
    let collection = Collection::open(files.path("mended")).unwrap();
    let point = collection.snapshot().unwrap().get(0.into()).unwrap().unwrap();
    let expected = Vector::Multi { values: vec![0.6, 0.8], dim: 2 };
    assert_eq!(point.vectors[""], expected);
    config("Cosine");
    assert_eq!(found(&ingest("cosine", &[])), [true, false]);
    files.write_tokens("rows", &[0.0, 0.0, 1.0, 0.0], 2, &[0, 1, 2]);
    let vectors = format!("--vectors=={}", files.path("rows"));
    let output = files.ingest_only("none", &[&vectors, "--drop-zero-rows"]).output().unwrap();
    assert_refused(&output, &["point 0", "at least one token"]);
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
    refused(r#"{"prefetch": {"query": [1]}}"#, &["query", "given"]);
    refused(r#"{"query": [1, 2], "using": "dense"}"#, &["12", "2"]);
    refused(r#"{"query": [1, 2], "using": "other"}"#, &["other", "dense, tokens"]);
    refused(r#"{"query": [1, 2], "using": "tokens"}"#, &["16", "2"]);
    assert_wrong_usage(&files.search("c", &[]), &["--request"]);
    assert_wrong_usage(&files.search("c", &["--count", "--json"]), &["--count", "--json"]);
    assert_refused(&files.search("c", &["--request", "/nowhere"]), &["/nowhere"]);
    assert_refused(&files.search("none", &["--count"]), &["expected a collection", "none"]);
    assert_refused(&files.search("c", &["--count", "--filter", "/nowhere"]), &["/nowhere"]);
    files.write("request", &json!({"query": vec![1; DENSE], "using": "dense"}).to_string());
    let arguments = ["--request", &files.path("request"), "--output", "/dev/full"];
    if Path::new("/dev/full").exists() {
        assert_refused(&files.search("c", &arguments), &["/dev/full"]);
    }
}
