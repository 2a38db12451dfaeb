//! ListTrendingPapers: the request checked, a page of the leaderboard in the words of the contract.

use std::collections::HashMap;
use std::sync::Arc;

use common::status;
use domain::trending::{AttentionKind, Signal, TrendingScore, TrendingWindow};
use domain::{Paper, PaperId};
use prost::Message as _;
use proto::search::v1 as wire;
use tonic::Status;

use super::{SearchHandler, bad_page_token, opened, store_failed};
use crate::scope::SearchScope;
use crate::search::pages::{PageToken, ResultList, fingerprint};

/// Most papers of the list.
const LONGEST_LIST: usize = 1_000;

/// Answers the call.
pub async fn list(
    handler: &SearchHandler,
    mut request: wire::ListTrendingPapersRequest,
) -> Result<wire::ListTrendingPapersResponse, Status> {
    let window = window(request.window)?;
    let size = status::page_size(request.page_size, 50, 1_000)?;
    let token = std::mem::take(&mut request.page_token);
    request.page_size = 0;
    let fingerprint = fingerprint(&request.encode_to_vec());
    let scope = SearchScope::read(request.filter)?;
    let token = match token.as_str() {
        "" => None,
        token => Some(PageToken::parse(token, fingerprint).map_err(|_| bad_page_token())?),
    };
    let indexing = opened(&handler.indexing)?;
    let store = Arc::clone(&indexing.catalogue.view().current.store);
    let kept = token.as_ref().and_then(|token| handler.trending_lists.get(token));
    let list = if let Some(kept) = kept {
        kept
    } else {
        let leaderboard = indexing
            .trending
            .leaderboard(window, &store)
            .await
            .map_err(store_failed)?;
        let ranking = leaderboard.within(&scope, &store, LONGEST_LIST).await;
        let ranking = ranking.map_err(store_failed)?;
        Arc::new(ResultList {
            ranking,
            notice: "",
            terms: None,
        })
    };
    let page = handler.trending_lists.cut(&list, fingerprint, token.as_ref(), size);
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

fn window(number: i32) -> Result<TrendingWindow, Status> {
    match wire::TrendingWindow::try_from(number) {
        Ok(wire::TrendingWindow::Unspecified | wire::TrendingWindow::Day) => Ok(TrendingWindow::Day),
        Ok(wire::TrendingWindow::Week) => Ok(TrendingWindow::Week),
        Ok(wire::TrendingWindow::Month) => Ok(TrendingWindow::Month),
        Err(_) => {
            let description = format!("is {number}; allowed are DAY (1), WEEK (2) and MONTH (3)");
            Err(status::invalid("window", description))
        }
    }
}

fn answer(paper: &Paper, scored: &TrendingScore) -> wire::TrendingPaper {
    let readers = |name: &str| {
        let kind = AttentionKind::ALL.iter().position(|kind| kind.name() == name);
        kind.map_or(0, |kind| scored.readers[kind])
    };
    let count = |name: &str| {
        let kind = Signal::ALL.iter().position(|kind| kind.name() == name);
        kind.map_or(0, |kind| scored.counts[kind])
    };
    let part = |(name, value, attention): &(&'static str, f64, f64)| wire::TrendingPart {
        name: (*name).to_owned(),
        value: *value,
        attention_score: *attention,
        readers: readers(name),
        count: count(name),
    };
    wire::TrendingPaper {
        paper: Some(paper.into()),
        score: scored.score,
        parts: scored.parts.iter().map(part).collect(),
        attention_score: scored.attention,
    }
}
