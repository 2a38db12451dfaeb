//! `index verify`: compares the index with the papers that were accepted.

use proto::index::v1::{DifferenceKind, IndexDifference, VerifyIndexRequest, VerifyIndexResponse};
use serde_json::json;

use super::{BAR, IndexClient};
use crate::error::CommandError;
use crate::output;

/// Compares, and repairs if asked to.
pub(super) async fn verify(admin: &mut IndexClient, repair: bool, as_json: bool) -> Result<(), CommandError> {
    let mut reports = admin.verify_index(VerifyIndexRequest { repair }).await?.into_inner();
    let bar = output::progress_bar(0, BAR);
    let mut last = VerifyIndexResponse::default();
    while let Some(report) = reports.message().await? {
        bar.set_message(format!("{} papers compared", report.compared));
        last = report;
    }
    bar.finish_and_clear();
    if !last.complete {
        return Err(CommandError::other("the comparison was interrupted; try again"));
    }
    print(&last, as_json);
    let open = last.differences.iter();
    let open = open.filter(|one| !one.repaired && one.kind() != DifferenceKind::Unknown);
    match (open.count(), repair) {
        (0, _) => Ok(()),
        (open, true) => Err(CommandError::other(format!(
            "{open} papers could not be repaired; submit them again"
        ))),
        (open, false) => Err(CommandError::other(format!(
            "{open} papers can be repaired with: broadsheet index verify --repair"
        ))),
    }
}

fn print(report: &VerifyIndexResponse, as_json: bool) {
    let VerifyIndexResponse {
        compared, differences, ..
    } = report;
    if as_json {
        let differences: Vec<_> = differences.iter().map(difference_json).collect();
        println!("{}", json!({ "compared": compared, "differences": differences }));
        return;
    }
    for one in differences {
        let repaired = if one.repaired { "  repaired" } else { "" };
        println!("{:<12} {}{repaired}", kind(one), one.paper_id);
    }
    println!("{compared} papers compared, {} differ", differences.len());
}

fn kind(one: &IndexDifference) -> &'static str {
    match one.kind() {
        DifferenceKind::Unspecified => "unspecified",
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
