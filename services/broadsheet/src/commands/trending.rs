//! `trending`: the papers that get the most attention, from readers and from counts of other sites.

use clap::{Args, ValueEnum};
use domain::readable::readable_line;
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{ListTrendingPapersRequest, PaperFilter, TrendingPaper, TrendingPart, TrendingWindow};
use serde_json::{Value, json};

use super::search::facts;
use crate::error::CommandError;
use crate::{ConnectArgs, client, output};

/// What is listed and how it is shown.
#[derive(Args)]
pub struct TrendingArgs {
    /// How far back attention counts
    #[arg(long, value_enum, default_value_t)]
    window: WindowArg,
    /// Only papers of this category, such as cs.CL; may be repeated
    #[arg(long, value_name = "CATEGORY")]
    category: Vec<String>,
    /// Show what each score is made of
    #[arg(long)]
    explain: bool,
    /// Most papers to show, 1 to 1000
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    limit: i32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum WindowArg {
    #[default]
    Day,
    Week,
    Month,
}

impl WindowArg {
    fn to_wire(self) -> TrendingWindow {
        match self {
            Self::Day => TrendingWindow::Day,
            Self::Week => TrendingWindow::Week,
            Self::Month => TrendingWindow::Month,
        }
    }
}

/// Lists and prints.
pub async fn run(connect: &ConnectArgs, args: TrendingArgs) -> Result<(), CommandError> {
    let request = ListTrendingPapersRequest {
        window: args.window.to_wire().into(),
        filter: Some(PaperFilter {
            categories: args.category,
            ..PaperFilter::default()
        }),
        page_size: args.limit,
        ..ListTrendingPapersRequest::default()
    };
    let answer = SearchServiceClient::new(client::connect(connect)?)
        .list_trending_papers(request)
        .await?;
    let papers = answer.into_inner().papers;
    if args.json {
        let papers: Vec<Value> = papers.iter().map(as_json).collect();
        println!("{}", json!({ "papers": papers }));
        return Ok(());
    }
    if papers.is_empty() {
        println!("No paper is trending: no reader opened one and no other site reported counts in this period.");
    }
    for (number, trending) in (1..).zip(&papers) {
        let Some(paper) = &trending.paper else { continue };
        println!("{number:>3}. {}", readable_line(&paper.title));
        println!("     {}  {}", facts(paper, trending.score), attention(&trending.parts));
        if args.explain {
            for part in &trending.parts {
                println!("       {}", explained(part));
            }
        }
    }
    Ok(())
}

/// What readers did and what other sites count, in numbers.
fn attention(parts: &[TrendingPart]) -> String {
    let number = |part: &TrendingPart| part.count.max(part.readers.into());
    let kinds = parts.iter().filter(|part| number(part) > 0);
    let kinds = kinds.map(|part| format!("{} {}", number(part), part.name));
    kinds.collect::<Vec<_>>().join(", ")
}

fn explained(part: &TrendingPart) -> String {
    let meaning = if part.name == "topic" {
        "usual attention for its topic"
    } else {
        "attention"
    };
    format!(
        "{:<9} {:>8.4}  {meaning} {:.3}",
        part.name, part.value, part.attention_score
    )
}

fn as_json(trending: &TrendingPaper) -> Value {
    let paper = trending.paper.clone().unwrap_or_default();
    let part = |part: &TrendingPart| json!({ "name": part.name, "value": part.value, "attention_score": part.attention_score, "readers": part.readers, "count": part.count });
    json!({
        "id": paper.id,
        "title": paper.title,
        "score": trending.score,
        "attention_score": trending.attention_score,
        "categories": paper.categories,
        "published": output::time(paper.published_time),
        "parts": trending.parts.iter().map(part).collect::<Vec<_>>(),
    })
}
