//! [`Counters`]: for Prometheus, under Qdrant's names where it has them.

use prometheus::TextEncoder;
use prometheus::core::Collector;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
};
use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use super::registry::Registry as Collections;
use crate::{Error, Result};

/// Bounds of the classes of durations, in seconds: from a health check to an import.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0];

const ANSWER: &[&str] = &["method", "endpoint", "status"];
#[cfg(feature = "grpc")]
const CALL: &[&str] = &["endpoint", "status"];

pub(super) struct Counters {
    registry: Registry,
    answers: IntCounterVec,
    seconds: HistogramVec,
    #[cfg(feature = "grpc")]
    calls: Calls,
    /// One value each.
    single: IntGaugeVec,
    points: IntGaugeVec,
    vectors: IntGaugeVec,
    behind: IntGaugeVec,
    bytes: IntGaugeVec,
}

fn failed(fault: &prometheus::Error) -> Error {
    let (expected, got) = ("metrics that Prometheus takes".into(), fault.to_string());
    Error::InvalidParameter { name: "the metrics", expected, got }
}

/// Answers of gRPC.
#[cfg(feature = "grpc")]
struct Calls {
    answers: IntCounterVec,
    seconds: HistogramVec,
}

#[cfg(feature = "grpc")]
impl Calls {
    fn registered(registry: &Registry) -> prometheus::Result<Self> {
        let seconds = HistogramOpts::new("grpc_responses_duration_seconds", "Time to answer");
        let calls = Self {
            answers: IntCounterVec::new(Opts::new("grpc_responses_total", "Answers"), CALL)?,
            seconds: HistogramVec::new(seconds.buckets(SECONDS.into()), CALL)?,
        };
        registry.register(Box::new(calls.answers.clone()))?;
        registry.register(Box::new(calls.seconds.clone()))?;
        Ok(calls)
    }
}

impl Counters {
    pub fn new() -> Result<Self> {
        Self::registered().map_err(|fault| failed(&fault))
    }

    fn registered() -> prometheus::Result<Self> {
        let gauges = |name, help, labels| IntGaugeVec::new(Opts::new(name, help), labels);
        let answers = Opts::new("rest_responses_total", "Answers");
        let seconds = HistogramOpts::new("rest_responses_duration_seconds", "Time to answer");
        let registry = Registry::new();
        let counters = Self {
            #[cfg(feature = "grpc")]
            calls: Calls::registered(&registry)?,
            registry,
            answers: IntCounterVec::new(answers, ANSWER)?,
            seconds: HistogramVec::new(seconds.buckets(SECONDS.into()), ANSWER)?,
            single: gauges("collections_total", "Number of collections", &[])?,
            points: gauges("collection_points", "Points of a collection", &["id"])?,
            vectors: gauges(
                "collection_vectors",
                "Vectors of a collection",
                &["collection", "vector"],
            )?,
            behind: gauges(
                "maxfold_collection_behind",
                "Transactions that graphs and GPU copies are behind",
                &["id"],
            )?,
            bytes: gauges(
                "maxfold_collection_bytes",
                "Bytes of a collection's file",
                &["id", "kind"],
            )?,
        };
        counters.registry.register(Box::new(counters.answers.clone()))?;
        counters.registry.register(Box::new(counters.seconds.clone()))?;
        for gauges in [
            &counters.single,
            &counters.points,
            &counters.vectors,
            &counters.behind,
            &counters.bytes,
        ] {
            counters.registry.register(Box::new(gauges.clone()))?;
        }
        Ok(counters)
    }

    /// Numbers of answers and how long they took, by endpoint and status.
    pub fn answers(&self) -> Value {
        summary(&self.seconds)
    }

    /// The same of calls by gRPC.
    pub fn calls(&self) -> Value {
        #[cfg(feature = "grpc")]
        return summary(&self.calls.seconds);
        #[cfg(not(feature = "grpc"))]
        json!({})
    }

    /// Looks at all collections.
    pub fn gather(&self, collections: &Collections) -> Result<String, Refusal> {
        let hosted = collections.all();
        for gauges in [&self.points, &self.vectors, &self.behind, &self.bytes] {
            gauges.reset();
        }
        self.single.with_label_values::<&str>(&[]).set(hosted.len() as i64);
        let mut all = 0;
        for hosted in hosted {
            let (name, Ok(searcher)) = (hosted.name(), hosted.searcher()) else { continue };
            let statistics = searcher.statistics()?;
            let collection = statistics.collection;
            self.points.with_label_values(&[name]).set(collection.points as i64);
            self.behind.with_label_values(&[name]).set(statistics.behind as i64);
            for (vector, count) in &collection.vectors {
                self.vectors.with_label_values(&[name, vector]).set(*count as i64);
                all += count;
            }
            self.bytes.with_label_values(&[name, "file"]).set(collection.file_bytes as i64);
            self.bytes.with_label_values(&[name, "free"]).set(collection.free_bytes as i64);
        }
        let mut text = Vec::new();
        let encoded = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        encoded.map_err(|fault| Refusal::from(failed(&fault)))?;
        let version = env!("CARGO_PKG_VERSION");
        Ok(format!(
            "{}# HELP app_info Name and version of the server\n# TYPE app_info gauge\napp_info{{name=\"maxfold\",version=\"{version}\"}} 1\n\
             # TYPE cluster_enabled gauge\ncluster_enabled 0\n\
             # TYPE collections_vector_total gauge\ncollections_vector_total {all}\n",
            String::from_utf8_lossy(&text)
        ))
    }
}

impl Counters {
    /// Counts an answer, and how long it took.
    pub fn answered(&self, labels: &[&str; 3], seconds: f64) {
        self.answers.with_label_values(labels).inc();
        self.seconds.with_label_values(labels).observe(seconds);
    }

    /// Counts the answer to a call by gRPC, and how long it took.
    #[cfg(feature = "grpc")]
    pub fn called(&self, labels: &[&str; 2], seconds: f64) {
        self.calls.answers.with_label_values(labels).inc();
        self.calls.seconds.with_label_values(labels).observe(seconds);
    }
}

fn summary(seconds: &HistogramVec) -> Value {
    let mut answers = Map::new();
    for family in seconds.collect() {
        for metric in family.get_metric() {
            let label = |name| {
                let label = metric.get_label().iter().find(|it| it.name() == name);
                label.map(|it| it.value().to_owned()).unwrap_or_default()
            };
            let histogram = metric.get_histogram();
            let count = histogram.get_sample_count();
            let mean = histogram.get_sample_sum() / count.max(1) as f64;
            let endpoint = format!("{} {}", label("method"), label("endpoint"));
            let endpoint = endpoint.trim_start();
            let of = answers.entry(endpoint.to_owned()).or_insert_with(|| json!({}));
            of[label("status")] = json!({
                "count": count, "avg_duration_micros": mean * 1e6,
                "total_duration_micros": (histogram.get_sample_sum() * 1e6) as u64,
            });
        }
    }
    answers.into()
}
