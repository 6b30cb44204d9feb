//! Text in, hits out: `maxfold ingest --model`, `maxfold search --model`, and texts in bodies of the server's.
//!
//! What is found is compared with the reference's ranking of the encoder's matrices, which `tests/encoder.rs` compares
//! with PyLate's.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use maxfold::collection::{Collection, Datatype, Vector, VectorKind};
use maxfold::encoder::{Checkpoint, Encoder, Encoding, Passages};
use maxfold::filter::PointId;
use maxfold::maxsim::reference;
use maxfold::multivector::Pooling;
use maxfold::recall::Distance;
use serde_json::{Value, json};
use tempfile::TempDir;

const WORDS: &str = "How do I change a bicycle tyre?";
const TEXTS: [&str; 8] = [
    "Late interaction keeps one vector per token.",
    "Take the wheel off before you change the tyre.",
    "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG",
    "L'été dernier, nous étions à Besançon.",
    "A bicycle has two wheels, and each of them has a tyre.",
    "price: 12.50 EUR (about $13.40)",
    "How do birds know the way?",
    "Oil the chain once a month.",
];

fn fixture(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/encoder").join(model)
}

fn model() -> String {
    fixture("bert").to_str().unwrap().into()
}

fn maxfold(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_maxfold")).args(arguments).output().unwrap()
}

#[track_caller]
fn succeed(arguments: &[&str]) -> (String, String) {
    let output = maxfold(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{stderr}");
    (stdout, stderr)
}

#[track_caller]
fn fail(arguments: &[&str], code: i32, part: &str) {
    let output = maxfold(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
    assert!(stderr.contains(part), "{part} in {stderr}");
}

/// A folder for a test.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().into()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Points with a text each, from 0.
    fn points(&self, field: &str) -> String {
        let line = |(id, text)| json!({"id": id, "payload": {field: text}}).to_string() + "\n";
        self.write("points.jsonl", TEXTS.iter().enumerate().map(line).collect::<String>())
    }
}

/// All texts, best first, with the reference's scores of the encoder's matrices.
fn ranking(encoder: &dyn Encoder, words: &str) -> Vec<(usize, f64)> {
    let query = encoder.query(words).unwrap().matrix().unwrap();
    let documents = encoder.documents(&TEXTS).unwrap();
    let score = |it: &Encoding| reference::score(query.view(), it.matrix().unwrap().view());
    let mut ranking: Vec<_> = documents.iter().map(score).enumerate().collect();
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranking
}

/// That points are in the order of the reference, with its scores, as far as f16 has them.
#[track_caller]
fn assert_found(points: &Value, name: impl Fn(&Value) -> usize, expected: &[(usize, f64)]) {
    let points = points.as_array().unwrap();
    assert_eq!(points.len(), expected.len());
    for (point, (item, score)) in points.iter().zip(expected) {
        let (got, found) = (name(point), point["score"].as_f64().unwrap());
        assert!((found - score).abs() < 1e-2, "{got} has {found}, {item} should have {score}");
        assert_eq!(got, *item, "{found} and {score}");
    }
}

fn by_id(point: &Value) -> usize {
    point["id"].as_u64().unwrap() as usize
}

#[test]
fn a_folder_of_texts_is_searched_by_words_after_two_commands() {
    let place = Place::new();
    for (item, text) in TEXTS.iter().enumerate() {
        place.write(&format!("texts/{}/{item}.txt", ["a", "b c"][item % 2]), text);
    }
    place.write("texts/picture.png", [0x89, b'P', b'N', b'G', 0, 0xff]);
    place.write("texts/empty.txt", " \n");
    place.write("texts/.hidden", "hidden");
    let (collection, folder, model) = (place.path("c"), place.path("texts"), model());
    let ingest =
        ["ingest", "--collection", &collection, "--model", &model, "--batch", "5", &folder];
    let (committed, warned) = succeed(&ingest);
    assert_eq!(committed, "committed 5\ncommitted 8\n");
    assert!(warned.contains("2 files have no text") && warned.contains("empty.txt"), "{warned}");
    assert_eq!(warned.lines().count(), 1, "{warned}");
    // Once more: the same points.
    assert_eq!(succeed(&ingest).0, "committed 8\ncommitted 8\n");

    let search = ["search", "--collection", &collection, "--model", &model, WORDS];
    let (found, _) = succeed(&[&search[..], &["--json"]].concat());
    let found: Value = serde_json::from_str(&found).unwrap();
    let expected = ranking(&Checkpoint::open(&model).unwrap(), WORDS);
    let item = |point: &Value| {
        let text = point["payload"]["text"].as_str().unwrap();
        TEXTS.iter().position(|it| *it == text).unwrap()
    };
    assert_found(&found["results"][0]["points"], item, &expected);

    let (table, _) = succeed(&[&search[..], &["--limit", "3"]].concat());
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 1 + 3, "{table}");
    for (line, (item, _)) in lines[1..].iter().zip(&expected) {
        let path = Path::new(["a", "b c"][item % 2]).join(format!("{item}.txt"));
        assert!(line.ends_with(&format!("{}: {}", path.display(), TEXTS[*item])), "{table}");
    }
}

#[test]
fn lines_of_points_have_pooled_vectors_beside_whole_ones() {
    let place = Place::new();
    let (collection, points, model) = (place.path("c"), place.points("body"), model());
    let of_model = ["--model", &model, "--text", "body"];
    let ingest = ["ingest", "--collection", &collection, "--points", &points, "--pool", "ward:2"];
    let (committed, warned) = succeed(&[&ingest[..], &of_model].concat());
    assert_eq!((&*committed, &*warned), ("committed 8\n", ""));

    let stored = Collection::open_read_only(&collection).unwrap();
    let config = stored.config();
    let kinds = ["tokens", "pooled"].map(|name| {
        let it = config.get(name).unwrap();
        assert_eq!((it.kind, it.datatype, it.size), (VectorKind::Multi, Datatype::Float16, 8));
        it.distance
    });
    assert_eq!(kinds, [Distance::Cosine, Distance::Dot]);
    let encoder = Checkpoint::open(&model).unwrap();
    let snapshot = stored.snapshot().unwrap();
    for (id, text) in (0..).zip(TEXTS) {
        let point = snapshot.get(id.into()).unwrap().unwrap();
        let encoding = encoder.document(text).unwrap();
        let pooled = Pooling::ward(2).unwrap().apply(encoding.values(), 8).unwrap();
        for (name, expected) in [("tokens", encoding.values()), ("pooled", &pooled)] {
            let Vector::Multi { values, .. } = &point.vectors[name] else { panic!("{name}") };
            assert_eq!(values.len(), expected.len());
            let far = values.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(far < 1e-3, "{name} of {text:?} is off by {far}");
        }
    }
    let search = ["search", "--collection", &collection, WORDS, "--json"];
    let (found, _) = succeed(&[&search[..], &of_model].concat());
    let found: Value = serde_json::from_str(&found).unwrap();
    let result = &found["results"][0];
    assert_found(&result["points"], by_id, &ranking(&encoder, WORDS));
    // By mean, then by pooled vectors, then by all.
    let plan = result["plan"].to_string();
    let stages = ["mean", "pooled", "tokens"].map(|it| plan.contains(&format!("\"{it}\"")));
    assert_eq!(stages, [true; 3], "{plan}");
}

#[test]
fn texts_longer_than_the_model_reads_are_told() {
    let place = Place::new();
    let lines = [
        json!({"id": 7, "payload": {"text": "one two"}}),
        json!({"id": 8, "payload": {"text": "one two three ".repeat(40)}}),
    ];
    let points = place.write("points.jsonl", format!("{}\n{}\n", lines[0], lines[1]));
    let ingest = ["ingest", "--collection", &place.path("c"), "--points", &points];
    let (_, warned) = succeed(&[&ingest[..], &["--model", &model()]].concat());
    assert!(
        warned.starts_with("warning: 1 texts are longer") && warned.contains("point 8"),
        "{warned}"
    );
}

/// All points of a collection: ids, with payloads, in the order of documents and passages.
fn stored(collection: &str) -> Vec<(PointId, Value)> {
    let collection = Collection::open_read_only(collection).unwrap();
    let snapshot = collection.snapshot().unwrap();
    let payload = |number| {
        let (id, payload) = snapshot.payload(number).unwrap();
        (id, Value::Object(payload))
    };
    let mut points: Vec<_> = snapshot.numbers().iter().map(payload).collect();
    points.sort_by_key(|(_, it)| (it["document"].to_string(), it["passage"].as_u64()));
    points
}

/// A text of twelve paragraphs, the ninth of which says something else.
fn long_text(needle: &str) -> String {
    let hay = "A bicycle has two wheels \u{1f6b2}, and each of them has a tyre.\r\nOil the chain.\r\n\r\n";
    format!("{}{needle}\r\n\r\n{}", hay.repeat(8), hay.repeat(3))
}

const NEEDLE: &str = "How do birds know the way? L'\u{e9}t\u{e9} dernier, nous \u{e9}tions \u{e0} Besan\u{e7}on: about $13.40.";

#[test]
fn long_files_are_found_by_their_passages_and_replaced_when_they_change() {
    let place = Place::new();
    let long = long_text(NEEDLE);
    let path = place.write("texts/long.txt", &long);
    place.write("texts/short.txt", TEXTS[0]);
    let (collection, folder, model) = (place.path("c"), place.path("texts"), model());
    let ingest =
        ["ingest", "--collection", &collection, "--model", &model, "--batch", "3", &folder];
    let (_, warned) = succeed(&ingest);
    assert_eq!(warned, "");
    let points = stored(&collection);
    let passages: Vec<_> = points.iter().filter(|(_, it)| it["path"] == "long.txt").collect();
    assert!(passages.len() > 5 && points.len() == passages.len() + 1, "{points:?}");
    // The bytes of the file, and the id of the first passage for all of them.
    let mut end = 0;
    for (number, (_, payload)) in passages.iter().enumerate() {
        let bytes = [0, 1].map(|at| payload["bytes"][at].as_u64().unwrap() as usize);
        assert_eq!(payload["text"], long[bytes[0]..bytes[1]]);
        assert!(bytes[0] >= end && long[end..bytes[0]].trim().is_empty());
        end = bytes[1];
        assert_eq!(payload["passage"], number);
        assert_eq!(payload["document"], passages[0].0.to_string());
    }
    assert!(long[end..].trim().is_empty());
    // RFC 9562, by Python's uuid.uuid5(uuid.NAMESPACE_URL, "long.txt"), and of that with "1".
    let ids = ["272b4109-e81d-5ae0-aab6-b03abfd7a0f1", "b715b049-f722-5f7d-959e-3a71d3585ea1"];
    assert_eq!(passages[..2].iter().map(|it| it.0.to_string()).collect::<Vec<_>>(), ids);

    // Once more: the same points. Then fewer passages, and none.
    succeed(&ingest);
    assert_eq!(stored(&collection), points);
    fs::write(&path, &long[..30]).unwrap();
    succeed(&ingest);
    let shorter = stored(&collection);
    let texts: Vec<_> = shorter.iter().map(|it| it.1["text"].as_str().unwrap().trim()).collect();
    assert!(texts.len() == 2 && texts.contains(&long[..30].trim()), "{texts:?}");
    fs::write(&path, "\r\n").unwrap();
    let (committed, warned) = succeed(&ingest);
    assert!(committed.ends_with("committed 1\n") && warned.contains("1 files have no text"));
    assert_eq!(stored(&collection).len(), 1);
}

#[test]
fn the_best_passage_of_each_document_is_found_and_explained() {
    let place = Place::new();
    let other = long_text(TEXTS[6]).replace("tyre", "chain").replace("Oil", "Take");
    let documents = [long_text(NEEDLE), other, TEXTS[1].to_owned()];
    for (item, text) in documents.iter().enumerate() {
        place.write(&format!("texts/{item}.txt"), text);
    }
    let (collection, folder, model) = (place.path("c"), place.path("texts"), model());
    succeed(&["ingest", "--collection", &collection, "--model", &model, &folder]);
    let encoder = Checkpoint::open(&model).unwrap();
    let query = encoder.query(WORDS).unwrap().matrix().unwrap();
    let score = |text: &str| {
        reference::score(query.view(), encoder.document(text).unwrap().matrix().unwrap().view())
    };
    let best = |(item, text): (usize, &String)| {
        let places = Passages::new().cut(&encoder, text).unwrap().into_iter();
        (item, places.map(|it| score(&text[it])).fold(f64::MIN, f64::max))
    };
    let mut expected: Vec<_> = documents.iter().enumerate().map(best).collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));

    let search = ["search", "--collection", &collection, "--model", &model, WORDS];
    let (found, _) = succeed(&[&search[..], &["--json"]].concat());
    let found: Value = serde_json::from_str(&found).unwrap();
    let item = |point: &Value| {
        let path = point["payload"]["path"].as_str().unwrap();
        path.trim_end_matches(".txt").parse().unwrap()
    };
    assert_found(&found["results"][0]["points"], item, &expected);
    // One document, or several passages of one.
    let (table, _) = succeed(&[&search[..], &["--limit", "1"]].concat());
    assert_eq!(table.lines().count(), 2, "{table}");
    let (table, _) = succeed(&[&search[..], &["--all-passages", "--limit", "7"]].concat());
    assert!(table.lines().count() == 8 && table.contains(".txt, passage "), "{table}");

    // The needle, planted: by its own vectors, of which each finds itself.
    let (id, payload) = stored(&collection)
        .into_iter()
        .find(|(_, it)| {
            it["path"] == "0.txt" && it["text"].as_str().unwrap().contains("birds know")
        })
        .unwrap();
    let text = payload["text"].as_str().unwrap();
    let planted = encoder.document(text).unwrap();
    let rows: Vec<&[f32]> = planted.values().chunks(planted.dim()).collect();
    let request = json!({"query": rows, "using": "tokens", "limit": 1}).to_string();
    let request = place.write("request.json", request);
    let by_vectors = ["search", "--collection", &collection, "--json", "--request", &request];
    let hit: Value = serde_json::from_str(&succeed(&by_vectors).0).unwrap();
    let hit = &hit["results"][0]["points"][0];
    assert_eq!(hit["id"], id.to_string());
    assert!((hit["score"].as_f64().unwrap() - rows.len() as f64).abs() < 0.05);
    // Whole files are read as far as the needle.
    let whole = place.path("whole");
    let ingest = ["ingest", "--collection", &whole, "--model", &model, "--whole", &folder];
    let (_, warned) = succeed(&ingest);
    assert!(warned.starts_with("warning: 2 texts are longer") && warned.contains("--passages"));
    let by_vectors = ["search", "--collection", &whole, "--json", "--request", &request];
    let hit: Value = serde_json::from_str(&succeed(&by_vectors).0).unwrap();
    let score = hit["results"][0]["points"][0]["score"].as_f64().unwrap();
    assert!(score < rows.len() as f64 - 1.0, "{score} of {}", rows.len());

    let point = id.to_string();
    let explain = ["explain", "--collection", &collection, "--model", &model, "--json", "--point"];
    let (explained, _) = succeed(&[&explain[..], &[&point, WORDS]].concat());
    let explained: Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained["hits"][0]["text"], text);
    let matches = explained["hits"][0]["matches"].as_array().unwrap();
    assert!(matches.iter().any(|it| it["bytes"][1].as_u64() <= Some(text.len() as u64)));
}

#[test]
fn lines_of_points_are_cut_if_it_is_asked_for() {
    let place = Place::new();
    let line = |text: &str| json!({"id": 7, "payload": {"text": text, "year": 1999}}).to_string();
    let points = place.write("points.jsonl", line(&"One two three four. ".repeat(30)));
    let (collection, model) = (place.path("c"), model());
    let ingest = ["ingest", "--collection", &collection, "--model", &model, "--points", &points];
    let (_, warned) = succeed(&[&ingest[..], &["--passages=20", "--overlap", "10"]].concat());
    assert_eq!(warned, "");
    let passages = stored(&collection);
    assert!(passages.len() > 10, "{}", passages.len());
    assert_eq!(passages[0].0, PointId::Number(7));
    // uuid.uuid5(uuid.UUID(int=7), "1")
    assert_eq!(passages[1].0.to_string(), "8265c1eb-c133-5642-8dbd-3a722d494f44");
    for pair in passages.windows(2) {
        let bytes = |at: usize, side: usize| pair[at].1["bytes"][side].as_u64().unwrap();
        let payload = &pair[1].1;
        assert_eq!((&payload["document"], &payload["year"]), (&json!("7"), &json!(1999)));
        assert!(bytes(1, 0) < bytes(0, 1), "no overlap before {payload}");
    }
    let search = ["search", "--collection", &collection, "--model", &model, "one two"];
    let (table, _) = succeed(&search);
    assert_eq!(table.lines().count(), 2, "{table}");

    // A blank text is a point, as it is without passages; so is a whole one, which leaves no passages behind.
    fs::write(&points, line(" ")).unwrap();
    succeed(&[&ingest[..], &["--passages"]].concat());
    let blank = stored(&collection);
    assert_eq!((blank.len(), &blank[0].1["bytes"]), (1, &json!([0, 0])));
    fs::write(&points, line(&"One two three four. ".repeat(30))).unwrap();
    succeed(&[&ingest[..], &["--passages"]].concat());
    assert!(stored(&collection).len() > 3);
    let (_, warned) = succeed(&ingest);
    assert!(warned.contains("point 7; --passages cuts them"), "{warned}");
    let whole = stored(&collection);
    assert_eq!((whole.len(), &whole[0].1["passage"]), (1, &Value::Null));

    fail(
        &[&ingest[..], &["--passages=38"]].concat(),
        1,
        "from 1 to 37, which is what the model reads, got 38",
    );
    fail(&[&ingest[..], &["--passages=0"]].concat(), 1, "got 0");
    fail(&[&ingest[..], &["--passages", "--overlap", "19"]].concat(), 1, "at most 18");
    fail(&[&ingest[..], &["--overlap", "9"]].concat(), 2, "expected --passages");
    fail(&[&ingest[..], &["--whole"]].concat(), 2, "FOLDER");
    let taken = json!({"id": 8, "payload": {"text": "a", "bytes": 4}}).to_string();
    fs::write(&points, taken).unwrap();
    fail(&[&ingest[..], &["--passages"]].concat(), 1, "point 8 to be without \"bytes\"");
}

/// A payload that has the same keys is left alone.
#[test]
fn documents_of_others_are_not_removed() {
    let place = Place::new();
    let lines = [
        json!({"id": 1, "payload": {"text": "one", "document": "2"}}),
        json!({"id": 2, "payload": {"text": "two"}}),
    ];
    let points = place.write("points.jsonl", format!("{}\n{}\n", lines[0], lines[1]));
    let (collection, model) = (place.path("c"), model());
    let ingest = ["ingest", "--collection", &collection, "--model", &model, "--points", &points];
    succeed(&ingest);
    fs::write(&points, lines[1].to_string()).unwrap();
    succeed(&[&ingest[..], &["--passages"]].concat());
    assert_eq!(stored(&collection).len(), 2);
}

#[test]
fn what_cannot_be_encoded_is_refused_and_nothing_is_left() {
    let place = Place::new();
    let (collection, points, model) = (place.path("c"), place.points("text"), model());
    let ingest = ["ingest", "--collection", &collection];
    let of_model = |more: &[&'static str]| {
        let all = [&ingest[..], &["--points", &points, "--model", &model], more].concat();
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let refused = |arguments: Vec<String>, code, part: &str| {
        fail(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), code, part);
        assert!(!Path::new(&collection).exists());
    };
    refused(
        of_model(&["--text", "body"]),
        1,
        "payload key \"body\" of point 0 to be text, got nothing",
    );
    refused(of_model(&["--pool", "ward"]), 2, "ward:FACTOR");
    refused(of_model(&["--batch", "0"]), 2, "--batch");
    let number = place.write("number.jsonl", r#"{"id": 3, "payload": {"text": 5}}"#);
    let arguments = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let with = |more: &[&str]| arguments(&[&ingest[..], more].concat());
    refused(with(&["--points", &number, "--model", &model]), 1, "of point 3 to be text, got 5");
    refused(with(&["--points", &points, "--model", &place.path("none")]), 1, "hf download");
    refused(with(&["--model", &model, &place.path("none")]), 1, "none");
    refused(with(&[&place.path("texts")]), 2, "--model");
    refused(with(&["--points", &points, "--pool", "ward:2"]), 2, "--model");
    refused(with(&["--points", &points]), 2, "--config");
    let twice = json!({"id": 1, "payload": {"text": "a"}, "vector": {"tokens": [[1, 0, 0, 0, 0, 0, 0, 0]]}});
    let twice = place.write("twice.jsonl", twice.to_string());
    refused(with(&["--points", &twice, "--model", &model]), 1, "vector \"tokens\" of point 1 once");
}

#[test]
fn a_collection_that_does_not_fit_the_model_is_refused() {
    let place = Place::new();
    let (collection, points, model) = (place.path("c"), place.points("text"), model());
    let ingest = ["ingest", "--collection", &collection, "--points", &points, "--model"];
    let pooled = [&ingest[..], &[&model, "--pool", "windows:2"]].concat();
    succeed(&pooled);
    fail(&[&ingest[..], &[&model]].concat(), 2, "expected --pool");
    // Without the layer after the transformer, rows are longer.
    let other = &place.path("other");
    copy(&fixture("bert"), Path::new(other));
    fs::remove_file(Path::new(other).join("modules.json")).unwrap();
    assert_eq!(Checkpoint::open(other).unwrap().dim(), 32);
    fail(&[&ingest[..], &[other, "--pool", "windows:2"]].concat(), 1, "a model of dimension 8");
    let search = ["search", "--collection", &collection];
    fail(&[&search[..], &["--model", other, WORDS]].concat(), 1, "dimension");
    fail(&[&search[..], &["--model", &model, " "]].concat(), 2, "words");
    fail(&[&search[..], &[WORDS]].concat(), 2, "--model");
    fail(&[&search[..], &["--model", &model]].concat(), 2, "WORDS");

    let config = json!({"vectors": {"tokens": {"size": 8, "distance": "Dot"}}});
    let config = place.write("config.json", config.to_string());
    let dense = place.path("dense");
    let ingest = ["ingest", "--collection", &dense, "--points", &points, "--config", &config];
    fail(&[&ingest[..], &["--model", &model]].concat(), 1, "\"tokens\" to be a multivector");
}

/// A server that was started with a folder of models, which ends with it.
struct Server {
    process: Child,
    url: String,
    _place: Place,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Server {
    fn start() -> Self {
        let place = Place::new();
        copy(&fixture("bert"), Path::new(&place.path("models/some/bert")));
        copy(&fixture("colbert"), Path::new(&place.path("models/colbert")));
        let mut command = Command::new(env!("CARGO_BIN_EXE_maxfold"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--backend", "cpu", "--log", "error"]);
        command.args(["--data", &place.path("data"), "--models", &place.path("models")]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { process, url, _place: place }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = format!("{}/collections/c{path}", self.url);
        let request = if method == "PUT" { agent.put(url) } else { agent.post(url) };
        let request = request.header("content-type", "application/json");
        let mut answer = request.send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    #[track_caller]
    fn result(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, mut answer) = self.call(method, path, body);
        assert_eq!(status, 200, "{answer}");
        answer["result"].take()
    }

    #[track_caller]
    fn error(&self, method: &str, path: &str, body: &Value, expected: u16) -> String {
        let (status, answer) = self.call(method, path, body);
        assert_eq!(status, expected, "{answer}");
        answer["status"]["error"].as_str().unwrap().into()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)
        } else {
            fs::copy(entry.path(), to).map(drop).unwrap()
        }
    }
}

/// A text for a model of the server's.
fn text(text: &str, model: &str) -> Value {
    json!({"text": text, "model": model})
}

fn pooled(text: &str, pool: &str) -> Value {
    json!({"text": text, "model": "some/bert", "options": {"pool": pool}})
}

#[test]
fn texts_in_bodies_are_encoded_by_the_models_of_a_folder() {
    let server = Server::start();
    let multi = |distance| json!({"size": 8, "distance": distance, "multivector_config": {"comparator": "max_sim"}});
    let vectors = json!({
        "tokens": multi("Cosine"), "pooled": multi("Dot"), "mean": {"size": 8, "distance": "Cosine"},
    });
    let words = json!({"words": {"modifier": "idf"}});
    server.result("PUT", "", &json!({"vectors": vectors, "sparse_vectors": words}));
    let point = |(id, of): (usize, &&str)| {
        let vector = json!({
            "tokens": text(of, "some/bert"), "pooled": pooled(of, "windows:3"), "mean": pooled(of, "mean"),
            "words": text(of, "Qdrant/bm25"),
        });
        json!({"id": id, "vector": vector, "payload": {"model": "some/bert", "text": of}})
    };
    let points: Vec<Value> = TEXTS.iter().enumerate().map(point).collect();
    server.result("PUT", "/points", &json!({"points": points}));

    let encoder = Checkpoint::open(fixture("bert")).unwrap();
    let stored = server.result(
        "POST",
        "/points",
        &json!({"ids": [4], "with_vector": true, "with_payload": true}),
    );
    assert_eq!(stored[0]["payload"], json!({"model": "some/bert", "text": TEXTS[4]}));
    let encoding = encoder.document(TEXTS[4]).unwrap();
    let windows = Pooling::windows(3).unwrap().apply(encoding.values(), 8).unwrap();
    assert_near(&stored[0]["vector"]["tokens"], encoding.values());
    assert_near(&stored[0]["vector"]["pooled"], &windows);

    let whole = json!({"query": text(WORDS, "some/bert"), "using": "tokens"});
    let mean = json!({"query": pooled(WORDS, "mean"), "using": "mean", "limit": 20});
    let stage = json!({"prefetch": mean, "query": text(WORDS, "some/bert"), "using": "pooled", "limit": 20});
    let mut staged = whole.clone();
    staged["prefetch"] = json!([stage, {"query": text(WORDS, "qdrant/bm25"), "using": "words"}]);
    let expected = ranking(&encoder, WORDS);
    for request in [&whole, &staged] {
        let found = server.result("POST", "/points/query", request);
        assert_found(&found["points"], by_id, &expected);
    }
    let both = json!({"searches": [whole, staged]});
    let found = server.result("POST", "/points/query/batch", &both);
    assert_found(&found[1]["points"], by_id, &expected);
}

/// That an array of rows has these values, to f16.
#[track_caller]
fn assert_near(rows: &Value, expected: &[f32]) {
    let rows = rows.as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    let values: Vec<f32> = rows.map(|it| it.as_f64().unwrap() as f32).collect();
    assert_eq!(values.len(), expected.len());
    assert!(
        values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3),
        "{values:?}, {expected:?}"
    );
}

#[test]
fn texts_that_no_model_encodes_are_refused() {
    let server = Server::start();
    let config =
        json!({"size": 8, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}});
    server.result("PUT", "", &json!({"vectors": config}));
    let refused = |query: Value, status, part: &str| {
        let error = server.error("POST", "/points/query", &json!({"query": query}), status);
        assert!(error.contains(part), "{error}");
    };
    for unknown in ["bert", "some", "../models/colbert", "some/../colbert", "/", ""] {
        refused(text("a", unknown), 400, "model to be one of Qdrant/bm25, colbert, some/bert, got");
    }
    refused(json!({"text": 5, "model": "colbert"}), 400, "text to be a string, got 5");
    refused(json!({"image": "a", "model": "colbert"}), 400, "text");
    refused(
        json!({"text": "a", "model": "colbert", "options": {"pool": "ward"}}),
        422,
        "ward:FACTOR",
    );
    refused(json!({"text": "a", "model": "colbert", "options": {"k": 1}}), 400, "k");
    refused(json!({"text": "a", "model": "colbert", "options": {"pool": "rows:9x9"}}), 400, "81");
    let point = |id: usize| json!({"id": id, "vector": text("a", "some/bert")});
    let many: Vec<Value> = (0..257).map(point).collect();
    let error = server.error("PUT", "/points", &json!({"points": many}), 400);
    assert!(error.contains("at most 256 texts"), "{error}");
    let count = server.result("POST", "/points/count", &json!({}));
    assert_eq!(count["count"], 0);
    server.result("PUT", "/points", &json!({"points": many[..256]}));

    let empty = Place::new();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", &empty.path("d"), "--models"];
    fail(&[&serve[..], &[&empty.path("")]].concat(), 1, "expected folders of models");
    fail(&[&serve[..], &[&empty.path("none")]].concat(), 1, "none");
}
