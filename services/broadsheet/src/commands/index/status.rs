//! `index status`: the collections, and how far a rebuild is.

use std::time::Duration;

use proto::index::v1::{Collection, GetIndexStatusRequest, GetIndexStatusResponse, RebuildProgress, RebuildState};
use serde_json::json;

use super::IndexClient;
use crate::error::CommandError;

/// Prints the collections, and the rebuild if there is one.
pub(super) async fn status(admin: &mut IndexClient, as_json: bool) -> Result<(), CommandError> {
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
        println!("\nrebuild  {}", describe(progress));
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

/// A rebuild in one line.
pub(super) fn describe(progress: &RebuildProgress) -> String {
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
        "{}: {from_collection} -> {to_collection}, {done} of {total} checked, {embedded} embedded",
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

/// The time that a rebuild still takes.
pub(super) fn remaining(progress: &RebuildProgress) -> String {
    let left = progress.remaining.and_then(|left| Duration::try_from(left).ok());
    left.map_or_else(String::new, |left| format!("about {} s left", left.as_secs()))
}
