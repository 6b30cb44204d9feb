//! Spans: what a subscriber of a host sees of writes, upkeep and reranking.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use maxfold::collection::{Collection, CollectionConfig, Point, Vector, VectorConfig};
use maxfold::maxsim::CpuMaxSim;
use maxfold::recall::Distance;
use maxfold::rerank::Reranker;
use maxfold::search::{Prefetch, QueryRequest, Searcher, SearcherOptions};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// A span: its name, its fields, and whether it has ended.
#[derive(Clone, Default)]
struct Seen {
    name: &'static str,
    fields: BTreeMap<&'static str, String>,
    ended: bool,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

/// Keeps all spans; a span's id is its place, from 1.
#[derive(Clone, Default)]
struct Keeper(Arc<Mutex<Vec<Seen>>>);

impl Keeper {
    fn change(&self, id: &Id, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap()[id.into_u64() as usize - 1]);
    }

    /// The fields of all ended spans of a name.
    fn ended(&self, name: &str) -> Vec<BTreeMap<&'static str, String>> {
        let seen = self.0.lock().unwrap();
        seen.iter().filter(|it| it.ended && it.name == name).map(|it| it.fields.clone()).collect()
    }
}

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "maxfold"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut seen = Seen { name: span.metadata().name(), ..Seen::default() };
        span.record(&mut seen);
        let mut all = self.0.lock().unwrap();
        all.push(seen);
        Id::from_u64(all.len() as u64)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        self.change(id, |seen| values.record(seen));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, id: &Id) {
        self.change(id, |seen| seen.ended = true);
    }
}

fn fields<const N: usize>(fields: [(&'static str, &str); N]) -> BTreeMap<&'static str, String> {
    fields.map(|(name, value)| (name, value.to_owned())).into()
}

fn point(id: u64) -> Point {
    let angle = id as f32;
    Point::new(id)
        .vector("dense", vec![angle.cos(), angle.sin()])
        .vector("tokens", Vector::from_rows(&[[angle.sin(), angle.cos()]]).unwrap())
}

#[test]
fn a_subscriber_sees_writes_upkeep_stages_and_reranking() {
    let keeper = Keeper::default();
    // Upkeep has threads of its own.
    tracing::subscriber::set_global_default(keeper.clone()).unwrap();
    let config = CollectionConfig::new()
        .vector("dense", VectorConfig::dense(2, Distance::Cosine))
        .vector("tokens", VectorConfig::multi(2, Distance::Dot));
    let options = SearcherOptions::new().reranker(Reranker::on_cpu(CpuMaxSim::new()));
    let searcher = Searcher::with_options(Collection::temporary(config).unwrap(), options).unwrap();
    assert_eq!(
        keeper.ended("open graph"),
        [fields([("vector", "dense"), ("kept", "0"), ("missing", "0")])]
    );

    searcher.collection().upsert((0..300).map(point).collect()).unwrap();
    assert_eq!(keeper.ended("apply"), [fields([("operations", "1")])]);
    let transaction = searcher.collection().snapshot().unwrap().transaction().to_string();
    assert_eq!(keeper.ended("write"), [fields([("transaction", &transaction)])]);

    searcher.flush().unwrap();
    let followed = fields([("vector", "dense"), ("new", "300"), ("gone", "0")]);
    assert!(keeper.ended("follow graph").contains(&followed));
    assert!(keeper.ended("upkeep").contains(&fields([("transaction", &transaction)])));

    let tokens = Vector::from_rows(&[[1.0_f32, 0.0]]).unwrap();
    let prefetch = Prefetch::new(vec![1.0, 0.0]).using("dense").limit(20);
    let request = QueryRequest::new(tokens).using("tokens").prefetch(prefetch).limit(3);
    assert_eq!(searcher.query(&request).unwrap().points.len(), 3);
    let reranked =
        [("queries", "1"), ("candidates", "20"), ("backend", "cpu"), ("reason", "asked for")];
    assert_eq!(keeper.ended("rerank"), [fields(reranked)]);
    let [recalled, ranked] = keeper.ended("stage").try_into().unwrap();
    assert_eq!(
        [&recalled["using"], &recalled["allowed"], &recalled["found"]],
        ["dense", "300", "20"]
    );
    assert_eq!([&ranked["using"], &ranked["allowed"], &ranked["found"]], ["tokens", "20", "3"]);
    assert!(ranked["method"].starts_with("MaxSim on cpu"), "{ranked:?}");

    // Requests of one call are reranked together, prefetches and queries each on their level.
    let tokens = |x: f32| Vector::from_rows(&[[x, 1.0 - x]]).unwrap();
    let nested = |x: f32| {
        let dense = Prefetch::new(vec![x, 0.5]).using("dense").limit(20);
        let reranked = Prefetch::new(tokens(x)).using("tokens").prefetch(dense).limit(10);
        QueryRequest::new(tokens(-x)).using("tokens").prefetch(reranked).limit(3)
    };
    let requests = [nested(0.25), request, nested(0.75)];
    let before = keeper.ended("rerank").len();
    let answers = searcher.query_batch(&requests).unwrap();
    let reranked = keeper.ended("rerank").split_off(before);
    let queries: Vec<_> = reranked.iter().map(|it| (&*it["queries"], &*it["candidates"])).collect();
    assert_eq!(queries, [("2", "40"), ("3", "40")]);
    for (answer, request) in answers.iter().zip(&requests) {
        assert_eq!(answer.points, searcher.query(request).unwrap().points);
    }
}
