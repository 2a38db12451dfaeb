//! `trending`: what readers look at now, and what is counted elsewhere.

use clap::{Args, ValueEnum};
use proto::search::v1::search_service_client::SearchServiceClient;
use proto::search::v1::{ListTrendingPapersRequest, PaperFilter, TrendingPaper, TrendingPart, TrendingWindow};
use serde_json::{Value, json};

use super::search::{facts, moment};
use crate::failure::Failure;
use crate::{Place, client};

/// What is listed and how it is shown.
#[derive(Args)]
pub struct Options {
    /// Over how long a time attention counts
    #[arg(long, value_enum, default_value_t)]
    window: Window,
    /// Only papers of this category, such as cs.CL; may be given several times
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
enum Window {
    #[default]
    Day,
    Week,
    Month,
}

impl Window {
    fn asked(self) -> TrendingWindow {
        match self {
            Self::Day => TrendingWindow::Day,
            Self::Week => TrendingWindow::Week,
            Self::Month => TrendingWindow::Month,
        }
    }
}

/// Lists and prints.
pub async fn run(place: &Place, options: Options) -> Result<(), Failure> {
    let request = ListTrendingPapersRequest {
        window: options.window.asked().into(),
        filter: Some(PaperFilter {
            categories: options.category,
            ..PaperFilter::default()
        }),
        page_size: options.limit,
        ..ListTrendingPapersRequest::default()
    };
    let answer = SearchServiceClient::new(client::connect(place)?)
        .list_trending_papers(request)
        .await?;
    let papers = answer.into_inner().papers;
    if options.json {
        let papers: Vec<Value> = papers.iter().map(as_json).collect();
        println!("{}", json!({ "papers": papers }));
        return Ok(());
    }
    if papers.is_empty() {
        println!("No paper trends: nobody looked at one for a while, and none is counted elsewhere.");
    }
    for (number, trending) in (1..).zip(&papers) {
        let Some(paper) = &trending.paper else { continue };
        println!("{number:>3}. {}", paper.title);
        println!("     {}  {}", facts(paper, trending.score), attention(&trending.parts));
        if options.explain {
            for part in &trending.parts {
                println!("       {}", explained(part));
            }
        }
    }
    Ok(())
}

/// What readers did and what is counted elsewhere, in numbers.
fn attention(parts: &[TrendingPart]) -> String {
    let number = |part: &TrendingPart| part.count.max(part.readers.into());
    let kinds = parts.iter().filter(|part| number(part) > 0);
    let kinds = kinds.map(|part| format!("{} {}", number(part), part.name));
    kinds.collect::<Vec<_>>().join(", ")
}

fn explained(part: &TrendingPart) -> String {
    let meaning = if part.name == "topic" {
        "usual heat in its topic"
    } else {
        "heat"
    };
    format!("{:<9} {:>8.4}  {meaning} {:.3}", part.name, part.value, part.heat)
}

fn as_json(trending: &TrendingPaper) -> Value {
    let paper = trending.paper.clone().unwrap_or_default();
    let part = |part: &TrendingPart| json!({ "name": part.name, "value": part.value, "heat": part.heat, "readers": part.readers, "count": part.count });
    json!({
        "id": paper.id,
        "title": paper.title,
        "score": trending.score,
        "heat": trending.heat,
        "categories": paper.categories,
        "published": moment(paper.published_time),
        "parts": trending.parts.iter().map(part).collect::<Vec<_>>(),
    })
}
