//! Papers as points: their ids, their vectors, and reading them back.
//!
//! A paper without terms has no sparse vector, so that it is neither found by words nor counted for document frequencies. The
//! server normalises dense vectors, so what comes back may differ in the last digits from what was given.

use domain::{DenseVector, EncoderId, PaperId, PaperVectors, SparseVector};
use qdrant_client::qdrant::vector_output::Vector as Output;
use qdrant_client::qdrant::{NamedVectors, PointId, RetrievedPoint, Vector, VectorsOutput, point_id::PointIdOptions};
use uuid::Uuid;

use super::{DENSE, TERMS, payload};
use crate::store::{IndexedPaper, StoreError};

/// Point ids are UUIDs of this namespace over paper ids. Never changes: it would double every paper.
const NAMESPACE: Uuid = Uuid::from_u128(0x8d0c_6f0e_52a4_4c1b_9f6b_3a27_e1d5_70b4);

/// The point of a paper.
pub fn point_id(id: &PaperId) -> PointId {
    Uuid::new_v5(&NAMESPACE, id.as_str().as_bytes()).to_string().into()
}

/// The cursor of a scan, as text.
pub fn cursor(next: PointId) -> Option<String> {
    match next.point_id_options? {
        PointIdOptions::Uuid(uuid) => Some(uuid),
        PointIdOptions::Num(number) => Some(number.to_string()),
    }
}

/// The point that a [`cursor`] names.
pub fn point_of(cursor: &str) -> Result<PointId, StoreError> {
    if let Ok(number) = cursor.parse::<u64>() {
        return Ok(number.into());
    }
    match Uuid::parse_str(cursor) {
        Ok(uuid) => Ok(uuid.to_string().into()),
        Err(_) => Err(StoreError::Refused(format!("{cursor:?} is not a cursor of this store"))),
    }
}

/// The vectors of a paper as the server takes them.
pub fn vectors_of(one: &IndexedPaper) -> NamedVectors {
    let mut vectors = NamedVectors::default();
    if !one.vectors.dense.is_zero() {
        vectors = vectors.add_vector(DENSE, Vector::new_dense(one.vectors.dense.as_slice().to_vec()));
    }
    if !one.vectors.sparse.is_empty() {
        let (indices, values) = (one.vectors.sparse.indices(), one.vectors.sparse.values());
        vectors = vectors.add_vector(TERMS, Vector::new_sparse(indices.to_vec(), values.to_vec()));
    }
    vectors
}

/// A paper with its vectors, unless it is withdrawn.
pub fn indexed_of(
    point: RetrievedPoint,
    encoder: &EncoderId,
    dimension: usize,
) -> Result<Option<IndexedPaper>, StoreError> {
    let Some((paper, truncated)) = payload::paper_of(point.payload)? else {
        return Ok(None);
    };
    let vectors = PaperVectors {
        encoder: encoder.clone(),
        dense: dense_of(point.vectors.as_ref(), &paper.id, dimension)?,
        sparse: sparse_of(point.vectors.as_ref(), &paper.id)?,
        truncated,
    };
    Ok(Some(IndexedPaper { paper, vectors }))
}

/// The dense vector; zeros where there is none.
pub fn dense_of(vectors: Option<&VectorsOutput>, id: &PaperId, dimension: usize) -> Result<DenseVector, StoreError> {
    let values = match vectors.and_then(|vectors| vectors.get_vector_by_name(DENSE)) {
        Some(Output::Dense(dense)) => dense.data,
        _ => vec![0.0; dimension],
    };
    DenseVector::new(values).map_err(|error| payload::damaged(id.as_str(), &error))
}

fn sparse_of(vectors: Option<&VectorsOutput>, id: &PaperId) -> Result<SparseVector, StoreError> {
    let Some(Output::Sparse(sparse)) = vectors.and_then(|vectors| vectors.get_vector_by_name(TERMS)) else {
        return Ok(SparseVector::default());
    };
    SparseVector::new(sparse.indices, sparse.values).map_err(|error| payload::damaged(id.as_str(), &error))
}
