//! What a search is asked to do, checked: from the contract and the query language to operands, filters and checks.
//!
//! It asks nobody: whether a paper that is named exists is found out later, and [`Origin`] says whom to blame then.

use std::collections::HashMap;

use common::status;
use domain::query::{self, Meaning, Restrictions};
use domain::ranking::Recency;
use domain::{LinkKind, Paper, PaperId, bm25, text};
use jiff::Timestamp;
use proto::convert::{ConvertError, from_wire_time};
use proto::search::v1 as wire;
use tonic::Status;

use super::expression::{Structured, check_length, check_words};
use crate::store::Filter;

/// Most entries of one restriction.
const MAX_FILTER_VALUES: usize = 100;
/// Shortest and longest half-life of recency.
const HALF_LIFE_DAYS: std::ops::RangeInclusive<f64> = 1.0..=3_653.0;

/// Which legs are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Both.
    Hybrid,
    /// By meaning.
    Dense,
    /// By words.
    Sparse,
}

/// The order of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Best first.
    Relevance,
    /// Newest of the best first.
    Newest,
    /// Of the best, what trends this week first.
    Trending,
}

/// What is looked at on the text itself, because the index does not know it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checks {
    /// Phrases the title or the abstract must hold.
    pub phrases: Vec<String>,
    /// Words and phrases neither may hold.
    pub without: Vec<String>,
}

/// A restriction on papers: what the store filters by, and what is checked on its candidates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    /// For the store.
    pub filter: Filter,
    /// For the text.
    pub checks: Checks,
}

/// Where in a request its words and papers stand, for what turns out to be wrong with them later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The field the words come from.
    pub words: &'static str,
    /// The field that names each paper to be like or unlike.
    pub papers: HashMap<PaperId, String>,
}

/// A search.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is looked for; without it papers are listed newest first.
    pub meaning: Option<Meaning>,
    /// Which papers are considered.
    pub scope: Scope,
    /// Which legs are asked.
    pub mode: Mode,
    /// The order of results.
    pub order: Order,
    /// Bonus for new papers; its weight is a share of the best score.
    pub recency: Option<Recency>,
    /// From 0 to 1.
    pub diversity: f64,
    /// Whom to blame.
    pub origin: Origin,
}

impl Checks {
    /// Whether there is nothing to check.
    pub fn is_empty(&self) -> bool {
        self.phrases.is_empty() && self.without.is_empty()
    }

    /// Whether a paper with this title and abstract passes.
    pub fn pass(&self, title: &str, abstract_text: &str) -> bool {
        domain::highlight::passes(title, abstract_text, &self.phrases, &self.without)
    }
}

impl Plan {
    /// Of a SearchPapers.
    pub fn search(request: &wire::SearchPapersRequest, now: Timestamp) -> Result<Self, Status> {
        let syntax = syntax(request.syntax)?;
        let mut origin = Origin::default();
        let (meaning, restrictions) = asked(request, syntax, &mut origin)?;
        let mut scope = Scope::read(request.filter.clone())?;
        scope.narrow(restrictions)?;
        let order = match wire::SearchOrder::try_from(request.order) {
            Ok(wire::SearchOrder::Unspecified | wire::SearchOrder::Relevance) => Order::Relevance,
            Ok(wire::SearchOrder::Newest) => Order::Newest,
            Ok(wire::SearchOrder::Trending) => Order::Trending,
            Err(_) => {
                let description = format!(
                    "is {}; allowed are RELEVANCE (1), NEWEST (2) and TRENDING (3)",
                    request.order
                );
                return Err(status::invalid("order", description));
            }
        };
        if meaning.is_none() && scope == Scope::default() {
            return Err(status::invalid(
                "query",
                "is empty; say in words what to look for, or give a filter",
            ));
        }
        let diversity = diversity(request.diversity)?;
        if order != Order::Relevance && diversity > 0.0 {
            // Both say in which order papers stand, and only one can be right.
            let description = format!("is {diversity}; with the orders NEWEST and TRENDING only 0 is allowed");
            return Err(status::invalid("diversity", description));
        }
        Ok(Self {
            meaning,
            scope,
            mode: mode(request.mode)?,
            order,
            recency: request.recency.as_ref().map(|asked| recency(asked, now)).transpose()?,
            diversity,
            origin,
        })
    }

    /// Of a ListSimilarPapers.
    pub fn similar(request: &wire::ListSimilarPapersRequest) -> Result<Self, Status> {
        const MOST: usize = 20;
        for (field, ids, least) in [
            ("positive_ids", &request.positive_ids, 1),
            ("negative_ids", &request.negative_ids, 0),
        ] {
            if !(least..=MOST).contains(&ids.len()) {
                let description = format!("has {} entries; {least} to {MOST} are allowed", ids.len());
                return Err(status::invalid(field, description));
            }
        }
        let mut papers = HashMap::new();
        let mut like = |field: &str, ids: &[String]| -> Result<Vec<Meaning>, Status> {
            let mut read = Vec::with_capacity(ids.len());
            for (index, id) in ids.iter().enumerate() {
                let field = format!("{field}[{index}]");
                let id = paper_id(&field, id)?;
                papers.entry(id.clone()).or_insert(field);
                read.push(Meaning::Like(id));
            }
            Ok(read)
        };
        let mut positive = like("positive_ids", &request.positive_ids)?;
        let negative = like("negative_ids", &request.negative_ids)?;
        let wanted = if positive.len() == 1 {
            positive.remove(0)
        } else {
            Meaning::Any(positive)
        };
        let unwanted = negative.into_iter().map(|one| Meaning::Not(Box::new(one)));
        let meaning = if request.negative_ids.is_empty() {
            wanted
        } else {
            Meaning::All(std::iter::once(wanted).chain(unwanted).collect())
        };
        Ok(Self {
            meaning: Some(meaning),
            scope: Scope::read(request.filter.clone())?,
            mode: mode(request.mode)?,
            order: Order::Relevance,
            recency: None,
            diversity: diversity(request.diversity)?,
            origin: Origin {
                words: "positive_ids",
                papers,
            },
        })
    }
}

impl Scope {
    /// Of a filter.
    pub fn read(filter: Option<wire::PaperFilter>) -> Result<Self, Status> {
        let filter = filter.unwrap_or_default();
        for (field, values) in [
            ("categories", &filter.categories),
            ("sources", &filter.sources),
            ("authors", &filter.authors),
            ("languages", &filter.languages),
            ("without_categories", &filter.without_categories),
            ("without_sources", &filter.without_sources),
            ("without_authors", &filter.without_authors),
            ("phrases", &filter.phrases),
            ("without_words", &filter.without_words),
        ] {
            if values.len() > MAX_FILTER_VALUES {
                let description = format!("has {} entries; at most {MAX_FILTER_VALUES} are allowed", values.len());
                return Err(status::invalid(format!("filter.{field}"), description));
            }
            if let Some(index) = values.iter().position(|value| value.trim().is_empty()) {
                return Err(status::invalid(format!("filter.{field}[{index}]"), "is empty"));
            }
            let is_compared_folded = matches!(field, "authors" | "without_authors" | "phrases" | "without_words");
            let wordless = || values.iter().position(|value| text::fold(value).is_empty());
            if is_compared_folded && let Some(index) = wordless() {
                let description = format!("is {:?}, which holds no letter or digit", text::shorten(&values[index]));
                return Err(status::invalid(format!("filter.{field}[{index}]"), description));
            }
        }
        let time = |field: &'static str, time: Option<_>| {
            time.map(|time| from_wire_time(field, time))
                .transpose()
                .map_err(|error| {
                    let problem = match error {
                        ConvertError::Invalid { problem, .. } => problem,
                        ConvertError::Missing(_) => error.to_string(),
                    };
                    status::invalid(field, format!("is no time that there can be: {problem}"))
                })
        };
        let (after, before) = (
            time("filter.published_after", filter.published_after)?,
            time("filter.published_before", filter.published_before)?,
        );
        if let (Some(after), Some(before)) = (after, before)
            && after >= before
        {
            let description = format!("is {before}, which is not after filter.published_after, {after}");
            return Err(status::invalid("filter.published_before", description));
        }
        let mut scope = Self {
            filter: Filter {
                authors: folded(&filter.authors),
                without_authors: folded(&filter.without_authors),
                categories: filter.categories,
                without_categories: filter.without_categories,
                sources: filter.sources,
                without_sources: filter.without_sources,
                languages: filter.languages,
                published_after: after,
                published_before: before,
                has_code: filter.has_code,
                ..Filter::default()
            },
            checks: Checks::default(),
        };
        for phrase in &filter.phrases {
            scope.require(phrase);
        }
        for word in &filter.without_words {
            scope.forbid(word);
        }
        Ok(scope)
    }

    /// Adds what the query language restricts.
    pub fn narrow(&mut self, restrictions: Restrictions) -> Result<(), Status> {
        for phrase in &restrictions.phrases {
            self.require(phrase);
        }
        for word in restrictions.without_words.iter().chain(&restrictions.without_phrases) {
            self.forbid(word);
        }
        let filter = &mut self.filter;
        narrow_list("categories", &mut filter.categories, restrictions.categories)?;
        narrow_list("sources", &mut filter.sources, restrictions.sources)?;
        narrow_list("authors", &mut filter.authors, folded(&restrictions.authors))?;
        narrow_list("languages", &mut filter.languages, restrictions.languages)?;
        filter.without_categories.extend(restrictions.without_categories);
        filter.without_sources.extend(restrictions.without_sources);
        filter.without_authors.extend(folded(&restrictions.without_authors));
        filter.published_after = filter.published_after.max(restrictions.published_after);
        filter.published_before = match (filter.published_before, restrictions.published_before) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if let (Some(a), Some(b)) = (filter.has_code, restrictions.has_code)
            && a != b
        {
            return Err(status::invalid(
                "filter.has_code",
                format!("is {a}, and the query says {b}"),
            ));
        }
        filter.has_code = filter.has_code.or(restrictions.has_code);
        Ok(())
    }

    /// Whether a paper that is at hand passes: for those who watch.
    pub fn lets_pass(&self, paper: &Paper) -> bool {
        let filter = &self.filter;
        let any = |wanted: &[String], held: &[String]| wanted.iter().any(|one| held.contains(one));
        let keys: Vec<String> = paper
            .authors
            .iter()
            .flat_map(|author| text::author_keys(author))
            .collect();
        let source = std::slice::from_ref(&paper.source);
        let language = std::slice::from_ref(&paper.language);
        let words = format!("{}\n{}", paper.title, paper.abstract_text);
        let held = || terms(&words);
        let wanted = [
            (&filter.categories, paper.categories.as_slice()),
            (&filter.sources, source),
            (&filter.authors, keys.as_slice()),
            (&filter.languages, language),
        ];
        let unwanted = [
            (&filter.without_categories, paper.categories.as_slice()),
            (&filter.without_sources, source),
            (&filter.without_authors, keys.as_slice()),
        ];
        wanted.iter().all(|(list, held)| list.is_empty() || any(list, held))
            && !unwanted.iter().any(|(list, held)| any(list, held))
            && filter.published_after.is_none_or(|time| paper.published >= time)
            && filter.published_before.is_none_or(|time| paper.published < time)
            && filter
                .has_code
                .is_none_or(|wanted| paper.link(LinkKind::Code).is_some() == wanted)
            && (filter.without_terms.is_empty() || !held().iter().any(|term| filter.without_terms.contains(term)))
            && (self.checks.is_empty() || self.checks.pass(&paper.title, &paper.abstract_text))
    }

    /// The store looks for papers with the terms of a phrase, the text is checked for their order. A term counts where the
    /// phrase has it however its words are joined, as the check does not mind: `pre-training` holds in `pre training`,
    /// which has no term `pretrain`.
    fn require(&mut self, phrase: &str) {
        let apart = terms(&text::fold(phrase));
        let certain = terms(phrase).into_iter().filter(|term| apart.contains(term));
        self.filter.terms.extend(certain);
        self.filter.terms.sort_unstable();
        self.filter.terms.dedup();
        self.checks.phrases.push(phrase.to_owned());
    }

    /// A word of one term is left out by the store in all its forms; a phrase is looked for in the text.
    fn forbid(&mut self, word: &str) {
        match terms(word).as_slice() {
            [term] if !word.trim().contains(char::is_whitespace) => self.filter.without_terms.push(*term),
            _ => self.checks.without.push(word.to_owned()),
        }
    }
}

/// The meaning and the restrictions of whichever form the query has.
fn asked(
    request: &wire::SearchPapersRequest,
    syntax: wire::QuerySyntax,
    origin: &mut Origin,
) -> Result<(Option<Meaning>, Restrictions), Status> {
    let Some(expression) = &request.expression else {
        let (meaning, restrictions) = written(&request.query, syntax)?;
        origin.words = "query";
        if let Some(meaning) = &meaning {
            name_papers(meaning, &mut origin.papers);
        }
        return Ok((meaning, restrictions));
    };
    if !request.query.is_empty() {
        return Err(status::invalid(
            "expression",
            "stands beside a query; only one of both is allowed",
        ));
    }
    let mut structured = Structured::default();
    let meaning = structured.meaning(expression, "expression", 0)?;
    if matches!(meaning, Meaning::Not(_)) {
        return Err(status::invalid(
            "expression.not",
            "stands alone; it is allowed inside `all` only",
        ));
    }
    *origin = Origin {
        words: "expression",
        papers: structured.papers,
    };
    Ok((Some(meaning), Restrictions::default()))
}

fn written(query: &str, syntax: wire::QuerySyntax) -> Result<(Option<Meaning>, Restrictions), Status> {
    if syntax != wire::QuerySyntax::Plain {
        let read = parse("query", query)?;
        return Ok((read.meaning, read.restrictions));
    }
    check_length("query", query)?;
    let words = text::one_line(query);
    check_words("query", words.split(' ').count())?;
    let meaning = Some(words).filter(|words| !words.is_empty()).map(Meaning::Words);
    Ok((meaning, Restrictions::default()))
}

/// All papers of a query come from its text.
fn name_papers(meaning: &Meaning, papers: &mut HashMap<PaperId, String>) {
    match meaning {
        Meaning::Words(_) => {}
        Meaning::Like(id) => {
            papers.insert(id.clone(), "query".to_owned());
        }
        Meaning::All(members) | Meaning::Any(members) => {
            for member in members {
                name_papers(member, papers);
            }
        }
        Meaning::Not(member) => name_papers(member, papers),
    }
}

/// A query in the query language; an empty one asks for nothing.
pub fn parse(field: &str, text: &str) -> Result<query::Query, Status> {
    check_length(field, text)?;
    query::parse(text).map_err(|error| status::invalid(field, error.to_string()))
}

fn syntax(number: i32) -> Result<wire::QuerySyntax, Status> {
    wire::QuerySyntax::try_from(number).map_err(|_| {
        let description = format!("is {number}; allowed are LANGUAGE (1) and PLAIN (2)");
        status::invalid("syntax", description)
    })
}

fn mode(number: i32) -> Result<Mode, Status> {
    match wire::SearchMode::try_from(number) {
        Ok(wire::SearchMode::Unspecified | wire::SearchMode::Hybrid) => Ok(Mode::Hybrid),
        Ok(wire::SearchMode::Dense) => Ok(Mode::Dense),
        Ok(wire::SearchMode::Sparse) => Ok(Mode::Sparse),
        Err(_) => {
            let description = format!("is {number}; allowed are HYBRID (1), DENSE (2) and SPARSE (3)");
            Err(status::invalid("mode", description))
        }
    }
}

fn diversity(asked: f64) -> Result<f64, Status> {
    if (0.0..=1.0).contains(&asked) {
        return Ok(asked);
    }
    Err(status::invalid("diversity", format!("is {asked}; 0 to 1 is allowed")))
}

/// Ages are counted from the beginning of the hour, so that pages of one search agree.
fn recency(asked: &wire::Recency, now: Timestamp) -> Result<Recency, Status> {
    let half_life = asked.half_life.unwrap_or_default();
    let half_life_days = (half_life.seconds as f64 + f64::from(half_life.nanos) * 1e-9) / 86_400.0;
    if !HALF_LIFE_DAYS.contains(&half_life_days) {
        let description = format!("is {half_life_days} days; one day to ten years is allowed");
        return Err(status::invalid("recency.half_life", description));
    }
    if !(asked.weight > 0.0 && asked.weight <= 1.0) {
        let description = format!("is {}; above 0 and at most 1 is allowed", asked.weight);
        return Err(status::invalid("recency.weight", description));
    }
    let hour = now.as_second().div_euclid(3_600) * 3_600;
    Ok(Recency {
        weight: asked.weight,
        half_life_days,
        now: Timestamp::from_second(hour).unwrap_or(now),
    })
}

/// A canonical id.
pub fn paper_id(field: &str, id: &str) -> Result<PaperId, Status> {
    PaperId::parse(id).map_err(|error| status::invalid(field, error.to_string()))
}

fn terms(text: &str) -> Vec<u32> {
    let mut terms: Vec<u32> = bm25::terms(text).iter().map(|term| bm25::term_id(term)).collect();
    terms.sort_unstable();
    terms.dedup();
    terms
}

fn folded(authors: &[String]) -> Vec<String> {
    authors.iter().map(|author| text::fold(author)).collect()
}

/// One list says "any of these". Two of them must both hold, which is the shorter one where the other has all of it, and
/// which the store has no words for otherwise.
fn narrow_list(field: &str, list: &mut Vec<String>, other: Vec<String>) -> Result<(), Status> {
    let within = |inner: &[String], outer: &[String]| inner.iter().all(|one| outer.contains(one));
    if list.is_empty() || !other.is_empty() && within(&other, list) {
        *list = other;
    } else if !within(list, &other) && !other.is_empty() {
        let description = "stands beside the same restriction in the query, and neither has all values of the other; give it \
                           in one of both places";
        return Err(status::invalid(format!("filter.{field}"), description));
    }
    Ok(())
}
