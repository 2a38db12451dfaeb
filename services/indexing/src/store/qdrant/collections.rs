//! All collections of a server that are ours, and the aliases that say which of them are in use.
//!
//! It never touches a collection that does not name an encoder of ours, and no alias but its own two.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use common::clock::Clock;
use domain::EncoderId;
use qdrant_client::qdrant::{AliasDescription, CreateAliasBuilder};

use super::QdrantStore;
use super::client::QdrantAccess;
use super::collection::{CollectionIdentity, identify};
use super::server::QdrantServer;
use super::settings::QdrantSettings;
use crate::store::{Alias, CollectionDescription, Collections, Store, StoreError, collection_name};

/// What the names of aliases begin with, as those of collections do.
const NAMESPACE: &str = "papers";

/// The collections of a server.
pub struct QdrantCollections {
    server: Arc<QdrantServer>,
    settings: QdrantSettings,
    namespace: String,
    open: Mutex<HashMap<String, Arc<QdrantStore>>>,
}

impl QdrantCollections {
    /// Checks that the server answers and is new enough.
    ///
    /// Waits for it are timed by the clock. [`StoreError::Unavailable`] when it does not answer yet; [`StoreError::Unusable`]
    /// when an operator must act.
    pub async fn connect(
        access: &QdrantAccess<'_>,
        settings: QdrantSettings,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let server = QdrantServer::new(access, settings.timeout, clock)?;
        server.check().await?;
        Ok(Self {
            server: Arc::new(server),
            settings,
            namespace: NAMESPACE.to_owned(),
            open: Mutex::default(),
        })
    }

    /// With aliases of their own, for tests that share a server.
    #[cfg(test)]
    pub(in crate::store) fn in_namespace(self, namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            ..self
        }
    }

    fn name_of(&self, alias: Alias) -> String {
        let name = match alias {
            Alias::Current => "current",
            Alias::Next => "next",
        };
        format!("{}-{name}", self.namespace)
    }

    fn store(&self, encoder: &EncoderId, dimension: usize) -> QdrantStore {
        QdrantStore {
            server: Arc::clone(&self.server),
            settings: self.settings.clone(),
            collection: collection_name(encoder),
            encoder: encoder.clone(),
            dimension,
        }
    }

    async fn aliases(&self) -> Result<Vec<AliasDescription>, StoreError> {
        let answer = self.server.ask(|| self.server.reader().list_aliases()).await?;
        Ok(answer.aliases)
    }

    /// Collections that are ours, by name. One that is removed meanwhile is left out.
    async fn ours(&self) -> Result<Vec<CollectionIdentity>, StoreError> {
        let answer = self.server.ask(|| self.server.reader().list_collections()).await?;
        let mut names: Vec<String> = answer.collections.into_iter().map(|one| one.name).collect();
        names.sort();
        let mut ours = Vec::new();
        for name in names {
            let found = identify(&self.server, &name).await?;
            ours.extend(found.filter(|found| collection_name(&found.encoder) == name));
        }
        Ok(ours)
    }

    async fn ours_of(&self, encoder: &EncoderId) -> Result<Option<CollectionIdentity>, StoreError> {
        let found = identify(&self.server, &collection_name(encoder)).await?;
        Ok(found.filter(|found| found.encoder == *encoder))
    }
}

#[async_trait]
impl Collections for QdrantCollections {
    fn adapter(&self) -> &'static str {
        super::ADAPTER
    }

    async fn all(&self) -> Result<Vec<CollectionDescription>, StoreError> {
        let mut all = Vec::new();
        for one in self.ours().await? {
            all.push(self.store(&one.encoder, one.dimension).describe().await?);
        }
        Ok(all)
    }

    async fn open(&self, encoder: &EncoderId, dimension: usize) -> Result<Arc<dyn Store>, StoreError> {
        let store = self.store(encoder, dimension);
        if [Alias::Current, Alias::Next]
            .map(|alias| self.name_of(alias))
            .contains(&store.collection)
        {
            return Err(StoreError::Refused(format!(
                "an encoder cannot be named {encoder}: its collection would have the name of an alias"
            )));
        }
        // Boxed, because the request that makes a collection is large.
        Box::pin(store.prepare()).await?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let store = open.entry(store.collection.clone()).or_insert_with(|| Arc::new(store));
        Ok(Arc::clone(store) as Arc<dyn Store>)
    }

    async fn alias(&self, alias: Alias) -> Result<Option<(EncoderId, usize)>, StoreError> {
        let name = self.name_of(alias);
        let Some(found) = self.aliases().await?.into_iter().find(|one| one.alias_name == name) else {
            return Ok(None);
        };
        match identify(&self.server, &found.collection_name).await? {
            Some(CollectionIdentity { encoder, dimension }) => Ok(Some((encoder, dimension))),
            None => Err(self.server.unusable(format!(
                "alias {name} stands for collection {}, which names no encoder; delete the alias or point it to a \
                 collection of papers",
                found.collection_name
            ))),
        }
    }

    async fn set_alias(&self, alias: Alias, encoder: Option<&EncoderId>) -> Result<(), StoreError> {
        let name = self.name_of(alias);
        let writer = self.server.writer();
        let Some(encoder) = encoder else {
            if self.aliases().await?.iter().any(|one| one.alias_name == name) {
                self.server.write(writer.delete_alias(name)).await?;
            }
            return Ok(());
        };
        if self.ours_of(encoder).await?.is_none() {
            return Err(StoreError::Refused(format!(
                "there is no collection of encoder {encoder}"
            )));
        }
        // On an alias that exists this moves it, at once.
        let request = CreateAliasBuilder::new(collection_name(encoder), name);
        self.server.write(writer.create_alias(request)).await?;
        Ok(())
    }

    async fn remove(&self, encoder: &EncoderId) -> Result<(), StoreError> {
        let collection = collection_name(encoder);
        if self.ours_of(encoder).await?.is_none() {
            return Err(StoreError::Refused(format!(
                "there is no collection of encoder {encoder}"
            )));
        }
        // The server would take every alias of the collection with it, also one that somebody else made for a reason.
        if let Some(alias) = self
            .aliases()
            .await?
            .iter()
            .find(|one| one.collection_name == collection)
        {
            return Err(StoreError::Refused(format!(
                "alias {} stands for collection {collection}; move it first",
                alias.alias_name
            )));
        }
        let writer = self.server.writer();
        self.server.write(writer.delete_collection(&collection)).await?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&collection);
        Ok(())
    }
}
