//! EmbeddingService: texts from the wire to the engine and back.

use common::status;
use proto::embedding::v1::embedding_service_server::EmbeddingService;
use proto::embedding::v1::{
    EmbedRequest, EmbedResponse, GetModelRequest, GetModelResponse, TextEmbedding, TextKind as WireKind,
};
use tonic::{Request, Response, Status};

use crate::encoder::TextKind;
use crate::engine::Engine;

const MAX_TEXTS: usize = 256;
const MAX_TEXT_BYTES: usize = 32_768;

/// The service.
pub struct Embedding {
    engine: Engine,
}

impl Embedding {
    /// Over an engine.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[tonic::async_trait]
impl EmbeddingService for Embedding {
    async fn embed(&self, request: Request<EmbedRequest>) -> Result<Response<EmbedResponse>, Status> {
        let request = request.into_inner();
        let kind = match request.kind() {
            WireKind::Query => TextKind::Query,
            WireKind::Document => TextKind::Document,
            WireKind::Unspecified => {
                return Err(status::invalid(
                    "kind",
                    format!("is {}; allowed are QUERY and DOCUMENT", request.kind),
                ));
            }
        };
        let count = request.texts.len();
        if !(1..=MAX_TEXTS).contains(&count) {
            return Err(status::invalid(
                "texts",
                format!("has {count} entries; 1 to {MAX_TEXTS} are allowed"),
            ));
        }
        if let Some(index) = request.texts.iter().position(|text| text.len() > MAX_TEXT_BYTES) {
            let description = format!(
                "has {} bytes; at most {MAX_TEXT_BYTES} are allowed",
                request.texts[index].len()
            );
            return Err(status::invalid(format!("texts[{index}]"), description));
        }
        let embedded = self.engine.embed(kind, request.texts).await.map_err(status::internal)?;
        let embeddings = embedded
            .into_iter()
            .map(|one| TextEmbedding {
                dense: one.encoded.dense.into_vec(),
                sparse: Some((&one.sparse).into()),
                tokens: one.encoded.tokens,
                truncated: one.encoded.truncated,
            })
            .collect();
        Ok(Response::new(EmbedResponse {
            encoder_id: self.engine.description().id.to_string(),
            embeddings,
        }))
    }

    async fn get_model(&self, _: Request<GetModelRequest>) -> Result<Response<GetModelResponse>, Status> {
        let model = self.engine.description();
        Ok(Response::new(GetModelResponse {
            encoder_id: model.id.to_string(),
            name: model.name.clone(),
            weights_sha256: model.weights_sha256.clone(),
            dimension: model.dimension,
            max_tokens: model.max_tokens,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tonic::Code;

    use super::*;
    use crate::engine::fake::Fake;

    async fn embed(kind: WireKind, texts: Vec<String>) -> Result<EmbedResponse, Status> {
        let service = Embedding::new(Engine::new(Arc::new(Fake::default())));
        let kind = kind.into();
        let response = service.embed(Request::new(EmbedRequest { texts, kind })).await?;
        Ok(response.into_inner())
    }

    #[tokio::test]
    async fn each_text_gets_both_vectors() {
        let texts = vec!["graph".to_owned(), "trees and graphs".to_owned()];
        let response = embed(WireKind::Query, texts).await.expect("vectors");
        assert_eq!(response.encoder_id, "fake@0123456789ab");
        let terms: Vec<usize> = response
            .embeddings
            .iter()
            .map(|one| one.sparse.as_ref().map_or(0, |sparse| sparse.indices.len()))
            .collect();
        assert_eq!(terms, [1, 2]);
        assert_eq!(response.embeddings[0].dense, [0.6, 0.8]);
    }

    #[tokio::test]
    async fn requests_beyond_the_contract_are_refused_by_field() {
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        let cases = [
            (WireKind::Unspecified, vec!["a".to_owned()], "kind"),
            (WireKind::Query, vec![], "texts"),
            (WireKind::Query, vec!["a".to_owned(); MAX_TEXTS + 1], "texts"),
            (WireKind::Query, vec!["a".to_owned(), long], "texts[1]"),
        ];
        for (kind, texts, field) in cases {
            let status = embed(kind, texts).await.expect_err("a refusal");
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().starts_with(field), "{}", status.message());
        }
    }

    #[tokio::test]
    async fn a_failing_encoder_is_an_internal_error_without_its_cause() {
        let status = embed(WireKind::Query, vec!["refused".to_owned()])
            .await
            .expect_err("a failure");
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("refuse"), "{}", status.message());
    }
}
