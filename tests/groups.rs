//! Groups of results whose candidates prefetches find: filled from more than what is found at first.
#![cfg(feature = "collection")]

use maxfold::collection::PayloadIndex;
use maxfold::filter::IndexKind;
use maxfold::search::{GroupRequest, SearcherOptions};
use maxfold::{
    Backend, Collection, CollectionConfig, Distance, Point, Reranker, Searcher, VectorConfig,
};
use serde_json::{Value, json};

/// A point of a group, which prefetches find by one score, and which is ranked by another.
struct Item {
    group: Value,
    recall: f32,
    rank: f32,
}

fn searcher(items: &[Item]) -> Searcher {
    let one = || VectorConfig::dense(1, Distance::Dot);
    let config = CollectionConfig::new().vector("recall", one()).vector("rank", one());
    let collection = Collection::temporary(config).unwrap();
    let point = |(id, item): (usize, &Item)| {
        let payload = json!({"group": item.group});
        Point::new(id as u64)
            .vector("recall", vec![item.recall])
            .vector("rank", vec![item.rank])
            .payload(payload.as_object().unwrap().clone())
    };
    collection.upsert(items.iter().enumerate().map(point).collect()).unwrap();
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu).unwrap());
    Searcher::with_options(collection, options).unwrap()
}

/// The groups and the ids of their hits, with and without an index of the field.
fn groups(searcher: &Searcher, candidates: usize, limit: usize, size: usize) -> Value {
    let request = json!({
        "prefetch": {"query": [1], "using": "recall", "limit": candidates},
        "query": [1], "using": "rank", "group_by": "group", "limit": limit, "group_size": size,
    });
    let request: GroupRequest = request.to_string().parse().unwrap();
    let ask = || {
        let groups = searcher.query_groups(&request).unwrap().groups;
        let ids = |group: Value| {
            let hits = group["hits"].as_array().unwrap().iter().map(|hit| hit["id"].clone());
            json!([group["id"], hits.collect::<Vec<_>>()])
        };
        groups.iter().map(|it| ids(serde_json::to_value(it).unwrap())).collect::<Value>()
    };
    let found = ask();
    for kind in [IndexKind::Keyword, IndexKind::Integer] {
        searcher.collection().create_index(PayloadIndex::new("group", kind).unwrap()).unwrap();
        assert_eq!(ask(), found);
    }
    found
}

/// What is best recalled is all of one group, then comes the next.
#[test]
fn groups_that_the_first_candidates_lack_are_found() {
    let group = |name: Value, from: f32, rank: f32| {
        (0..8).map(move |at| Item {
            group: name.clone(),
            recall: from - at as f32,
            rank: rank + at as f32,
        })
    };
    // Ids 0 to 7, 8 to 15, and so on; those without a group would be recalled first.
    let items: Vec<_> = group(json!("a"), 100.0, 10.0)
        .chain(group(json!(7), 80.0, 20.0))
        .chain(group(json!("c"), 60.0, 30.0))
        .chain(group(Value::Null, 200.0, 90.0))
        .chain(group(json!([]), 300.0, 95.0))
        .collect();
    let searcher = searcher(&items);
    // Of each group the four that are recalled, and of those the two of the highest rank.
    let expected = json!([["c", [19, 18]], [7, [11, 10]], ["a", [3, 2]]]);
    assert_eq!(groups(&searcher, 2, 3, 2), expected);
    // More groups than there are: those that there are, of all of their points.
    let expected = json!([["c", [23, 22, 21]], [7, [15, 14, 13]], ["a", [7, 6, 5]]]);
    assert_eq!(groups(&searcher, 3, 5, 3), expected);
}

/// Five rounds find no second point of any group; the best group gets its own then.
#[test]
fn the_best_groups_are_filled_in_the_end() {
    let first = |group: u16| Item {
        group: json!(format!("g{group}")),
        recall: 500.0 - f32::from(group),
        rank: if group == 4 { 99.0 } else { f32::from(group) },
    };
    let second = |group: u16| Item { recall: 100.0 - f32::from(group), rank: -1.0, ..first(group) };
    let items: Vec<_> = (0..50).map(first).chain((0..50).map(second)).collect();
    // Two candidates a round: g0 and g1, and so on to g9; g4 is the best, and its second point has id 54.
    assert_eq!(groups(&searcher(&items), 1, 1, 2), json!([["g4", [4, 54]]]));
}
