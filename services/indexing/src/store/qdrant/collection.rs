//! Makes the collection, and makes sure that the one that is there is ours and fits.
//!
//! It changes nothing on a collection but payload indexes that are missing.

use std::collections::{BTreeSet, HashMap};

use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionInfo, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Distance, FieldType,
    IntegerIndexParamsBuilder, KeywordIndexParamsBuilder, Modifier, QuantizationType, ScalarQuantizationBuilder,
    SparseVectorParams, SparseVectorParamsBuilder, SparseVectorsConfigBuilder, VectorParamsBuilder,
    VectorsConfigBuilder,
};

use super::{DENSE, QdrantStore, TERMS, failed, payload};
use crate::store::StoreError;

/// Where the collection says whose vectors it holds.
const ENCODER: &str = "encoder";
/// First release that writes on a condition, and that keeps metadata of a collection. Older ones ignore both silently.
const OLDEST: (u32, u32) = (1, 16);
/// Share of the values that int8 rounding keeps; outliers beyond are clipped.
const QUANTILE: f32 = 0.99;

impl QdrantStore {
    /// Checks the server's version, then makes or checks the collection and its indexes.
    pub(super) async fn prepare(&self, url: &str) -> Result<(), StoreError> {
        let unusable = |problem: String| StoreError::Unusable {
            place: url.to_owned(),
            problem,
        };
        let server = self.client.health_check().await.map_err(failed)?;
        if release(&server.version).is_none_or(|release| release < OLDEST) {
            let (major, minor) = OLDEST;
            return Err(unusable(format!(
                "the server says it is {} {}; Qdrant {major}.{minor} or newer is needed",
                server.title, server.version
            )));
        }
        if !self.exists().await?
            && let Err(error) = self.create().await
            && !self.exists().await?
        {
            return Err(error);
        }
        let info = self.client.collection_info(&self.collection).await.map_err(failed)?;
        let info = info.result.unwrap_or_default();
        self.check(&info).map_err(unusable)?;
        self.index(&info.payload_schema.into_keys().collect()).await
    }

    async fn exists(&self) -> Result<bool, StoreError> {
        self.client.collection_exists(&self.collection).await.map_err(failed)
    }

    async fn create(&self) -> Result<(), StoreError> {
        let rounded = ScalarQuantizationBuilder::default()
            .r#type(QuantizationType::Int8.into())
            .quantile(QUANTILE)
            .always_ram(true);
        let mut dense = VectorsConfigBuilder::default();
        dense.add_named_vector_params(
            DENSE,
            VectorParamsBuilder::new(self.dimension as u64, Distance::Cosine).quantization_config(rounded),
        );
        let mut sparse = SparseVectorsConfigBuilder::default();
        sparse.add_named_vector_params(TERMS, SparseVectorParamsBuilder::default().modifier(Modifier::Idf));
        let metadata = HashMap::from([(ENCODER.to_owned(), serde_json::Value::from(self.encoder.as_str()))]);
        let request = CreateCollectionBuilder::new(&self.collection)
            .vectors_config(dense)
            .sparse_vectors_config(sparse)
            .metadata(metadata);
        self.client.create_collection(request).await.map_err(failed)?;
        Ok(())
    }

    /// Says why the collection does not fit, and what to do.
    fn check(&self, info: &CollectionInfo) -> Result<(), String> {
        let name = &self.collection;
        let config = info.config.clone().unwrap_or_default();
        let encoder = config.metadata.get(ENCODER).and_then(|encoder| encoder.as_str());
        if encoder.map(String::as_str) != Some(self.encoder.as_str()) {
            let found = encoder.map_or("no encoder", String::as_str);
            return Err(format!(
                "collection {name} names {found} as its encoder, not {}; rename or delete it",
                self.encoder
            ));
        }
        let params = config.params.unwrap_or_default();
        let size = match params.vectors_config.and_then(|vectors| vectors.config) {
            Some(Config::ParamsMap(vectors)) => vectors.map.get(DENSE).map(|vector| vector.size),
            _ => None,
        };
        if size != Some(self.dimension as u64) {
            let found = size.map_or("no vector".to_owned(), |size| format!("a vector of {size} values"));
            return Err(format!(
                "collection {name} has {found} named {DENSE}, the encoder gives {}; delete it and let the papers be \
                 indexed again",
                self.dimension
            ));
        }
        let sparse = params.sparse_vectors_config.unwrap_or_default();
        if sparse.map.get(TERMS).map(SparseVectorParams::modifier) != Some(Modifier::Idf) {
            return Err(format!(
                "collection {name} has no sparse vector named {TERMS} with modifier idf; delete it and let the papers \
                 be indexed again"
            ));
        }
        Ok(())
    }

    /// Makes the indexes that are missing. Only categories are worth links in the vector index, which double its cost.
    async fn index(&self, there: &BTreeSet<String>) -> Result<(), StoreError> {
        let field = |name: &str, kind| CreateFieldIndexCollectionBuilder::new(&self.collection, name, kind).wait(true);
        let keyword = |name, linked| {
            field(name, FieldType::Keyword)
                .field_index_params(KeywordIndexParamsBuilder::default().enable_hnsw(linked).build())
        };
        let number = |name| {
            let unlinked = IntegerIndexParamsBuilder::new(true, true).enable_hnsw(false);
            field(name, FieldType::Integer).field_index_params(unlinked.build())
        };
        let indexes = [
            (payload::CATEGORIES, keyword(payload::CATEGORIES, true)),
            (payload::SOURCE, keyword(payload::SOURCE, false)),
            (payload::AUTHORS_FOLDED, keyword(payload::AUTHORS_FOLDED, false)),
            (payload::PUBLISHED_MS, number(payload::PUBLISHED_MS)),
            (payload::REVISION, number(payload::REVISION)),
            (payload::WITHDRAWN, field(payload::WITHDRAWN, FieldType::Bool)),
        ];
        for (name, request) in indexes {
            if !there.contains(name) {
                self.client.create_field_index(request).await.map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// Major and minor number of a version such as `1.19.0`.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_as_numbers() {
        assert!(release("1.9.2") < Some(OLDEST));
        assert!(release("1.16.0") >= Some(OLDEST));
        assert!(release("1.20.0-dev") >= Some(OLDEST));
        assert_eq!(release("dev"), None);
    }
}
