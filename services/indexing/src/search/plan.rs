//! The plan of a search, checked: from the contract and the query language to what is looked for, where, and in which order.
//!
//! It asks nobody: whether a paper that is named exists is found out later, and [`FieldOrigins`] says which field to blame
//! then.

use std::collections::HashMap;

use common::status;
use domain::PaperId;
use domain::query::{NamedPaper, ParsedQuery, QueryExpression};
use domain::ranking::Recency;
use domain::text;
use jiff::Timestamp;
use proto::search::v1 as wire;
use tonic::Status;

use super::expression::ExpressionReader;
use super::fields::{check_length, check_words, paper_id, parse_query};
use crate::scope::SearchScope;

/// Most papers of one list in a ListSimilarPapers.
const MAX_SIMILAR_TO: usize = 20;
/// Shortest and longest half-life of recency.
const HALF_LIFE_DAYS: std::ops::RangeInclusive<f64> = 1.0..=3_653.0;

/// Which legs a search uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchMode {
    /// Both.
    Hybrid,
    /// By meaning.
    Dense,
    /// By words.
    Sparse,
}

/// The order of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchOrder {
    /// Best first.
    Relevance,
    /// Newest of those that fit first.
    Newest,
    /// What fits and trends this week first.
    Trending,
}

/// The fields of a request that its words and papers came from, for errors that show only later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldOrigins {
    /// The field the words come from.
    pub words: &'static str,
    /// The field that names each paper to be like or unlike.
    pub papers: HashMap<PaperId, String>,
}

/// A search.
#[derive(Debug, Clone)]
pub struct SearchPlan {
    /// What is looked for; without it papers are listed, newest first.
    pub expression: Option<QueryExpression>,
    /// The paper that the query names, if it names nothing else.
    pub named: Option<NamedPaper>,
    /// The paper that was found under that name; it leads the list.
    pub lead: Option<PaperId>,
    /// Which papers are considered.
    pub scope: SearchScope,
    /// Which legs it uses.
    pub mode: SearchMode,
    /// The order of results.
    pub order: SearchOrder,
    /// Whether the list holds only what fits, rather than the best of what there is.
    pub only_fitting: bool,
    /// Bonus for new papers; its weight is a share of the best score.
    pub recency: Option<Recency>,
    /// From 0 to 1.
    pub diversity: f64,
    /// The fields to blame.
    pub origin: FieldOrigins,
}

impl SearchPlan {
    /// Of a SearchPapers.
    pub fn search(request: &wire::SearchPapersRequest, now: Timestamp) -> Result<Self, Status> {
        let syntax = syntax(request.syntax)?;
        let mut origin = FieldOrigins::default();
        let query = query(request, syntax, &mut origin)?;
        let named = query.named().filter(|_| syntax != wire::QuerySyntax::Plain);
        let ParsedQuery {
            expression,
            restrictions,
        } = query;
        let mut scope = SearchScope::read(request.filter.clone())?;
        scope.narrow(restrictions)?;
        let order = order(request.order)?;
        if expression.is_none() && scope == SearchScope::default() {
            return Err(status::invalid(
                "query",
                "is empty; say in words what to look for, or give a filter",
            ));
        }
        let diversity = diversity(request.diversity)?;
        if order != SearchOrder::Relevance && diversity > 0.0 {
            // Both say in which order papers stand, and only one can be right.
            let description = format!("is {diversity}; with the orders NEWEST and TRENDING only 0 is allowed");
            return Err(status::invalid("diversity", description));
        }
        let only_fitting = order == SearchOrder::Newest || expression.as_ref().is_some_and(is_likeness);
        Ok(Self {
            expression,
            named: named.filter(|_| request.expression.is_none()),
            lead: None,
            scope,
            mode: mode(request.mode)?,
            order,
            only_fitting,
            recency: request.recency.as_ref().map(|one| recency(one, now)).transpose()?,
            diversity,
            origin,
        })
    }

    /// Of a ListSimilarPapers.
    pub fn similar(request: &wire::ListSimilarPapersRequest) -> Result<Self, Status> {
        for (field, ids, least) in [
            ("positive_ids", &request.positive_ids, 1),
            ("negative_ids", &request.negative_ids, 0),
        ] {
            if !(least..=MAX_SIMILAR_TO).contains(&ids.len()) {
                let description = format!("has {} entries; {least} to {MAX_SIMILAR_TO} are allowed", ids.len());
                return Err(status::invalid(field, description));
            }
        }
        let mut papers = HashMap::new();
        let mut positive = like("positive_ids", &request.positive_ids, &mut papers)?;
        let negative = like("negative_ids", &request.negative_ids, &mut papers)?;
        let wanted = if positive.len() == 1 {
            positive.remove(0)
        } else {
            QueryExpression::Any(positive)
        };
        let unwanted = negative.into_iter().map(|one| QueryExpression::Not(Box::new(one)));
        let expression = if request.negative_ids.is_empty() {
            wanted
        } else {
            QueryExpression::All(std::iter::once(wanted).chain(unwanted).collect())
        };
        Ok(Self {
            expression: Some(expression),
            named: None,
            lead: None,
            scope: SearchScope::read(request.filter.clone())?,
            mode: mode(request.mode)?,
            order: SearchOrder::Relevance,
            only_fitting: true,
            recency: None,
            diversity: diversity(request.diversity)?,
            origin: FieldOrigins {
                words: "positive_ids",
                papers,
            },
        })
    }
}

/// Whether a query asks for papers alike and nothing else.
fn is_likeness(expression: &QueryExpression) -> bool {
    match expression {
        QueryExpression::Like(_) => true,
        QueryExpression::Any(members) => members.iter().all(is_likeness),
        QueryExpression::Words(_) | QueryExpression::All(_) | QueryExpression::Not(_) => false,
    }
}

/// Likeness to each of some papers. Remembers the field that names each paper first.
fn like(list: &str, ids: &[String], papers: &mut HashMap<PaperId, String>) -> Result<Vec<QueryExpression>, Status> {
    let mut likeness = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        let field = format!("{list}[{index}]");
        let id = paper_id(&field, id)?;
        papers.entry(id.clone()).or_insert(field);
        likeness.push(QueryExpression::Like(id));
    }
    Ok(likeness)
}

/// The query, in whichever form it comes.
fn query(
    request: &wire::SearchPapersRequest,
    syntax: wire::QuerySyntax,
    origin: &mut FieldOrigins,
) -> Result<ParsedQuery, Status> {
    let Some(expression) = &request.expression else {
        let query = query_text(&request.query, syntax)?;
        origin.words = "query";
        if let Some(expression) = &query.expression {
            name_papers(expression, &mut origin.papers);
        }
        return Ok(query);
    };
    if !request.query.is_empty() {
        return Err(status::invalid(
            "expression",
            "stands beside a query; only one of both is allowed",
        ));
    }
    let mut reader = ExpressionReader::default();
    let expression = reader.expression(expression, "expression", 0)?;
    if matches!(expression, QueryExpression::Not(_)) {
        return Err(status::invalid(
            "expression.not",
            "stands alone; it is allowed inside `all` only",
        ));
    }
    *origin = FieldOrigins {
        words: "expression",
        papers: reader.papers,
    };
    Ok(only(Some(expression)))
}

fn query_text(query: &str, syntax: wire::QuerySyntax) -> Result<ParsedQuery, Status> {
    if syntax != wire::QuerySyntax::Plain {
        return parse_query("query", query);
    }
    check_length("query", query)?;
    let words = text::one_line(query);
    check_words("query", words.split(' ').count())?;
    let expression = Some(words)
        .filter(|words| !words.is_empty())
        .map(QueryExpression::Words);
    Ok(only(expression))
}

fn only(expression: Option<QueryExpression>) -> ParsedQuery {
    ParsedQuery {
        expression,
        ..ParsedQuery::default()
    }
}

/// Names the query text as the field of every paper in it.
fn name_papers(expression: &QueryExpression, papers: &mut HashMap<PaperId, String>) {
    match expression {
        QueryExpression::Words(_) => {}
        QueryExpression::Like(id) => {
            papers.insert(id.clone(), "query".to_owned());
        }
        QueryExpression::All(members) | QueryExpression::Any(members) => {
            for member in members {
                name_papers(member, papers);
            }
        }
        QueryExpression::Not(member) => name_papers(member, papers),
    }
}

fn syntax(number: i32) -> Result<wire::QuerySyntax, Status> {
    wire::QuerySyntax::try_from(number).map_err(|_| {
        let description = format!("is {number}; allowed are LANGUAGE (1) and PLAIN (2)");
        status::invalid("syntax", description)
    })
}

fn mode(number: i32) -> Result<SearchMode, Status> {
    match wire::SearchMode::try_from(number) {
        Ok(wire::SearchMode::Unspecified | wire::SearchMode::Hybrid) => Ok(SearchMode::Hybrid),
        Ok(wire::SearchMode::Dense) => Ok(SearchMode::Dense),
        Ok(wire::SearchMode::Sparse) => Ok(SearchMode::Sparse),
        Err(_) => {
            let description = format!("is {number}; allowed are HYBRID (1), DENSE (2) and SPARSE (3)");
            Err(status::invalid("mode", description))
        }
    }
}

fn order(number: i32) -> Result<SearchOrder, Status> {
    match wire::SearchOrder::try_from(number) {
        Ok(wire::SearchOrder::Unspecified | wire::SearchOrder::Relevance) => Ok(SearchOrder::Relevance),
        Ok(wire::SearchOrder::Newest) => Ok(SearchOrder::Newest),
        Ok(wire::SearchOrder::Trending) => Ok(SearchOrder::Trending),
        Err(_) => {
            let description = format!("is {number}; allowed are RELEVANCE (1), NEWEST (2) and TRENDING (3)");
            Err(status::invalid("order", description))
        }
    }
}

fn diversity(value: f64) -> Result<f64, Status> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(status::invalid("diversity", format!("is {value}; 0 to 1 is allowed")))
}

/// Ages are counted from the beginning of the hour, so that pages of one search agree.
fn recency(request: &wire::Recency, now: Timestamp) -> Result<Recency, Status> {
    let half_life = request.half_life.unwrap_or_default();
    let half_life_days = (half_life.seconds as f64 + f64::from(half_life.nanos) * 1e-9) / 86_400.0;
    if !HALF_LIFE_DAYS.contains(&half_life_days) {
        let description = format!("is {half_life_days} days; one day to ten years is allowed");
        return Err(status::invalid("recency.half_life", description));
    }
    if !(request.weight > 0.0 && request.weight <= 1.0) {
        let description = format!("is {}; above 0 and at most 1 is allowed", request.weight);
        return Err(status::invalid("recency.weight", description));
    }
    let hour = now.as_second().div_euclid(3_600) * 3_600;
    Ok(Recency {
        weight: request.weight,
        half_life_days,
        now: Timestamp::from_second(hour).unwrap_or(now),
    })
}
