//! The calls of Qdrant's gRPC contract that the store makes, over a channel of ours: with TLS and a key, and made anew after a
//! failure that another connection may not have.
//!
//! Each call is made once. It knows nothing of papers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::tls::{ClientTls, TlsChannel};
use qdrant_client::qdrant::alias_operations::Action;
use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::points_client::PointsClient;
use qdrant_client::qdrant::qdrant_client::QdrantClient as ServerClient;
use qdrant_client::qdrant::{
    AliasOperations, ChangeAliases, CollectionExistsRequest, CollectionOperationResponse, CountPoints, CountResponse,
    CreateAlias, CreateCollection, CreateFieldIndexCollection, DeleteAlias, DeleteCollection, FacetCounts,
    FacetResponse, GetCollectionInfoRequest, GetCollectionInfoResponse, GetPoints, GetResponse, HealthCheckReply,
    HealthCheckRequest, ListAliasesRequest, ListAliasesResponse, ListCollectionsRequest, ListCollectionsResponse,
    PointsOperationResponse, QueryBatchPoints, QueryBatchResponse, ScrollPoints, ScrollResponse, UpdateBatchPoints,
    UpdateBatchResponse,
};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

/// The largest answer, in bytes: a page of papers with their vectors is a few megabytes.
const LARGEST_ANSWER: usize = 256 << 20;

/// How a server is reached.
#[derive(Clone, Copy)]
pub struct QdrantAccess<'a> {
    /// Its gRPC address.
    pub url: &'a str,
    /// Its API key, where it wants one.
    pub api_key: Option<&'a str>,
    /// Whom to trust, and which certificate to present.
    pub tls: &'a ClientTls,
}

/// Calls one server.
pub struct QdrantCalls {
    url: String,
    key: ApiKey,
    tls: ClientTls,
    /// Longest wait for a connection, and for an answer.
    limit: Duration,
    channel: Mutex<CurrentChannel>,
}

/// The channel in use, and how many there were before.
struct CurrentChannel {
    number: u64,
    channel: TlsChannel,
}

type KeyedChannel = InterceptedService<Channel, ApiKey>;

/// Adds the key to each call.
#[derive(Clone)]
struct ApiKey(Option<MetadataValue<Ascii>>);

impl Interceptor for ApiKey {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("api-key", key.clone());
        }
        Ok(request)
    }
}

impl QdrantCalls {
    /// Prepares calls; no connection is made yet.
    pub fn new(access: &QdrantAccess<'_>, limit: Duration) -> Result<Self, String> {
        let key = access.api_key.map(str::parse::<MetadataValue<Ascii>>).transpose();
        let mut key = key.map_err(|_| "the API key holds characters that a header cannot".to_owned())?;
        if let Some(key) = &mut key {
            key.set_sensitive(true);
        }
        let channel = access.tls.channel(access.url, Some(limit));
        let channel = channel.map_err(|error| error.to_string())?;
        Ok(Self {
            url: access.url.to_owned(),
            key: ApiKey(key),
            tls: access.tls.clone(),
            limit,
            channel: Mutex::new(CurrentChannel { number: 0, channel }),
        })
    }

    fn current(&self) -> MutexGuard<'_, CurrentChannel> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call<T, F>(&self, call: impl FnOnce(KeyedChannel) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let (number, channel) = {
            let current = self.current();
            (current.number, current.channel.clone())
        };
        let answer = call(InterceptedService::new(channel.channel, self.key.clone())).await;
        answer.map(Response::into_inner).map_err(|status| {
            if !matches!(
                status.code(),
                Code::Internal | Code::Unavailable | Code::Cancelled | Code::Unknown
            ) {
                return status;
            }
            self.replace(number);
            channel.problem.get().map_or(status, Status::unavailable)
        })
    }

    /// Has the next call make a connection: the other end of this one may have vanished.
    fn replace(&self, number: u64) {
        let mut current = self.current();
        if current.number == number
            && let Ok(channel) = self.tls.channel(&self.url, Some(self.limit))
        {
            *current = CurrentChannel {
                number: number + 1,
                channel,
            };
        }
    }

    async fn of_collections<T, F>(&self, call: impl FnOnce(CollectionsClient<KeyedChannel>) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let client = |channel| CollectionsClient::new(channel).max_decoding_message_size(LARGEST_ANSWER);
        self.call(|channel| call(client(channel))).await
    }

    async fn of_points<T, F>(&self, call: impl FnOnce(PointsClient<KeyedChannel>) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let client = |channel| PointsClient::new(channel).max_decoding_message_size(LARGEST_ANSWER);
        self.call(|channel| call(client(channel))).await
    }

    pub async fn health_check(&self) -> Result<HealthCheckReply, Status> {
        self.call(async |channel| ServerClient::new(channel).health_check(HealthCheckRequest {}).await)
            .await
    }

    pub async fn collection_info(&self, name: &str) -> Result<GetCollectionInfoResponse, Status> {
        let request = GetCollectionInfoRequest {
            collection_name: name.to_owned(),
        };
        self.of_collections(async |mut client| client.get(request).await).await
    }

    pub async fn collection_exists(&self, name: &str) -> Result<bool, Status> {
        let request = CollectionExistsRequest {
            collection_name: name.to_owned(),
        };
        let answer = self.of_collections(async |mut client| client.collection_exists(request).await);
        Ok(answer.await?.result.is_some_and(|result| result.exists))
    }

    pub async fn list_collections(&self) -> Result<ListCollectionsResponse, Status> {
        self.of_collections(async |mut client| client.list(ListCollectionsRequest {}).await)
            .await
    }

    pub async fn create_collection(
        &self,
        request: impl Into<CreateCollection>,
    ) -> Result<CollectionOperationResponse, Status> {
        let request = request.into();
        self.of_collections(async |mut client| client.create(request).await)
            .await
    }

    pub async fn delete_collection(&self, name: &str) -> Result<CollectionOperationResponse, Status> {
        let request = DeleteCollection {
            collection_name: name.to_owned(),
            ..DeleteCollection::default()
        };
        self.of_collections(async |mut client| client.delete(request).await)
            .await
    }

    pub async fn list_aliases(&self) -> Result<ListAliasesResponse, Status> {
        self.of_collections(async |mut client| client.list_aliases(ListAliasesRequest {}).await)
            .await
    }

    pub async fn create_alias(&self, request: impl Into<CreateAlias>) -> Result<CollectionOperationResponse, Status> {
        self.change_alias(Action::CreateAlias(request.into())).await
    }

    pub async fn delete_alias(&self, alias_name: String) -> Result<CollectionOperationResponse, Status> {
        self.change_alias(Action::DeleteAlias(DeleteAlias { alias_name })).await
    }

    async fn change_alias(&self, action: Action) -> Result<CollectionOperationResponse, Status> {
        let request = ChangeAliases {
            actions: vec![AliasOperations { action: Some(action) }],
            ..ChangeAliases::default()
        };
        self.of_collections(async |mut client| client.update_aliases(request).await)
            .await
    }

    pub async fn create_field_index(
        &self,
        request: impl Into<CreateFieldIndexCollection>,
    ) -> Result<PointsOperationResponse, Status> {
        let request = request.into();
        self.of_points(async |mut client| client.create_field_index(request).await)
            .await
    }

    pub async fn update_points_batch(
        &self,
        request: impl Into<UpdateBatchPoints>,
    ) -> Result<UpdateBatchResponse, Status> {
        let request = request.into();
        self.of_points(async |mut client| client.update_batch(request).await)
            .await
    }

    pub async fn query_batch(&self, request: impl Into<QueryBatchPoints>) -> Result<QueryBatchResponse, Status> {
        let request = request.into();
        self.of_points(async |mut client| client.query_batch(request).await)
            .await
    }

    pub async fn get_points(&self, request: GetPoints) -> Result<GetResponse, Status> {
        self.of_points(async |mut client| client.get(request).await).await
    }

    pub async fn scroll(&self, request: ScrollPoints) -> Result<ScrollResponse, Status> {
        self.of_points(async |mut client| client.scroll(request).await).await
    }

    pub async fn count(&self, request: CountPoints) -> Result<CountResponse, Status> {
        self.of_points(async |mut client| client.count(request).await).await
    }

    pub async fn facet(&self, request: FacetCounts) -> Result<FacetResponse, Status> {
        self.of_points(async |mut client| client.facet(request).await).await
    }
}
