//! `index`: the life of the index. Everything but `copy` asks a running platform.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use common::config::{COMMON_DEFAULTS, Settings};
use common::grpc::ServiceChannel;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use indicatif::{ProgressBar, ProgressStyle};
use prost::Message as _;
use proto::index::v1::index_admin_service_client::IndexAdminServiceClient;
use proto::index::v1::{
    CancelRebuildRequest, CatalogueEntry, Collection, DifferenceKind, DropCollectionRequest, ExportPapersRequest,
    GetIndexStatusRequest, GetIndexStatusResponse, ImportPapersRequest, IndexDifference, RebuildIndexRequest,
    RebuildProgress, RebuildState, SwitchIndexRequest, VerifyIndexRequest, VerifyIndexResponse,
};
use serde_json::json;
use tokio_stream::wrappers::ReceiverStream;

use crate::failure::Failure;
use crate::{Place, client};

/// First bytes of a backup, inside the compression.
const MAGIC: &[u8; 16] = b"broadsheet-bak1\n";
/// Largest entry of a backup; a paper is far smaller.
const MAX_ENTRY_BYTES: u64 = 16 * 1024 * 1024;

/// What to do with the index.
#[derive(Subcommand)]
pub enum Index {
    /// Say which collections there are, which one is in use, and how far a rebuild is
    Status {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Embed the whole catalogue again for another model, while search goes on; goes on where one was cut off
    ///
    /// The embedding service must offer the new model beside the one in use: name it in embedding.next_model.
    Rebuild {
        /// The encoder to build for [default: the one that is offered and not in use]
        #[arg(long, value_name = "ENCODER")]
        encoder: Option<String>,
        /// Let searches use the new collection as soon as it is complete
        #[arg(long)]
        switch: bool,
        /// Stop the one that is running; what was built stays
        #[arg(long, conflicts_with_all = ["encoder", "switch"])]
        cancel: bool,
    },
    /// Let searches use another collection from now on
    Switch {
        /// Its name, from `index status`
        collection: String,
        /// Also where it lacks papers that the current one has
        #[arg(long)]
        allow_missing: bool,
    },
    /// Remove a collection that is not in use
    Drop {
        /// Its name, from `index status`
        collection: String,
    },
    /// Compare the index with the papers that were accepted
    Verify {
        /// Mend what can be mended
        #[arg(long)]
        repair: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write the catalogue with its vectors into a file
    Backup {
        /// The file; replaced only when the backup is complete
        file: PathBuf,
    },
    /// Read a backup into the catalogue; newer papers that are there stay
    Restore {
        /// The file that `backup` wrote
        file: PathBuf,
    },
    /// Copy every collection from one store into another, while no platform runs over a folder that takes part
    Copy(Copying),
}

/// From where to where.
#[derive(Args)]
pub struct Copying {
    /// Folder of an embedded store, or gRPC address of a Qdrant server (its key from QDRANT_API_KEY)
    /// [default: the embedded store of the data folder]
    #[arg(long, value_name = "FOLDER_OR_URL")]
    from: Option<String>,
    /// Folder of an embedded store, or gRPC address of a Qdrant server
    #[arg(long, value_name = "FOLDER_OR_URL")]
    to: String,
}

type Client = IndexAdminServiceClient<ServiceChannel>;

/// Runs the command.
pub async fn run(place: &Place, command: Index) -> Result<(), Failure> {
    if let Index::Copy(copying) = command {
        return copy(place, copying).await;
    }
    let mut admin = IndexAdminServiceClient::new(client::connect(place)?);
    match command {
        Index::Status { json } => status(&mut admin, json).await,
        Index::Rebuild { cancel: true, .. } => cancel(&mut admin).await,
        Index::Rebuild { encoder, switch, .. } => rebuild(&mut admin, encoder, switch).await,
        Index::Switch {
            collection,
            allow_missing,
        } => {
            let request = SwitchIndexRequest {
                collection: collection.clone(),
                allow_missing,
            };
            let previous = admin.switch_index(request).await?.into_inner().previous_collection;
            println!("searches use {collection} from now on; {previous} is kept until it is dropped");
            Ok(())
        }
        Index::Drop { collection } => {
            let request = DropCollectionRequest {
                collection: collection.clone(),
            };
            admin.drop_collection(request).await?;
            println!("{collection} is gone");
            Ok(())
        }
        Index::Verify { repair, json } => verify(&mut admin, repair, json).await,
        Index::Backup { file } => backup(&mut admin, &file).await,
        Index::Restore { file } => restore(&mut admin, file).await,
        Index::Copy(_) => Ok(()),
    }
}

async fn status(admin: &mut Client, as_json: bool) -> Result<(), Failure> {
    let status = admin.get_index_status(GetIndexStatusRequest {}).await?.into_inner();
    if as_json {
        println!("{}", status_json(&status));
        return Ok(());
    }
    println!("store  {}", status.store);
    println!(
        "\n{:<52} {:>9} {:>9} {:>9}  ",
        "collection", "dimension", "papers", "withdrawn"
    );
    for one in &status.collections {
        let Collection {
            name,
            dimension,
            papers,
            withdrawn,
            ..
        } = one;
        println!("{name:<52} {dimension:>9} {papers:>9} {withdrawn:>9}  {}", role(one));
    }
    if let Some(progress) = &status.rebuild {
        println!("\nrebuild  {}", told(progress));
    }
    if !status.notice.is_empty() {
        println!("\n{}", status.notice);
    }
    Ok(())
}

fn role(one: &Collection) -> &'static str {
    match (one.current, one.next) {
        (true, _) => "in use",
        (_, true) => "being built",
        _ => "",
    }
}

fn status_json(status: &GetIndexStatusResponse) -> serde_json::Value {
    let collections: Vec<_> = status
        .collections
        .iter()
        .map(|one| {
            json!({
                "name": one.name, "encoder": one.encoder_id, "dimension": one.dimension, "papers": one.papers,
                "withdrawn": one.withdrawn, "current": one.current, "next": one.next,
            })
        })
        .collect();
    let rebuild = status.rebuild.as_ref().map(|one| {
        json!({
            "state": state(one), "from": one.from_collection, "to": one.to_collection, "done": one.done,
            "embedded": one.embedded, "total": one.total, "problem": one.problem,
        })
    });
    json!({
        "store": status.store, "collection": status.collection, "encoder": status.encoder_id,
        "dimension": status.dimension, "papers": status.papers, "withdrawn": status.withdrawn,
        "collections": collections, "rebuild": rebuild, "notice": status.notice,
    })
}

async fn rebuild(admin: &mut Client, encoder: Option<String>, switch: bool) -> Result<(), Failure> {
    let request = RebuildIndexRequest {
        encoder_id: encoder.unwrap_or_default(),
        switch_when_complete: switch,
    };
    let mut reports = admin.rebuild_index(request).await?.into_inner();
    let bar = progress_bar(0);
    let mut last = RebuildProgress::default();
    while let Some(report) = reports.message().await? {
        last = report.progress.unwrap_or_default();
        bar.set_length(last.total.max(last.done));
        bar.set_position(last.done);
        bar.set_message(if last.problem.is_empty() {
            remaining(&last)
        } else {
            last.problem.clone()
        });
    }
    bar.finish_and_clear();
    println!("{}", told(&last));
    match last.state() {
        RebuildState::Complete => {
            println!("searches use it after: broadsheet index switch {}", last.to_collection);
            Ok(())
        }
        RebuildState::Switched => Ok(()),
        RebuildState::Running => Err(Failure::other(
            "the platform is stopping; the rebuild goes on by itself at its next start",
        )),
        _ => Err(Failure::other("the rebuild did not come to its end")),
    }
}

async fn cancel(admin: &mut Client) -> Result<(), Failure> {
    let last = admin
        .cancel_rebuild(CancelRebuildRequest {})
        .await?
        .into_inner()
        .progress;
    println!("{}", last.as_ref().map_or_else(|| "cancelled".to_owned(), told));
    Ok(())
}

fn told(progress: &RebuildProgress) -> String {
    let RebuildProgress {
        from_collection,
        to_collection,
        done,
        embedded,
        total,
        problem,
        ..
    } = progress;
    let mut text = format!(
        "{}: {from_collection} -> {to_collection}, {done} of {total} looked at, {embedded} embedded",
        state(progress)
    );
    let left = remaining(progress);
    if !left.is_empty() {
        text = format!("{text}, {left}");
    }
    if !problem.is_empty() {
        text = format!("{text}; {problem}");
    }
    text
}

fn state(progress: &RebuildProgress) -> &'static str {
    match progress.state() {
        RebuildState::Unspecified => "unknown",
        RebuildState::Running => "running",
        RebuildState::Complete => "complete",
        RebuildState::Switched => "switched",
        RebuildState::Cancelled => "cancelled",
        RebuildState::Failed => "failed",
    }
}

fn remaining(progress: &RebuildProgress) -> String {
    let left = progress.remaining.and_then(|left| Duration::try_from(left).ok());
    left.map_or_else(String::new, |left| format!("about {} s left", left.as_secs()))
}

async fn verify(admin: &mut Client, repair: bool, as_json: bool) -> Result<(), Failure> {
    let mut reports = admin.verify_index(VerifyIndexRequest { repair }).await?.into_inner();
    let bar = progress_bar(0);
    let mut last = VerifyIndexResponse::default();
    while let Some(report) = reports.message().await? {
        bar.set_message(format!("{} papers compared", report.compared));
        last = report;
    }
    bar.finish_and_clear();
    if !last.complete {
        return Err(Failure::other("the comparison did not come to its end; try again"));
    }
    let differences = &last.differences;
    let open = differences
        .iter()
        .filter(|one| !one.repaired && one.kind() != DifferenceKind::Unknown)
        .count();
    if as_json {
        let differences: Vec<_> = differences.iter().map(difference_json).collect();
        println!("{}", json!({ "compared": last.compared, "differences": differences }));
    } else {
        for one in differences {
            println!(
                "{:<12} {}{}",
                kind(one),
                one.paper_id,
                if one.repaired { "  repaired" } else { "" }
            );
        }
        println!("{} papers compared, {} differ", last.compared, differences.len());
    }
    if open == 0 {
        return Ok(());
    }
    Err(Failure::other(if repair {
        format!("{open} papers could not be mended; submit them again")
    } else {
        format!("{open} papers can be mended with: broadsheet index verify --repair")
    }))
}

fn kind(one: &IndexDifference) -> &'static str {
    match one.kind() {
        DifferenceKind::Unspecified => "unclear",
        DifferenceKind::Missing => "missing",
        DifferenceKind::Outdated => "outdated",
        DifferenceKind::Withdrawn => "withdrawn",
        DifferenceKind::Unknown => "unknown",
    }
}

fn difference_json(one: &IndexDifference) -> serde_json::Value {
    json!({
        "id": one.paper_id, "kind": kind(one), "accepted_revision": one.accepted_revision,
        "indexed_revision": one.indexed_revision, "repaired": one.repaired,
    })
}

async fn backup(admin: &mut Client, file: &Path) -> Result<(), Failure> {
    let partial = file.with_added_extension("partial");
    let in_file = |error: std::io::Error| Failure::other(format!("{}: {error}", partial.display()));
    let total = admin.get_index_status(GetIndexStatusRequest {}).await?.into_inner();
    let bar = progress_bar(total.papers + total.withdrawn);
    let mut entries = admin.export_papers(ExportPapersRequest {}).await?.into_inner();
    let made = File::create(&partial).map_err(in_file)?;
    let mut out = GzEncoder::new(BufWriter::new(made), Compression::fast());
    out.write_all(MAGIC).map_err(in_file)?;
    let mut count = 0_u64;
    while let Some(response) = entries.message().await? {
        let entry = response.entry.unwrap_or_default();
        out.write_all(&entry.encode_length_delimited_to_vec())
            .map_err(in_file)?;
        count += 1;
        bar.set_position(count);
    }
    let made = out
        .finish()
        .and_then(|buffer| buffer.into_inner().map_err(std::io::IntoInnerError::into_error));
    made.and_then(|made| made.sync_all()).map_err(in_file)?;
    std::fs::rename(&partial, file).map_err(in_file)?;
    bar.finish_and_clear();
    println!("{count} papers and marks of withdrawals are in {}", file.display());
    Ok(())
}

async fn restore(admin: &mut Client, file: PathBuf) -> Result<(), Failure> {
    let (sender, entries) = tokio::sync::mpsc::channel(256);
    let reading = tokio::task::spawn_blocking(move || read_backup(&file, &sender));
    let answer = admin.import_papers(ReceiverStream::new(entries)).await;
    // What is wrong with the file says more than that the stream ended early.
    let count = reading.await.map_err(Failure::other)??;
    let done = answer?.into_inner();
    println!(
        "{count} entries read: {} papers and {} withdrawals written, {} older than what is there, {} embedded again",
        done.papers, done.withdrawn, done.stale, done.embedded
    );
    Ok(())
}

/// Blocks. Ends early, without an error, when nobody takes the entries any more: the call says why.
fn read_backup(file: &Path, sender: &tokio::sync::mpsc::Sender<ImportPapersRequest>) -> Result<u64, Failure> {
    let broken =
        |problem: &dyn std::fmt::Display| Failure::data(format!("{} is not a whole backup: {problem}", file.display()));
    let opened = File::open(file).map_err(|error| Failure::data(format!("{}: {error}", file.display())))?;
    let mut from = BufReader::new(MultiGzDecoder::new(BufReader::new(opened)));
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic).map_err(|error| broken(&error))?;
    if &magic != MAGIC {
        return Err(broken(&"it does not begin as one"));
    }
    let mut count = 0;
    while let Some(length) = next_length(&mut from).map_err(|error| broken(&error))? {
        if length > MAX_ENTRY_BYTES {
            return Err(broken(&format!("entry {count} has {length} bytes")));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        from.read_exact(&mut bytes).map_err(|error| broken(&error))?;
        let entry = CatalogueEntry::decode(bytes.as_slice()).map_err(|error| broken(&error))?;
        if sender
            .blocking_send(ImportPapersRequest { entry: Some(entry) })
            .is_err()
        {
            return Ok(count);
        }
        count += 1;
    }
    Ok(count)
}

/// The length before an entry, as protobuf writes it; `None` at the end.
fn next_length(from: &mut impl Read) -> std::io::Result<Option<u64>> {
    let (mut length, mut shift) = (0_u64, 0);
    loop {
        let mut byte = [0];
        if from.read(&mut byte)? == 0 {
            return if shift == 0 {
                Ok(None)
            } else {
                Err(std::io::ErrorKind::UnexpectedEof.into())
            };
        }
        length |= u64::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            return Ok(Some(length));
        }
        if shift > 35 {
            return Err(std::io::Error::other("a length that makes no sense"));
        }
    }
}

async fn copy(place: &Place, copying: Copying) -> Result<(), Failure> {
    let from = if let Some(from) = copying.from {
        from
    } else {
        let folder = match &place.data {
            Some(folder) => folder.clone(),
            None => standalone::default_data_folder().map_err(Failure::other)?,
        };
        folder.join("index").display().to_string()
    };
    let (source, target) = (store(&from), store(&copying.to));
    let source = source.open().await.map_err(Failure::other)?;
    let target = target.open().await.map_err(Failure::other)?;
    let bar = progress_bar(0);
    let report = |progress: &indexing::store::copy::Progress| {
        bar.set_length(progress.total.max(progress.seen));
        bar.set_position(progress.seen);
        bar.set_message(progress.collection.clone());
    };
    let copied = indexing::store::copy::copy(source.as_ref(), target.as_ref(), report).await;
    let copied = copied.map_err(Failure::other)?;
    bar.finish_and_clear();
    println!(
        "{} collections: {} papers and {} withdrawals written, {} were there already",
        copied.collections, copied.papers, copied.withdrawn, copied.skipped
    );
    Ok(())
}

/// A store as the configuration of the service would have it.
fn store(named: &str) -> indexing::Place {
    let mut settings = Settings::load(&[COMMON_DEFAULTS, indexing::DEFAULTS], None, std::env::vars());
    let key = if named.starts_with("http://") || named.starts_with("https://") {
        if let Ok(key) = std::env::var("QDRANT_API_KEY") {
            settings.set_default("indexing.qdrant_api_key", key, "QDRANT_API_KEY");
        }
        "indexing.qdrant_url"
    } else {
        "indexing.folder"
    };
    settings.replace("indexing.qdrant_url", String::new());
    settings.replace("indexing.qdrant_url", "");
    settings.replace(key, named);
    indexing::Place::read(&mut settings)
}

fn progress_bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}");
    let bar = ProgressBar::new(total);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
