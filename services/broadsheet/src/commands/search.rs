//! `search`: finds papers by meaning and by words.

use std::io::IsTerminal as _;
use std::ops::Range;

use clap::{Args, ValueEnum};
use common::grpc::ServiceChannel;
use domain::readable::parts;
use proto::papers::v1::Paper;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{
    Recency, ScorePart, SearchMode, SearchOrder, SearchPapersRequest, SearchPapersResponse, SearchResult, TextSpan,
};
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::{ConnectArgs, client, output};

/// Authors that are named before "and others".
const NAMED_AUTHORS: usize = 3;
/// What a paper published today gains with `--recency-days`, as a share of the best score.
const RECENCY_WEIGHT: f64 = 0.5;

/// What is searched and how it is shown.
#[derive(Args)]
pub struct SearchArgs {
    /// What to look for, in your own words and the query language: "phrases", -word, author:, cat:, source:, lang:,
    /// has:code, year:2023..2025, like:ID, AND, OR, NOT, parentheses
    #[arg(required_unless_present = "like", default_value = "", hide_default_value = true)]
    query: String,
    /// Find papers like this one; may be repeated
    #[arg(long, value_name = "ID")]
    like: Vec<String>,
    /// Rank papers like this one lower; may be repeated
    #[arg(long, value_name = "ID")]
    unlike: Vec<String>,
    /// Search by meaning, by words, or by both
    #[arg(long, value_enum, default_value_t)]
    mode: ModeArg,
    /// Sort by relevance, the best matches by date, or what trends this week first
    #[arg(long, value_enum, default_value_t)]
    order: OrderArg,
    /// From 0, the best matches however similar, to 1, results as different from one another as possible
    #[arg(long, default_value_t = 0.0)]
    diversity: f64,
    /// Rank newer papers higher; the effect halves every so many days
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_653))]
    recency_days: Option<u32>,
    /// Show the parts of each score
    #[arg(long)]
    explain: bool,
    /// Most results to show, 1 to 100
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=100))]
    limit: i32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum ModeArg {
    #[default]
    Hybrid,
    Dense,
    Sparse,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum OrderArg {
    #[default]
    Relevance,
    Newest,
    Trending,
}

impl SearchArgs {
    fn request(&self) -> SearchPapersRequest {
        let mode = match self.mode {
            ModeArg::Hybrid => SearchMode::Hybrid,
            ModeArg::Dense => SearchMode::Dense,
            ModeArg::Sparse => SearchMode::Sparse,
        };
        let order = match self.order {
            OrderArg::Relevance => SearchOrder::Relevance,
            OrderArg::Newest => SearchOrder::Newest,
            OrderArg::Trending => SearchOrder::Trending,
        };
        let recency = self.recency_days.map(|days| Recency {
            half_life: Some(prost_types::Duration {
                seconds: i64::from(days) * 86_400,
                nanos: 0,
            }),
            weight: RECENCY_WEIGHT,
        });
        SearchPapersRequest {
            query: with_papers(&self.query, &self.like, &self.unlike),
            page_size: self.limit,
            mode: mode.into(),
            order: order.into(),
            recency,
            diversity: self.diversity,
            explain: self.explain,
            ..SearchPapersRequest::default()
        }
    }
}

/// The query with papers to be similar and dissimilar to. An OR in the query must not split off what is added.
fn with_papers(query: &str, like: &[String], unlike: &[String]) -> String {
    let query = query.trim();
    let added = !like.is_empty() || !unlike.is_empty();
    let has_or = query.split_whitespace().any(|word| word == "OR");
    let query = if added && has_or {
        format!("({query})")
    } else {
        query.to_owned()
    };
    let mut parts = vec![query];
    parts.extend(like.iter().map(|id| format!("like:{id}")));
    parts.extend(unlike.iter().map(|id| format!("-like:{id}")));
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

/// Searches and prints.
pub async fn run(connect: &ConnectArgs, args: SearchArgs) -> Result<(), CommandError> {
    let request = args.request();
    let query = request.query.clone();
    let answer = ask(client::connect(connect)?, request).await?;
    if args.json {
        println!("{}", as_json(&query, &answer));
        return Ok(());
    }
    if !answer.notice.is_empty() {
        eprintln!("broadsheet: {}", answer.notice);
    }
    if answer.results.is_empty() {
        println!("No paper was found.");
    }
    print(
        &answer.results,
        if args.explain {
            ResultDetail::Explained
        } else {
            ResultDetail::Brief
        },
    );
    Ok(())
}

/// The best papers for a query.
pub async fn search(channel: ServiceChannel, query: &str, limit: i32) -> Result<Vec<SearchResult>, CommandError> {
    let request = SearchPapersRequest {
        query: query.to_owned(),
        page_size: limit,
        ..SearchPapersRequest::default()
    };
    Ok(ask(channel, request).await?.results)
}

async fn ask(channel: ServiceChannel, request: SearchPapersRequest) -> Result<SearchPapersResponse, CommandError> {
    let answer = SearchServiceClient::new(channel).search_papers(request).await?;
    Ok(answer.into_inner())
}

/// How much of a result is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ResultDetail {
    /// Only the paper.
    Brief,
    /// Also the parts of its score.
    Explained,
}

/// Prints results for people; matching words are bold on a terminal.
pub fn print(results: &[SearchResult], detail: ResultDetail) {
    let marks = if std::io::stdout().is_terminal() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    for (number, result) in (1..).zip(results) {
        let Some(paper) = &result.paper else { continue };
        let highlight = result.highlight.clone().unwrap_or_default();
        println!("{number:>3}. {}", marked(&paper.title, &highlight.title_spans, marks));
        println!("     {}", facts(paper, result.score));
        if !highlight.sentence.is_empty() {
            println!("     {}", marked(&highlight.sentence, &highlight.sentence_spans, marks));
        }
        if detail == ResultDetail::Explained {
            for part in &result.parts {
                println!("       {}", explained(part));
            }
        }
    }
}

/// Id, day, authors and score of a paper, on one line.
pub fn facts(paper: &Paper, score: f64) -> String {
    let day = output::day(paper.published_time);
    let named: Vec<&str> = paper
        .authors
        .iter()
        .take(NAMED_AUTHORS)
        .map(|one| one.name.as_str())
        .collect();
    let others = if paper.authors.len() > NAMED_AUTHORS {
        " and others"
    } else {
        ""
    };
    let authors = format!("{}{others}", named.join(", "));
    let facts = [paper.id.clone(), day, authors, format!("score {score:.4}")];
    facts
        .into_iter()
        .filter(|fact| !fact.is_empty())
        .collect::<Vec<_>>()
        .join("  ")
}

fn explained(part: &ScorePart) -> String {
    let rank = if part.rank == 0 {
        String::new()
    } else {
        format!("  rank {}", part.rank)
    };
    let terms: Vec<String> = part
        .terms
        .iter()
        .map(|one| format!("{} {:.3}", one.term, one.weight))
        .collect();
    let terms = if terms.is_empty() {
        String::new()
    } else {
        format!("  = {}", terms.join(" + "))
    };
    format!("{:<9} {:>8.4}{rank}  raw {:.4}{terms}", part.name, part.value, part.raw)
}

/// A text as people read it, with marks around its spans. Spans that do not fit the text are ignored.
fn marked(text: &str, spans: &[TextSpan], (open, close): (&str, &str)) -> String {
    let spans: Vec<Range<usize>> = spans
        .iter()
        .map(|span| span.start as usize..span.end as usize)
        .collect();
    let mut out = String::with_capacity(text.len());
    for part in parts(text) {
        for (piece, is_found) in part.cut(&spans) {
            if is_found {
                out.extend([open, piece, close]);
            } else {
                out.push_str(piece);
            }
        }
    }
    out
}

fn as_json(query: &str, answer: &SearchPapersResponse) -> Value {
    json!({
        "query": query,
        "total": answer.total_size,
        "total_is_estimate": answer.total_is_estimate,
        "notice": answer.notice,
        "results": answer.results.iter().map(result_as_json).collect::<Vec<_>>(),
    })
}

fn result_as_json(result: &SearchResult) -> Value {
    let paper = result.paper.clone().unwrap_or_default();
    let authors: Vec<_> = paper.authors.iter().map(|author| &author.name).collect();
    let links: Vec<_> = paper.links.iter().map(|link| &link.url).collect();
    let highlight = result.highlight.clone().unwrap_or_default();
    json!({
        "id": paper.id,
        "title": paper.title,
        "score": result.score,
        "abstract": paper.r#abstract,
        "authors": authors,
        "categories": paper.categories,
        "source": paper.source,
        "language": paper.language,
        "links": links,
        "revision": paper.revision,
        "published": output::time(paper.published_time),
        "parts": result.parts.iter().map(part_as_json).collect::<Vec<_>>(),
        "highlight": {
            "sentence": highlight.sentence,
            "sentence_spans": spans(&highlight.sentence_spans),
            "title_spans": spans(&highlight.title_spans),
        },
    })
}

fn part_as_json(part: &ScorePart) -> Value {
    let terms: Vec<_> = part
        .terms
        .iter()
        .map(|one| json!({ "term": one.term, "weight": one.weight }))
        .collect();
    json!({
        "name": part.name,
        "value": part.value,
        "rank": part.rank,
        "raw": part.raw,
        "operand": part.operand,
        "terms": terms,
    })
}

fn spans(spans: &[TextSpan]) -> Vec<[u32; 2]> {
    spans.iter().map(|span| [span.start, span.end]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn papers_are_added_to_the_complete_query() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(with_papers(" a OR b ", &[], &[]), "a OR b");
        assert_eq!(
            with_papers("a OR b", &ids(&["x:1"]), &ids(&["x:2"])),
            "(a OR b) like:x:1 -like:x:2"
        );
        assert_eq!(with_papers("", &ids(&["x:1", "x:2"]), &[]), "like:x:1 like:x:2");
    }

    #[test]
    fn marks_surround_words_and_bad_spans_are_ignored() {
        let span = |start, end| TextSpan { start, end };
        let text = "Bäume at night";
        assert_eq!(
            marked(text, &[span(0, 6), span(10, 15)], ("[", "]")),
            "[Bäume] at [night]"
        );
        assert_eq!(marked(text, &[span(0, 2), span(90, 99)], ("[", "]")), text);
        assert_eq!(marked("$n^2$ \\& owls", &[span(9, 13)], ("[", "]")), "n² & [owls]");
    }
}
