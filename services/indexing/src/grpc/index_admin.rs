//! IndexAdminService.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::clock::Clock;
use common::status;
use common::tasks::{Tasks, contained};
use domain::{EncoderId, Paper, PaperId, PaperVectors};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use proto::convert::to_wire_time;
use proto::index::v1::index_admin_service_server::IndexAdminService;
use proto::index::v1::{
    self as wire, CancelRebuildRequest, CancelRebuildResponse, CatalogueEntry, DropCollectionRequest,
    DropCollectionResponse, ExportPapersRequest, ExportPapersResponse, GetIndexStatusRequest, GetIndexStatusResponse,
    ImportPapersRequest, ImportPapersResponse, IndexDifference, RebuildIndexRequest, RebuildIndexResponse,
    RebuildState, SwitchIndexRequest, SwitchIndexResponse, VerifyIndexRequest, VerifyIndexResponse,
};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, WatchStream};
use tonic::{Request, Response, Status, Streaming};

use super::{ResponseStream, encoders_failed, opened, refused, store_failed};
use crate::catalogue::{Catalogue, OpenCollection, WriteError};
use crate::rebuild::{RebuildError, RebuildProgress, RebuildStatus};
use crate::state::{IndexingCell, IndexingState};
use crate::store::{CollectionDescription, IndexedPaper, Store, StoreEntry, StoreError, UpsertOutcome};
use crate::verify::{Difference, DifferenceKind, VerifyError};

/// Entries read at once for an export.
const EXPORT_BATCH: usize = 256;
/// Entries written at once by an import.
const IMPORT_BATCH: usize = 128;
/// Revisions compared at once.
const COMPARE_BATCH: usize = 1_000;
/// Between two reports of progress.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// IndexAdminService.
pub struct IndexAdminHandler {
    pub indexing: IndexingCell,
    pub clock: Clock,
    pub tasks: Tasks,
}

#[tonic::async_trait]
impl IndexAdminService for IndexAdminHandler {
    async fn get_index_status(
        &self,
        _: Request<GetIndexStatusRequest>,
    ) -> Result<Response<GetIndexStatusResponse>, Status> {
        let indexing = opened(&self.indexing)?;
        let view = indexing.catalogue.view();
        let current = view.current.store.describe().await.map_err(store_failed)?;
        let all = indexing.catalogue.collections.all().await.map_err(store_failed)?;
        let next = view.next.as_ref().map(OpenCollection::name);
        let collections = all.into_iter().map(|one| wire::Collection {
            current: one.collection == current.collection,
            next: Some(&one.collection) == next.as_ref(),
            encoder_id: one.encoder.to_string(),
            dimension: number(one.dimension),
            papers: one.papers,
            withdrawn: one.withdrawn,
            name: one.collection,
        });
        let CollectionDescription {
            store,
            collection,
            encoder,
            dimension,
            papers,
            withdrawn,
        } = current.clone();
        Ok(Response::new(GetIndexStatusResponse {
            store: store.to_owned(),
            collection,
            encoder_id: encoder.to_string(),
            dimension: number(dimension),
            papers,
            withdrawn,
            collections: collections.collect(),
            rebuild: indexing.rebuilds.progress().map(progress),
            notice: notice(indexing, &view.current).await,
        }))
    }

    type RebuildIndexStream = ResponseStream<RebuildIndexResponse>;

    async fn rebuild_index(
        &self,
        request: Request<RebuildIndexRequest>,
    ) -> Result<Response<Self::RebuildIndexStream>, Status> {
        let request = request.into_inner();
        let encoder = match request.encoder_id.as_str() {
            "" => None,
            id => Some(EncoderId::parse(id).map_err(|error| status::invalid("encoder_id", error.to_string()))?),
        };
        let rebuilds = &opened(&self.indexing)?.rebuilds;
        let watching = rebuilds.begin(encoder, request.switch_when_complete).await;
        let watching = watching.map_err(rebuild_failed)?;
        let reports = until_ended(watching, self.clock.clone()).map(|one| {
            Ok(RebuildIndexResponse {
                progress: Some(progress(one)),
            })
        });
        Ok(Response::new(
            reports.take_until(self.tasks.stop().clone().cancelled_owned()).boxed(),
        ))
    }

    async fn cancel_rebuild(
        &self,
        _: Request<CancelRebuildRequest>,
    ) -> Result<Response<CancelRebuildResponse>, Status> {
        let indexing = opened(&self.indexing)?;
        let last = indexing.rebuilds.cancel().await;
        // Also where it was complete and waited for the switch.
        if indexing.catalogue.view().next.is_some() {
            indexing.catalogue.end_next().await.map_err(store_failed)?;
        } else if last.is_none() {
            return Err(refused("no rebuild is running"));
        }
        let last = last.or_else(|| indexing.rebuilds.progress());
        Ok(Response::new(CancelRebuildResponse {
            progress: last.map(progress),
        }))
    }

    async fn switch_index(
        &self,
        request: Request<SwitchIndexRequest>,
    ) -> Result<Response<SwitchIndexResponse>, Status> {
        let request = request.into_inner();
        let catalogue = &opened(&self.indexing)?.catalogue;
        let wanted = named(catalogue, &request.collection).await?;
        let view = catalogue.view();
        if wanted.encoder == view.current.encoder {
            return Err(refused(format!("{} is in use already", request.collection)));
        }
        if !request.allow_missing {
            let target = catalogue.collections.open(&wanted.encoder, wanted.dimension).await;
            let lacking = lacking(view.current.store.as_ref(), target.map_err(store_failed)?.as_ref()).await;
            let lacking = lacking.map_err(store_failed)?;
            if lacking > 0 {
                return Err(refused(format!(
                    "{} lacks {lacking} papers that the current collection has; finish its rebuild first, or allow it",
                    request.collection
                )));
            }
        }
        let previous_collection = catalogue.switch(&wanted.encoder).await.map_err(store_failed)?;
        Ok(Response::new(SwitchIndexResponse { previous_collection }))
    }

    async fn drop_collection(
        &self,
        request: Request<DropCollectionRequest>,
    ) -> Result<Response<DropCollectionResponse>, Status> {
        let catalogue = &opened(&self.indexing)?.catalogue;
        let unwanted = named(catalogue, &request.into_inner().collection).await?;
        let dropped = catalogue.collections.remove(&unwanted.encoder).await;
        dropped.map_err(store_failed)?;
        Ok(Response::new(DropCollectionResponse {}))
    }

    type VerifyIndexStream = ResponseStream<VerifyIndexResponse>;

    async fn verify_index(
        &self,
        request: Request<VerifyIndexRequest>,
    ) -> Result<Response<Self::VerifyIndexStream>, Status> {
        let repair = request.into_inner().repair;
        opened(&self.indexing)?;
        let (sender, reports) = mpsc::channel(16);
        let indexing = Arc::clone(&self.indexing);
        let verification = async move {
            let outcome = contained("verification of the index", verify(&indexing, repair, &sender)).await;
            let outcome = outcome.unwrap_or_else(|| Err(status::internal("the verification panicked")));
            // The caller may be gone.
            let _ = sender.send(outcome).await;
        };
        drop(self.tasks.job("verification of the index", verification));
        let reports = ReceiverStream::new(reports);
        Ok(Response::new(
            reports.take_until(self.tasks.stop().clone().cancelled_owned()).boxed(),
        ))
    }

    type ExportPapersStream = ResponseStream<ExportPapersResponse>;

    async fn export_papers(
        &self,
        _: Request<ExportPapersRequest>,
    ) -> Result<Response<Self::ExportPapersStream>, Status> {
        let store = Arc::clone(&opened(&self.indexing)?.catalogue.view().current.store);
        let pages = futures::stream::try_unfold(Some(None), move |cursor: Option<Option<String>>| {
            let store = Arc::clone(&store);
            async move {
                let Some(after) = cursor else { return Ok(None) };
                let page = store.scan(after, EXPORT_BATCH).await.map_err(store_failed)?;
                let entries = page.entries.into_iter().map(|one| {
                    Ok(ExportPapersResponse {
                        entry: Some(to_wire_entry(&one)),
                    })
                });
                let entries = futures::stream::iter(entries.collect::<Vec<Result<_, Status>>>());
                Ok::<_, Status>(Some((entries, page.next.map(Some))))
            }
        });
        // An export that was cut off must not look complete.
        let stopped = self.tasks.stop().clone();
        let entries = pages.try_flatten().map(move |entry| {
            if stopped.is_cancelled() {
                return Err(Status::unavailable("the service is stopping; export again"));
            }
            entry
        });
        Ok(Response::new(entries.boxed()))
    }

    async fn import_papers(
        &self,
        request: Request<Streaming<ImportPapersRequest>>,
    ) -> Result<Response<ImportPapersResponse>, Status> {
        let catalogue = &opened(&self.indexing)?.catalogue;
        let mut entries = request.into_inner();
        let (mut done, mut waiting, mut number) = (ImportPapersResponse::default(), Vec::new(), 0);
        while let Some(request) = entries.message().await? {
            let stored = from_wire_entry(request.entry.unwrap_or_default())
                .map_err(|problem| status::invalid(format!("entry {number}"), problem))?;
            number += 1;
            if let Some(one) = stored.content {
                waiting.push(one);
            } else {
                let withdrawn = catalogue.withdraw(&stored.id, stored.revision).await;
                withdrawn.map_err(store_failed)?;
                done.withdrawn += 1;
            }
            if waiting.len() >= IMPORT_BATCH {
                write(catalogue, std::mem::take(&mut waiting), &mut done).await?;
            }
        }
        write(catalogue, waiting, &mut done).await?;
        Ok(Response::new(done))
    }
}

async fn write(
    catalogue: &Catalogue,
    papers: Vec<IndexedPaper>,
    done: &mut ImportPapersResponse,
) -> Result<(), Status> {
    let current = catalogue.view().current.encoder.clone();
    done.embedded += papers.iter().filter(|one| one.vectors.encoder != current).count() as u64;
    let written = catalogue.upsert(papers).await.map_err(|error| match error {
        WriteError::Store(error) => store_failed(error),
        WriteError::Encoders(error) => encoders_failed(error),
    })?;
    for one in written {
        match one.outcome {
            UpsertOutcome::Written => done.papers += 1,
            UpsertOutcome::Stale => done.stale += 1,
        }
    }
    Ok(())
}

async fn verify(
    indexing: &IndexingCell,
    repair: bool,
    sender: &mpsc::Sender<Result<VerifyIndexResponse, Status>>,
) -> Result<VerifyIndexResponse, Status> {
    let indexing = opened(indexing)?;
    let index = indexing.catalogue.view().current.clone();
    let compared = AtomicU64::new(0);
    let report = |count| {
        compared.store(count, Ordering::Relaxed);
        // A slow caller misses some of the progress.
        let _ = sender.try_send(Ok(VerifyIndexResponse {
            compared: count,
            ..VerifyIndexResponse::default()
        }));
    };
    let mut differences = indexing.registry.compare(&index, report).await.map_err(verify_failed)?;
    if repair {
        let repaired = indexing.registry.repair(&index, &mut differences).await;
        repaired.map_err(verify_failed)?;
    }
    let compared = compared.into_inner();
    Ok(VerifyIndexResponse {
        compared,
        accepted: compared,
        differences: differences.iter().map(difference).collect(),
        complete: true,
    })
}

/// Papers and tombstones that one store has and the other has not, or only at a lower revision.
async fn lacking(here: &dyn Store, there: &dyn Store) -> Result<u64, StoreError> {
    let (mut lacking, mut after) = (0, None);
    loop {
        let page = here.revisions(after, COMPARE_BATCH).await?;
        let ids: Vec<PaperId> = page.entries.iter().map(|one| one.id.clone()).collect();
        let held = there.revisions_of(&ids).await?;
        let held: HashMap<PaperId, u64> = held.into_iter().map(|one| (one.id, one.revision)).collect();
        let lacks = page
            .entries
            .iter()
            .filter(|one| held.get(&one.id).is_none_or(|held| *held < one.revision));
        lacking += lacks.count() as u64;
        after = page.next;
        if after.is_none() {
            return Ok(lacking);
        }
    }
}

async fn named(catalogue: &Catalogue, name: &str) -> Result<CollectionDescription, Status> {
    let all = catalogue.collections.all().await.map_err(store_failed)?;
    let found = all.iter().find(|one| one.collection == name).cloned();
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| one.collection.as_str()).collect();
        status::invalid("collection", format!("is {name:?}; there are {}", names.join(", ")))
    })
}

/// What an operator should know.
async fn notice(indexing: &IndexingState, current: &OpenCollection) -> String {
    match indexing.catalogue.encoders.offered().await {
        Ok(offers) if offers.iter().any(|offer| offer.encoder == current.encoder) => String::new(),
        Ok(_) => format!(
            "no embedding service offers {}, the encoder of this index: searches go by words alone until a rebuild for an \
             encoder that is offered is complete",
            current.encoder
        ),
        Err(error) => error.to_string(),
    }
}

/// Reports at most once a second, and always the last one.
fn until_ended(watching: watch::Receiver<RebuildProgress>, clock: Clock) -> impl Stream<Item = RebuildProgress> {
    let ended = |progress: &RebuildProgress| progress.status != RebuildStatus::Running;
    let paced = WatchStream::new(watching).then(move |progress| {
        let clock = clock.clone();
        async move {
            if !ended(&progress) {
                clock.sleep(REPORT_INTERVAL).await;
            }
            progress
        }
    });
    futures::stream::unfold((paced.boxed(), false), move |(mut paced, over)| async move {
        if over {
            return None;
        }
        let progress = paced.next().await?;
        let over = ended(&progress);
        Some((progress, (paced, over)))
    })
}

fn progress(progress: RebuildProgress) -> wire::RebuildProgress {
    let state = match progress.status {
        RebuildStatus::Running => RebuildState::Running,
        RebuildStatus::Complete => RebuildState::Complete,
        RebuildStatus::Switched => RebuildState::Switched,
        RebuildStatus::Cancelled => RebuildState::Cancelled,
        RebuildStatus::Failed => RebuildState::Failed,
    };
    wire::RebuildProgress {
        state: state.into(),
        from_collection: progress.from,
        to_collection: progress.to,
        done: progress.done,
        embedded: progress.embedded,
        total: progress.total,
        start_time: Some(to_wire_time(progress.started)),
        remaining: progress.remaining.and_then(|left| left.try_into().ok()),
        problem: progress.problem,
    }
}

fn difference(one: &Difference) -> IndexDifference {
    let kind = match one.kind {
        DifferenceKind::Missing => wire::DifferenceKind::Missing,
        DifferenceKind::Outdated => wire::DifferenceKind::Outdated,
        DifferenceKind::Withdrawn => wire::DifferenceKind::Withdrawn,
        DifferenceKind::Unknown => wire::DifferenceKind::Unknown,
    };
    IndexDifference {
        paper_id: one.id.to_string(),
        kind: kind.into(),
        accepted_revision: one.accepted,
        indexed_revision: one.indexed,
        repaired: one.repaired,
    }
}

fn to_wire_entry(stored: &StoreEntry) -> CatalogueEntry {
    CatalogueEntry {
        paper_id: stored.id.to_string(),
        revision: stored.revision,
        paper: stored.content.as_ref().map(|one| (&one.paper).into()),
        vectors: stored.content.as_ref().map(|one| (&one.vectors).into()),
    }
}

fn from_wire_entry(entry: CatalogueEntry) -> Result<StoreEntry, String> {
    let id = PaperId::parse(&entry.paper_id).map_err(|error| format!("has paper_id {error}"))?;
    let content = match (entry.paper, entry.vectors) {
        (Some(paper), Some(vectors)) => Some(IndexedPaper {
            paper: Paper::try_from(paper).map_err(|error| error.to_string())?,
            vectors: PaperVectors::try_from(vectors).map_err(|error| error.to_string())?,
        }),
        (None, None) => None,
        _ => return Err("has a paper without vectors, or vectors without a paper".to_owned()),
    };
    if content
        .as_ref()
        .is_some_and(|one| one.paper.id != id || one.paper.revision != entry.revision)
    {
        return Err(format!("has a paper that is not {id} at revision {}", entry.revision));
    }
    Ok(StoreEntry {
        id,
        revision: entry.revision,
        content,
    })
}

fn rebuild_failed(error: RebuildError) -> Status {
    match error {
        RebuildError::Busy(_) | RebuildError::Nothing(_) => refused(error.to_string()),
        RebuildError::NotOffered { .. } => status::invalid("encoder_id", error.to_string()),
        RebuildError::Failed(WriteError::Store(error)) => store_failed(error),
        RebuildError::Failed(WriteError::Encoders(error)) => encoders_failed(error),
    }
}

fn verify_failed(error: VerifyError) -> Status {
    match error {
        VerifyError::Registry(_) => status::unavailable(error),
        VerifyError::Store(error) => store_failed(error),
        VerifyError::Unsound(_) => status::internal(error),
    }
}

/// Dimensions are far smaller than the largest number of 32 bits.
fn number(dimension: usize) -> u32 {
    u32::try_from(dimension).unwrap_or(u32::MAX)
}
