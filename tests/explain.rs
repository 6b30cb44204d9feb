//! `maxfold explain`, as whoever runs it sees it.
#![cfg(feature = "cli")]

use std::fs;
use std::process::{Command, Output};

use base64::prelude::*;
use maxfold::collection::{Collection, CollectionConfig, Point, Vector, VectorConfig};
use maxfold::recall::Distance;
use serde_json::{Value, json};

const WORDS: [&str; 8] = ["the", "keeper", "light", "##s", "lamp", ".", "[CLS]", "ship"];

/// Each word has a column of its own, and `strength` in it.
fn row(word: &str, strength: f32) -> Vec<f32> {
    WORDS.iter().map(|it| if *it == word { strength } else { 0.0 }).collect()
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    /// A collection of texts with tokens, a page, and what is harmful.
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        let config =
            CollectionConfig::new().vector("tokens", VectorConfig::multi(8, Distance::Dot));
        let collection = Collection::create(files.path("c"), config).unwrap();
        let tokens = ["[CLS]", "the", "keeper", "light", "##s", "the", "lamp", "."];
        let rows: Vec<_> = tokens.iter().map(|word| row(word, 1.0)).collect();
        let text = "The Keeper lights\nthe lámp.";
        let hostile = "<script>alert(1)</script>\u{1b}[31m ship & 'ship'";
        let page: Vec<_> = (0..14).map(|patch| row("ship", page_similarity(patch))).collect();
        let point = |id: u64, rows: &[Vec<f32>], payload: Value| {
            let vector = Vector::from_rows(rows).unwrap();
            Point::new(id).vector("tokens", vector).payload(payload.as_object().unwrap().clone())
        };
        let points = vec![
            point(
                1,
                &rows,
                json!({"text": text, "tokens": tokens, "image": "data:image/png;base64,AAAA"}),
            ),
            point(
                2,
                &[row("ship", 0.5), row("lamp", 0.25)],
                json!({"text": hostile, "tokens": ["<script>", "ship"]}),
            ),
            point(3, &page, json!({"grid": [4, 3]})),
            point(6, &page, json!({"grid": [4, 3], "image": data_uri(700, 500)})),
            point(7, &vec![page[0].clone(); 1030], json!({"image": data_uri(650, 640)})),
            point(4, &rows[..3], json!({"text": text, "tokens": tokens})),
            point(5, &rows, json!({"tokens": tokens})),
        ];
        collection.upsert(points).unwrap();
        files
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().into()
    }

    /// Command line about a query of these rows.
    fn command(&self, query: &Value, arguments: &[&str]) -> Command {
        let request = json!({"query": query, "using": "tokens"});
        fs::write(self.path("request"), request.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_maxfold"));
        command.args(["explain", "--collection", &self.path("c"), "--backend", "cpu"]);
        command.args(["--request", &self.path("request")]).args(arguments);
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command
    }

    fn stdout(&self, query: &Value, arguments: &[&str]) -> String {
        stdout(&self.command(query, arguments).output().unwrap())
    }

    fn refused(&self, query: &Value, arguments: &[&str], code: i32, part: &str) {
        let output = self.command(query, arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
        assert!(stderr.contains(part), "{part} in {stderr}");
    }
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A grey page.
fn data_uri(width: u32, height: u32) -> String {
    let mut png = std::io::Cursor::new(Vec::new());
    let page = image::GrayImage::from_pixel(width, height, image::Luma([120]));
    page.write_to(&mut png, image::ImageFormat::Png).unwrap();
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png.into_inner()))
}

/// Of 12 patches and two rows more: the hottest patch is in column 3, row 2, counted from 1.
fn page_similarity(row: usize) -> f32 {
    match row {
        6 => 0.75,
        12.. => 1.0,
        _ => 0.125,
    }
}

/// "keeper lights [CLS]", in four tokens.
fn query() -> Value {
    json!([row("keeper", 1.0), row("light", 0.5), row("##s", 0.25), row("[CLS]", 0.125)])
}

const NAMES: &str = r###"["keeper", "light", "##s", "[CLS]"]"###;

#[test]
fn text_is_marked_and_matches_are_listed() {
    let files = Files::new();
    let expected = "point 1, score 1.875\n\n\
        The [Keeper] [light][s]\nthe lámp.\n\n\
        not in the text: [[CLS]]\n\n\
        token  query   matched  similarity\n\
        0      keeper  keeper   1.0000\n\
        1      light   light    0.5000\n\
        2      ##s     ##s      0.2500\n\
        3      [CLS]   [CLS]    0.1250\n";
    assert_eq!(files.stdout(&query(), &["--query-tokens", NAMES]), expected);
    // One token alone; words as names; a name for each token is asked for.
    let words = ["--query-tokens", "keeper light ##s [CLS]", "--token", "1"];
    let one = files.stdout(&query(), &words);
    assert!(one.contains("\n\nThe Keeper [light]s\nthe lámp.\n\ntoken"), "{one}");
    assert_eq!(one.lines().count(), 7, "{one}");
    files.refused(
        &query(),
        &["--query-tokens", "keeper light"],
        1,
        "names of 4 query tokens, got 2",
    );
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let files = Files::new();
    let run = |variable: &str| {
        let mut command = files.command(&query(), &["--query-tokens", NAMES]);
        stdout(&command.env(variable, "1").output().unwrap())
    };
    let coloured = run("CLICOLOR_FORCE");
    // Black on yellow, cyan, green: a colour a token.
    for (colour, word) in [(43, "Keeper"), (46, "light"), (42, "s")] {
        assert!(
            coloured.contains(&format!("\u{1b}[30m\u{1b}[{colour}m{word}\u{1b}[0m")),
            "{coloured:?}"
        );
    }
    assert!(!run("NO_COLOR").contains('\u{1b}'));
}

#[test]
fn json_says_where_matches_stand() {
    let files = Files::new();
    let arguments = ["--json", "--query-tokens", NAMES, "--hits", "2"];
    let explained: Value = serde_json::from_str(&files.stdout(&query(), &arguments)).unwrap();
    assert_eq!(explained["using"], "tokens");
    assert_eq!(explained["query_tokens"], json!(["keeper", "light", "##s", "[CLS]"]));
    let hits = explained["hits"].as_array().unwrap();
    // Of equal scores the smaller id is first. Without a text, tokens are joined.
    assert_eq!([&hits[0]["id"], &hits[1]["id"]], [1, 5]);
    assert_eq!(hits[1]["text"], "[CLS] the keeper lights the lamp .");
    let expected = json!([
        {"query_token": 0, "query": "keeper", "token": 2, "matched": "keeper", "bytes": [4, 10], "similarity": 1.0},
        {"query_token": 1, "query": "light", "token": 3, "matched": "light", "bytes": [11, 16], "similarity": 0.5},
        {"query_token": 2, "query": "##s", "token": 4, "matched": "##s", "bytes": [16, 17], "similarity": 0.25},
        {"query_token": 3, "query": "[CLS]", "token": 0, "matched": "[CLS]", "similarity": 0.125},
    ]);
    assert_eq!(hits[0]["matches"], expected);

    // A letter of two bytes, and of two in the token's place.
    let lamp = files.stdout(&json!([row("lamp", 1.0)]), &["--json", "--point", "1"]);
    let lamp: Value = serde_json::from_str(&lamp).unwrap();
    assert_eq!(lamp["query_tokens"], json!(["token 0"]));
    let bytes = [22, 27];
    assert_eq!(lamp["hits"][0]["matches"][0]["bytes"], json!(bytes));
    assert_eq!(&lamp["hits"][0]["text"].as_str().unwrap()[bytes[0]..bytes[1]], "lámp");

    // A point as the query brings the names of its tokens, and is no hit itself unless it is asked for.
    let like = files.stdout(&json!(5), &["--json"]);
    let like: Value = serde_json::from_str(&like).unwrap();
    assert_eq!((&like["query_tokens"][2], &like["hits"][0]["id"]), (&json!("keeper"), &json!(1)));
    let itself = files.stdout(&json!(5), &["--json", "--point", "5"]);
    let itself: Value = serde_json::from_str(&itself).unwrap();
    assert_eq!(itself["hits"][0]["id"], 5);
}

#[test]
fn what_payloads_hold_is_text() {
    let files = Files::new();
    let query = json!([row("ship", 1.0), row("lamp", 1.0)]);
    let arguments = ["--point", "2", "--query-tokens", r#"["<b>", "\u001b[31m"]"#];
    let printed = files.stdout(&query, &arguments);
    assert!(
        printed.starts_with(
            "point 2, score 0.75\n\n[<script>]alert(1)</script>\u{fffd}[31m [ship] & 'ship'\n"
        ),
        "{printed}"
    );
    assert!(!printed.contains('\u{1b}'));

    let file = files.path("page.html");
    files.stdout(&query, &[&arguments[..], &["--html", &file]].concat());
    let html = fs::read_to_string(file).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>"), "{html}");
    assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
    assert!(html.contains("&lt;script&gt;</mark>alert(1)&lt;/script&gt;"), "{html}");
    assert!(html.contains(r#"title="&lt;b&gt;: 0.5000""#), "{html}");
    assert!(html.contains("<td>0.2500</td>"), "{html}");
    // A text with an image is no page; what its image is doesn't matter.
    let text = files.path("text.html");
    files.stdout(&query, &["--point", "1", "--html", &text]);
    assert!(!fs::read_to_string(text).unwrap().contains("<img"));
    // It asks for nothing.
    assert!(
        !html.contains("http")
            || html.matches("http").count() == html.matches("http-equiv").count()
    );
}

#[test]
fn pages_are_pictures() {
    let files = Files::new();
    let query = json!([row("ship", 1.0), row("keeper", 1.0)]);
    let (png, html) = (files.path("heat.png"), files.path("page.html"));
    files.stdout(&query, &["--point", "3", "--png", &png, "--html", &html]);
    let picture = image::open(&png).unwrap().into_rgb8();
    // Four patches of 96 pixels in a row, on white: what is farther from white is hotter.
    let ink = |patch: u32| -> u32 {
        let middle = picture.get_pixel(patch % 4 * 96 + 48, patch / 4 * 96 + 48);
        middle.0.iter().map(|it| 255 - u32::from(*it)).sum()
    };
    let hottest = (0..12).max_by_key(|patch| ink(*patch)).unwrap();
    assert_eq!(hottest, 6);
    assert!((0..12).all(|patch| (ink(patch) > 100) == (patch == 6)));
    let html = fs::read_to_string(&html).unwrap();
    assert!(html.contains("src=\"data:image/png;base64,iVBOR"));
    assert!(html.contains("Hottest patch: column 3, row 2, similarity 0.7500"), "{html}");

    // The row after the patches is the best match, and is no patch.
    let printed = files.stdout(&query, &["--point", "3"]);
    assert!(printed.contains("0      token 0  row 12           1.0000"), "{printed}");
    assert!(printed.contains("1      token 1  column 1, row 1  0.0000"), "{printed}");
    // Where two others come first, the patches are those after them.
    let shifted = files.stdout(&query, &["--point", "3", "--first-patch", "2"]);
    assert!(shifted.contains("0      token 0  column 3, row 3  1.0000"), "{shifted}");

    // Over a page, in the size of which it is drawn.
    let page = files.path("page.png");
    image::GrayImage::from_pixel(800, 600, image::Luma([120])).save(&page).unwrap();
    files.stdout(&query, &["--point", "3", "--png", &png, "--image", &page, "--token", "1"]);
    assert_eq!(image::open(&png).unwrap().height(), 600);
    // The page in the payload; with an image and 1,024 patches it is one of ColPali's.
    files.stdout(&query, &["--point", "6", "--png", &png]);
    assert_eq!(image::open(&png).unwrap().height(), 500);
    files.stdout(&query, &["--point", "7", "--png", &png]);
    assert_eq!(image::open(&png).unwrap().height(), 640);
    assert!(files.stdout(&query, &["--point", "7"]).contains("column 1, row 1"));
    let grid = ["--point", "3", "--png", &png, "--grid", "5x3"];
    files.refused(
        &query,
        &grid,
        1,
        "point 3 by a grid of 5x3: expected 15 patches of a page, got 14",
    );
    files.refused(&query, &["--grid", "5by3"], 2, "as in 32x32");
    files.refused(&query, &["--point", "3", "--png", &png, "--image", "/nowhere"], 1, "/nowhere");
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let files = Files::new();
    let query = query();
    files.refused(&query, &["--point", "4"], 1, "expected 3 tokens of the text of point 4");
    files.refused(&query, &["--point", "9"], 1, "expected the point 9");
    files.refused(&query, &["--token", "4"], 2, "from 0 to 3, got 4");
    files.refused(&query, &["--hits", "2", "--png", "x"], 2, "one hit, got 2");
    files.refused(&query, &["--hits", "2", "--point", "1"], 2, "--point");
    files.refused(&json!(9), &[], 1, "expected the point 9");
    files.refused(&json!({"recommend": {"positive": [1]}}), &[], 1, "to be a multivector");
    files.refused(&json!([[1.0, 0.0]]), &[], 1, "dimension");
    files.refused(&json!({"sample": "random"}), &[], 1, "to be a multivector");
}

/// Query and texts by the model that made the vectors; what the payload calls tokens isn't looked at.
#[cfg(feature = "encoder")]
#[test]
fn a_model_tells_where_tokens_stand() {
    use maxfold::encoder::{Checkpoint, Encoder};

    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/encoder/bert");
    let model = Checkpoint::open(folder).unwrap();
    let texts = ["  The keeper lights the lámp.", "Ships pass at night, and count."];
    let config = CollectionConfig::new()
        .vector("dense", VectorConfig::dense(2, Distance::Dot))
        .vector("rows", VectorConfig::multi(model.dim(), Distance::Dot));
    let files = Files::new();
    let collection = Collection::create(files.path("model"), config).unwrap();
    let document = |text: &str| {
        let encoding = model.document(text).unwrap();
        Vector::Multi { values: encoding.values().to_vec(), dim: encoding.dim() }
    };
    let point = |(id, text): (u64, &str), kept: &str| {
        let payload = json!({"body": kept, "tokens": ["wrong"]}).as_object().unwrap().clone();
        Point::new(id).vector("rows", document(text)).payload(payload)
    };
    let points = (0..).zip(texts).map(|it| point(it, it.1)).collect();
    collection.upsert(points).unwrap();
    collection.upsert(vec![point((7, texts[0]), "Another text.")]).unwrap();
    drop(collection);

    let words = "who lights the lamp";
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maxfold"));
        command.args(["explain", "--collection", &files.path("model"), "--backend", "cpu"]);
        command.args(["--model", folder, "--text", "body", "--json", words]);
        command.args(arguments).output().unwrap()
    };
    let query = model.query(words).unwrap();
    for (id, text) in texts.iter().enumerate() {
        let explained: Value =
            serde_json::from_str(&stdout(&run(&["--point", &id.to_string()]))).unwrap();
        let names: Vec<&str> = query.tokens().iter().map(|it| it.text.as_str()).collect();
        assert_eq!(explained["query_tokens"], json!(names));
        let hit = &explained["hits"][0];
        assert_eq!((&hit["id"], &hit["text"]), (&json!(id), &json!(text)));
        let encoding = model.document(text).unwrap();
        let matches = hit["matches"].as_array().unwrap();
        assert_eq!(matches.len(), query.tokens().len());
        for (at, it) in matches.iter().enumerate() {
            let row =
                |values: &[f32], row: usize| values[row * model.dim()..][..model.dim()].to_vec();
            let dot = |token: usize| -> f64 {
                let pairs = row(query.values(), at).into_iter().zip(row(encoding.values(), token));
                pairs.map(|(a, b)| f64::from(a) * f64::from(b)).sum()
            };
            let best = (0..encoding.tokens().len()).map(dot).fold(f64::MIN, f64::max);
            let token = it["token"].as_u64().unwrap() as usize;
            // Rounded to f16, similarities of vectors of length 1 are off by 1e-3 at most.
            assert!((dot(token) - best).abs() < 1e-3, "{at}");
            assert!((it["similarity"].as_f64().unwrap() - best).abs() < 1e-3, "{at}");
            let span = encoding.tokens()[token].span.as_ref().map(|it| json!([it.start, it.end]));
            assert_eq!(it.get("bytes"), span.as_ref());
        }
    }
    let refused = run(&["--point", "7"]);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(
        stderr.starts_with("error: expected ") && stderr.contains("of the text of point 7"),
        "{stderr}"
    );
    let without_a_model = ["explain", "--collection", &files.path("model"), words];
    let output =
        Command::new(env!("CARGO_BIN_EXE_maxfold")).args(without_a_model).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
