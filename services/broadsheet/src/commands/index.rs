//! `index`: manages the index. Every command but `copy` asks a running platform.

mod backup;
mod copy;
mod status;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use common::clock::Clock;
use common::grpc::ServiceChannel;
use proto::index::v1::index_admin_service_client::IndexAdminServiceClient;
use proto::index::v1::{
    CancelRebuildRequest, DropCollectionRequest, RebuildIndexRequest, RebuildProgress, RebuildState, SwitchIndexRequest,
};

use crate::error::CommandError;
use crate::{ConnectArgs, client, output};

/// How progress is shown.
const BAR: &str = "{wide_bar} {pos}/{len} {msg}";

/// What to do with the index.
#[derive(Subcommand)]
pub enum IndexCommand {
    /// List the collections, the one in use, and the progress of a rebuild
    Status {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Embed the catalogue again for another model while search keeps working; an interrupted rebuild continues
    ///
    /// The embedding service must offer the new model beside the one in use: name it in embedding.next_model.
    Rebuild {
        /// Encoder to build for [default: the one that is offered and not in use]
        #[arg(long, value_name = "ENCODER")]
        encoder: Option<String>,
        /// Switch searches to the new collection as soon as it is complete
        #[arg(long)]
        switch: bool,
        /// Stop the running rebuild; what was built is kept
        #[arg(long, conflicts_with_all = ["encoder", "switch"])]
        cancel: bool,
    },
    /// Switch searches to another collection
    Switch {
        /// Its name, from `index status`
        collection: String,
        /// Even if it lacks papers that the current one has
        #[arg(long)]
        allow_missing: bool,
    },
    /// Delete a collection that is not in use
    Drop {
        /// Its name, from `index status`
        collection: String,
    },
    /// Compare the index with the papers that were accepted
    Verify {
        /// Repair what can be repaired
        #[arg(long)]
        repair: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write the catalogue with its vectors into a file
    Backup {
        /// The file; replaced only once the backup is complete
        file: PathBuf,
    },
    /// Read a backup into the catalogue; newer revisions that are there are kept
    Restore {
        /// The file that `backup` wrote
        file: PathBuf,
    },
    /// Copy every collection from one store into another; no platform may use either folder meanwhile
    Copy(CopyArgs),
}

/// From where to where.
#[derive(Args)]
pub struct CopyArgs {
    /// Folder of an embedded store, or gRPC address of a Qdrant server (its key from QDRANT_API_KEY)
    /// [default: the embedded store of the data folder]
    #[arg(long, value_name = "FOLDER_OR_URL")]
    from: Option<String>,
    /// Folder of an embedded store, or gRPC address of a Qdrant server
    #[arg(long, value_name = "FOLDER_OR_URL")]
    to: String,
}

type IndexClient = IndexAdminServiceClient<ServiceChannel>;

/// Runs the command.
pub async fn run(connect: &ConnectArgs, command: IndexCommand, clock: &Clock) -> Result<(), CommandError> {
    if let IndexCommand::Copy(args) = command {
        return copy::run(connect, args, clock).await;
    }
    let admin = &mut IndexAdminServiceClient::new(client::connect(connect)?);
    match command {
        IndexCommand::Status { json } => status::status(admin, json).await,
        IndexCommand::Rebuild { cancel: true, .. } => cancel(admin).await,
        IndexCommand::Rebuild { encoder, switch, .. } => rebuild(admin, encoder, switch).await,
        IndexCommand::Switch {
            collection,
            allow_missing,
        } => switch(admin, collection, allow_missing).await,
        IndexCommand::Drop { collection } => drop_collection(admin, collection).await,
        IndexCommand::Verify { repair, json } => verify::verify(admin, repair, json).await,
        IndexCommand::Backup { file } => backup::backup(admin, &file).await,
        IndexCommand::Restore { file } => backup::restore(admin, file).await,
        IndexCommand::Copy(_) => Ok(()),
    }
}

async fn switch(admin: &mut IndexClient, collection: String, allow_missing: bool) -> Result<(), CommandError> {
    let request = SwitchIndexRequest {
        collection: collection.clone(),
        allow_missing,
    };
    let previous = admin.switch_index(request).await?.into_inner().previous_collection;
    println!("searches now use {collection}; {previous} is kept until it is dropped");
    Ok(())
}

async fn drop_collection(admin: &mut IndexClient, collection: String) -> Result<(), CommandError> {
    let request = DropCollectionRequest {
        collection: collection.clone(),
    };
    admin.drop_collection(request).await?;
    println!("{collection} was deleted");
    Ok(())
}

async fn rebuild(admin: &mut IndexClient, encoder: Option<String>, switch: bool) -> Result<(), CommandError> {
    let request = RebuildIndexRequest {
        encoder_id: encoder.unwrap_or_default(),
        switch_when_complete: switch,
    };
    let mut reports = admin.rebuild_index(request).await?.into_inner();
    let bar = output::progress_bar(0, BAR);
    let mut last = RebuildProgress::default();
    while let Some(report) = reports.message().await? {
        last = report.progress.unwrap_or_default();
        bar.set_length(last.total.max(last.done));
        bar.set_position(last.done);
        bar.set_message(if last.problem.is_empty() {
            status::remaining(&last)
        } else {
            last.problem.clone()
        });
    }
    bar.finish_and_clear();
    println!("{}", status::describe(&last));
    match last.state() {
        RebuildState::Complete => {
            println!("to use it for searches: broadsheet index switch {}", last.to_collection);
            Ok(())
        }
        RebuildState::Switched => Ok(()),
        RebuildState::Running => Err(CommandError::other(
            "the platform is stopping; the rebuild continues by itself after its next start",
        )),
        _ => Err(CommandError::other("the rebuild was not completed")),
    }
}

async fn cancel(admin: &mut IndexClient) -> Result<(), CommandError> {
    let last = admin
        .cancel_rebuild(CancelRebuildRequest {})
        .await?
        .into_inner()
        .progress;
    println!(
        "{}",
        last.as_ref().map_or_else(|| "cancelled".to_owned(), status::describe)
    );
    Ok(())
}
