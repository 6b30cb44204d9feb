//! Matching of text means what Qdrant's means: tokens, with an index and without.
//!
//! What is expected is what qdrant-client 1.20.0 answers in its local mode, which has no indexes; with one, a
//! judge of random texts looks for words in a string of words, which shares nothing with the library.
#![cfg(feature = "collection")]

use maxfold::collection::PayloadIndex;
use maxfold::filter::{Filter, IndexKind, Match, Subject, Test, TextMatch};
use maxfold::{Collection, CollectionConfig, Point, Result};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

fn holds(matched: &Value, value: &Value) -> bool {
    let filter: Filter =
        json!({"must": {"key": "t", "match": matched}}).to_string().parse().unwrap();
    assert_eq!(serde_json::to_string(&filter).unwrap().parse::<Filter>().unwrap(), filter);
    let payload = json!({"t": value});
    let payload = payload.as_object().unwrap();
    filter.matches(&Subject { id: 1.into(), payload, vectors: &[], texts: &[] }).unwrap()
}

#[test]
fn without_an_index_words_are_compared_without_regard_to_case() {
    for (matched, value, expected) in [
        (json!({"text": "good cheap"}), json!("Cheap, but GOOD!"), true),
        (json!({"text": "good cheap"}), json!("goodness, cheap"), false),
        (json!({"text": "good"}), json!("goodness only"), false),
        (json!({"text": ""}), json!("anything"), false),
        (json!({"text": "!?"}), json!("anything!?"), false),
        (json!({"text": "good cheap"}), json!(["good", "cheap"]), false),
        (json!({"text": "good cheap"}), json!(["so so", "cheap and good"]), true),
        (json!({"text": "5"}), json!(5), false),
        (json!({"text": "straße"}), json!("Hinter der STRASSE, der Straße"), true),
        (json!({"text_any": "good cheap"}), json!("cheap hardware"), true),
        (json!({"text_any": "good cheap"}), json!("neutral text"), false),
        (json!({"text_any": ""}), json!("anything"), false),
        (json!({"phrase": "alpha beta"}), json!("foo Alpha-beta bar"), true),
        (json!({"phrase": "alpha beta"}), json!("beta alpha"), false),
        (json!({"phrase": "alpha beta"}), json!("alphabeta"), false),
        (json!({"phrase": "alpha beta"}), json!("alpha gamma beta"), false),
        (json!({"phrase": ""}), json!("anything"), false),
        (json!({"prefix": "Al"}), json!("Alpha"), true),
        (json!({"prefix": "al"}), json!("Alpha"), false),
        (json!({"prefix": ""}), json!(""), true),
        (json!({"prefix": ""}), json!(5), false),
        (json!({"substring": "pha b"}), json!(["x", "alpha beta"]), true),
        (json!({"substring": "Pha"}), json!("alpha"), false),
    ] {
        assert_eq!(holds(&matched, &value), expected, "{matched} of {value}");
    }
}

/// Points 1, 2, 3 … with these values at `t`, and an index of that.
fn indexed(values: &[Value], schema: &Value) -> Result<Collection> {
    let collection = Collection::temporary(CollectionConfig::new())?;
    let point = |(id, value): (u64, &Value)| {
        Point::new(id).payload(json!({"t": value}).as_object().unwrap().clone())
    };
    collection.upsert((1..).zip(values).map(point).collect())?;
    collection
        .create_index(json!({"field_name": "t", "field_schema": schema}).to_string().parse()?)?;
    Ok(collection)
}

/// The ids that match, and how many payloads were read for that.
fn found(collection: &Collection, matched: &Value) -> (Vec<u64>, u64) {
    let filter: Filter =
        json!({"must": {"key": "t", "match": matched}}).to_string().parse().unwrap();
    let snapshot = collection.snapshot().unwrap();
    let selected = snapshot.select(&filter).unwrap();
    let id = |number| snapshot.id(number).unwrap().to_string().parse().unwrap();
    let mut ids: Vec<u64> = selected.points.iter().map(id).collect();
    ids.sort_unstable();
    (ids, selected.scanned)
}

/// What is asked, and the ids that are expected.
type Queries<'a> = &'a [(Value, &'a [u64])];

#[test]
fn an_index_says_what_the_words_are() -> Result<()> {
    let values = [
        json!("Red apples"),
        json!("red-hot RED"),
        json!(["an apple", "is red"]),
        json!("The reddest"),
        json!(7),
        json!("x ".repeat(300)),
    ];
    // Expected by hand, from what each parameter means.
    let cases: &[(Value, Queries<'_>)] = &[
        (
            json!("text"),
            &[
                (json!({"text": "RED"}), &[1, 2, 3]),
                (json!({"text": "apple red"}), &[3]),
                (json!({"text_any": "apples hot nothing"}), &[1, 2]),
                (json!({"phrase": "hot red"}), &[2]),
                (json!({"phrase": "apple is"}), &[]),
                (json!({"text": "-"}), &[]),
            ],
        ),
        (
            json!({"type": "text", "lowercase": false}),
            &[
                (json!({"text": "Red"}), &[1]),
                (json!({"text": "RED"}), &[2]),
                (json!({"phrase": "hot RED"}), &[2]),
            ],
        ),
        (
            json!({"type": "text", "tokenizer": "whitespace"}),
            &[(json!({"text": "red-hot"}), &[2]), (json!({"text": "hot"}), &[])],
        ),
        (
            json!({"type": "text", "tokenizer": "prefix", "min_token_len": 2, "max_token_len": 4}),
            &[
                (json!({"text": "re"}), &[1, 2, 3, 4]),
                (json!({"text": "redd"}), &[4]),
                (json!({"text": "reddxxx"}), &[4]),
                (json!({"text": "r"}), &[]),
                (json!({"phrase": "the reddest"}), &[4]),
            ],
        ),
        (
            json!({"type": "text", "min_token_len": 3, "max_token_len": 5}),
            &[
                (json!({"text": "is red"}), &[1, 2, 3]),
                (json!({"text": "is"}), &[]),
                (json!({"text": "reddest"}), &[]),
                (json!({"text": "the"}), &[4]),
            ],
        ),
        (
            json!({"type": "text", "stopwords": {"custom": ["The", "red"]}}),
            &[
                (json!({"text": "red hot"}), &[2]),
                (json!({"text": "the"}), &[]),
                (json!({"text": "reddest"}), &[4]),
            ],
        ),
    ];
    for (schema, queries) in cases {
        let collection = indexed(&values, schema)?;
        for (matched, expected) in *queries {
            let (ids, scanned) = found(&collection, matched);
            assert_eq!(ids, *expected, "{matched} by {schema}");
            assert!(scanned == 0 || matched.get("phrase").is_some(), "{matched} by {schema}");
        }
    }
    Ok(())
}

#[test]
fn words_longer_than_a_key_are_found() -> Result<()> {
    let long = "w".repeat(300);
    let other = "w".repeat(301);
    let collection = indexed(&[json!(long), json!(format!("{other} short"))], &json!("text"))?;
    assert_eq!(found(&collection, &json!({"text": long})), (vec![1], 2));
    assert_eq!(found(&collection, &json!({"text": format!("short {other}")})), (vec![2], 1));
    let collection = indexed(&[json!(long), json!("wa"), json!("b")], &json!("keyword"))?;
    assert_eq!(found(&collection, &json!({"prefix": "w"})), (vec![1, 2], 1));
    assert_eq!(found(&collection, &json!({"prefix": long})), (vec![1], 1));
    assert_eq!(found(&collection, &json!({"prefix": ""})), (vec![1, 2, 3], 1));
    Ok(())
}

const WORDS: [&str; 6] = ["red", "Red", "reds", "hot", "a", "Übel"];
const BETWEEN: [&str; 4] = [" ", "-", ", ", "  "];

fn random_text(rng: &mut StdRng) -> String {
    let words = rng.random_range(0..5);
    (0..words).fold(String::new(), |text, _| {
        text + WORDS.choose(rng).unwrap() + BETWEEN.choose(rng).unwrap()
    })
}

/// ` word word `, to look for ` word ` in.
fn spaced(text: &str) -> String {
    let letters = text.to_lowercase().replace(['-', ','], " ");
    format!(" {} ", letters.split(' ').filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" "))
}

fn judge(kind: &str, text: &str, values: &[String]) -> bool {
    let wanted = spaced(text);
    let words: Vec<String> = wanted.split(' ').filter(|it| !it.is_empty()).map(spaced).collect();
    let all: String = values.iter().map(|it| spaced(it)).collect();
    !words.is_empty()
        && match kind {
            "text" => words.iter().all(|word| all.contains(word.as_str())),
            "text_any" => words.iter().any(|word| all.contains(word.as_str())),
            _ => values.iter().any(|it| spaced(it).contains(&wanted)),
        }
}

#[test]
fn random_texts_are_found_by_their_words() -> Result<()> {
    let mut rng = StdRng::seed_from_u64(8);
    let texts: Vec<Vec<String>> = (0..400)
        .map(|_| (0..rng.random_range(0..3)).map(|_| random_text(&mut rng)).collect())
        .collect();
    let values: Vec<Value> = texts.iter().map(|it| json!(it)).collect();
    let collection = indexed(&values, &json!("text"))?;
    let mut some = 0;
    for _ in 0..300 {
        let kind = *["text", "text_any", "phrase"].choose(&mut rng).unwrap();
        let text = random_text(&mut rng);
        let expected: Vec<u64> =
            (1..).zip(&texts).filter(|(_, it)| judge(kind, &text, it)).map(|(id, _)| id).collect();
        let (ids, scanned) = found(&collection, &json!({kind: text}));
        assert_eq!(ids, expected, "{kind} {text:?}");
        assert!(kind == "phrase" || scanned == 0);
        some += usize::from(!ids.is_empty());
        // One string by itself is the same without an index.
        for values in texts.iter().filter(|it| it.len() == 1).take(20) {
            assert_eq!(
                holds(&json!({kind: text}), &json!(values)),
                judge(kind, &text, values),
                "{kind} {text:?}"
            );
        }
    }
    assert!(some > 100, "{some} texts with results: too few to tell");
    Ok(())
}

#[test]
fn uuids_are_found_as_they_are_spelled() -> Result<()> {
    let uuid = "550e8400-e29b-41d4-a716-446655440000";
    let values =
        [json!(uuid), json!(uuid.to_uppercase()), json!("other"), json!([uuid, 5]), json!(null)];
    let collection = indexed(&values, &json!({"type": "uuid", "is_tenant": true}))?;
    assert_eq!(found(&collection, &json!({"value": uuid})), (vec![1, 4], 0));
    assert_eq!(found(&collection, &json!({"value": uuid.to_uppercase()})), (vec![2], 1));
    assert_eq!(found(&collection, &json!({"any": [uuid, "other"]})), (vec![1, 3, 4], 1));
    assert_eq!(found(&collection, &json!({"except": [uuid]})).0, [2, 3, 4]);
    Ok(())
}

#[test]
fn a_field_has_one_text_index_whose_parameters_last() -> Result<()> {
    let directory = tempfile::tempdir().unwrap();
    let schema = json!({
        "type": "text", "tokenizer": "whitespace", "lowercase": false, "max_token_len": 9,
        "stopwords": {"custom": ["of"]}
    });
    let index: PayloadIndex =
        json!({"field_name": "t", "field_schema": schema}).to_string().parse()?;
    assert_eq!(serde_json::to_value(&index).unwrap()["field_schema"], schema);
    let collection = Collection::create(directory.path(), CollectionConfig::new())?;
    collection.create_index(index.clone())?;
    collection.create_index(index.clone())?;
    let another = PayloadIndex::new("t", IndexKind::ALL[7].clone())?;
    assert!(collection.create_index(another).is_err());
    collection.create_index(PayloadIndex::new("t", IndexKind::Keyword)?)?;
    drop(collection);
    let collection = Collection::open(directory.path())?;
    assert_eq!(collection.snapshot()?.indexes().next(), Some(&index));
    // By a call that says so, another is in the place of all.
    let another = PayloadIndex::new("t", IndexKind::ALL[7].clone())?;
    collection.replace_index(another.clone())?;
    collection.replace_index(another.clone())?;
    let snapshot = collection.snapshot()?;
    assert_eq!(snapshot.indexes().collect::<Vec<_>>(), [&another]);
    collection.create_index(PayloadIndex::new("t", IndexKind::Keyword)?)?;
    let dropped =
        ["t", "t", "u"].map(|field| collection.drop_indexes(&field.parse().unwrap()).unwrap());
    assert_eq!(dropped, [2, 0, 0]);
    assert_eq!(collection.snapshot()?.indexes().len(), 0);
    Ok(())
}

/// Hints change nothing, and are shown as they were given, also of an index that was there without them.
#[test]
fn hints_of_an_index_are_kept() -> Result<()> {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::create(directory.path(), CollectionConfig::new())?;
    let schemas = [
        json!("keyword"),
        json!({"type": "keyword"}),
        json!({"type": "keyword", "is_tenant": true, "on_disk": true}),
        json!({"type": "integer", "lookup": true, "range": false, "is_principal": true}),
        json!({"type": "text", "lowercase": true, "phrase_matching": true, "on_disk": false}),
    ];
    for schema in &schemas {
        collection.create_index(
            json!({"field_name": "f", "field_schema": schema}).to_string().parse()?,
        )?;
        let last = collection.snapshot()?.indexes().last().cloned().unwrap();
        assert_eq!(last.schema(), *schema);
    }
    drop(collection);
    let collection = Collection::open(directory.path())?;
    let shown: Vec<_> = collection.snapshot()?.indexes().map(PayloadIndex::schema).collect();
    assert_eq!(shown, schemas[2..]);
    assert_eq!(PayloadIndex::new("f", IndexKind::Geo)?.schema(), "geo");
    Ok(())
}

#[test]
fn what_no_index_can_be_is_refused_with_its_place() {
    for (schema, expected) in [
        (json!("number"), "expected index.field_schema to be one of keyword, integer,"),
        (json!({"is_tenant": true}), "expected index.field_schema.type to be given"),
        (
            json!({"type": "keyword", "tokenizer": "word"}),
            "expected only type in index.field_schema, got \"tokenizer\"",
        ),
        (json!({"type": "text", "tokenizer": "multilingual"}), "index.field_schema.tokenizer: "),
        (
            json!({"type": "text", "stemmer": {"type": "snowball", "language": "hebrew"}}),
            "expected index.field_schema.stemmer.language to be a language that has a stemmer",
        ),
        (json!({"type": "text", "stopwords": "klingon"}), "index.field_schema.stopwords: "),
        (
            json!({"type": "text", "min_token_len": 0}),
            "expected index.field_schema.min_token_len to be at least 1",
        ),
    ] {
        let json = json!({"field_name": "t", "field_schema": schema}).to_string();
        let got = json.parse::<PayloadIndex>().unwrap_err().to_string();
        assert!(got.starts_with(expected), "expected {expected}, got {got}");
    }
    for hint in ["on_disk", "is_tenant", "enable_hnsw"] {
        let json = json!({"field_name": "t", "field_schema": {"type": "keyword", hint: true}});
        let index: PayloadIndex = json.to_string().parse().unwrap();
        assert_eq!(index, PayloadIndex::new("t", IndexKind::Keyword).unwrap());
    }
}

#[test]
fn words_are_folded_stopped_and_stemmed() {
    // Snowball's English takes running to run and ponies to poni; NLTK has the and of, and not run.
    let matches = |params: Value, text: &str, words: &str| {
        let collection = Collection::temporary(CollectionConfig::new()).unwrap();
        let mut schema = json!({"type": "text"});
        schema.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
        let index = json!({"field_name": "t", "field_schema": schema}).to_string();
        collection.create_index(index.parse().unwrap()).unwrap();
        let payload = json!({"t": text}).as_object().unwrap().clone();
        collection.upsert(vec![Point::new(1).payload(payload)]).unwrap();
        let filter = json!({"must": {"key": "t", "match": {"text": words}}}).to_string();
        collection.count(&filter.parse().unwrap()).unwrap() == 1
    };
    let english =
        || json!({"stemmer": {"type": "snowball", "language": "en"}, "stopwords": "english"});
    assert!(matches(english(), "Running of the ponies", "run pony"));
    assert!(!matches(json!({}), "Running of the ponies", "run pony"));
    assert!(matches(english(), "Running", "the run of"));
    assert!(!matches(json!({}), "Running", "the running of"));
    assert!(!matches(english(), "the of", "the"));
    assert!(matches(json!({"ascii_folding": true}), "Crème brûlée", "creme BRULEE"));
    assert!(!matches(json!({}), "Crème brûlée", "creme brulee"));
    let custom = json!({"stopwords": {"languages": ["german"], "custom": ["Haus"]}});
    assert!(matches(custom.clone(), "ein Baum", "das Haus Baum"));
    let none = json!({"stemmer": {"type": "none"}});
    assert!(!matches(none, "running", "run"));
}

#[test]
fn what_is_built_is_what_is_read() {
    let built = [
        (Match::text("a b"), json!({"text": "a b"})),
        (Match::text_any("a b"), json!({"text_any": "a b"})),
        (Match::phrase("a b"), json!({"phrase": "a b"})),
        (Match::prefix("a"), json!({"prefix": "a"})),
        (Match::substring("a"), json!({"substring": "a"})),
    ];
    for (matched, json) in built {
        let filter = maxfold::filter::Condition::field("t", Test::from(matched)).unwrap();
        let json = json!({"must": {"key": "t", "match": json}}).to_string();
        assert_eq!(Filter::new().must(filter), json.parse().unwrap());
    }
    assert_eq!(Match::text("a"), Match::Text(TextMatch::All("a".into())));
}
