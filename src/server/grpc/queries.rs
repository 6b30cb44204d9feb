//! Requests that change nothing.

use qdrant_client::qdrant::{
    self, ContextExamplePair, LookupLocation, SparseIndices, expression, feedback_strategy, query,
    start_from, target_vector, text_query, vector_example,
};

use super::spell::{
    Spell, Spelled, Unspell, enumerated, list, mirror_words, named, object, spell_fields, word,
};
use serde_json::Value;

use super::vectors::flat;
use crate::json::Tree;

mirror_words! {
    Direction { Asc = "asc", Desc = "desc" }
    Fusion { Rrf = "rrf", Dbsf = "dbsf" }
    Sample { Random = "random" }
    RecommendStrategy {
        AverageVector = "average_vector", BestScore = "best_score", SumScores = "sum_scores",
    }
}

spell_fields! {
    SearchParams { hnsw_ef, exact, quantization, indexed_only, acorn, idf }
    QuantizationSearchParams { ignore, rescore, oversampling }
    AcornSearchParams { enable, max_selectivity }
    RecommendInput { positive, negative, strategy as RecommendStrategy }
    ContextInputPair { positive, negative }
    DiscoverInput { target, context }
    ContextExamplePair { positive, negative }
    OrderBy { key, direction as Direction, start_from }
    Mmr { diversity, candidates_limit }
    Rrf { k, weights }
    FeedbackItem { example, score }
    NaiveFeedbackStrategy { a, b, c }
    Bm25Params { k, b }
    GeoDistance { origin, to }
    DivExpression { left, right, by_zero_default }
    PowExpression { base, exponent }
    DecayParamsExpression { x, target, scale, midpoint }
}

impl Spell for qdrant::IdfParams {
    fn spell(self) -> Spelled {
        match self.corpus {
            Some(corpus) => object([("corpus", corpus.spell())]),
            None => Ok(word("global")),
        }
    }
}

impl Spell for LookupLocation {
    fn spell(self) -> Spelled {
        object([
            ("collection", self.collection_name.spell()),
            ("vector", self.vector_name.spell()),
            ("shard_key", self.shard_key_selector.spell()),
        ])
    }
}

impl Spell for qdrant::WithLookup {
    fn spell(self) -> Spelled {
        object([
            ("collection", self.collection.spell()),
            ("with_payload", self.with_payload.spell()),
            ("with_vectors", self.with_vectors.spell()),
        ])
    }
}

impl Spell for qdrant::ContextInput {
    fn spell(self) -> Spelled {
        list(self.pairs)
    }
}

impl Spell for qdrant::StartFrom {
    fn spell(self) -> Spelled {
        match self.value {
            Some(start_from::Value::Integer(value)) => value.spell(),
            Some(start_from::Value::Float(value)) => value.spell(),
            Some(start_from::Value::Timestamp(time)) => time.spell(),
            Some(start_from::Value::Datetime(text)) => text.spell(),
            None => Ok(Tree::Null),
        }
    }
}

impl Spell for qdrant::Query {
    fn spell(self) -> Spelled {
        use query::Variant;

        let Some(query) = self.variant else { return Ok(Tree::Null) };
        object([match query {
            Variant::Nearest(example) => ("nearest", example.spell()),
            Variant::Recommend(examples) => ("recommend", examples.spell()),
            Variant::Discover(input) => ("discover", input.spell()),
            Variant::Context(input) => ("context", input.spell()),
            Variant::OrderBy(order) => ("order_by", order.spell()),
            Variant::Fusion(fusion) => ("fusion", enumerated::<qdrant::Fusion>(fusion)),
            Variant::Sample(sample) => ("sample", enumerated::<qdrant::Sample>(sample)),
            Variant::Rrf(rrf) => ("rrf", rrf.spell()),
            Variant::RelevanceFeedback(feedback) => ("relevance_feedback", feedback.spell()),
            Variant::Text(text) => ("text", text.spell()),
            Variant::Formula(formula) => return formula.spell(),
            Variant::NearestWithMmr(nearest) => {
                return object([
                    ("nearest", nearest.nearest.spell()),
                    ("mmr", nearest.mmr.spell()),
                ]);
            }
        }])
    }
}

impl Spell for qdrant::RelevanceFeedbackInput {
    fn spell(self) -> Spelled {
        let strategy = match self.strategy.and_then(|it| it.variant) {
            Some(feedback_strategy::Variant::Naive(weights)) => {
                object([("naive", weights.spell())])
            }
            None => Ok(Tree::Null),
        };
        object([
            ("target", self.target.spell()),
            ("feedback", list(self.feedback)),
            ("strategy", strategy),
        ])
    }
}

impl Spell for qdrant::TextQuery {
    fn spell(self) -> Spelled {
        let scoring = match self.scoring {
            Some(text_query::Scoring::Bm25(params)) => object([("bm25", params.spell())]),
            None => Ok(Tree::Null),
        };
        object([("query", self.query.spell()), ("scoring", scoring)])
    }
}

impl Spell for qdrant::Formula {
    fn spell(self) -> Spelled {
        object([("formula", self.expression.spell()), ("defaults", self.defaults.spell())])
    }
}

impl Spell for qdrant::Expression {
    fn spell(self) -> Spelled {
        use expression::Variant;

        let Some(expression) = self.variant else { return Ok(Tree::Null) };
        object([match expression {
            Variant::Constant(value) => return value.spell(),
            Variant::Variable(name) => return name.spell(),
            Variant::Condition(condition) => return condition.spell(),
            Variant::GeoDistance(distance) => ("geo_distance", distance.spell()),
            Variant::Datetime(text) => ("datetime", text.spell()),
            Variant::DatetimeKey(key) => ("datetime_key", key.spell()),
            Variant::Mult(of) => ("mult", list(of.mult)),
            Variant::Sum(of) => ("sum", list(of.sum)),
            Variant::Max(of) => ("max", list(of.max)),
            Variant::Min(of) => ("min", list(of.min)),
            Variant::Div(of) => ("div", of.spell()),
            Variant::Pow(of) => ("pow", of.spell()),
            Variant::Neg(of) => ("neg", of.spell()),
            Variant::Abs(of) => ("abs", of.spell()),
            Variant::Sqrt(of) => ("sqrt", of.spell()),
            Variant::Exp(of) => ("exp", of.spell()),
            Variant::Log10(of) => ("log10", of.spell()),
            Variant::Ln(of) => ("ln", of.spell()),
            Variant::Acosh(of) => ("acosh", of.spell()),
            Variant::ExpDecay(of) => ("exp_decay", of.spell()),
            Variant::GaussDecay(of) => ("gauss_decay", of.spell()),
            Variant::LinDecay(of) => ("lin_decay", of.spell()),
        }])
    }
}

impl Spell for qdrant::PrefetchQuery {
    fn spell(self) -> Spelled {
        object([
            ("prefetch", self.prefetch.spell()),
            ("query", self.query.spell()),
            ("using", self.using.spell()),
            ("filter", self.filter.spell()),
            ("params", self.params.spell()),
            ("score_threshold", self.score_threshold.spell()),
            ("lookup_from", self.lookup_from.spell()),
            ("limit", self.limit.spell()),
        ])
    }
}

/// What requests for points have in common: fields of their messages with the same names.
macro_rules! parts {
    ($message:ident: $query:expr, $using:ident, $($more:tt)*) => {
        object([
            ("query", $query),
            ("using", $message.$using.spell()),
            ("filter", $message.filter.spell()),
            ("params", $message.params.spell()),
            ("limit", $message.limit.spell()),
            ("with_payload", $message.with_payload.spell()),
            ("with_vector", $message.with_vectors.spell()),
            ("shard_key", $message.shard_key_selector.spell()),
            $($more)*
        ])
    };
}

impl Spell for qdrant::QueryPoints {
    fn spell(self) -> Spelled {
        parts!(self: self.query.spell(), using,
            ("prefetch", self.prefetch.spell()),
            ("score_threshold", self.score_threshold.spell()),
            ("lookup_from", self.lookup_from.spell()),
            ("offset", self.offset.spell()),
        )
    }
}

impl Spell for qdrant::QueryPointGroups {
    fn spell(self) -> Spelled {
        parts!(self: self.query.spell(), using,
            ("prefetch", self.prefetch.spell()),
            ("score_threshold", self.score_threshold.spell()),
            ("lookup_from", self.lookup_from.spell()),
            ("group_by", self.group_by.spell()),
            ("group_size", self.group_size.spell()),
            ("with_lookup", self.with_lookup.spell()),
        )
    }
}

/// Older requests are queries in another shape.
fn nearest(vector: Vec<f32>, indices: Option<SparseIndices>) -> Spelled {
    object([("nearest", flat(vector, indices, None))])
}

impl Spell for qdrant::SearchPoints {
    fn spell(self) -> Spelled {
        parts!(self: nearest(self.vector, self.sparse_indices), vector_name,
            ("score_threshold", self.score_threshold.spell()),
            ("offset", self.offset.spell()),
        )
    }
}

impl Spell for qdrant::SearchPointGroups {
    fn spell(self) -> Spelled {
        parts!(self: nearest(self.vector, self.sparse_indices), vector_name,
            ("score_threshold", self.score_threshold.spell()),
            ("group_by", self.group_by.spell()),
            ("group_size", self.group_size.spell()),
            ("with_lookup", self.with_lookup.spell()),
        )
    }
}

/// Examples by their ids, and by their vectors.
fn examples(ids: Vec<qdrant::PointId>, vectors: Vec<qdrant::Vector>) -> Spelled {
    let ids = ids.into_iter().map(Spell::spell);
    ids.chain(vectors.into_iter().map(Spell::spell)).collect::<Result<_, _>>().map(Tree::Array)
}

/// The query of a message with examples.
macro_rules! recommended {
    ($message:ident) => {
        object([(
            "recommend",
            object([
                ("positive", examples($message.positive, $message.positive_vectors)),
                ("negative", examples($message.negative, $message.negative_vectors)),
                ("strategy", enumerated::<qdrant::RecommendStrategy>($message.strategy)),
            ]),
        )])
    };
}

impl Spell for qdrant::RecommendPoints {
    fn spell(self) -> Spelled {
        parts!(self: recommended!(self), using,
            ("score_threshold", self.score_threshold.spell()),
            ("lookup_from", self.lookup_from.spell()),
            ("offset", self.offset.spell()),
        )
    }
}

impl Spell for qdrant::RecommendPointGroups {
    fn spell(self) -> Spelled {
        parts!(self: recommended!(self), using,
            ("score_threshold", self.score_threshold.spell()),
            ("lookup_from", self.lookup_from.spell()),
            ("group_by", self.group_by.spell()),
            ("group_size", self.group_size.spell()),
            ("with_lookup", self.with_lookup.spell()),
        )
    }
}

impl Spell for qdrant::VectorExample {
    fn spell(self) -> Spelled {
        match self.example {
            Some(vector_example::Example::Id(id)) => id.spell(),
            Some(vector_example::Example::Vector(vector)) => vector.spell(),
            None => Ok(Tree::Null),
        }
    }
}

/// With a target it is a discovery, without one a context.
fn discovered(target: Option<qdrant::TargetVector>, pairs: Vec<ContextExamplePair>) -> Spelled {
    let pairs = list(pairs);
    match target.and_then(|it| it.target) {
        Some(target_vector::Target::Single(target)) => {
            object([("discover", object([("target", target.spell()), ("context", pairs)]))])
        }
        None => object([("context", pairs)]),
    }
}

impl Spell for qdrant::DiscoverPoints {
    fn spell(self) -> Spelled {
        parts!(self: discovered(self.target, self.context), using,
            ("lookup_from", self.lookup_from.spell()),
            ("offset", self.offset.spell()),
        )
    }
}

impl Spell for qdrant::ScrollPoints {
    fn spell(self) -> Spelled {
        object([
            ("filter", self.filter.spell()),
            ("offset", self.offset.spell()),
            ("limit", self.limit.spell()),
            ("with_payload", self.with_payload.spell()),
            ("with_vector", self.with_vectors.spell()),
            ("order_by", self.order_by.spell()),
            ("shard_key", self.shard_key_selector.spell()),
        ])
    }
}

impl Spell for qdrant::GetPoints {
    fn spell(self) -> Spelled {
        object([
            ("ids", list(self.ids)),
            ("with_payload", self.with_payload.spell()),
            ("with_vector", self.with_vectors.spell()),
            ("shard_key", self.shard_key_selector.spell()),
        ])
    }
}

impl Spell for qdrant::CountPoints {
    fn spell(self) -> Spelled {
        object([
            ("filter", self.filter.spell()),
            ("exact", self.exact.spell()),
            ("shard_key", self.shard_key_selector.spell()),
        ])
    }
}

impl Spell for qdrant::FacetCounts {
    fn spell(self) -> Spelled {
        object([
            ("key", self.key.spell()),
            ("filter", self.filter.spell()),
            ("limit", self.limit.spell()),
            ("exact", self.exact.spell()),
            ("shard_key", self.shard_key_selector.spell()),
        ])
    }
}

impl Spell for qdrant::SearchMatrixPoints {
    fn spell(self) -> Spelled {
        object([
            ("filter", self.filter.spell()),
            ("sample", self.sample.spell()),
            ("limit", self.limit.spell()),
            ("using", self.using.spell()),
            ("shard_key", self.shard_key_selector.spell()),
        ])
    }
}

/// Several requests at once.
pub(super) struct Searches<T>(pub Vec<T>);

impl<T: Spell> Spell for Searches<T> {
    fn spell(self) -> Spelled {
        object([("searches", list(self.0))])
    }
}
