//! The contract of the `score` example, as another program sees it.

#![cfg(feature = "gpu")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use maxfold::gpu::GpuOptions;
use maxfold::maxsim::InstructionSet;
use maxfold::multivector::{Interchange, MultiVectors};
use rand::prelude::*;
use serde_json::{Value, json};
use support::{Values, assert_scores};
use tempfile::TempDir;

/// The example's binary: `cargo test` builds it beside the folder of this test's.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join("examples").join(format!("score{}", std::env::consts::EXE_SUFFIX))
}

/// A folder with queries, documents and room for the output.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        let mut rng = StdRng::seed_from_u64(1);
        files.write("queries", Values::Unit.documents(&mut rng, &[3, 32], 24));
        files.write("docs", Values::Unit.documents(&mut rng, &[7, 1, 180, 20], 24));
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, tokens: MultiVectors) {
        Interchange { tokens, dense: None, ids: None }.write(self.path(name)).unwrap();
    }

    /// Writes one tensor `tokens` and one tensor `offsets`, right or wrong.
    fn write_raw(&self, name: &str, tokens: (&[f32], [usize; 2]), offsets: &[i64]) {
        let tokens_bytes: Vec<u8> = tokens.0.iter().flat_map(|x| x.to_le_bytes()).collect();
        let offsets_bytes: Vec<u8> = offsets.iter().flat_map(|x| x.to_le_bytes()).collect();
        let view = |dtype, shape: Vec<usize>, bytes| {
            safetensors::tensor::TensorView::new(dtype, shape, bytes).unwrap()
        };
        let tensors = [
            ("tokens", view(safetensors::Dtype::F32, tokens.1.to_vec(), &tokens_bytes)),
            ("offsets", view(safetensors::Dtype::I64, vec![offsets.len()], &offsets_bytes)),
        ];
        fs::write(self.path(name), safetensors::serialize(tensors, None).unwrap()).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.arg("--queries").arg(self.path("queries"));
        command.arg("--docs").arg(self.path("docs"));
        command.arg("--output").arg(self.path("out.json"));
        command.args(arguments).output().unwrap()
    }

    fn result(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&fs::read(self.path("out.json")).unwrap()).unwrap()
    }

    /// Exit code 2 and one line on stderr, which has all the `parts`.
    fn refused(&self, arguments: &[&str], parts: &[&str]) {
        let output = self.run(arguments);
        assert_one_error_line(&output, parts);
    }
}

fn assert_one_error_line(output: &Output, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "no {part:?} in {stderr}");
    }
}

#[test]
fn scores_are_those_of_the_reference() {
    let files = Files::new();
    let queries = Interchange::read(files.path("queries")).unwrap().tokens;
    let docs = Interchange::read(files.path("docs")).unwrap().tokens;
    let docs: Vec<_> = docs.iter().collect();
    for set in InstructionSet::available() {
        let result = files.result(&["--variant", set.name(), "--repeat", "3", "--threads", "2"]);
        assert_eq!(result["backend"], "cpu");
        assert_eq!(result["adapter"], Value::Null);
        assert_eq!(result["variant"], set.name());
        assert_eq!(result["dim"], 24);
        assert_eq!(result["seconds"].as_array().unwrap().len(), 3);
        assert_eq!(result.get("top"), None);
        for (query, scores) in queries.iter().zip(result["scores"].as_array().unwrap()) {
            let scores: Vec<f32> = serde_json::from_value(scores.clone()).unwrap();
            assert_scores(set.name(), query, &docs, &scores);
        }
    }
}

#[test]
fn a_forced_shader_variant_is_the_one_that_ran() {
    let files = Files::new();
    for context in support::gpu_contexts(GpuOptions::default()) {
        let name = context.variant().to_string();
        let result = files.result(&["--backend", "gpu", "--variant", &name]);
        assert_eq!(result["backend"], "gpu");
        assert_eq!(result["adapter"], context.adapter().name);
        assert_eq!(result["variant"], name);
    }
}

#[test]
fn resident_documents_score_as_streamed_ones_do() {
    let files = Files::new();
    for context in support::gpu_contexts(GpuOptions::default()) {
        let name = context.variant().to_string();
        let score = |store| files.result(&["--variant", &name, "--store", store, "--top-k", "3"]);
        let (streamed, resident) = (score("streamed"), score("resident"));
        for field in ["backend", "variant", "adapter", "dim", "scores", "top"] {
            assert_eq!(resident[field], streamed[field], "{name}: {field}");
        }
    }
    files.refused(&["--store", "resident", "--backend", "cpu"], &["resident", "gpu", "cpu"]);
    files.refused(&["--store", "mars"], &["mars", "streamed", "resident"]);
}

#[test]
fn top_k_beyond_the_documents_is_all_of_them_in_order() {
    let result = Files::new().result(&["--top-k", "99"]);
    let scores: Vec<Vec<f32>> = serde_json::from_value(result["scores"].clone()).unwrap();
    let top = result["top"].as_array().unwrap();
    for (scores, top) in scores.iter().zip(top) {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        assert_eq!(top.as_array().unwrap().len(), scores.len());
        for (hit, at) in top.as_array().unwrap().iter().zip(order) {
            assert_eq!(hit["document"], at);
            assert_eq!(hit["score"].as_f64().unwrap() as f32, scores[at]);
        }
    }
}

#[test]
fn top_k_of_nothing_is_nothing() {
    let result = Files::new().result(&["--top-k", "0"]);
    assert_eq!(result["top"], json!([[], []]));
}

#[test]
fn no_documents_and_no_queries_are_empty_lists() {
    let files = Files::new();
    files.write("docs", MultiVectors::empty(24).unwrap());
    assert_eq!(files.result(&[])["scores"], json!([[], []]));
    files.write("queries", MultiVectors::empty(24).unwrap());
    assert_eq!(files.result(&[])["scores"], json!([]));
}

#[test]
fn values_that_are_no_numbers_are_refused() {
    let files = Files::new();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e6] {
        files.write_raw("docs", (&[0.5, 0.5, 0.5, bad], [2, 2]), &[0, 2]);
        files.refused(&[], &["docs", "row 1, column 1", &bad.to_string()]);
    }
}

#[test]
fn offsets_that_do_not_partition_the_rows_are_refused() {
    let files = Files::new();
    let cases: [(&[i64], &str); 8] = [
        (&[1, 4], "offsets[0] to be 0, got 1"),
        (&[0, 3, 2, 4], "offsets[2] to be between 4 and 4, got 2"),
        (&[0, 5], "offsets[1] to be between 1 and 4, got 5"),
        (&[0, 3], "offsets[1] to be 4, the number of rows, got 3"),
        (&[-1, 4], "offsets[0] to be 0, got -1"),
        (&[0, -2, 4], "got -2"),
        (&[0, 2, 2, 4], "at least one token in item 1"),
        (&[], "expected 1 offsets or more, got 0"),
    ];
    for (offsets, part) in cases {
        files.write_raw("docs", (&[0.5; 8], [4, 2]), offsets);
        files.refused(&[], &["docs", part]);
    }
}

#[test]
fn dimensions_have_to_agree() {
    let files = Files::new();
    files.write_raw("docs", (&[0.5; 8], [4, 2]), &[0, 4]);
    files.refused(&[], &["dimension 24", "got 2"]);
    files.write_raw("docs", (&[], [0, 0]), &[0]);
    files.refused(&[], &["dimension of at least 1, got 0"]);
}

#[test]
fn files_that_are_not_interchange_files_are_refused() {
    let files = Files::new();
    let whole = fs::read(files.path("docs")).unwrap();
    for length in [0, 7, 8, 40, whole.len() / 2, whole.len() - 1] {
        fs::write(files.path("docs"), &whole[..length]).unwrap();
        files.refused(&[], &["docs", "safetensors", &format!("{length} bytes")]);
    }
    fs::write(files.path("docs"), "a file that is no safetensors file, and long enough").unwrap();
    files.refused(&[], &["docs", "safetensors"]);
    fs::remove_file(files.path("docs")).unwrap();
    files.refused(&[], &["docs", "read"]);
}

#[test]
fn a_missing_tensor_is_named() {
    let files = Files::new();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::U8, vec![1], &[0]).unwrap();
    let bytes = safetensors::serialize([("embeddings", view)], None).unwrap();
    fs::write(files.path("docs"), bytes).unwrap();
    files.refused(&[], &["\"tokens\"", "embeddings"]);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let files = Files::new();
    files.refused(&["--backend", "tpu"], &["tpu", "auto, cpu or gpu"]);
    files.refused(&["--variant", "f32-warp"], &["f32-warp", "avx2, portable8"]);
    files.refused(&["--variant", "f32-warp"], &["packed-fma"]);
    files.refused(&["--backend", "gpu", "--variant", "portable8"], &["backend cpu", "backend gpu"]);
    files.refused(&["--backend", "cpu", "--adapter", "x"], &["backend gpu", "backend cpu"]);
    files.refused(&["--threads", "0"], &["threads", "1 to ", "got 0"]);
    files.refused(&["--threads", "16000"], &["threads", "1 to ", "got 16000"]);
    files.refused(&["--repeat", "0"], &["--repeat"]);
    files.refused(&["--top-k", "-1"], &["-1"]);
    files.refused(&["--unknown"], &["--unknown"]);
    assert_one_error_line(&Command::new(binary()).output().unwrap(), &["--queries", "--docs"]);
}

#[test]
fn an_unknown_adapter_is_an_error_that_lists_the_known() {
    let known: Vec<String> = maxfold::gpu::adapters().into_iter().map(|a| a.name).collect();
    let mut parts = vec!["Voodoo 2"];
    parts.extend(known.iter().map(String::as_str));
    Files::new().refused(&["--adapter", "Voodoo 2"], &parts);
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let files = Files::new();
    fs::create_dir(files.path("out.json")).unwrap();
    files.refused(&[], &["cannot write", "out.json"]);
}

#[test]
fn list_names_what_this_machine_has() {
    let output = Command::new(binary()).arg("--list").output().unwrap();
    assert!(output.status.success());
    let listed = String::from_utf8(output.stdout).unwrap();
    for set in InstructionSet::available() {
        assert!(listed.contains(set.name()), "{listed}");
    }
    for adapter in maxfold::gpu::adapters() {
        assert!(listed.contains(&adapter.to_string()), "{listed}");
    }
    assert!(listed.contains("packed-fma"), "{listed}");
}
