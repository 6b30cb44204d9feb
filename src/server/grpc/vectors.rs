//! Vectors: from messages, in all the forms in which clients send them, and to messages.

use std::collections::BTreeMap;

use qdrant_client::qdrant::{
    self, DenseVector, MultiDenseVector, NamedVectors, NamedVectorsOutput, SparseIndices,
    SparseVector, VectorOutput, VectorsOutput, vector, vector_input, vector_output, vectors,
    vectors_output,
};

use super::spell::{Spell, Spelled, map, named, object, spell_fields};
use crate::collection;
use crate::json::Tree;
use crate::server::refusal::Refusal;

spell_fields! {
    Document { text, model, options }
    Image { image, model, options }
    InferenceObject { object, model, options }
}

impl Spell for DenseVector {
    fn spell(self) -> Spelled {
        Ok(Tree::Floats(self.data))
    }
}

impl Spell for SparseVector {
    fn spell(self) -> Spelled {
        sparse(self.indices, self.values)
    }
}

fn sparse(indices: Vec<u32>, values: Vec<f32>) -> Spelled {
    let indices = indices.into_iter().map(u32::spell).collect::<Result<_, _>>()?;
    object([("indices", Ok(Tree::Array(indices))), ("values", Ok(Tree::Floats(values)))])
}

impl Spell for MultiDenseVector {
    fn spell(self) -> Spelled {
        rows(self.vectors.into_iter().map(|row| row.data))
    }
}

fn rows(rows: impl Iterator<Item = Vec<f32>>) -> Spelled {
    Ok(Tree::Array(rows.map(Tree::Floats).collect()))
}

impl Spell for qdrant::Vector {
    #[expect(deprecated, reason = "older clients send vectors beside the union")]
    fn spell(self) -> Spelled {
        match self.vector {
            Some(vector::Vector::Dense(dense)) => dense.spell(),
            Some(vector::Vector::Sparse(sparse)) => sparse.spell(),
            Some(vector::Vector::MultiDense(multi)) => multi.spell(),
            Some(vector::Vector::Document(text)) => text.spell(),
            Some(vector::Vector::Image(image)) => image.spell(),
            Some(vector::Vector::Object(object)) => object.spell(),
            None => flat(self.data, self.indices, self.vectors_count),
        }
    }
}

/// A vector of values: with indices it is sparse, with a number of rows a multivector.
pub(super) fn flat(data: Vec<f32>, indices: Option<SparseIndices>, count: Option<u32>) -> Spelled {
    match (indices, count) {
        (Some(SparseIndices { data: indices }), _) => sparse(indices, data),
        (None, None) => Ok(Tree::Floats(data)),
        (None, Some(count)) => match data.len().checked_div(count as usize) {
            Some(dim) if dim > 0 && data.len().is_multiple_of(count as usize) => {
                rows(data.chunks(dim).map(<[f32]>::to_vec))
            }
            _ => {
                let values = data.len();
                let text = "expected as many values in each row of a multivector, got";
                Err(Refusal::wrong(format!("{text} {values} in {count} rows")))
            }
        },
    }
}

impl Spell for NamedVectors {
    fn spell(self) -> Spelled {
        map(self.vectors)
    }
}

impl Spell for qdrant::Vectors {
    fn spell(self) -> Spelled {
        match self.vectors_options {
            Some(vectors::VectorsOptions::Vector(vector)) => vector.spell(),
            Some(vectors::VectorsOptions::Vectors(named)) => named.spell(),
            None => Ok(Tree::Null),
        }
    }
}

impl Spell for qdrant::VectorInput {
    fn spell(self) -> Spelled {
        use vector_input::Variant;

        match self.variant {
            Some(Variant::Id(id)) => id.spell(),
            Some(Variant::Dense(dense)) => dense.spell(),
            Some(Variant::Sparse(sparse)) => sparse.spell(),
            Some(Variant::MultiDense(multi)) => multi.spell(),
            Some(Variant::Document(text)) => text.spell(),
            Some(Variant::Image(image)) => image.spell(),
            Some(Variant::Object(object)) => object.spell(),
            None => Ok(Tree::Null),
        }
    }
}

/// Vectors of a point, as a message: alone, the one without a name has none there either.
pub(super) fn vectors(mut vectors: BTreeMap<String, collection::Vector>) -> VectorsOutput {
    use vectors_output::VectorsOptions;

    let options = match vectors.remove("") {
        Some(vector) if vectors.is_empty() => VectorsOptions::Vector(output(vector)),
        unnamed => {
            let unnamed = unnamed.map(|vector| (String::new(), vector));
            let named = vectors.into_iter().chain(unnamed);
            let vectors = named.map(|(name, vector)| (name, output(vector))).collect();
            VectorsOptions::Vectors(NamedVectorsOutput { vectors })
        }
    };
    VectorsOutput { vectors_options: Some(options) }
}

fn output(vector: collection::Vector) -> VectorOutput {
    use collection::Vector;
    use vector_output::Vector as Output;

    let vector = match vector {
        Vector::Dense(data) => Output::Dense(DenseVector { data }),
        Vector::Sparse { indices, values } => Output::Sparse(SparseVector { indices, values }),
        multi @ Vector::Multi { .. } => {
            let rows = multi.rows().map(|row| DenseVector { data: row.to_vec() });
            Output::MultiDense(MultiDenseVector { vectors: rows.collect() })
        }
    };
    VectorOutput { vector: Some(vector), ..VectorOutput::default() }
}
