//! What every adapter must do, as tests over the port: one suite for all of them.
//!
//! [`model`] is the port in its simplest form. It passes the suite itself, and says what the others must answer to random
//! sequences of calls. What concerns one adapter alone is in the file of its name.

mod collections;
mod copying;
pub(crate) mod embedded;
mod filtering;
pub(crate) mod fixtures;
mod listing;
mod model;
mod qdrant;
mod random;
mod scanning;
mod searching;
mod writing;

use std::sync::Arc;

use self::fixtures::TestPlace;
use self::model::ModelCollections;

/// Every check, each on a collection of its own.
async fn conforms(place: &TestPlace) {
    writing::conforms(place).await;
    searching::conforms(place).await;
    filtering::conforms(place).await;
    listing::conforms(place).await;
    scanning::conforms(place).await;
    collections::conforms(place).await;
}

#[tokio::test]
async fn the_model_conforms() {
    conforms(&TestPlace::new(Arc::new(ModelCollections::default()))).await;
}
