//! [`Scoring`] from Qdrant's JSON, and to it.

use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::scoring::{
    ContextPair, Direction, Example, Feedback, Fusion, Mmr, OrderBy, OrderValue, Recommend,
    RecommendStrategy, Scoring,
};
use crate::Result;
use crate::collection::Vector;
use crate::decimal::spelled;
use crate::filter::{Datetime, FieldPath, PointId};
use crate::json::{self, Foreign, Json, Node, Object};
use crate::search::formula::Formula;

/// The rules, and last what stands beside the first of them.
const FIELDS: &[&str] = &[
    "nearest",
    "recommend",
    "discover",
    "context",
    "order_by",
    "fusion",
    "rrf",
    "sample",
    "relevance_feedback",
    "mmr",
];
const RULES: &[&str] = FIELDS.split_at(FIELDS.len() - 1).0;
const BESIDE_RULES: &[Foreign] = &[
    Foreign::new("text", WORDS),
    Foreign::new("model", WORDS),
    Foreign::new("image", "an image as a query"),
    Foreign::new("object", "an object as a query"),
];
const WORDS: &str = "a query in words";

const EXPECTED: &str = "a vector, the id of a point, or an object with one of nearest, recommend, \
                        discover, context, order_by, fusion, rrf, formula, sample, \
                        relevance_feedback";

impl Scoring {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let Json::Object(_) = node.json() else {
            return match node.json() {
                Json::Array(_) | Json::Number(_) | Json::String(_) => {
                    Example::read(node).map(Self::Nearest)
                }
                _ => Err(node.expected(EXPECTED)),
            };
        };
        if node.json().get("indices").is_some() {
            return Example::read(node).map(Self::Nearest);
        }
        if node.json().get("formula").is_some() {
            return Formula::read(node).map(Self::Formula);
        }
        let object = node.object_beside(FIELDS, BESIDE_RULES)?;
        let mmr = object.map("mmr", Mmr::read)?;
        match (object.only(RULES), mmr) {
            (Some(("nearest", example)), Some(mmr)) => Ok(Self::Mmr(Example::read(&example)?, mmr)),
            (Some((rule, node)), None) => Self::read_rule(rule, &node),
            _ => Err(node.expected(EXPECTED)),
        }
    }

    fn read_rule(rule: &str, node: &Node<'_>) -> Result<Self> {
        match rule {
            "nearest" => Example::read(node).map(Self::Nearest),
            "recommend" => Recommend::read(node).map(Self::Recommend),
            "discover" => {
                let object = node.object(&["target", "context"])?;
                let context = object.map("context", read_pairs)?.unwrap_or_default();
                let target = Example::read(&object.required("target")?)?;
                Ok(Self::Discover { target, context })
            }
            "context" => read_pairs(node).map(Self::Context),
            "order_by" => OrderBy::read(node).map(Self::OrderBy),
            "fusion" => match node.string()? {
                "rrf" => Ok(Self::Fusion(Fusion::rrf())),
                "dbsf" => Ok(Self::Fusion(Fusion::Dbsf)),
                _ => Err(node.expected("rrf or dbsf")),
            },
            "rrf" => read_rrf(node).map(Self::Fusion),
            "sample" if node.string()? == "random" => Ok(Self::Sample),
            "sample" => Err(node.expected("random")),
            _ => Feedback::read(node).map(Self::Feedback),
        }
    }

    fn to_json(&self) -> Result<Value> {
        Ok(match self {
            Self::Formula(formula) => return formula.to_json(),
            Self::Nearest(example) => json!({"nearest": example}),
            Self::Mmr(example, Mmr { diversity, candidates_limit }) => {
                let limit = ("candidates_limit", json!(candidates_limit));
                let mmr = json::object([("diversity", json!(spelled(*diversity))), limit]);
                json!({"nearest": example, "mmr": mmr})
            }
            Self::Recommend(Recommend { positive, negative, strategy }) => {
                json!({"recommend": {
                    "positive": positive, "negative": negative, "strategy": strategy.name(),
                }})
            }
            Self::Discover { target, context } => {
                json!({"discover": {"target": target, "context": context}})
            }
            Self::Context(pairs) => json!({"context": pairs}),
            Self::Feedback(feedback) => json!({"relevance_feedback": feedback.to_json()}),
            Self::Fusion(Fusion::Dbsf) => json!({"fusion": "dbsf"}),
            Self::Fusion(Fusion::Rrf { k, weights }) => {
                let weights: Vec<f64> = weights.iter().map(|it| spelled(*it)).collect();
                let weights = if weights.is_empty() { Value::Null } else { json!(weights) };
                json!({"rrf": json::object([("k", json!(k)), ("weights", weights)])})
            }
            Self::OrderBy(OrderBy { key, direction, start_from }) => {
                json!({"order_by": json::object([
                    ("key", json!(key)),
                    ("direction", json!(direction.name())),
                    ("start_from", json!(start_from)),
                ])})
            }
            Self::Sample => json!({"sample": "random"}),
        })
    }
}

impl Example {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        match node.json() {
            Json::Number(_) | Json::String(_) => PointId::read(node).map(Self::Point),
            json @ Json::Object(_) if json.get("indices").is_none() => {
                node.object_beside(&["indices", "values"], BESIDE_RULES)?;
                Err(node.expected("a vector, or the id of a point"))
            }
            _ => Vector::read(node).map(Self::Vector),
        }
    }

    /// Refuses what could not be read again from JSON.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Vector(vector) => vector.check(),
            Self::Point(_) => Ok(()),
        }
    }
}

fn read_examples(object: &Object<'_>, key: &'static str) -> Result<Vec<Example>> {
    let examples = object.map(key, |node| node.array()?.iter().map(Example::read).collect())?;
    Ok(examples.unwrap_or_default())
}

/// One pair, or several.
fn read_pairs(node: &Node<'_>) -> Result<Vec<ContextPair>> {
    let pair = |node: &Node<'_>| {
        let object = node.object(&["positive", "negative"])?;
        let [positive, negative] = ["positive", "negative"].map(|key| object.required(key));
        Ok(ContextPair {
            positive: Example::read(&positive?)?,
            negative: Example::read(&negative?)?,
        })
    };
    node.one_or_many().iter().map(pair).collect()
}

impl Mmr {
    fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(&["diversity", "candidates_limit"])?;
        let diversity = object.map("diversity", |node| match node.f32()? {
            value if (0.0..=1.0).contains(&value) => Ok(value),
            _ => Err(node.expected("0 to 1")),
        })?;
        let candidates_limit = object.map("candidates_limit", |node| match node.count()? {
            count if count <= Mmr::MOST_CANDIDATES => Ok(count),
            _ => Err(node.expected("at most 16384")),
        })?;
        Ok(Self { diversity: diversity.unwrap_or(Self::default().diversity), candidates_limit })
    }
}

impl Recommend {
    fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(&["positive", "negative", "strategy"])?;
        let strategy = object.map("strategy", |node| {
            let name = node.string()?;
            let found = RecommendStrategy::ALL.into_iter().find(|it| it.name() == name);
            found.ok_or_else(|| node.expected("average_vector, best_score or sum_scores"))
        })?;
        let [positive, negative] = ["positive", "negative"].map(|key| read_examples(&object, key));
        Ok(Self {
            positive: positive?,
            negative: negative?,
            strategy: strategy.unwrap_or_default(),
        })
    }
}

impl RecommendStrategy {
    const ALL: [Self; 3] = [Self::AverageVector, Self::BestScore, Self::SumScores];

    fn name(self) -> &'static str {
        match self {
            Self::AverageVector => "average_vector",
            Self::BestScore => "best_score",
            Self::SumScores => "sum_scores",
        }
    }
}

fn read_rrf(node: &Node<'_>) -> Result<Fusion> {
    let object = node.object(&["k", "weights"])?;
    let k = object.map("k", Node::positive)?;
    let weights = object.map("weights", Node::f32s)?.unwrap_or_default();
    Ok(Fusion::Rrf { k: k.unwrap_or(Fusion::DEFAULT_K), weights })
}

impl Feedback {
    fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(&["target", "feedback", "strategy"])?;
        let judged = |node: &Node<'_>| {
            let object = node.object(&["example", "score"])?;
            Ok((Example::read(&object.required("example")?)?, object.required("score")?.f32()?))
        };
        let strategy = object.required("strategy")?.object(&["naive"])?.required("naive")?;
        let strategy = strategy.object(&["a", "b", "c"])?;
        let [a, b, c] = ["a", "b", "c"].map(|key| strategy.required(key)?.f32());
        Ok(Self {
            target: Example::read(&object.required("target")?)?,
            judged: object
                .required("feedback")?
                .array()?
                .iter()
                .map(judged)
                .collect::<Result<_>>()?,
            a: a?,
            b: b?,
            c: c?,
        })
    }

    fn to_json(&self) -> Value {
        let judged = |(example, score): &(Example, f32)| json!({"example": example, "score": spelled(*score)});
        let judged: Vec<Value> = self.judged.iter().map(judged).collect();
        let [a, b, c] = [self.a, self.b, self.c].map(spelled);
        let strategy = json!({"naive": {"a": a, "b": b, "c": c}});
        json!({"target": self.target, "feedback": judged, "strategy": strategy})
    }
}

impl OrderBy {
    /// A key, or an object with one.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        if let Json::String(_) = node.json() {
            let key = FieldPath::read(node)?;
            return Ok(Self { key, direction: Direction::Asc, start_from: None });
        }
        let object = node.object(&["key", "direction", "start_from"])?;
        let direction = object.map("direction", |node| match node.string()? {
            "asc" => Ok(Direction::Asc),
            "desc" => Ok(Direction::Desc),
            _ => Err(node.expected("asc or desc")),
        })?;
        Ok(Self {
            key: FieldPath::read(&object.required("key")?)?,
            direction: direction.unwrap_or_default(),
            start_from: object.map("start_from", OrderValue::read)?,
        })
    }
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }
}

impl OrderValue {
    fn read(node: &Node<'_>) -> Result<Self> {
        let value = Self::of(&node.json().to_value());
        value.ok_or_else(|| node.expected("a number, or a datetime in RFC 3339"))
    }

    /// The value by which JSON is ordered, if it is by any.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => match number.as_i64() {
                Some(integer) => Some(Self::Integer(integer)),
                None => number.as_f64().map(Self::Float),
            },
            Value::String(text) => text.parse::<Datetime>().ok().map(Self::datetime),
            _ => None,
        }
    }
}

impl Serialize for Scoring {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // Vectors are long: straight.
            Self::Nearest(Example::Vector(vector)) => vector.serialize(serializer),
            other => other.to_json().map_err(S::Error::custom)?.serialize(serializer),
        }
    }
}

impl Serialize for Example {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Vector(vector) => vector.serialize(serializer),
            Self::Point(id) => id.serialize(serializer),
        }
    }
}

impl Serialize for ContextPair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_map(Some(2))?;
        pair.serialize_entry("positive", &self.positive)?;
        pair.serialize_entry("negative", &self.negative)?;
        pair.end()
    }
}

impl Serialize for OrderValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(value) => value.serialize(serializer),
            Self::Float(value) => value.serialize(serializer),
        }
    }
}
