//! Counts from a file, in JSON lines or comma-separated values.
//!
//! Whether a count is plausible is for ingest to decide.

use std::io::{BufReader, Read};

use proto::attention::v1::{SignalKind, SignalReport};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::SignalBatch;
use crate::csv_lines::CsvColumns;
use crate::error::CommandError;
use crate::json_lines;
use crate::output::RefusedLines;

/// Most reports of one call.
const BATCH_SIZE: usize = 1_000;
const COLUMNS: [&str; 6] = ["paper", "kind", "provider", "count", "time", "since"];
/// A longer line is no count.
const MAX_LINE_BYTES: usize = 4_096;

/// One line. Unknown fields are ignored, so that files of other programs can be read.
#[derive(Deserialize, Default)]
struct SignalLine {
    paper: String,
    kind: String,
    provider: String,
    count: u64,
    #[serde(default)]
    time: String,
    #[serde(default)]
    since: String,
}

/// How the lines are read.
enum InputFormat {
    Json,
    Csv(CsvColumns),
}

/// Sends the lines in batches, and returns those that cannot be read.
pub fn read(reader: Box<dyn Read + Send>, batches: &mpsc::Sender<SignalBatch>) -> Result<RefusedLines, CommandError> {
    let (mut reader, mut line, mut number) = (BufReader::new(reader), Vec::new(), 0);
    let (mut batch, mut refused) = (SignalBatch::new(), RefusedLines::new());
    let mut format: Option<InputFormat> = None;
    while json_lines::next(&mut reader, &mut line).map_err(CommandError::other)? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let format = match &format {
            Some(format) => format,
            None => match detect_format(&line)? {
                InputFormat::Json => format.insert(InputFormat::Json),
                header @ InputFormat::Csv(_) => {
                    format = Some(header);
                    continue;
                }
            },
        };
        match format.parse(&line).and_then(report) {
            Ok(report) => batch.push((number, report)),
            Err(problem) => refused.push((number, problem)),
        }
        // Fails when the call has ended, and its own error says why.
        if batch.len() >= BATCH_SIZE && batches.blocking_send(std::mem::take(&mut batch)).is_err() {
            return Ok(refused);
        }
    }
    if !batch.is_empty() {
        let _ = batches.blocking_send(batch);
    }
    Ok(refused)
}

/// The format that the first line shows.
fn detect_format(line: &[u8]) -> Result<InputFormat, CommandError> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('{') {
        return Ok(InputFormat::Json);
    }
    CsvColumns::parse(text, &COLUMNS, &COLUMNS[..4]).map(InputFormat::Csv)
}

impl InputFormat {
    fn parse(&self, line: &[u8]) -> Result<SignalLine, String> {
        if line.len() > MAX_LINE_BYTES {
            return Err(format!("is longer than {MAX_LINE_BYTES} bytes"));
        }
        match self {
            Self::Json => serde_json::from_slice(line).map_err(|error| format!("is not a count in JSON: {error}")),
            Self::Csv(columns) => parse_csv(columns, &String::from_utf8_lossy(line)),
        }
    }
}

fn parse_csv(columns: &CsvColumns, line: &str) -> Result<SignalLine, String> {
    let record = columns.record(line)?;
    let value = |column: &str| record.get(column).to_owned();
    let count = record.get("count");
    Ok(SignalLine {
        count: count
            .parse()
            .map_err(|_| format!("count is {count:?}; it must be a whole number such as 42"))?,
        paper: value("paper"),
        kind: value("kind"),
        provider: value("provider"),
        time: value("time"),
        since: value("since"),
    })
}

fn report(line: SignalLine) -> Result<SignalReport, String> {
    let kind = match line.kind.trim().to_ascii_lowercase().as_str() {
        "upvotes" | "upvote" => SignalKind::Upvotes,
        "stars" | "star" => SignalKind::Stars,
        "citations" | "citation" => SignalKind::Citations,
        "mentions" | "mention" => SignalKind::Mentions,
        _ => {
            let kind = domain::text::shorten(&line.kind);
            return Err(format!(
                "kind is {kind:?}; it must be upvotes, stars, citations or mentions"
            ));
        }
    };
    Ok(SignalReport {
        paper_id: line.paper,
        kind: kind.into(),
        provider: line.provider,
        count: line.count,
        count_time: json_lines::date("time", &line.time)?,
        since_time: json_lines::date("since", &line.since)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the lines that were sent, and those that were refused.
    fn all(text: &'static str) -> Result<(Vec<u64>, RefusedLines), CommandError> {
        let (batches, mut incoming) = mpsc::channel(8);
        let refused = read(Box::new(text.as_bytes()), &batches)?;
        drop(batches);
        let mut numbers = Vec::new();
        while let Some(batch) = incoming.blocking_recv() {
            numbers.extend(batch.into_iter().map(|(line, _)| line));
        }
        Ok((numbers, refused))
    }

    #[test]
    fn json_lines_and_csv_read_the_same() {
        let json: SignalLine = serde_json::from_str(
            r#"{"paper":"2402.14776","kind":"stars","provider":"github","count":42,"time":"2026-03-01","other":1}"#,
        )
        .expect("a line");
        let columns = CsvColumns::parse(&COLUMNS.join(","), &COLUMNS, &COLUMNS).expect("a header");
        let values = parse_csv(&columns, "2402.14776,star,github,42,2026-03-01,\r").expect("a line");
        let (json, values) = (report(json).expect("a report"), report(values).expect("a report"));
        assert_eq!(json, values);
        assert_eq!((json.count, json.kind()), (42, SignalKind::Stars));
        assert_eq!(
            (json.count_time.map(|time| time.seconds), json.since_time),
            (Some(1_772_323_200), None)
        );
    }

    #[test]
    fn the_first_line_shows_the_format_and_bad_lines_are_refused() {
        let (sent, refused) = all("\u{feff}paper,kind,provider,count\r\na,stars,github,1\r\n\r\na,likes,x,1\na,stars,github,-1\na,stars\nb,stars,github,2").expect("read");
        assert_eq!(sent, [2, 7]);
        let problems: Vec<&str> = refused.iter().map(|(_, problem)| problem.as_str()).collect();
        assert!(
            problems[0].starts_with("kind is \"likes\"; it must be upvotes"),
            "{problems:?}"
        );
        assert!(
            problems[1].starts_with("count is \"-1\"") && problems[2].starts_with("has 2 values"),
            "{problems:?}"
        );
        let (sent, refused) =
            all("{\"paper\":\"a\",\"kind\":\"mentions\",\"provider\":\"x\",\"count\":3}\n{\"paper\":1}\nnonsense")
                .expect("read");
        assert_eq!((sent, refused.len()), (vec![1], 2));
        assert!(all("paper,kind,provider\n").is_err() && all("paper;kind\n").is_err());
    }
}
