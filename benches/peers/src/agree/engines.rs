//! The same points in both engines, and the same requests to both.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use maxfold::collection::{Collection, CollectionConfig, PayloadIndex, Point};
use maxfold::filter::{IndexKind, PointId};
use maxfold::rerank::{Backend, Reranker};
use maxfold::search::{Searcher, SearcherOptions};
use qdrant_edge::{
    CreateIndex, EdgeConfig, EdgeOptimizersConfig, EdgeShard, EdgeVectorParams,
    FieldIndexOperations, HnswIndexConfig, JsonPath, MultiVectorConfig, PayloadFieldSchema,
    PayloadSchemaType, PointInsertOperations, PointOperations, PointStruct, TypedMultiDenseVector,
    UpdateOperation, Vector, VectorInternal, VectorStorageDatatype, Vectors,
};
use serde_json::{Value, json};

use super::points::{Distance, INDEXED, Named, Rows, Sample, VECTORS};
use crate::edge_json;

/// A result: the id in JSON, and the score.
pub type Hit = (String, f64);

/// Points of a call.
const BATCH: usize = 300;

pub struct Engines {
    maxfold: Searcher,
    edge: EdgeShard,
    edge_without_indexes: EdgeShard,
}

impl Engines {
    /// Both collections, made in `folder`; Edge's multivectors in this type.
    pub fn new(points: &[Sample], datatype: VectorStorageDatatype, folder: &Path) -> Result<Self> {
        let edge =
            |folder: &Path, indexes: &[(&str, &str)]| edge(points, datatype, indexes, folder);
        Ok(Self {
            maxfold: maxfold(points, &folder.join("maxfold"))?,
            edge: edge(&folder.join("edge"), &INDEXED)?,
            edge_without_indexes: edge(&folder.join("edge-without-indexes"), &[])?,
        })
    }

    pub fn ask_maxfold(&self, body: &Value) -> Result<Vec<Hit>> {
        let response = self.maxfold.query(&body.to_string().parse()?)?;
        let hit = |it: &maxfold::search::ScoredPoint| {
            Ok((serde_json::to_string(&it.id)?, f64::from(it.score)))
        };
        response.points.iter().map(hit).collect()
    }

    pub fn ask_edge(&self, body: &Value) -> Result<Vec<Hit>> {
        ask_edge(&self.edge, body)
    }

    /// The same points, none of whose payload fields is indexed.
    pub fn ask_edge_without_indexes(&self, body: &Value) -> Result<Vec<Hit>> {
        ask_edge(&self.edge_without_indexes, body)
    }
}

fn ask_edge(shard: &EdgeShard, body: &Value) -> Result<Vec<Hit>> {
    let hits = shard.query(edge_json::request(body)?)?;
    hits.iter().map(|it| Ok((serde_json::to_string(&it.id)?, f64::from(it.score)))).collect()
}

fn maxfold(points: &[Sample], folder: &Path) -> Result<Searcher> {
    let vector = |it: &Named| {
        let distance = match it.distance {
            Distance::Cosine => "Cosine",
            Distance::Dot => "Dot",
            Distance::Euclid => "Euclid",
        };
        let multi = it.multi.then(|| json!({"comparator": "max_sim"}));
        let config = json!({"size": it.size, "distance": distance, "multivector_config": multi});
        (it.name.to_owned(), config)
    };
    let vectors: Value = VECTORS.iter().map(vector).collect::<serde_json::Map<_, _>>().into();
    let config: CollectionConfig = json!({"vectors": vectors}).to_string().parse()?;
    let collection = Collection::create(folder, config)?;
    for (key, kind) in INDEXED {
        let kind = match kind {
            "keyword" => IndexKind::Keyword,
            "integer" => IndexKind::Integer,
            "float" => IndexKind::Float,
            "bool" => IndexKind::Bool,
            _ => IndexKind::Datetime,
        };
        collection.create_index(PayloadIndex::new(key, kind)?)?;
    }
    for batch in points.chunks(BATCH) {
        collection.upsert(batch.iter().map(our_point).collect::<Result<_>>()?)?;
    }
    let options = SearcherOptions::new().reranker(Reranker::new(Backend::Cpu)?);
    Ok(Searcher::with_options(collection, options)?)
}

fn our_point(sample: &Sample) -> Result<Point> {
    let id: PointId = serde_json::from_value(sample.id.clone())?;
    let mut point = Point::new(id).payload(sample.payload.clone());
    for named in &VECTORS {
        if let Some(rows) = sample.vectors.get(named.name) {
            let values = rows.concat();
            let vector = match named.multi {
                true => maxfold::collection::Vector::Multi { values, dim: named.size },
                false => maxfold::collection::Vector::Dense(values),
            };
            point = point.vector(named.name, vector);
        }
    }
    Ok(point)
}

fn edge(
    points: &[Sample],
    datatype: VectorStorageDatatype,
    indexes: &[(&str, &str)],
    folder: &Path,
) -> Result<EdgeShard> {
    let optimizers = EdgeOptimizersConfig {
        indexing_threshold: Some(1),
        default_segment_number: Some(2),
        ..EdgeOptimizersConfig::default()
    };
    let mut config = EdgeConfig::builder().wal_enabled(false).optimizers(optimizers);
    for named in &VECTORS {
        config = config.vector(named.name, edge_vector(named, datatype));
    }
    let shard = EdgeShard::new(folder, config.build())?;
    for (key, kind) in indexes {
        shard.update(UpdateOperation::FieldIndexOperation(index(key, kind)?))?;
    }
    // Half of the points in a segment with immutable indexes, half in one that takes new points.
    let (before, after) = points.split_at(points.len() / 2);
    upsert(&shard, before)?;
    shard.optimize()?;
    upsert(&shard, after)?;
    let info = shard.info()?;
    ensure!(info.points_count == points.len(), "points are missing in Qdrant Edge");
    ensure!(info.segments_count == 2, "{} segments in Qdrant Edge", info.segments_count);
    Ok(shard)
}

fn upsert(shard: &EdgeShard, points: &[Sample]) -> Result<()> {
    for batch in points.chunks(BATCH) {
        let batch = batch.iter().map(|it| Ok(edge_point(it)?.into()));
        let batch = PointInsertOperations::PointsList(batch.collect::<Result<_>>()?);
        shard.update(UpdateOperation::PointOperation(PointOperations::UpsertPoints(batch)))?;
    }
    Ok(())
}

fn edge_vector(named: &Named, datatype: VectorStorageDatatype) -> EdgeVectorParams {
    let distance = match named.distance {
        Distance::Cosine => qdrant_edge::Distance::Cosine,
        Distance::Dot => qdrant_edge::Distance::Dot,
        Distance::Euclid => qdrant_edge::Distance::Euclid,
    };
    let params = EdgeVectorParams::builder(named.size, distance);
    if !named.multi {
        return params.build();
    }
    let params = params.multivector_config(MultiVectorConfig::default()).datatype(datatype);
    params.hnsw_config(HnswIndexConfig { m: 0, ..HnswIndexConfig::default() }).build()
}

/// A payload index of Edge's.
pub fn index(key: &str, kind: &str) -> Result<FieldIndexOperations> {
    let field_name: JsonPath = key.parse().map_err(|()| anyhow!("the key {key}"))?;
    let kind: PayloadSchemaType = serde_json::from_value(kind.into()).context("an index")?;
    let field_schema = Some(PayloadFieldSchema::FieldType(kind));
    Ok(FieldIndexOperations::CreateIndex(CreateIndex { field_name, field_schema }))
}

fn edge_point(sample: &Sample) -> Result<PointStruct> {
    let vector = |named: &Named, rows: &Rows| match named.multi {
        true => {
            let rows = TypedMultiDenseVector::new(rows.concat(), named.size);
            Vector(VectorInternal::MultiDense(rows))
        }
        false => Vector::new_dense(rows.concat()),
    };
    let named = |it: &Named| Some((it.name, vector(it, sample.vectors.get(it.name)?)));
    let vectors: Vec<_> = VECTORS.iter().filter_map(named).collect();
    let id: qdrant_edge::PointId = serde_json::from_value(sample.id.clone())?;
    Ok(PointStruct::new(id, Vectors::new_named(vectors), sample.payload.clone().into()))
}
