//! All collections of a folder: a file for each encoder, and the aliases.
//!
//! A folder from before there were aliases keeps working: where exactly one collection is and no alias was ever set, that
//! one is the current one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use domain::EncoderId;

use super::folder::{Aliases, Folder};
use super::reader::Reader;
use super::{EmbeddedStore, Inner, NAME, schema};
use crate::store::{Alias, Collections, Description, Store, StoreError, collection_name};

/// The collections of a folder; clones share it.
#[derive(Clone)]
pub struct EmbeddedCollections {
    shared: Arc<Shared>,
}

struct Shared {
    folder: Arc<Folder>,
    state: Mutex<State>,
}

struct State {
    aliases: Aliases,
    open: HashMap<String, Weak<Inner>>,
}

impl EmbeddedCollections {
    /// Opens or makes a folder. Blocks; a second process is refused, and so is a second opening by this one as long as
    /// anything of the first is held.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = Arc::new(Folder::open(folder)?);
        let aliases = match folder.aliases()? {
            Some(aliases) => aliases,
            None => from_before(&folder)?,
        };
        let state = State {
            aliases,
            open: HashMap::new(),
        };
        Ok(Self {
            shared: Arc::new(Shared {
                folder,
                state: Mutex::new(state),
            }),
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared, &mut State) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || work(&shared, &mut shared.state()));
        done.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an encoder's collection holds; `None` when there is none, or another encoder's whose name is alike.
    fn description(&self, state: &State, encoder: &EncoderId) -> Result<Option<Description>, StoreError> {
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

    async fn all(&self) -> Result<Vec<Description>, StoreError> {
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
            let known = state.open.get(&name).and_then(Weak::upgrade);
            let inner = match known {
                Some(inner) => inner,
                None => Arc::new(Inner::open(&shared.folder, &encoder, dimension)?),
            };
            inner.check_holder(&encoder, dimension)?;
            state.open.insert(name, Arc::downgrade(&inner));
            Ok(Arc::new(EmbeddedStore { inner }) as Arc<dyn Store>)
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
            if let Some(inner) = state
                .open
                .remove(&collection_name(&encoder))
                .and_then(|open| open.upgrade())
            {
                inner.close();
            }
            shared.folder.remove(&encoder)
        })
        .await
    }
}

/// What the collection in a file holds.
fn describe(state: &State, file: &Path) -> Result<Description, StoreError> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(inner) = state.open.get(&name).and_then(Weak::upgrade) {
        return Ok(inner.describe());
    }
    let connection = schema::prepare(file)?;
    let (encoder, dimension) = schema::holder(&connection, file, None)?;
    let (papers, withdrawn) = Reader::new(file, &encoder, dimension).counts()?;
    Ok(Description {
        store: NAME,
        collection: name,
        encoder,
        dimension,
        papers,
        withdrawn,
    })
}

/// The aliases of a folder in which none was ever set.
fn from_before(folder: &Folder) -> Result<Aliases, StoreError> {
    let files = folder.files()?;
    let [only] = files.as_slice() else {
        return Ok(Aliases::default());
    };
    let connection = schema::prepare(only)?;
    let (encoder, dimension) = schema::holder(&connection, only, None)?;
    let aliases = Aliases::default().with(Alias::Current, Some((&encoder, dimension)));
    folder.set_aliases(&aliases)?;
    Ok(aliases)
}
