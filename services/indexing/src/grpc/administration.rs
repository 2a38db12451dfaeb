//! IndexAdminService.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use common::status;
use domain::{EncoderId, Paper, PaperId, PaperVectors};
use futures::{Stream, StreamExt as _};
use proto::convert::to_wire_time;
use proto::index::v1::index_admin_service_server::IndexAdminService;
use proto::index::v1::{
    CancelRebuildRequest, CancelRebuildResponse, CatalogueEntry, Collection, DifferenceKind, DropCollectionRequest,
    DropCollectionResponse, ExportPapersRequest, ExportPapersResponse, GetIndexStatusRequest, GetIndexStatusResponse,
    ImportPapersRequest, ImportPapersResponse, IndexDifference, RebuildIndexRequest, RebuildIndexResponse,
    RebuildProgress, RebuildState, SwitchIndexRequest, SwitchIndexResponse, VerifyIndexRequest, VerifyIndexResponse,
};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, WatchStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{encoders_failed, open, refused, store_failed};
use crate::catalogue::{Catalogue, Index, WriteError};
use crate::rebuild::{Progress, RebuildError, State};
use crate::store::{Description, IndexedPaper, Store, StoreError, Stored, Upserted};
use crate::verify::{Difference, Kind, VerifyError};
use crate::{Indexing, IndexingCell};

/// Entries read at once for an export.
const EXPORTED: usize = 256;
/// Entries written at once by an import.
const IMPORTED: usize = 128;
/// Between two reports of progress.
const REPORTS: Duration = Duration::from_secs(1);

/// IndexAdminService.
pub struct Administration {
    pub indexing: IndexingCell,
    pub stop: CancellationToken,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl IndexAdminService for Administration {
    async fn get_index_status(
        &self,
        _: Request<GetIndexStatusRequest>,
    ) -> Result<Response<GetIndexStatusResponse>, Status> {
        let indexing = open(&self.indexing)?;
        let view = indexing.catalogue.view();
        let current = view.current.store.describe().await.map_err(store_failed)?;
        let all = indexing.catalogue.collections.all().await.map_err(store_failed)?;
        let next = view.next.as_ref().map(Index::name);
        let collections = all.into_iter().map(|one| Collection {
            current: one.collection == current.collection,
            next: Some(&one.collection) == next.as_ref(),
            encoder_id: one.encoder.to_string(),
            dimension: number(one.dimension),
            papers: one.papers,
            withdrawn: one.withdrawn,
            name: one.collection,
        });
        let Description {
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

    type RebuildIndexStream = Answers<RebuildIndexResponse>;

    async fn rebuild_index(
        &self,
        request: Request<RebuildIndexRequest>,
    ) -> Result<Response<Self::RebuildIndexStream>, Status> {
        let request = request.into_inner();
        let encoder = match request.encoder_id.as_str() {
            "" => None,
            id => Some(EncoderId::parse(id).map_err(|error| status::invalid("encoder_id", error.to_string()))?),
        };
        let rebuilds = &open(&self.indexing)?.rebuilds;
        let watching = rebuilds.begin(encoder, request.switch_when_complete).await;
        let watching = watching.map_err(rebuild_failed)?;
        let reports = until_ended(watching).map(|one| {
            Ok(RebuildIndexResponse {
                progress: Some(progress(one)),
            })
        });
        Ok(Response::new(
            reports.take_until(self.stop.clone().cancelled_owned()).boxed(),
        ))
    }

    async fn cancel_rebuild(
        &self,
        _: Request<CancelRebuildRequest>,
    ) -> Result<Response<CancelRebuildResponse>, Status> {
        let indexing = open(&self.indexing)?;
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
        let catalogue = &open(&self.indexing)?.catalogue;
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
        let catalogue = &open(&self.indexing)?.catalogue;
        let unwanted = named(catalogue, &request.into_inner().collection).await?;
        let dropped = catalogue.collections.remove(&unwanted.encoder).await;
        dropped.map_err(store_failed)?;
        Ok(Response::new(DropCollectionResponse {}))
    }

    type VerifyIndexStream = Answers<VerifyIndexResponse>;

    async fn verify_index(
        &self,
        request: Request<VerifyIndexRequest>,
    ) -> Result<Response<Self::VerifyIndexStream>, Status> {
        let repair = request.into_inner().repair;
        open(&self.indexing)?;
        let (sender, reports) = mpsc::channel(16);
        let indexing = Arc::clone(&self.indexing);
        tokio::spawn(async move {
            let outcome = verify(&indexing, repair, &sender).await;
            // Nobody may be listening any more.
            let _ = sender.send(outcome).await;
        });
        let reports = ReceiverStream::new(reports);
        Ok(Response::new(
            reports.take_until(self.stop.clone().cancelled_owned()).boxed(),
        ))
    }

    type ExportPapersStream = Answers<ExportPapersResponse>;

    async fn export_papers(
        &self,
        _: Request<ExportPapersRequest>,
    ) -> Result<Response<Self::ExportPapersStream>, Status> {
        let store = Arc::clone(&open(&self.indexing)?.catalogue.view().current.store);
        let parts = futures::stream::try_unfold(Some(None), move |place: Option<Option<String>>| {
            let store = Arc::clone(&store);
            async move {
                let Some(after) = place else { return Ok(None) };
                let part = store.scan(after, EXPORTED).await.map_err(store_failed)?;
                let entries = part.entries.into_iter().map(|stored| {
                    Ok(ExportPapersResponse {
                        entry: Some(entry(&stored)),
                    })
                });
                let entries = futures::stream::iter(entries.collect::<Vec<Result<_, Status>>>());
                Ok::<_, Status>(Some((entries, part.next.map(Some))))
            }
        });
        // An export that was cut off must not look complete.
        let stopped = self.stop.clone();
        let entries = futures::TryStreamExt::try_flatten(parts).map(move |entry| {
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
        let catalogue = &open(&self.indexing)?.catalogue;
        let mut entries = request.into_inner();
        let (mut done, mut waiting, mut number) = (ImportPapersResponse::default(), Vec::new(), 0);
        while let Some(request) = entries.message().await? {
            let stored = stored(request.entry.unwrap_or_default())
                .map_err(|problem| status::invalid(format!("entry {number}"), problem))?;
            number += 1;
            if let Some(one) = stored.content {
                waiting.push(one);
            } else {
                let withdrawn = catalogue.withdraw(&stored.id, stored.revision).await;
                withdrawn.map_err(store_failed)?;
                done.withdrawn += 1;
            }
            if waiting.len() >= IMPORTED {
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
            Upserted::Written => done.papers += 1,
            Upserted::Stale => done.stale += 1,
        }
    }
    Ok(())
}

async fn verify(
    indexing: &IndexingCell,
    repair: bool,
    sender: &mpsc::Sender<Result<VerifyIndexResponse, Status>>,
) -> Result<VerifyIndexResponse, Status> {
    let indexing = open(indexing)?;
    let index = indexing.catalogue.view().current.clone();
    let compared = std::sync::atomic::AtomicU64::new(0);
    let report = |count| {
        compared.store(count, std::sync::atomic::Ordering::Relaxed);
        // Progress may be left out where the listener is slow.
        let _ = sender.try_send(Ok(VerifyIndexResponse {
            compared: count,
            ..VerifyIndexResponse::default()
        }));
    };
    let mut differences = indexing.register.compare(&index, report).await.map_err(verify_failed)?;
    if repair {
        let repaired = indexing.register.repair(&index, &mut differences).await;
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

/// Papers and marks that one store has and the other has not, or only at a lower revision.
async fn lacking(here: &dyn Store, there: &dyn Store) -> Result<u64, StoreError> {
    let (mut lacking, mut after) = (0, None);
    loop {
        let part = here.marks(after, 1_000).await?;
        let ids: Vec<PaperId> = part.entries.iter().map(|mark| mark.id.clone()).collect();
        let held = there.marks_of(&ids).await?;
        let held: std::collections::HashMap<PaperId, u64> =
            held.into_iter().map(|mark| (mark.id, mark.revision)).collect();
        let lacks = part
            .entries
            .iter()
            .filter(|mark| held.get(&mark.id).is_none_or(|held| *held < mark.revision));
        lacking += lacks.count() as u64;
        after = part.next;
        if after.is_none() {
            return Ok(lacking);
        }
    }
}

async fn named(catalogue: &Catalogue, name: &str) -> Result<Description, Status> {
    let all = catalogue.collections.all().await.map_err(store_failed)?;
    let found = all.iter().find(|one| one.collection == name).cloned();
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| one.collection.as_str()).collect();
        status::invalid("collection", format!("is {name:?}; there are {}", names.join(", ")))
    })
}

/// What an operator should know.
async fn notice(indexing: &Indexing, current: &Index) -> String {
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

/// Reports at most once a second, and the last one always.
fn until_ended(watching: watch::Receiver<Progress>) -> impl Stream<Item = Progress> {
    let ended = |progress: &Progress| progress.state != State::Running;
    let paced = WatchStream::new(watching).then(move |progress| async move {
        if !ended(&progress) {
            tokio::time::sleep(REPORTS).await;
        }
        progress
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

fn progress(progress: Progress) -> RebuildProgress {
    let state = match progress.state {
        State::Running => RebuildState::Running,
        State::Complete => RebuildState::Complete,
        State::Switched => RebuildState::Switched,
        State::Cancelled => RebuildState::Cancelled,
        State::Failed => RebuildState::Failed,
    };
    RebuildProgress {
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
        Kind::Missing => DifferenceKind::Missing,
        Kind::Outdated => DifferenceKind::Outdated,
        Kind::Withdrawn => DifferenceKind::Withdrawn,
        Kind::Unknown => DifferenceKind::Unknown,
    };
    IndexDifference {
        paper_id: one.id.to_string(),
        kind: kind.into(),
        accepted_revision: one.accepted,
        indexed_revision: one.indexed,
        repaired: one.repaired,
    }
}

fn entry(stored: &Stored) -> CatalogueEntry {
    CatalogueEntry {
        paper_id: stored.id.to_string(),
        revision: stored.revision,
        paper: stored.content.as_ref().map(|one| (&one.paper).into()),
        vectors: stored.content.as_ref().map(|one| (&one.vectors).into()),
    }
}

fn stored(entry: CatalogueEntry) -> Result<Stored, String> {
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
    Ok(Stored {
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
        VerifyError::Register(_) => status::unavailable(error),
        VerifyError::Store(error) => store_failed(error),
        VerifyError::Unsound(_) => status::internal(error),
    }
}

/// Dimensions are far smaller than this can count.
fn number(dimension: usize) -> u32 {
    u32::try_from(dimension).unwrap_or(u32::MAX)
}
