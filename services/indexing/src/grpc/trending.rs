//! ListTrendingPapers: the request checked, a page of the board in the words of the contract.

use std::collections::HashMap;
use std::sync::Arc;

use common::status;
use domain::trending::{Attention, Scored, Signal, Window};
use domain::{Paper, PaperId};
use prost::Message as _;
use proto::search::v1 as wire;
use tonic::Status;

use super::{Searching, bad_page_token, open, store_failed};
use crate::search::pages::{List, Token, fingerprint};
use crate::search::plan::Scope;

/// Where the list ends.
const LONGEST_LIST: usize = 1_000;

/// Answers the call.
pub async fn list(
    searching: &Searching,
    mut request: wire::ListTrendingPapersRequest,
) -> Result<wire::ListTrendingPapersResponse, Status> {
    let window = window(request.window)?;
    let size = status::page_size(request.page_size, 50, 1_000)?;
    let token = std::mem::take(&mut request.page_token);
    request.page_size = 0;
    let asked = fingerprint(&request.encode_to_vec());
    let scope = Scope::read(request.filter)?;
    let token = match token.as_str() {
        "" => None,
        token => Some(Token::parse(token, asked).map_err(|_| bad_page_token())?),
    };
    let indexing = open(&searching.indexing)?;
    let store = Arc::clone(&indexing.catalogue.view().current.store);
    let kept = token.as_ref().and_then(|token| searching.trending_pages.get(token));
    let list = if let Some(kept) = kept {
        kept
    } else {
        let board = indexing.trending.board(window, &store).await.map_err(store_failed)?;
        let ranking = board.within(&scope, &store, LONGEST_LIST).await.map_err(store_failed)?;
        Arc::new(List { ranking, notice: "" })
    };
    let page = searching.trending_pages.cut(&list, asked, token.as_ref(), size);
    let ids: Vec<PaperId> = page.entries.iter().map(|one| one.id.clone()).collect();
    let papers = store.get(&ids).await.map_err(store_failed)?;
    let papers: HashMap<PaperId, Paper> = papers.into_iter().map(|paper| (paper.id.clone(), paper)).collect();
    // One that was withdrawn since the list was made is left out.
    let papers = page
        .entries
        .iter()
        .filter_map(|one| Some(answer(papers.get(&one.id)?, one)));
    Ok(wire::ListTrendingPapersResponse {
        papers: papers.collect(),
        next_page_token: page.next.map(|token| token.encode()).unwrap_or_default(),
    })
}

fn window(number: i32) -> Result<Window, Status> {
    use wire::TrendingWindow as Asked;
    match Asked::try_from(number) {
        Ok(Asked::Unspecified | Asked::Day) => Ok(Window::Day),
        Ok(Asked::Week) => Ok(Window::Week),
        Ok(Asked::Month) => Ok(Window::Month),
        Err(_) => {
            let description = format!("is {number}; allowed are DAY (1), WEEK (2) and MONTH (3)");
            Err(status::invalid("window", description))
        }
    }
}

fn answer(paper: &Paper, scored: &Scored) -> wire::TrendingPaper {
    let readers = |name: &str| {
        let kind = Attention::ALL.iter().position(|kind| kind.name() == name);
        kind.map_or(0, |kind| scored.readers[kind])
    };
    let count = |name: &str| {
        let kind = Signal::ALL.iter().position(|kind| kind.name() == name);
        kind.map_or(0, |kind| scored.counts[kind])
    };
    let part = |(name, value, heat): &(&'static str, f64, f64)| wire::TrendingPart {
        name: (*name).to_owned(),
        value: *value,
        heat: *heat,
        readers: readers(name),
        count: count(name),
    };
    wire::TrendingPaper {
        paper: Some(paper.into()),
        score: scored.score,
        parts: scored.parts.iter().map(part).collect(),
        heat: scored.heat,
    }
}
