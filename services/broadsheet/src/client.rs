//! Finds the platform and speaks to it.

use common::grpc::{ServiceChannel, channel};
use standalone::{DataFolder, Endpoint};

use crate::Place;
use crate::failure::Failure;

/// A channel to the platform: the given endpoint, or the one that runs over the data folder.
pub fn connect(place: &Place) -> Result<ServiceChannel, Failure> {
    let url = match &place.endpoint {
        Some(url) => url.clone(),
        None => running(place)?.grpc,
    };
    channel(&url, place.token.as_deref()).map_err(Failure::data)
}

/// The platform that runs over the data folder.
pub fn running(place: &Place) -> Result<Endpoint, Failure> {
    let folder = match &place.data {
        Some(folder) => folder.clone(),
        None => standalone::default_data_folder().map_err(Failure::other)?,
    };
    DataFolder::endpoint(&folder).map_err(Failure::unavailable)
}
