//! `maxfold evaluate`: how good runs are, and whether they differ by more than chance.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use maxfold::eval::{Comparison, Evaluation, Metric, Qrels, Run, compare, evaluate};
use serde::Serialize;

use crate::output;

/// Measures runs against judgements; where there are several, each is compared with the first.
///
/// Qrels and runs may be in TREC's layout or in BEIR's, with or without gzip. The means are of all
/// queries that have a relevant document, as with trec_eval's option -c. p-values are two-sided: of
/// Student's t-test of paired differences, and of Fisher's randomization test.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  maxfold evaluate --qrels QRELS.tsv --run BEFORE.trec --run AFTER.trec --metric nDCG@10,MAP"
)]
pub struct Args {
    /// The judgements.
    #[arg(long, value_name = "FILE")]
    qrels: PathBuf,
    /// A run; may be given several times.
    #[arg(long = "run", value_name = "FILE", required = true)]
    runs: Vec<PathBuf>,
    /// nDCG@K, "nDCG@K (exponential)", MRR@K, recall@K, MAP@K or success@K; without @K, of whole
    /// rankings. May be given several times, or with commas.
    #[arg(
        long = "metric",
        value_name = "METRIC",
        value_delimiter = ',',
        default_value = "nDCG@10,MRR,recall@100,MAP,success@5"
    )]
    metrics: Vec<Metric>,
    /// Orders documents as trec_eval does: scores in single precision, ties by id, descending.
    #[arg(long)]
    trec_eval_order: bool,
    /// Also the values of each query.
    #[arg(long)]
    per_query: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// A metric, of every run.
struct Row {
    metric: Metric,
    runs: Vec<Measured>,
}

struct Measured {
    evaluation: Evaluation,
    /// With the first run; of that there is none.
    comparison: Option<Comparison>,
}

pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let qrels = Qrels::read(&args.qrels)?;
    let mut runs = args.runs.iter().map(Run::read).collect::<maxfold::Result<Vec<_>>>()?;
    if args.trec_eval_order {
        runs = runs.into_iter().map(Run::in_trec_eval_order).collect();
    }
    let rows = args.metrics.iter().map(|metric| row(*metric, &qrels, &runs));
    let rows = rows.collect::<maxfold::Result<Vec<_>>>()?;
    for (file, run) in args.runs.iter().zip(&runs) {
        warn_of_missing(file, run, &rows);
    }
    if args.json {
        return output::json(None, &report(args, &rows));
    }
    print_means(args, &rows)?;
    if args.per_query { print_per_query(args, &rows) } else { Ok(()) }
}

fn row(metric: Metric, qrels: &Qrels, runs: &[Run]) -> maxfold::Result<Row> {
    let mut measured: Vec<Measured> = Vec::new();
    for run in runs {
        let evaluation = evaluate(qrels, run, metric)?;
        let first = measured.first().map(|first| &first.evaluation);
        let comparison = first.map(|first| compare(first, &evaluation)).transpose()?;
        measured.push(Measured { evaluation, comparison });
    }
    Ok(Row { metric, runs: measured })
}

/// Queries without a ranking pull the means down, which is meant, but often not by who made the run.
fn warn_of_missing(file: &Path, run: &Run, rows: &[Row]) {
    let Some(measured) = rows.first().and_then(|row| row.runs.first()) else { return };
    let queries = &measured.evaluation.per_query;
    let missing = queries.keys().filter(|query| run.ranking(query).is_empty()).count();
    if missing > 0 {
        let (file, all) = (file.display(), queries.len());
        eprintln!("warning: {missing} of {all} queries have no ranking in {file}, and count 0");
    }
}

fn print_means(args: &Args, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let mut lines = Vec::new();
    for row in rows {
        for (file, Measured { evaluation, comparison }) in args.runs.iter().zip(&row.runs) {
            let [difference, t_test, randomization] =
                comparison.as_ref().map(differences).unwrap_or_default();
            let (metric, file) = (row.metric.to_string(), file.display().to_string());
            let mean = format!("{:.6}", evaluation.mean);
            lines.push([metric, file, mean, difference, t_test, randomization]);
        }
    }
    let head = ["metric", "run", "mean", "difference", "p (t-test)", "p (randomization)"];
    match args.runs.len() {
        1 => {
            let means = lines.into_iter().map(|[metric, _, mean, ..]| [metric, mean]);
            output::table([head[0], head[2]], &means.collect::<Vec<_>>())
        }
        _ => output::table(head, &lines),
    }
}

fn differences(comparison: &Comparison) -> [String; 3] {
    let p = |p: f64| if p < 1e-4 { format!("{p:.1e}") } else { format!("{p:.4}") };
    let t_test = comparison.t_test.map_or("undefined".into(), p);
    [format!("{:+.6}", comparison.difference), t_test, p(comparison.randomization_test)]
}

fn print_per_query(args: &Args, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let mut lines = Vec::new();
    for row in rows {
        for (file, measured) in args.runs.iter().zip(&row.runs) {
            for (query, value) in &measured.evaluation.per_query {
                let (metric, file) = (row.metric.to_string(), file.display().to_string());
                lines.push([metric, file, query.clone(), format!("{value:.6}")]);
            }
        }
    }
    output::write(None, b"\n")?;
    output::table(["metric", "run", "query", "value"], &lines)
}

/// The JSON result.
#[derive(Serialize)]
struct Report<'a> {
    qrels: &'a Path,
    /// Number of queries that have a relevant document.
    queries: usize,
    metrics: Vec<MetricReport<'a>>,
}

#[derive(Serialize)]
struct MetricReport<'a> {
    metric: String,
    runs: Vec<RunReport<'a>>,
}

#[derive(Serialize)]
struct RunReport<'a> {
    run: &'a Path,
    mean: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<Compared>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_query: Option<&'a BTreeMap<String, f64>>,
}

/// With the first run.
#[derive(Serialize)]
struct Compared {
    difference: f64,
    t_test: Option<f64>,
    randomization_test: f64,
}

fn report<'a>(args: &'a Args, rows: &'a [Row]) -> Report<'a> {
    let first = rows.first().and_then(|row| row.runs.first());
    let queries = first.map_or(0, |measured| measured.evaluation.per_query.len());
    let metrics = rows.iter().map(|row| {
        let runs = args.runs.iter().zip(&row.runs);
        let runs = runs.map(|(run, measured)| run_report(run, measured, args.per_query));
        MetricReport { metric: row.metric.to_string(), runs: runs.collect() }
    });
    Report { qrels: &args.qrels, queries, metrics: metrics.collect() }
}

fn run_report<'a>(run: &'a Path, measured: &'a Measured, per_query: bool) -> RunReport<'a> {
    let Measured { evaluation, comparison } = measured;
    let compared = comparison.as_ref().map(|it| Compared {
        difference: it.difference,
        t_test: it.t_test,
        randomization_test: it.randomization_test,
    });
    let per_query = per_query.then_some(&evaluation.per_query);
    RunReport { run, mean: evaluation.mean, compared, per_query }
}
