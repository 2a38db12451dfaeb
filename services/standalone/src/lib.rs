//! What a single machine needs: finding or fetching servers and models, a data folder with one owner, and supervised children.
//!
//! [`Toolbox`] answers where a program or a model lies, [`DataFolder`] is the one place where a machine's data lives, and
//! [`Children`] keeps `nats-server` and Redis running inside it. No service is known here: this crate never speaks to one.

mod artefacts;
mod children;
mod command;
mod data_folder;
mod endpoint;
mod fetch;
mod launcher;
mod model;
mod pip;
mod progress;
mod server;
mod supervisor;
mod system_packages;
mod toolbox;

pub use children::{Children, Programs, SuperviseError};
pub use data_folder::{DataFolder, DataFolderError, default_data_folder};
pub use endpoint::{Endpoint, EndpointError};
pub use fetch::FetchError;
pub use launcher::become_supervised_child;
pub use model::check_model_folder;
pub use server::SyncInterval;
pub use system_packages::PackageInstall;
pub use toolbox::Toolbox;
