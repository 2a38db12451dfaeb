//! `sources`: the feeds that papers are collected from.

use std::time::Duration;

use clap::{Args, Subcommand};
use common::clock::Clock;
use common::grpc::ServiceChannel;
use jiff::SignedDuration;
use proto::convert::from_wire_time;
use proto::ingest::v1::source_service_client::SourceServiceClient;
use proto::ingest::v1::{
    Backfill, BackfillState, CancelBackfillRequest, GetSourceRequest, ListSourcesRequest, PauseBackfillRequest,
    PauseSourceRequest, ResumeBackfillRequest, ResumeSourceRequest, RunSourceRequest, Source, SourceFreshness,
    SourceState, StartBackfillRequest,
};
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::{ConnectArgs, client, output};

/// How often a run or a back-fill that is waited for is checked.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// What to do with sources.
#[derive(Subcommand)]
pub enum SourcesCommand {
    /// List them, with the freshness and the last run of each
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show one, with its quarantined records and its back-fills
    Show {
        /// Its name in the settings
        name: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Run one now, regardless of its schedule
    Run {
        /// Its name in the settings
        name: String,
        /// Wait until it has been read to its end or has failed
        #[arg(long)]
        wait: bool,
    },
    /// Pause one until it is resumed
    Pause {
        /// Its name in the settings
        name: String,
    },
    /// Resume a paused one and catch up
    Resume {
        /// Its name in the settings
        name: String,
    },
    /// Read a range of past days beside the schedule
    Backfill(BackfillArgs),
    /// Print an example file of sources with every kind and key, commented
    Example,
}

/// A back-fill to start, or one to act on.
#[derive(Args)]
pub struct BackfillArgs {
    /// Its name in the settings
    name: String,
    /// First day, such as 2026-01-31
    #[arg(long, value_name = "DAY", required_unless_present_any = ["pause", "resume", "cancel"])]
    from: Option<String>,
    /// Last day [default: today, UTC]
    #[arg(long, value_name = "DAY", requires = "from")]
    to: Option<String>,
    /// Pause this back-fill; it keeps its position
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "resume", "cancel"])]
    pause: Option<String>,
    /// Resume this back-fill
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "cancel"])]
    resume: Option<String>,
    /// Cancel this back-fill; papers it has brought stay
    #[arg(long, value_name = "ID", conflicts_with = "from")]
    cancel: Option<String>,
    /// Wait and show progress until it is done; interrupting the command does not end it
    #[arg(long)]
    wait: bool,
}

type SourcesClient = SourceServiceClient<ServiceChannel>;

/// Runs the command.
pub async fn run(connect: &ConnectArgs, command: SourcesCommand, clock: &Clock) -> Result<(), CommandError> {
    if matches!(command, SourcesCommand::Example) {
        print!("{}", ingest::sources_example());
        return Ok(());
    }
    let service = &mut SourceServiceClient::new(client::connect(connect)?);
    match command {
        SourcesCommand::List { json } => {
            let sources = service.list_sources(ListSourcesRequest {}).await?.into_inner().sources;
            list(&sources, json, clock);
        }
        SourcesCommand::Show { name, json } => show(&get(service, name).await?, json),
        SourcesCommand::Run { name, wait } => run_now(service, name, wait, clock).await?,
        SourcesCommand::Pause { name } => {
            let answer = service.pause_source(PauseSourceRequest { name }).await?;
            print_line(&answer.into_inner().source.unwrap_or_default(), clock);
        }
        SourcesCommand::Resume { name } => {
            let answer = service.resume_source(ResumeSourceRequest { name }).await?;
            print_line(&answer.into_inner().source.unwrap_or_default(), clock);
        }
        SourcesCommand::Backfill(args) => {
            let (name, wait) = (args.name.clone(), args.wait);
            let backfill = change_backfill(service, args).await?;
            println!("{}", backfill_line(&backfill));
            if wait {
                follow(service, &name, &backfill.backfill_id, clock).await?;
            }
        }
        SourcesCommand::Example => {}
    }
    Ok(())
}

/// Starts, pauses, resumes or cancels a back-fill and returns it.
async fn change_backfill(service: &mut SourcesClient, args: BackfillArgs) -> Result<Backfill, CommandError> {
    let name = args.name;
    let backfill = match (args.from, args.pause, args.resume, args.cancel) {
        (Some(first_day), ..) => {
            let last_day = args.to.unwrap_or_default();
            let request = StartBackfillRequest {
                name,
                first_day,
                last_day,
            };
            service.start_backfill(request).await?.into_inner().backfill
        }
        (_, Some(backfill_id), ..) => {
            let request = PauseBackfillRequest { name, backfill_id };
            service.pause_backfill(request).await?.into_inner().backfill
        }
        (_, _, Some(backfill_id), _) => {
            let request = ResumeBackfillRequest { name, backfill_id };
            service.resume_backfill(request).await?.into_inner().backfill
        }
        (_, _, _, backfill_id) => {
            let backfill_id = backfill_id.unwrap_or_default();
            let request = CancelBackfillRequest { name, backfill_id };
            service.cancel_backfill(request).await?.into_inner().backfill
        }
    };
    Ok(backfill.unwrap_or_default())
}

async fn get(service: &mut SourcesClient, name: String) -> Result<Source, CommandError> {
    let answer = service.get_source(GetSourceRequest { name }).await?.into_inner();
    Ok(answer.source.unwrap_or_default())
}

async fn run_now(service: &mut SourcesClient, name: String, wait: bool, clock: &Clock) -> Result<(), CommandError> {
    let before = get(service, name.clone()).await?;
    let request = RunSourceRequest { name: name.clone() };
    let source = service
        .run_source(request)
        .await?
        .into_inner()
        .source
        .unwrap_or_default();
    if !wait {
        print_line(&source, clock);
        return Ok(());
    }
    loop {
        let now = get(service, name.clone()).await?;
        let is_running = now.state() == SourceState::Running;
        if !is_running && now.last_success_time != before.last_success_time {
            print_line(&now, clock);
            return Ok(());
        }
        if !is_running && (now.failure_count > before.failure_count || now.state() == SourceState::Stopped) {
            return Err(CommandError::other(format!("source {name}: {}", now.last_error)));
        }
        clock.sleep(CHECK_EVERY).await;
    }
}

/// Prints the progress of a back-fill until it ends.
async fn follow(service: &mut SourcesClient, name: &str, id: &str, clock: &Clock) -> Result<(), CommandError> {
    let mut last_line = String::new();
    loop {
        let source = get(service, name.to_owned()).await?;
        let found = source.backfills.into_iter().find(|one| one.backfill_id == id);
        let Some(backfill) = found else {
            return Err(CommandError::other(format!("back-fill {id} no longer exists")));
        };
        let line = backfill_line(&backfill);
        if line != last_line {
            eprintln!("{line}");
            last_line = line;
        }
        match backfill.state() {
            BackfillState::Done => return Ok(()),
            BackfillState::Failed | BackfillState::Cancelled | BackfillState::Paused => {
                return Err(CommandError::other(format!(
                    "back-fill {id} is {}: {}",
                    word(backfill.state()),
                    backfill.error
                )));
            }
            BackfillState::Running => clock.sleep(CHECK_EVERY).await,
            BackfillState::Unspecified => {
                let version = "the platform is of another version than this command";
                return Err(CommandError::other(format!(
                    "back-fill {id} is in an unknown state; {version}"
                )));
            }
        }
    }
}

fn list(sources: &[Source], as_json: bool, clock: &Clock) {
    if as_json {
        let sources: Vec<Value> = sources.iter().map(to_json).collect();
        println!("{}", json!({ "sources": sources }));
        return;
    }
    if sources.is_empty() {
        println!(
            "There are no sources. `broadsheet sources example` prints an example file; set ingest.sources to the path of yours."
        );
    }
    for source in sources {
        print_line(source, clock);
    }
}

fn print_line(source: &Source, clock: &Clock) {
    let counts = source.counts.unwrap_or_default();
    let newest = source.newest_paper_time.map_or_else(
        || "nothing yet".to_owned(),
        |time| format!("newest {}", ago(time, clock)),
    );
    let mut text = format!(
        "{:<20} {:<16} {:<9} {newest} ({}), {} accepted, {} quarantined",
        source.name,
        source.kind,
        state_word(source.state()),
        freshness_word(source.freshness()),
        counts.accepted,
        counts.quarantined
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
    let time = |time| output::time(time).unwrap_or_else(|| "-".to_owned());
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
    let last_error = Some(source.last_error.as_str()).filter(|error| !error.is_empty());
    println!("last error  {}", last_error.unwrap_or("-"));
    println!(
        "records     {} accepted, {} unchanged, {} duplicate, {} withdrawn, {} signals, {} quarantined, on {} pages",
        counts.accepted,
        counts.unchanged,
        counts.duplicate,
        counts.withdrawn,
        counts.signals,
        counts.quarantined,
        counts.pages
    );
    println!("cursor      {}", source.cursor);
    for backfill in &source.backfills {
        println!("back-fill   {}", backfill_line(backfill));
    }
    for record in &source.quarantined_records {
        println!(
            "quarantined {} {}: {}",
            time(record.time),
            record.location,
            record.reason
        );
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
        "newest": output::time(source.newest_paper_time),
        "late_since": output::time(source.late_since_time),
        "next_run": output::time(source.next_run_time),
        "last_run": output::time(source.last_run_time),
        "last_success": output::time(source.last_success_time),
        "last_error": source.last_error,
        "failures": source.failure_count,
        "cursor": source.cursor,
        "counts": {
            "pages": counts.pages, "accepted": counts.accepted, "unchanged": counts.unchanged,
            "duplicate": counts.duplicate, "withdrawn": counts.withdrawn, "signals": counts.signals,
            "quarantined": counts.quarantined,
        },
        "backfills": source.backfills.iter().map(backfill).collect::<Vec<_>>(),
        "quarantined": source.quarantined_records.iter().map(|one| json!({
            "location": one.location, "reason": one.reason, "time": output::time(one.time),
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
fn ago(time: prost_types::Timestamp, clock: &Clock) -> String {
    let Ok(time) = from_wire_time("time", time) else {
        return "at an unknown time".to_owned();
    };
    let passed = clock.now().duration_since(time).max(SignedDuration::ZERO);
    match (passed.as_hours(), passed.as_mins()) {
        (hours @ 48.., _) => format!("{} days ago", hours / 24),
        (hours @ 2.., _) => format!("{hours} hours ago"),
        (_, minutes @ 2..) => format!("{minutes} minutes ago"),
        _ => format!("{} s ago", passed.as_secs()),
    }
}
