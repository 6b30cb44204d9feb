//! The contract of `maxfold score`, as another program sees it.

#![cfg(feature = "cli")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use maxfold::gpu::GpuOptions;
use maxfold::maxsim::InstructionSet;
use maxfold::multivector::{Interchange, MultiVectors};
use rand::prelude::*;
use serde_json::{Value, json};
use support::{Values, assert_scores};
use tempfile::TempDir;

fn score() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_maxfold"));
    program.arg("score");
    program
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
        Interchange::new(tokens).write(self.path(name)).unwrap();
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
        let output = self.path("out.json");
        self.run_only(&[&["--output", output.to_str().unwrap()], arguments].concat())
    }

    /// Without `--output`.
    fn run_only(&self, arguments: &[&str]) -> Output {
        let mut command = score();
        command.arg("--queries").arg(self.path("queries"));
        command.arg("--docs").arg(self.path("docs"));
        command.args(arguments).output().unwrap()
    }

    fn result(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&fs::read(self.path("out.json")).unwrap()).unwrap()
    }

    /// Exit code 1 and one line on stderr, which has all the `parts`.
    fn refused(&self, arguments: &[&str], parts: &[&str]) {
        assert_one_error_line(&self.run(arguments), 1, parts);
    }

    /// The same with exit code 2: a command line that makes no sense.
    fn wrong_usage(&self, arguments: &[&str], parts: &[&str]) {
        assert_one_error_line(&self.run(arguments), 2, parts);
    }
}

fn assert_one_error_line(output: &Output, code: i32, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
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
        for top_k in [&[][..], &["--top-k", "3"]] {
            let score =
                |store| files.result(&[&["--variant", &name, "--store", store], top_k].concat());
            let (streamed, resident) = (score("streamed"), score("resident"));
            for field in ["backend", "variant", "adapter", "dim", "scores", "top"] {
                assert_eq!(resident.get(field), streamed.get(field), "{name}: {field}");
            }
        }
    }
    files.wrong_usage(&["--store", "resident", "--backend", "cpu"], &["resident", "gpu", "cpu"]);
    files.wrong_usage(&["--store", "mars"], &["mars", "streamed", "resident"]);
}

#[test]
fn the_best_are_the_top_of_all_scores() {
    let files = Files::new();
    let all = files.result(&["--backend", "cpu"]);
    let all: Vec<Vec<f32>> = serde_json::from_value(all["scores"].clone()).unwrap();
    for (top_k, expected) in [("1", 1), ("3", 3), ("99", 4)] {
        let result = files.result(&["--backend", "cpu", "--top-k", top_k]);
        assert_eq!(result.get("scores"), None, "the top alone");
        let top = result["top"].as_array().unwrap();
        assert_eq!(top.len(), 2);
        for (scores, top) in all.iter().zip(top) {
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            assert_eq!(top.as_array().unwrap().len(), expected);
            for (hit, at) in top.as_array().unwrap().iter().zip(order) {
                assert_eq!(hit["document"], at);
                assert_eq!(hit["score"].as_f64().unwrap() as f32, scores[at]);
            }
        }
    }
}

/// Scores of which every digit is known: one number times a power of 2.
fn write_tenths(files: &Files, ids: bool) {
    let tokens = |values: &[f32]| {
        let offsets: Vec<u64> = (0..=values.len() as u64).collect();
        MultiVectors::new(values, &offsets, 1).unwrap()
    };
    let named = |names: &[&str]| ids.then(|| names.iter().map(|name| (*name).into()).collect());
    let write = |file: &str, tokens, ids: Option<Vec<String>>| {
        Interchange::new(tokens).ids(ids).write(files.path(file)).unwrap();
    };
    write("queries", tokens(&[1.0, 0.5]), named(&["q-one", "q-half"]));
    write("docs", tokens(&[0.25, 1.0, 0.1]), named(&["quarter", "one", "tenth"]));
}

#[test]
fn a_run_has_the_best_by_the_names_of_the_files() {
    let files = Files::new();
    let run = files.path("run.trec");
    let arguments = ["--backend", "cpu", "--top-k", "2", "--run", run.to_str().unwrap()];
    for (ids, expected) in [
        (
            true,
            "q-half Q0 one 1 0.5 maxfold\nq-half Q0 quarter 2 0.125 maxfold\n\
                q-one Q0 one 1 1 maxfold\nq-one Q0 quarter 2 0.25 maxfold\n",
        ),
        (
            false,
            "0 Q0 1 1 1 maxfold\n0 Q0 0 2 0.25 maxfold\n\
                 1 Q0 1 1 0.5 maxfold\n1 Q0 0 2 0.125 maxfold\n",
        ),
    ] {
        write_tenths(&files, ids);
        let output = files.run_only(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty());
        assert_eq!(fs::read_to_string(&run).unwrap(), expected);
    }
    let result = files.result(&["--backend", "cpu", "--top-k", "1"]);
    assert_eq!(result["top"][0], json!([{"document": 1, "score": 1.0}]));
    write_tenths(&files, true);
    let result = files.result(&["--backend", "cpu", "--top-k", "1"]);
    assert_eq!(result["top"][0], json!([{"document": 1, "id": "one", "score": 1.0}]));
    assert_eq!(result["query_ids"], json!(["q-one", "q-half"]));
    let result = files.result(&["--backend", "cpu"]);
    assert_eq!(result["document_ids"], json!(["quarter", "one", "tenth"]));
}

/// In 32 bits the shortest digits, not those of the same number in 64.
#[test]
fn scores_are_printed_as_they_are() {
    let files = Files::new();
    write_tenths(&files, true);
    // What f16 has for 0.1, and 64 bits for the same.
    let (digits, long) = ("0.099975586", "0.0999755859375");
    let printed = |arguments: &[&str]| {
        let output = files.run_only(&[&["--backend", "cpu"], arguments].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let (json, table) = (printed(&["--json"]), printed(&[]));
    let file = files.path("run");
    assert_eq!(printed(&["--run", file.to_str().unwrap()]), "");
    let run = fs::read_to_string(file).unwrap();
    for text in [&json, &table, &run] {
        assert!(text.contains(digits) && !text.contains(long), "{text}");
    }
    assert!(run.contains("q-one Q0 tenth 3 0.099975586 maxfold\n"), "{run}");
    assert!(table.starts_with("query") && table.lines().count() == 1 + 6, "{table}");
}

#[test]
fn traps_are_warned_of_or_mended() {
    let files = Files::new();
    files.write_raw("queries", (&[1.0, 0.0], [1, 2]), &[0, 1]);
    files.write_raw("docs", (&[-3.0, 4.0, 0.0, 0.0, 1e6, 0.0], [3, 2]), &[0, 2, 3]);
    files.refused(&[], &["docs", "item 1", "1000000"]);
    files.write_raw("docs", (&[-3.0, 4.0, 0.0, 0.0, 2.0, 0.0], [3, 2]), &[0, 2, 3]);
    let warned = |arguments: &[&str], expected: &[&str], scores: Value| {
        let output = files.run(&[&["--backend", "cpu"], arguments].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.lines().count(), expected.len(), "{stderr}");
        for (line, part) in stderr.lines().zip(expected) {
            assert!(line.starts_with("warning: ") && line.contains(part), "{stderr}");
        }
        let result: Value =
            serde_json::from_slice(&fs::read(files.path("out.json")).unwrap()).unwrap();
        assert_eq!(result["scores"], json!([scores]));
    };
    let (zero, length) = ("1 of 3 token vectors in ", "2 of 3 token vectors in ");
    warned(&[], &[zero, length], json!([0.0, 2.0]));
    warned(&["--drop-zero-rows"], &[length], json!([-3.0, 2.0]));
    warned(&["--normalize"], &[zero], json!([0.0, 1.0]));
    // What f16 has for -0.6, with the digits of 32 bits.
    let short: f64 = half::f16::from_f32(-0.6).to_f32().to_string().parse().unwrap();
    warned(&["--normalize", "--drop-zero-rows"], &[], json!([short, 1.0]));
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
    files.wrong_usage(&["--backend", "tpu"], &["tpu", "auto, cpu or gpu"]);
    files.wrong_usage(&["--variant", "f32-warp"], &["f32-warp", "avx2, portable8"]);
    files.wrong_usage(&["--variant", "f32-warp"], &["packed-fma"]);
    files.wrong_usage(
        &["--backend", "gpu", "--variant", "portable8"],
        &["backend cpu", "backend gpu"],
    );
    files.wrong_usage(&["--backend", "cpu", "--adapter", "x"], &["backend gpu", "backend cpu"]);
    files.wrong_usage(&["--threads", "0"], &["threads", "1 to ", "got 0"]);
    files.wrong_usage(&["--threads", "16000"], &["threads", "1 to ", "got 16000"]);
    files.wrong_usage(&["--repeat", "0"], &["--repeat"]);
    files.wrong_usage(&["--top-k", "-1"], &["-1"]);
    files.wrong_usage(&["--unknown"], &["--unknown"]);
    assert_one_error_line(&score().output().unwrap(), 2, &["--queries", "--docs"]);
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
    let output = score().arg("--list").output().unwrap();
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
