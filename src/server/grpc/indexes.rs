//! Payload indexes: from messages, and what is shown of them, to messages.
#![expect(deprecated, reason = "fields that clients still send, and that were told to us")]

use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::stemming_algorithm::StemmingParams;
use qdrant_client::qdrant::{self, PayloadIndexParams};
use serde_json::Value;

use super::spell::{
    Spell, Spelled, Unspell, enumerated, mirror_fields, mirror_words, named, number, object,
    object_with, spell_fields, word,
};
use crate::json::Tree;

mirror_words! {
    FieldType {
        Keyword = "keyword", Integer = "integer", Float = "float", Geo = "geo", Text = "text",
        Bool = "bool", Datetime = "datetime", Uuid = "uuid",
    }
    PayloadSchemaType {
        Keyword = "keyword", Integer = "integer", Float = "float", Geo = "geo", Text = "text",
        Bool = "bool", Datetime = "datetime", Uuid = "uuid",
    }
    TokenizerType {
        Prefix = "prefix", Whitespace = "whitespace", Word = "word",
        Multilingual = "multilingual", Code = "code",
    }
    TextScoringType { Bm25 = "bm25" }
}

mirror_fields! {
    KeywordIndexParams { is_tenant, on_disk, enable_hnsw, prefix, memory as Memory, nested }
    IntegerIndexParams {
        lookup, range, is_principal, on_disk, enable_hnsw, memory as Memory, nested,
    }
    FloatIndexParams { on_disk, is_principal, enable_hnsw, memory as Memory, nested }
    GeoIndexParams { on_disk, enable_hnsw, memory as Memory, nested }
    TextIndexParams {
        tokenizer as TokenizerType, lowercase, min_token_len, max_token_len, on_disk, stopwords,
        phrase_matching, stemmer, ascii_folding, enable_hnsw, memory as Memory, scoring, nested,
    }
    TextScoringParams { r#type as TextScoringType }
    BoolIndexParams { on_disk, enable_hnsw, memory as Memory, nested }
    DatetimeIndexParams { on_disk, is_principal, enable_hnsw, memory as Memory, nested }
    UuidIndexParams { is_tenant, on_disk, enable_hnsw, memory as Memory, nested }
}

impl Spell for qdrant::CreateFieldIndexCollection {
    fn spell(self) -> Spelled {
        let schema = match self.field_index_params {
            Some(PayloadIndexParams { index_params: Some(params) }) => params.spell(),
            _ => enumerated::<qdrant::FieldType>(self.field_type),
        };
        object([("field_name", self.field_name.spell()), ("field_schema", schema)])
    }
}

impl Spell for IndexParams {
    fn spell(self) -> Spelled {
        let (kind, params) = match self {
            Self::KeywordIndexParams(params) => ("keyword", params.spell()),
            Self::IntegerIndexParams(params) => ("integer", params.spell()),
            Self::FloatIndexParams(params) => ("float", params.spell()),
            Self::GeoIndexParams(params) => ("geo", params.spell()),
            Self::TextIndexParams(params) => ("text", params.spell()),
            Self::BoolIndexParams(params) => ("bool", params.spell()),
            Self::DatetimeIndexParams(params) => ("datetime", params.spell()),
            Self::UuidIndexParams(params) => ("uuid", params.spell()),
        };
        object_with([("type", Ok(word(kind)))], params)
    }
}

impl Unspell for PayloadIndexParams {
    fn unspell(json: &Value) -> Self {
        let index_params = match json["type"].as_str() {
            Some("keyword") => Some(IndexParams::KeywordIndexParams(Unspell::unspell(json))),
            Some("integer") => Some(IndexParams::IntegerIndexParams(Unspell::unspell(json))),
            Some("float") => Some(IndexParams::FloatIndexParams(Unspell::unspell(json))),
            Some("geo") => Some(IndexParams::GeoIndexParams(Unspell::unspell(json))),
            Some("text") => Some(IndexParams::TextIndexParams(Unspell::unspell(json))),
            Some("bool") => Some(IndexParams::BoolIndexParams(Unspell::unspell(json))),
            Some("datetime") => Some(IndexParams::DatetimeIndexParams(Unspell::unspell(json))),
            Some("uuid") => Some(IndexParams::UuidIndexParams(Unspell::unspell(json))),
            _ => None,
        };
        Self { index_params }
    }
}

/// That it is there is all that it says: in JSON `true`.
impl Spell for qdrant::KeywordPrefixParams {
    fn spell(self) -> Spelled {
        true.spell()
    }
}

impl Unspell for qdrant::KeywordPrefixParams {
    fn unspell(_: &Value) -> Self {
        Self {}
    }
}

impl Spell for qdrant::StopwordsSet {
    fn spell(self) -> Spelled {
        object([("languages", self.languages.spell()), ("custom", self.custom.spell())])
    }
}

/// A language stands for a set of one.
impl Unspell for qdrant::StopwordsSet {
    fn unspell(json: &Value) -> Self {
        match json.as_str() {
            Some(language) => Self { languages: vec![language.into()], custom: Vec::new() },
            None => Self {
                languages: Unspell::unspell(&json["languages"]),
                custom: Unspell::unspell(&json["custom"]),
            },
        }
    }
}

impl Spell for qdrant::StemmingAlgorithm {
    fn spell(self) -> Spelled {
        match self.stemming_params {
            Some(StemmingParams::Snowball(params)) => {
                object([("type", Ok(word("snowball"))), ("language", params.language.spell())])
            }
            Some(StemmingParams::Disabled(_)) => object([("type", Ok(word("none")))]),
            None => Ok(Tree::Null),
        }
    }
}

impl Unspell for qdrant::StemmingAlgorithm {
    fn unspell(json: &Value) -> Self {
        let stemming = match json["language"].as_str() {
            Some(language) => {
                StemmingParams::Snowball(qdrant::SnowballParams { language: language.into() })
            }
            None => StemmingParams::Disabled(qdrant::DisabledStemmer {}),
        };
        Self { stemming_params: Some(stemming) }
    }
}
