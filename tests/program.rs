//! The program: its help, its completions, and the commands that have no file of tests of their own.

/// Without the feature there is no program to be tested, which is said.
#[cfg(not(feature = "cli"))]
#[test]
fn the_program_is_only_tested_with_the_feature_cli() {
    use std::io::Write;
    let line = b"skipped: the tests of the program, which need --features cli\n";
    // To stderr itself, because the test harness hides what passing tests print.
    std::io::stderr().write_all(line).unwrap();
}

#[cfg(feature = "cli")]
mod program {
    use std::fs;
    use std::path::PathBuf;
    use std::process::{Command, Output};

    use maxfold::eval::{Metric, Qrels, Run, compare, evaluate};
    use maxfold::rerank::{Backend, Reranker};
    use serde_json::{Value, json};

    const COMMANDS: [&str; 11] = [
        "score",
        "ingest",
        "search",
        "explain",
        "evaluate",
        "serve",
        "backup",
        "restore",
        "compact",
        "adapters",
        "completions",
    ];

    fn maxfold(arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_maxfold")).args(arguments).output().unwrap()
    }

    fn stdout(arguments: &[&str]) -> String {
        let output = maxfold(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn assert_error(arguments: &[&str], code: i32, part: &str) {
        let output = maxfold(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
        assert!(stderr.contains(part), "{part} in {stderr}");
    }

    #[test]
    fn a_collection_is_backed_up_and_restored() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (live, copy, back) = (path("live"), path("copy"), path("back"));
        let config = maxfold::CollectionConfig::new();
        let collection = maxfold::Collection::create(&live, config).unwrap();
        collection.upsert((0..7_u64).map(maxfold::Point::new).collect()).unwrap();
        let backup = ["backup", "--collection", &live, "--to", &copy];
        assert!(stdout(&backup).starts_with("7 points, "));
        assert_error(&backup, 1, "already exists");
        drop(collection);
        fs::remove_dir_all(&live).unwrap();
        let restore = ["restore", "--backup", &copy, "--collection", &back];
        assert!(stdout(&restore).starts_with("7 points, "));
        assert_eq!(maxfold::Collection::open(&back).unwrap().snapshot().unwrap().len(), 7);
        let compact = ["compact", "--collection", &back];
        assert!(stdout(&compact).contains(" bytes, "));
        let reader = maxfold::Collection::open_read_only(&back).unwrap();
        assert_error(&compact, 1, "already open");
        assert_eq!(reader.snapshot().unwrap().len(), 7);
    }

    fn fixture(name: &str) -> String {
        let path: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/eval", name].iter().collect();
        path.to_str().unwrap().into()
    }

    #[test]
    fn help_has_an_example_of_every_command() {
        let help = stdout(&["--help"]);
        for command in COMMANDS {
            assert!(help.contains(&format!("\n  {command} ")), "{help}");
            let help = stdout(&[command, "--help"]);
            assert!(help.contains(&format!("Example:\n  maxfold {command} ")), "{help}");
        }
        assert_eq!(stdout(&["--version"]), format!("maxfold {}\n", env!("CARGO_PKG_VERSION")));
        assert_error(&[], 2, "subcommand");
        assert_error(&["sing"], 2, "sing");
        assert_error(&["serve", "--listen", "0.0.0.0:0"], 2, "--without-key");
        assert_error(&["serve", "--api-key", ""], 2, "key");
        assert_error(&["serve", "--log", "a=b=c"], 2, "--log");
        assert_error(&["serve", "--tls-cert", "cert.pem"], 2, "--tls-key");
    }

    #[test]
    fn completions_know_the_commands() {
        for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
            let script = stdout(&["completions", shell]);
            let mut words = COMMANDS.iter().chain(&["per-query", "drop-zero-rows"]);
            assert!(words.all(|word| script.contains(word)), "{shell}");
        }
        assert_error(&["completions", "csh"], 2, "csh");
    }

    #[test]
    fn adapters_and_which_of_them_auto_takes() {
        let listed: Value = serde_json::from_str(&stdout(&["adapters", "--json"])).unwrap();
        let auto = Reranker::new(Backend::Auto).unwrap();
        let execution = auto.execution();
        assert_eq!(listed["auto"]["backend"], execution.backend().to_string());
        assert_eq!(listed["auto"]["variant"], execution.variant());
        assert_eq!(listed["auto"]["reason"], *execution.reason);
        let adapters = maxfold::gpu::adapters();
        let text = stdout(&["adapters"]);
        assert_eq!(listed["adapters"].as_array().unwrap().len(), adapters.len());
        for (listed, adapter) in listed["adapters"].as_array().unwrap().iter().zip(&adapters) {
            let variants: Vec<_> = adapter.variants.iter().map(|it| it.to_string()).collect();
            assert_eq!(listed["name"], adapter.name);
            assert_eq!(listed["variants"], json!(variants));
            assert_eq!(listed["auto"], auto.gpu().is_some_and(|gpu| gpu.adapter() == adapter));
            assert!(text.contains(&format!("{adapter}: {}", variants.join(", "))), "{text}");
        }
    }

    /// Query by query what the library measures, which other tests compare with published tools.
    #[test]
    fn evaluate_prints_what_the_library_measures() {
        let files = [fixture("qrels.trec"), fixture("run.trec"), fixture("second.trec")];
        let [qrels, first, second] = files.each_ref().map(String::as_str);
        let names = ["nDCG@10 (linear)", "MAP", "success@5"];
        let printed = stdout(&[
            "evaluate",
            "--qrels",
            qrels,
            "--run",
            first,
            "--run",
            second,
            "--per-query",
            "--json",
            "--metric",
            "ndcg@10,map",
            "--metric",
            "success@5",
        ]);
        let printed: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(printed["queries"], 12);
        let qrels = Qrels::read(qrels).unwrap();
        let runs = [first, second].map(|run| Run::read(run).unwrap());
        assert_eq!(printed["metrics"].as_array().unwrap().len(), names.len());
        for (printed, name) in printed["metrics"].as_array().unwrap().iter().zip(names) {
            assert_eq!(printed["metric"], name);
            let metric: Metric = name.parse().unwrap();
            let values = runs.each_ref().map(|run| evaluate(&qrels, run, metric).unwrap());
            let comparison = compare(&values[0], &values[1]).unwrap();
            for (printed, value) in printed["runs"].as_array().unwrap().iter().zip(&values) {
                assert_eq!(printed["mean"], value.mean);
                assert_eq!(printed["per_query"], json!(value.per_query));
            }
            assert_eq!(printed["runs"][0].get("compared"), None);
            assert_eq!(
                printed["runs"][1]["compared"],
                json!({
                    "difference": comparison.difference,
                    "t_test": comparison.t_test,
                    "randomization_test": comparison.randomization_test,
                })
            );
        }
    }

    #[test]
    fn evaluate_prints_tables() {
        let [qrels, first] = [fixture("qrels.beir.tsv"), fixture("run.beir.tsv")];
        let table = stdout(&["evaluate", "--qrels", &qrels, "--run", &first, "--metric", "MAP"]);
        // pytrec_eval's mean is 0.19069578216007096.
        assert_eq!(table, "metric  mean\nMAP     0.190696\n");
        let second = fixture("second.trec");
        let runs = ["evaluate", "--qrels", &qrels, "--run", &first, "--run", &second];
        let table = stdout(&[&runs[..], &["--metric", "MAP", "--per-query"]].concat());
        let lines: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[2][3..], ["-0.053318", "0.2975", "0.3242"]);
        assert_eq!(lines[5], ["MAP", &first, "301", "0.100227"]);
        assert_eq!(lines.len(), 5 + 2 * 12);
        let output = maxfold(&runs);
        let warned = String::from_utf8(output.stderr).unwrap();
        assert_eq!(warned.lines().count(), 2, "{warned}");
        assert!(warned.starts_with("warning: 2 of 12 queries have no ranking in "), "{warned}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1 + 2 * 5);
    }

    #[test]
    fn evaluate_breaks_ties_as_trec_eval_if_asked_to() {
        let [qrels, tied] = [fixture("qrels.trec"), fixture("tied.trec")];
        let arguments = ["evaluate", "--qrels", &qrels, "--run", &tied, "--metric", "MAP"];
        let expected = |name: &str| {
            let table = fs::read_to_string(fixture(name)).unwrap();
            let mean = table.lines().find_map(|line| line.strip_prefix("MAP\tall\t")).unwrap();
            format!("metric  mean\nMAP     {:.6}\n", mean.parse::<f64>().unwrap())
        };
        let theirs = stdout(&[&arguments[..], &["--trec-eval-order"]].concat());
        assert_eq!(stdout(&arguments), expected("expected-tied.tsv"));
        assert_eq!(theirs, expected("expected-tied-trec-eval.tsv"));
        assert_ne!(theirs, stdout(&arguments));
    }

    #[test]
    fn evaluate_refuses_what_it_cannot_measure() {
        let qrels = fixture("qrels.trec");
        let run = fixture("run.trec");
        let both = ["evaluate", "--qrels", &qrels, "--run", &run];
        assert_error(&both[..3], 2, "--run");
        assert_error(&[&both[..], &["--metric", "precision@5"]].concat(), 2, "nDCG@K");
        assert_error(&["evaluate", "--qrels", "/nowhere", "--run", &run], 1, "/nowhere");
        assert_error(&["evaluate", "--qrels", &run, "--run", &run], 1, "run.trec: expected query");
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        fs::write(&empty, "q 0 d 0\n").unwrap();
        assert_error(
            &["evaluate", "--qrels", empty.to_str().unwrap(), "--run", &run],
            1,
            "grade above 0",
        );
    }
}
