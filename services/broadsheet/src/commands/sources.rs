//! `sources`: the feeds that papers come from by themselves.

use std::time::Duration;

use clap::Subcommand;
use common::grpc::ServiceChannel;
use jiff::{SignedDuration, Timestamp};
use proto::convert::from_wire_time;
use proto::ingest::v1::source_service_client::SourceServiceClient;
use proto::ingest::v1::{
    Backfill, BackfillState, CancelBackfillRequest, GetSourceRequest, ListSourcesRequest, PauseBackfillRequest,
    PauseSourceRequest, ResumeBackfillRequest, ResumeSourceRequest, RunSourceRequest, Source, SourceFreshness,
    SourceState, StartBackfillRequest,
};
use serde_json::{Value, json};

use super::search::moment;
use crate::failure::Failure;
use crate::{Place, client};

/// Between two looks at a back-fill or a run that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What to do.
#[derive(Subcommand)]
pub enum Sources {
    /// List them: how fresh each is, what its last run came to
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show one, with the records that were set aside and its back-fills
    Show {
        /// Its name in the settings
        name: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Run one now, whatever its schedule says
    Run {
        /// Its name in the settings
        name: String,
        /// Stay until it has been read to its end, or has failed
        #[arg(long)]
        wait: bool,
    },
    /// Let one rest until it is resumed
    Pause {
        /// Its name in the settings
        name: String,
    },
    /// End a rest and catch up
    Resume {
        /// Its name in the settings
        name: String,
    },
    /// Read a range of days beside the schedule
    Backfill {
        /// Its name in the settings
        name: String,
        /// First day, such as 2026-01-31
        #[arg(long, value_name = "DAY", required_unless_present_any = ["pause", "resume", "cancel"])]
        from: Option<String>,
        /// Last day [default: today, UTC]
        #[arg(long, value_name = "DAY", requires = "from")]
        to: Option<String>,
        /// Let this back-fill rest; its place is kept
        #[arg(long, value_name = "ID", conflicts_with_all = ["from", "resume", "cancel"])]
        pause: Option<String>,
        /// Go on with this back-fill
        #[arg(long, value_name = "ID", conflicts_with_all = ["from", "cancel"])]
        resume: Option<String>,
        /// End this back-fill; what it brought stays
        #[arg(long, value_name = "ID", conflicts_with = "from")]
        cancel: Option<String>,
        /// Stay and show progress until it is done; leaving does not end it
        #[arg(long)]
        wait: bool,
    },
    /// Print a file of sources with every kind, every key and what it means
    Example,
}

type Client = SourceServiceClient<ServiceChannel>;

/// Runs the command.
pub async fn run(place: &Place, command: Sources) -> Result<(), Failure> {
    if matches!(command, Sources::Example) {
        print!("{}", ingest::sources_example());
        return Ok(());
    }
    let mut service = SourceServiceClient::new(client::connect(place)?);
    match command {
        Sources::List { json } => {
            let sources = service.list_sources(ListSourcesRequest {}).await?.into_inner().sources;
            list(&sources, json);
        }
        Sources::Show { name, json } => show(&get(&mut service, name).await?, json),
        Sources::Run { name, wait } => run_now(&mut service, name, wait).await?,
        Sources::Pause { name } => {
            let source = service
                .pause_source(PauseSourceRequest { name })
                .await?
                .into_inner()
                .source;
            line(&source.unwrap_or_default());
        }
        Sources::Resume { name } => {
            let source = service
                .resume_source(ResumeSourceRequest { name })
                .await?
                .into_inner()
                .source;
            line(&source.unwrap_or_default());
        }
        Sources::Backfill {
            name,
            from,
            to,
            pause,
            resume,
            cancel,
            wait,
        } => {
            let backfill = match (from, pause, resume, cancel) {
                (Some(first_day), ..) => start(&mut service, &name, first_day, to.unwrap_or_default()).await?,
                (_, Some(id), ..) => paused(&mut service, &name, id).await?,
                (_, _, Some(id), _) => resumed(&mut service, &name, id).await?,
                (_, _, _, id) => cancelled(&mut service, &name, id.unwrap_or_default()).await?,
            };
            println!("{}", backfill_line(&backfill));
            if wait {
                follow(&mut service, &name, &backfill.backfill_id).await?;
            }
        }
        Sources::Example => {}
    }
    Ok(())
}

async fn start(service: &mut Client, name: &str, first_day: String, last_day: String) -> Result<Backfill, Failure> {
    let request = StartBackfillRequest {
        name: name.to_owned(),
        first_day,
        last_day,
    };
    Ok(service
        .start_backfill(request)
        .await?
        .into_inner()
        .backfill
        .unwrap_or_default())
}

async fn paused(service: &mut Client, name: &str, backfill_id: String) -> Result<Backfill, Failure> {
    let request = PauseBackfillRequest {
        name: name.to_owned(),
        backfill_id,
    };
    Ok(service
        .pause_backfill(request)
        .await?
        .into_inner()
        .backfill
        .unwrap_or_default())
}

async fn resumed(service: &mut Client, name: &str, backfill_id: String) -> Result<Backfill, Failure> {
    let request = ResumeBackfillRequest {
        name: name.to_owned(),
        backfill_id,
    };
    Ok(service
        .resume_backfill(request)
        .await?
        .into_inner()
        .backfill
        .unwrap_or_default())
}

async fn cancelled(service: &mut Client, name: &str, backfill_id: String) -> Result<Backfill, Failure> {
    let request = CancelBackfillRequest {
        name: name.to_owned(),
        backfill_id,
    };
    Ok(service
        .cancel_backfill(request)
        .await?
        .into_inner()
        .backfill
        .unwrap_or_default())
}

async fn get(service: &mut Client, name: String) -> Result<Source, Failure> {
    let answer = service.get_source(GetSourceRequest { name }).await?.into_inner();
    Ok(answer.source.unwrap_or_default())
}

async fn run_now(service: &mut Client, name: String, wait: bool) -> Result<(), Failure> {
    let before = get(service, name.clone()).await?;
    let request = RunSourceRequest { name: name.clone() };
    let source = service
        .run_source(request)
        .await?
        .into_inner()
        .source
        .unwrap_or_default();
    if !wait {
        line(&source);
        return Ok(());
    }
    loop {
        let now = get(service, name.clone()).await?;
        let runs = now.state() == SourceState::Running;
        if !runs && now.last_success_time != before.last_success_time {
            line(&now);
            return Ok(());
        }
        if !runs && (now.failure_count > before.failure_count || now.state() == SourceState::Stopped) {
            return Err(Failure::other(format!("source {name}: {}", now.last_error)));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Shows how a back-fill gets on until it has ended.
async fn follow(service: &mut Client, name: &str, id: &str) -> Result<(), Failure> {
    let mut shown = String::new();
    loop {
        let source = get(service, name.to_owned()).await?;
        let found = source.backfills.into_iter().find(|one| one.backfill_id == id);
        let Some(backfill) = found else {
            return Err(Failure::other(format!("back-fill {id} is not there any more")));
        };
        let line = backfill_line(&backfill);
        if line != shown {
            eprintln!("{line}");
            shown = line;
        }
        match backfill.state() {
            BackfillState::Done => return Ok(()),
            BackfillState::Failed | BackfillState::Cancelled | BackfillState::Paused => {
                return Err(Failure::other(format!(
                    "back-fill {id} is {}: {}",
                    word(backfill.state()),
                    backfill.error
                )));
            }
            BackfillState::Running | BackfillState::Unspecified => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

fn list(sources: &[Source], as_json: bool) {
    if as_json {
        let sources: Vec<Value> = sources.iter().map(to_json).collect();
        println!("{}", json!({ "sources": sources }));
        return;
    }
    if sources.is_empty() {
        println!(
            "There are no sources. `broadsheet sources example` prints a file of them; name yours in ingest.sources."
        );
    }
    for source in sources {
        line(source);
    }
}

fn line(source: &Source) {
    let counts = source.counts.unwrap_or_default();
    let newest = source
        .newest_paper_time
        .map_or_else(|| "nothing yet".to_owned(), |time| format!("newest {}", ago(time)));
    let mut text = format!(
        "{:<20} {:<16} {:<9} {newest} ({}), {} accepted, {} set aside",
        source.name,
        source.kind,
        state_word(source.state()),
        freshness_word(source.freshness()),
        counts.accepted,
        counts.set_aside
    );
    if !source.last_error.is_empty() {
        text = format!("{text}; last error: {}", source.last_error);
    }
    println!("{text}");
}

fn show(source: &Source, as_json: bool) {
    if as_json {
        println!("{}", to_json(source));
        return;
    }
    let counts = source.counts.unwrap_or_default();
    let time = |time| moment(time).unwrap_or_else(|| "-".to_owned());
    println!("name        {}\nkind        {}", source.name, source.kind);
    println!("state       {}", state_word(source.state()));
    println!("fresh       {}", freshness_word(source.freshness()));
    println!("newest      {}", time(source.newest_paper_time));
    println!(
        "last run    {}\nnext run    {}",
        time(source.last_run_time),
        time(source.next_run_time)
    );
    println!("read to end {}", time(source.last_success_time));
    println!(
        "last error  {}",
        if source.last_error.is_empty() {
            "-"
        } else {
            &source.last_error
        }
    );
    println!(
        "records     {} accepted, {} unchanged, {} duplicate, {} withdrawn, {} signals, {} set aside, on {} pages",
        counts.accepted,
        counts.unchanged,
        counts.duplicate,
        counts.withdrawn,
        counts.signals,
        counts.set_aside,
        counts.pages
    );
    println!("cursor      {}", source.cursor);
    for backfill in &source.backfills {
        println!("back-fill   {}", backfill_line(backfill));
    }
    for aside in &source.set_aside_records {
        println!("set aside   {} {}: {}", time(aside.time), aside.place, aside.reason);
    }
}

fn backfill_line(backfill: &Backfill) -> String {
    let total = match backfill.total_records {
        0 => String::new(),
        total => format!(" of {total}"),
    };
    let error = match backfill.error.as_str() {
        "" => String::new(),
        error => format!(" ({error})"),
    };
    format!(
        "{} {} to {}: {}, {} records{total}{error}",
        backfill.backfill_id,
        backfill.first_day,
        backfill.last_day,
        word(backfill.state()),
        backfill.records
    )
}

fn to_json(source: &Source) -> Value {
    let counts = source.counts.unwrap_or_default();
    let backfill = |one: &Backfill| {
        json!({
            "id": one.backfill_id, "from": one.first_day, "to": one.last_day, "state": word(one.state()),
            "records": one.records, "total": one.total_records, "error": one.error,
        })
    };
    json!({
        "name": source.name,
        "kind": source.kind,
        "state": state_word(source.state()),
        "freshness": freshness_word(source.freshness()),
        "newest": moment(source.newest_paper_time),
        "late_since": moment(source.late_since_time),
        "next_run": moment(source.next_run_time),
        "last_run": moment(source.last_run_time),
        "last_success": moment(source.last_success_time),
        "last_error": source.last_error,
        "failures": source.failure_count,
        "cursor": source.cursor,
        "counts": {
            "pages": counts.pages, "accepted": counts.accepted, "unchanged": counts.unchanged,
            "duplicate": counts.duplicate, "withdrawn": counts.withdrawn, "signals": counts.signals,
            "set_aside": counts.set_aside,
        },
        "backfills": source.backfills.iter().map(backfill).collect::<Vec<_>>(),
        "set_aside": source.set_aside_records.iter().map(|one| json!({
            "place": one.place, "reason": one.reason, "time": moment(one.time),
        })).collect::<Vec<_>>(),
    })
}

fn state_word(state: SourceState) -> &'static str {
    match state {
        SourceState::Waiting => "waiting",
        SourceState::Running => "running",
        SourceState::Paused => "paused",
        SourceState::Retrying => "retrying",
        SourceState::Stopped => "stopped",
        SourceState::Unspecified => "unknown",
    }
}

fn freshness_word(freshness: SourceFreshness) -> &'static str {
    match freshness {
        SourceFreshness::Usual => "as usual",
        SourceFreshness::Late => "late",
        SourceFreshness::Unknown | SourceFreshness::Unspecified => "not known yet",
    }
}

fn word(state: BackfillState) -> &'static str {
    match state {
        BackfillState::Running => "running",
        BackfillState::Paused => "paused",
        BackfillState::Done => "done",
        BackfillState::Cancelled => "cancelled",
        BackfillState::Failed => "failed",
        BackfillState::Unspecified => "unknown",
    }
}

/// How long ago, in the largest unit that fits.
fn ago(time: prost_types::Timestamp) -> String {
    let Ok(time) = from_wire_time("time", time) else {
        return "at an unknown time".to_owned();
    };
    let passed = Timestamp::now().duration_since(time).max(SignedDuration::ZERO);
    match (passed.as_hours(), passed.as_mins()) {
        (hours @ 48.., _) => format!("{} days ago", hours / 24),
        (hours @ 2.., _) => format!("{hours} hours ago"),
        (_, minutes @ 2..) => format!("{minutes} minutes ago"),
        _ => format!("{} s ago", passed.as_secs()),
    }
}
