//! Makes the collection, and makes sure that the one that is there is ours and fits.
//!
//! It never changes a collection, except that it adds payload indexes that are missing.

use std::collections::{BTreeSet, HashMap};

use domain::EncoderId;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionInfo, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Distance, FieldType,
    HnswConfigDiffBuilder, IntegerIndexParamsBuilder, KeywordIndexParamsBuilder, Modifier, QuantizationType,
    ScalarQuantizationBuilder, SparseIndexConfigBuilder, SparseVectorParams, SparseVectorParamsBuilder,
    SparseVectorsConfigBuilder, Value, VectorParams, VectorParamsBuilder, VectorsConfigBuilder,
};

use super::server::QdrantServer;
use super::settings::Residence;
use super::{DENSE, QdrantStore, TERMS, payload};
use crate::store::StoreError;

/// Where the collection says whose vectors it holds.
const ENCODER: &str = "encoder";
/// Where it says which fields its points have.
const LAYOUT: &str = "layout";

/// What a collection of ours says of itself.
pub struct CollectionIdentity {
    /// Whose vectors it holds.
    pub encoder: EncoderId,
    /// Values in a dense vector.
    pub dimension: usize,
}

/// What the collection of a name says of itself; `None` where there is none, or none of ours.
pub async fn identify(server: &QdrantServer, name: &str) -> Result<Option<CollectionIdentity>, StoreError> {
    let answer = server.ask_for(|| server.reader().collection_info(name)).await?;
    Ok(answer.and_then(|answer| identity(&answer.result?)))
}

fn identity(info: &CollectionInfo) -> Option<CollectionIdentity> {
    let metadata = &info.config.as_ref()?.metadata;
    let encoder = metadata.get(ENCODER)?.as_str()?;
    Some(CollectionIdentity {
        encoder: EncoderId::parse(encoder).ok()?,
        dimension: usize::try_from(dense_of(info)?.size).ok()?,
    })
}

fn dense_of(info: &CollectionInfo) -> Option<&VectorParams> {
    match info
        .config
        .as_ref()?
        .params
        .as_ref()?
        .vectors_config
        .as_ref()?
        .config
        .as_ref()?
    {
        Config::ParamsMap(vectors) => vectors.map.get(DENSE),
        Config::Params(_) => None,
    }
}

impl QdrantStore {
    /// Makes or checks the collection and its indexes.
    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        if !self.exists().await?
            && let Err(error) = Box::pin(self.create()).await
            && !self.exists().await?
        {
            return Err(error);
        }
        let reader = self.server.reader();
        let info = self.server.ask(|| reader.collection_info(&self.collection)).await?;
        let info = info.result.unwrap_or_default();
        self.check(&info).map_err(|problem| self.server.unusable(problem))?;
        self.index(&info.payload_schema.into_keys().collect()).await
    }

    pub(super) async fn exists(&self) -> Result<bool, StoreError> {
        let reader = self.server.reader();
        self.server.ask(|| reader.collection_exists(&self.collection)).await
    }

    async fn create(&self) -> Result<(), StoreError> {
        let mut dense = VectorsConfigBuilder::default();
        dense.add_named_vector_params(DENSE, self.dense());
        let mut sparse = SparseVectorsConfigBuilder::default();
        let on_disk = self.settings.vectors.on_disk();
        let terms = SparseVectorParamsBuilder::default()
            .modifier(Modifier::Idf)
            .index(SparseIndexConfigBuilder::default().on_disk(on_disk));
        sparse.add_named_vector_params(TERMS, terms);
        let metadata = HashMap::from([
            (ENCODER.to_owned(), serde_json::Value::from(self.encoder.as_str())),
            (LAYOUT.to_owned(), serde_json::Value::from(payload::LAYOUT)),
        ]);
        let hnsw = self.settings.hnsw;
        let request = CreateCollectionBuilder::new(&self.collection)
            .vectors_config(dense)
            .sparse_vectors_config(sparse)
            .hnsw_config(
                HnswConfigDiffBuilder::default()
                    .m(hnsw.m)
                    .ef_construct(hnsw.ef_construct),
            )
            .on_disk_payload(self.settings.payload.on_disk())
            .metadata(metadata);
        let writer = self.server.writer();
        self.server.write(Box::pin(writer.create_collection(request))).await?;
        Ok(())
    }

    fn dense(&self) -> VectorParamsBuilder {
        let vectors =
            VectorParamsBuilder::new(self.dimension as u64, Distance::Cosine).on_disk(self.settings.vectors.on_disk());
        let Some(rounding) = self.settings.quantization else {
            return vectors;
        };
        #[expect(clippy::cast_possible_truncation, reason = "a share of values needs few digits")]
        let quantile = rounding.quantile as f32;
        vectors.quantization_config(
            ScalarQuantizationBuilder::default()
                .r#type(QuantizationType::Int8.into())
                .quantile(quantile)
                .always_ram(!rounding.residence.on_disk()),
        )
    }

    /// Says why a collection does not fit, and what to do.
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
        let size = dense_of(info).map(|vector| vector.size);
        if size != Some(self.dimension as u64) {
            let found = size.map_or("no vector".to_owned(), |size| format!("a vector of {size} values"));
            return Err(format!(
                "collection {name} has {found} named {DENSE}, the encoder gives {}; delete it and let the papers be \
                 indexed again",
                self.dimension
            ));
        }
        let sparse = config
            .params
            .unwrap_or_default()
            .sparse_vectors_config
            .unwrap_or_default();
        if sparse.map.get(TERMS).map(SparseVectorParams::modifier) != Some(Modifier::Idf) {
            return Err(format!(
                "collection {name} has no sparse vector named {TERMS} with modifier idf; delete it and let the papers \
                 be indexed again"
            ));
        }
        let layout = config.metadata.get(LAYOUT).and_then(Value::as_integer);
        if layout != Some(payload::LAYOUT) {
            let found = layout.map_or("no layout".to_owned(), |layout| format!("layout {layout}"));
            return Err(format!(
                "collection {name} has {found}, this release needs {}; use the release that made it, or delete it and let the \
                 papers be indexed again",
                payload::LAYOUT
            ));
        }
        Ok(())
    }

    /// Makes the indexes that are missing. Only categories are worth links in the vector index, which double its cost.
    /// The indexes with the most entries are where full vectors are.
    async fn index(&self, there: &BTreeSet<String>) -> Result<(), StoreError> {
        let large = self.settings.vectors;
        let field = |name: &str, kind| CreateFieldIndexCollectionBuilder::new(&self.collection, name, kind).wait(true);
        let keyword = |name, residence: Residence, linked| {
            let params = KeywordIndexParamsBuilder::default().on_disk(residence.on_disk());
            field(name, FieldType::Keyword).field_index_params(params.enable_hnsw(linked).build())
        };
        let number = |name, residence: Residence, compared| {
            let params = IntegerIndexParamsBuilder::new(true, compared).on_disk(residence.on_disk());
            field(name, FieldType::Integer).field_index_params(params.enable_hnsw(false).build())
        };
        let flag = |name| field(name, FieldType::Bool);
        let indexes = [
            (
                payload::CATEGORIES,
                keyword(payload::CATEGORIES, Residence::Memory, true),
            ),
            (payload::SOURCE, keyword(payload::SOURCE, Residence::Memory, false)),
            (payload::AUTHORS, keyword(payload::AUTHORS, large, false)),
            (payload::AUTHOR_KEYS, keyword(payload::AUTHOR_KEYS, large, false)),
            (payload::LANGUAGE, keyword(payload::LANGUAGE, Residence::Memory, false)),
            (
                payload::PUBLISHED_MS,
                number(payload::PUBLISHED_MS, Residence::Memory, true),
            ),
            (payload::REVISION, number(payload::REVISION, Residence::Memory, true)),
            (payload::YEAR, number(payload::YEAR, Residence::Memory, false)),
            (payload::TERMS, number(payload::TERMS, large, false)),
            (payload::HAS_CODE, flag(payload::HAS_CODE)),
            (payload::WITHDRAWN, flag(payload::WITHDRAWN)),
        ];
        for (name, request) in indexes {
            if !there.contains(name) {
                let writer = self.server.writer();
                self.server.write(writer.create_field_index(request)).await?;
            }
        }
        Ok(())
    }
}
