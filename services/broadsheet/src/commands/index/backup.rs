//! `index backup` and `index restore`: the catalogue in a file, as length-delimited entries, compressed.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use common::tasks;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use prost::Message as _;
use proto::index::v1::{CatalogueEntry, ExportPapersRequest, GetIndexStatusRequest, ImportPapersRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{BAR, IndexClient};
use crate::error::CommandError;
use crate::output;

/// First bytes of a backup, inside the compression.
const MAGIC: &[u8; 16] = b"broadsheet-bak1\n";
/// Largest entry of a backup; a paper is far smaller.
const MAX_ENTRY_BYTES: u64 = 16 * 1024 * 1024;

/// Writes the catalogue into a file.
pub(super) async fn backup(admin: &mut IndexClient, file: &Path) -> Result<(), CommandError> {
    let partial = file.with_added_extension("partial");
    let in_file = |error: std::io::Error| CommandError::other(format!("{}: {error}", partial.display()));
    let status = admin.get_index_status(GetIndexStatusRequest {}).await?.into_inner();
    let bar = output::progress_bar(status.papers + status.withdrawn, BAR);
    let mut entries = admin.export_papers(ExportPapersRequest {}).await?.into_inner();
    let created = File::create(&partial).map_err(in_file)?;
    let mut out = GzEncoder::new(BufWriter::new(created), Compression::fast());
    out.write_all(MAGIC).map_err(in_file)?;
    let mut count = 0_u64;
    while let Some(response) = entries.message().await? {
        let entry = response.entry.unwrap_or_default();
        out.write_all(&entry.encode_length_delimited_to_vec())
            .map_err(in_file)?;
        count += 1;
        bar.set_position(count);
    }
    let written = out
        .finish()
        .and_then(|buffer| buffer.into_inner().map_err(std::io::IntoInnerError::into_error));
    written.and_then(|file| file.sync_all()).map_err(in_file)?;
    std::fs::rename(&partial, file).map_err(in_file)?;
    bar.finish_and_clear();
    println!("wrote {count} papers and withdrawals to {}", file.display());
    Ok(())
}

/// Reads a backup into the catalogue.
pub(super) async fn restore(admin: &mut IndexClient, file: PathBuf) -> Result<(), CommandError> {
    let (sender, entries) = mpsc::channel(256);
    let reading = tasks::blocking(move || read_backup(&file, &sender));
    let (count, answer) = tokio::join!(reading, admin.import_papers(ReceiverStream::new(entries)));
    // What is wrong with the file says more than that the stream ended early.
    let count = count?;
    let report = answer?.into_inner();
    println!(
        "{count} entries read: {} papers and {} withdrawals written, {} older than what is there, {} embedded again",
        report.papers, report.withdrawn, report.stale, report.embedded
    );
    Ok(())
}

/// Blocks. Ends early, without an error, when the call has ended: its own error says why.
fn read_backup(file: &Path, sender: &mpsc::Sender<ImportPapersRequest>) -> Result<u64, CommandError> {
    let broken = |problem: &dyn std::fmt::Display| {
        CommandError::data(format!("{} is not a complete backup: {problem}", file.display()))
    };
    let opened = File::open(file).map_err(|error| CommandError::data(format!("{}: {error}", file.display())))?;
    let mut from = BufReader::new(MultiGzDecoder::new(BufReader::new(opened)));
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic).map_err(|error| broken(&error))?;
    if &magic != MAGIC {
        return Err(broken(&"it does not start with the mark of one"));
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
            return Err(std::io::Error::other("the length of an entry is out of range"));
        }
    }
}
