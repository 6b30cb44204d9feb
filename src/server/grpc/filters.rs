//! Filters, and what names points.

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::{
    self, HasIdCondition, HasVectorCondition, PointsIdsList, PointsSelector, RepeatedIntegers,
    RepeatedStrings, ShardKeySelector, shard_key, with_payload_selector, with_vectors_selector,
};

use super::spell::{Spell, Spelled, list, named, object, spell_fields};
use crate::json::Tree;
use crate::server::refusal::Refusal;

spell_fields! {
    Filter { should, must, must_not, min_should }
    IsEmptyCondition { key }
    IsNullCondition { key }
    SliceCondition { total, index }
    NestedCondition { key, filter }
    Range { lt, gt, gte, lte }
    DatetimeRange { lt, gt, gte, lte }
    ValuesCount { lt, gt, gte, lte }
    GeoPoint { lon, lat }
    GeoBoundingBox { top_left, bottom_right }
    GeoRadius { center, radius }
    GeoPolygon { exterior, interiors }
}

impl Spell for qdrant::MinShould {
    fn spell(self) -> Spelled {
        object([("conditions", list(self.conditions)), ("min_count", self.min_count.spell())])
    }
}

impl Spell for qdrant::GeoLineString {
    fn spell(self) -> Spelled {
        object([("points", list(self.points))])
    }
}

impl Spell for qdrant::Condition {
    fn spell(self) -> Spelled {
        match self.condition_one_of {
            Some(ConditionOneOf::Field(field)) => field.spell(),
            Some(ConditionOneOf::IsEmpty(of)) => object([("is_empty", of.spell())]),
            Some(ConditionOneOf::IsNull(of)) => object([("is_null", of.spell())]),
            Some(ConditionOneOf::HasId(HasIdCondition { has_id })) => {
                object([("has_id", list(has_id))])
            }
            Some(ConditionOneOf::HasVector(HasVectorCondition { has_vector })) => {
                object([("has_vector", has_vector.spell())])
            }
            Some(ConditionOneOf::Slice(slice)) => object([("slice", slice.spell())]),
            Some(ConditionOneOf::Nested(nested)) => object([("nested", nested.spell())]),
            Some(ConditionOneOf::Filter(filter)) => filter.spell(),
            // Not a condition: no reader takes it.
            None => Ok(Tree::Null),
        }
    }
}

impl Spell for qdrant::FieldCondition {
    fn spell(self) -> Spelled {
        let range = match (self.range, self.datetime_range) {
            (range, None) => range.spell(),
            (None, range) => range.spell(),
            _ => Err(Refusal::wrong("expected a range or a datetime_range, got both")),
        };
        object([
            ("key", self.key.spell()),
            ("match", self.r#match.spell()),
            ("range", range),
            ("geo_bounding_box", self.geo_bounding_box.spell()),
            ("geo_radius", self.geo_radius.spell()),
            ("geo_polygon", self.geo_polygon.spell()),
            ("values_count", self.values_count.spell()),
            ("is_empty", self.is_empty.spell()),
            ("is_null", self.is_null.spell()),
        ])
    }
}

impl Spell for qdrant::Match {
    fn spell(self) -> Spelled {
        let Some(value) = self.match_value else { return object([]) };
        object([match value {
            MatchValue::Keyword(value) => ("value", value.spell()),
            MatchValue::Integer(value) => ("value", value.spell()),
            MatchValue::Boolean(value) => ("value", value.spell()),
            MatchValue::Keywords(RepeatedStrings { strings }) => ("any", list(strings)),
            MatchValue::Integers(RepeatedIntegers { integers }) => ("any", list(integers)),
            MatchValue::ExceptKeywords(RepeatedStrings { strings }) => ("except", list(strings)),
            MatchValue::ExceptIntegers(RepeatedIntegers { integers }) => ("except", list(integers)),
            MatchValue::Text(text) => ("text", text.spell()),
            MatchValue::TextAny(text) => ("text_any", text.spell()),
            MatchValue::Phrase(text) => ("phrase", text.spell()),
            MatchValue::Prefix(text) => ("prefix", text.spell()),
            MatchValue::Substring(text) => ("substring", text.spell()),
        }])
    }
}

/// An object with the points, or with the filter, that are named.
pub(super) fn selected(selector: Option<PointsSelector>) -> Spelled {
    match selector.and_then(|it| it.points_selector_one_of) {
        Some(PointsSelectorOneOf::Points(PointsIdsList { ids })) => object([("points", list(ids))]),
        Some(PointsSelectorOneOf::Filter(filter)) => object([("filter", filter.spell())]),
        None => object([]),
    }
}

impl Spell for qdrant::WithPayloadSelector {
    fn spell(self) -> Spelled {
        use with_payload_selector::SelectorOptions;

        match self.selector_options {
            Some(SelectorOptions::Enable(all)) => all.spell(),
            Some(SelectorOptions::Include(these)) => object([("include", list(these.fields))]),
            Some(SelectorOptions::Exclude(these)) => object([("exclude", list(these.fields))]),
            None => Ok(Tree::Null),
        }
    }
}

impl Spell for qdrant::WithVectorsSelector {
    fn spell(self) -> Spelled {
        use with_vectors_selector::SelectorOptions;

        match self.selector_options {
            Some(SelectorOptions::Enable(all)) => all.spell(),
            Some(SelectorOptions::Include(these)) => list(these.names),
            None => Ok(Tree::Null),
        }
    }
}

impl Spell for ShardKeySelector {
    fn spell(self) -> Spelled {
        self.shard_keys.spell()
    }
}

impl Spell for qdrant::ShardKey {
    fn spell(self) -> Spelled {
        match self.key {
            Some(shard_key::Key::Keyword(key)) => key.spell(),
            Some(shard_key::Key::Number(key)) => key.spell(),
            None => Ok(Tree::Null),
        }
    }
}
