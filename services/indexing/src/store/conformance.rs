//! What every adapter must do, as tests over the port: one suite for all of them.
//!
//! [`model`] is the port in its plainest form. It passes the suite itself, and says what the others must answer to random
//! sequences of calls. What an adapter alone can do wrong is in the file of its name.

mod collections;
mod copying;
mod embedded;
mod filtering;
mod fixtures;
mod listing;
mod model;
mod qdrant;
mod random;
mod reading;
mod searching;
mod writing;

use std::sync::Arc;

use self::fixtures::Place;
use self::model::Models;

/// Every check, each on a collection of its own.
async fn conforms(place: &Place) {
    writing::conforms(place).await;
    searching::conforms(place).await;
    filtering::conforms(place).await;
    listing::conforms(place).await;
    reading::conforms(place).await;
    collections::conforms(place).await;
}

#[tokio::test]
async fn the_model_conforms() {
    conforms(&Place::new(Arc::new(Models::default()))).await;
}
