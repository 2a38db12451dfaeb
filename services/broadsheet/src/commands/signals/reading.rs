//! Counts from a file, in JSON lines or comma-separated values. Whether a count is sound is for ingest to say.

use std::io::{BufReader, Read};

use proto::attention::v1::{SignalKind, SignalReport};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::Batch;
use crate::failure::Failure;
use crate::{csv, lines};

/// As many as one call takes.
const BATCH: usize = 1_000;
const COLUMNS: [&str; 6] = ["paper", "kind", "provider", "count", "time", "since"];
/// Longer lines are no counts.
const MOST_LINE_BYTES: usize = 4_096;

/// One line. Unknown fields are passed over, so that files of other programs can be read.
#[derive(Deserialize, Default)]
struct Line {
    paper: String,
    kind: String,
    provider: String,
    count: u64,
    #[serde(default)]
    time: String,
    #[serde(default)]
    since: String,
}

/// How the lines are to be read.
enum Form {
    Json,
    /// With the names of the columns.
    Csv(Vec<String>),
}

/// Sends the lines on their way in batches; answers those that cannot be read.
pub fn read(reader: Box<dyn Read + Send>, batches: &mpsc::Sender<Batch>) -> Result<Vec<(u64, String)>, Failure> {
    let (mut reader, mut line, mut number) = (BufReader::new(reader), Vec::new(), 0);
    let (mut batch, mut refused) = (Batch::new(), Vec::new());
    let mut form: Option<Form> = None;
    while lines::next(&mut reader, &mut line).map_err(Failure::other)? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let form = match &form {
            Some(form) => form,
            None => match begin(&line)? {
                Form::Json => form.insert(Form::Json),
                header @ Form::Csv(_) => {
                    form = Some(header);
                    continue;
                }
            },
        };
        match form.parse(&line).and_then(report) {
            Ok(report) => batch.push((number, report)),
            Err(problem) => refused.push((number, problem)),
        }
        // When the call has ended its own error says why.
        if batch.len() >= BATCH && batches.blocking_send(std::mem::take(&mut batch)).is_err() {
            return Ok(refused);
        }
    }
    if !batch.is_empty() {
        let _ = batches.blocking_send(batch);
    }
    Ok(refused)
}

/// What the first line says of the others.
fn begin(line: &[u8]) -> Result<Form, Failure> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('{') {
        return Ok(Form::Json);
    }
    let wrong = |problem: String| Failure::data(format!("the header {problem}; it may name {}", COLUMNS.join(", ")));
    let columns = csv::values(text).map_err(wrong)?;
    if let Some(unknown) = columns.iter().find(|column| !COLUMNS.contains(&column.as_str())) {
        return Err(wrong(format!("names {:?}", domain::text::shorten(unknown))));
    }
    for required in &COLUMNS[..4] {
        if !columns.iter().any(|column| column == required) {
            return Err(wrong(format!("does not name {required}")));
        }
    }
    Ok(Form::Csv(columns))
}

impl Form {
    fn parse(&self, line: &[u8]) -> Result<Line, String> {
        if line.len() > MOST_LINE_BYTES {
            return Err(format!("is longer than {MOST_LINE_BYTES} bytes"));
        }
        match self {
            Self::Json => serde_json::from_slice(line).map_err(|error| format!("is not a count in JSON: {error}")),
            Self::Csv(columns) => in_columns(columns, &String::from_utf8_lossy(line)),
        }
    }
}

fn in_columns(columns: &[String], line: &str) -> Result<Line, String> {
    let values = csv::values(line.trim_end_matches('\r'))?;
    if values.len() != columns.len() {
        return Err(format!("has {} values; the header has {}", values.len(), columns.len()));
    }
    let value = |name: &str| {
        let place = columns.iter().position(|column| column == name);
        place.map_or_else(String::new, |place| values[place].clone())
    };
    let count = value("count");
    Ok(Line {
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

fn report(line: Line) -> Result<SignalReport, String> {
    let kind = match line.kind.trim().to_ascii_lowercase().as_str() {
        "upvotes" | "upvote" => SignalKind::Upvotes,
        "stars" | "star" => SignalKind::Stars,
        "citations" | "citation" => SignalKind::Citations,
        "mentions" | "mention" => SignalKind::Mentions,
        _ => {
            let shown = domain::text::shorten(&line.kind);
            return Err(format!(
                "kind is {shown:?}; it must be upvotes, stars, citations or mentions"
            ));
        }
    };
    Ok(SignalReport {
        paper_id: line.paper,
        kind: kind.into(),
        provider: line.provider,
        count: line.count,
        count_time: lines::date("time", &line.time)?,
        since_time: lines::date("since", &line.since)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines that went on their way, and those that were refused.
    type Lines = (Vec<u64>, Vec<(u64, String)>);

    fn all(text: &'static str) -> Result<Lines, Failure> {
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
    fn json_lines_and_values_say_the_same() {
        let json: Line = serde_json::from_str(
            r#"{"paper":"2402.14776","kind":"stars","provider":"github","count":42,"time":"2026-03-01","other":1}"#,
        )
        .expect("a line");
        let columns = COLUMNS.map(str::to_owned);
        let values = in_columns(&columns, "2402.14776,star,github,42,2026-03-01,\r").expect("a line");
        let (json, values) = (report(json).expect("a report"), report(values).expect("a report"));
        assert_eq!(json, values);
        assert_eq!((json.count, json.kind()), (42, SignalKind::Stars));
        assert_eq!(
            (json.count_time.map(|time| time.seconds), json.since_time),
            (Some(1_772_323_200), None)
        );
    }

    #[test]
    fn the_first_line_says_how_to_read_and_bad_lines_take_no_other_along() {
        let (taken, refused) = all("\u{feff}paper,kind,provider,count\r\na,stars,github,1\r\n\r\na,likes,x,1\na,stars,github,-1\na,stars\nb,stars,github,2").expect("read");
        assert_eq!(taken, [2, 7]);
        let said: Vec<&str> = refused.iter().map(|(_, problem)| problem.as_str()).collect();
        assert!(said[0].starts_with("kind is \"likes\"; it must be upvotes"), "{said:?}");
        assert!(
            said[1].starts_with("count is \"-1\"") && said[2].starts_with("has 2 values"),
            "{said:?}"
        );
        let (taken, refused) =
            all("{\"paper\":\"a\",\"kind\":\"mentions\",\"provider\":\"x\",\"count\":3}\n{\"paper\":1}\nnonsense")
                .expect("read");
        assert_eq!((taken, refused.len()), (vec![1], 2));
        assert!(all("paper,kind,provider\n").is_err() && all("paper;kind\n").is_err());
    }
}
