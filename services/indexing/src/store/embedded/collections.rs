//! All collections of a folder: a file for each encoder, and the aliases.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use common::tasks;
use domain::EncoderId;

use super::file_reader::FileReader;
use super::folder::{Aliases, Folder};
use super::{EmbeddedCollection, EmbeddedStore, NAME, schema};
use crate::store::{Alias, CollectionDescription, Collections, Store, StoreError, collection_name};

/// The collections of a folder; clones share it.
#[derive(Clone)]
pub struct EmbeddedCollections {
    shared: Arc<SharedFolder>,
}

struct SharedFolder {
    folder: Arc<Folder>,
    state: Mutex<FolderState>,
}

struct FolderState {
    aliases: Aliases,
    open: HashMap<String, Weak<EmbeddedCollection>>,
}

impl EmbeddedCollections {
    /// Opens or makes a folder. Blocks. A second process is refused, and so is this one as long as it holds anything that it
    /// opened before.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = Arc::new(Folder::open(folder)?);
        let state = FolderState {
            aliases: folder.aliases()?.unwrap_or_default(),
            open: HashMap::new(),
        };
        Ok(Self {
            shared: Arc::new(SharedFolder {
                folder,
                state: Mutex::new(state),
            }),
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SharedFolder, &mut FolderState) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        tasks::blocking(move || work(&shared, &mut shared.state())).await
    }
}

impl SharedFolder {
    fn state(&self) -> MutexGuard<'_, FolderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an encoder's collection holds; `None` where there is none, or one of another encoder whose collection has the
    /// same name.
    fn description(
        &self,
        state: &FolderState,
        encoder: &EncoderId,
    ) -> Result<Option<CollectionDescription>, StoreError> {
        let file = self.folder.file(encoder);
        if !file.exists() {
            return Ok(None);
        }
        let description = describe(state, &file)?;
        Ok(Some(description).filter(|description| description.encoder == *encoder))
    }
}

#[async_trait]
impl Collections for EmbeddedCollections {
    fn adapter(&self) -> &'static str {
        NAME
    }

    async fn all(&self) -> Result<Vec<CollectionDescription>, StoreError> {
        self.blocking(|shared, state| {
            let files = shared.folder.files()?;
            files.iter().map(|file| describe(state, file)).collect()
        })
        .await
    }

    async fn open(&self, encoder: &EncoderId, dimension: usize) -> Result<Arc<dyn Store>, StoreError> {
        let encoder = encoder.clone();
        self.blocking(move |shared, state| {
            let name = collection_name(&encoder);
            let open = state.open.get(&name).and_then(Weak::upgrade);
            let collection = match open {
                Some(open) => open,
                None => Arc::new(EmbeddedCollection::open(&shared.folder, &encoder, dimension)?),
            };
            collection.check_holder(&encoder, dimension)?;
            state.open.insert(name, Arc::downgrade(&collection));
            Ok(Arc::new(EmbeddedStore { collection }) as Arc<dyn Store>)
        })
        .await
    }

    async fn alias(&self, alias: Alias) -> Result<Option<(EncoderId, usize)>, StoreError> {
        Ok(self.shared.state().aliases.get(alias))
    }

    async fn set_alias(&self, alias: Alias, encoder: Option<&EncoderId>) -> Result<(), StoreError> {
        let encoder = encoder.cloned();
        self.blocking(move |shared, state| {
            let dimension = match &encoder {
                Some(encoder) => shared
                    .description(state, encoder)?
                    .map(|description| description.dimension),
                None => None,
            };
            if let (Some(encoder), None) = (&encoder, dimension) {
                return Err(StoreError::Refused(format!(
                    "there is no collection of encoder {encoder}"
                )));
            }
            let aliases = state.aliases.with(alias, encoder.as_ref().zip(dimension));
            shared.folder.set_aliases(&aliases)?;
            state.aliases = aliases;
            Ok(())
        })
        .await
    }

    async fn remove(&self, encoder: &EncoderId) -> Result<(), StoreError> {
        let encoder = encoder.clone();
        self.blocking(move |shared, state| {
            for (alias, name) in [(Alias::Current, "current"), (Alias::Next, "next")] {
                if state.aliases.get(alias).is_some_and(|(held, _)| held == encoder) {
                    let problem = format!("the collection of encoder {encoder} is the {name} one");
                    return Err(StoreError::Refused(problem));
                }
            }
            if shared.description(state, &encoder)?.is_none() {
                return Err(StoreError::Refused(format!(
                    "there is no collection of encoder {encoder}"
                )));
            }
            if let Some(open) = state
                .open
                .remove(&collection_name(&encoder))
                .and_then(|open| open.upgrade())
            {
                open.close();
            }
            shared.folder.remove(&encoder)
        })
        .await
    }
}

/// What the collection in a file holds.
fn describe(state: &FolderState, file: &Path) -> Result<CollectionDescription, StoreError> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(open) = state.open.get(&name).and_then(Weak::upgrade) {
        return Ok(open.describe());
    }
    let connection = schema::prepare(file)?;
    let (encoder, dimension) = schema::holder(&connection, file, None)?;
    let (papers, withdrawn) = FileReader::new(file, &encoder, dimension).counts()?;
    Ok(CollectionDescription {
        store: NAME,
        collection: name,
        encoder,
        dimension,
        papers,
        withdrawn,
    })
}
