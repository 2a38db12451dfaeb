//! The scope of a request: which papers are considered, from the contract's filter and the restrictions of a query.
//!
//! What the store cannot filter by is checked on the texts of its candidates. Nothing here asks the store.

use common::status;
use domain::query::Restrictions;
use domain::{LinkKind, Paper, bm25, names, text};
use jiff::Timestamp;
use proto::convert::{ConvertError, from_wire_time};
use proto::search::v1 as wire;
use tonic::Status;

use crate::store::Filter;

/// Most entries of one restriction.
const MAX_FILTER_VALUES: usize = 100;

/// What is checked on the text itself, because the store does not know it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TextChecks {
    /// Phrases that the title or the abstract must hold.
    pub phrases: Vec<String>,
    /// Words and phrases that neither may hold.
    pub without: Vec<String>,
}

/// A restriction on papers: what the store filters by, and what is checked on its candidates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchScope {
    /// For the store.
    pub filter: Filter,
    /// For the text.
    pub checks: TextChecks,
}

impl TextChecks {
    /// Whether there is nothing to check.
    pub fn is_empty(&self) -> bool {
        self.phrases.is_empty() && self.without.is_empty()
    }

    /// Whether a paper with this title and abstract passes.
    pub fn pass(&self, title: &str, abstract_text: &str) -> bool {
        self.is_empty() || domain::highlight::passes(title, abstract_text, &self.phrases, &self.without)
    }
}

impl SearchScope {
    /// Reads the filter of a request.
    pub fn read(filter: Option<wire::PaperFilter>) -> Result<Self, Status> {
        let filter = filter.unwrap_or_default();
        check_values(&filter)?;
        let (published_after, published_before) = published_between(&filter)?;
        let mut scope = Self {
            filter: Filter {
                authors: keys(&filter.authors),
                without_authors: keys(&filter.without_authors),
                categories: filter.categories,
                without_categories: filter.without_categories,
                sources: filter.sources,
                without_sources: filter.without_sources,
                languages: filter.languages,
                published_after,
                published_before,
                has_code: filter.has_code,
                ..Filter::default()
            },
            checks: TextChecks::default(),
        };
        for phrase in &filter.phrases {
            scope.require(phrase);
        }
        for word in &filter.without_words {
            scope.forbid(word);
        }
        Ok(scope)
    }

    /// Adds the restrictions of a query.
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
        narrow_list("authors", &mut filter.authors, keys(&restrictions.authors))?;
        narrow_list("languages", &mut filter.languages, restrictions.languages)?;
        filter.without_categories.extend(restrictions.without_categories);
        filter.without_sources.extend(restrictions.without_sources);
        filter.without_authors.extend(keys(&restrictions.without_authors));
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

    /// Whether a paper that is at hand passes, without asking the store.
    pub fn lets_pass(&self, paper: &Paper) -> bool {
        let filter = &self.filter;
        let any = |wanted: &[String], held: &[String]| wanted.iter().any(|one| held.contains(one));
        let keys = names::keys_of_all(&paper.authors);
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
            && filter.is_published_within(paper.published)
            && filter
                .has_code
                .is_none_or(|wanted| paper.link(LinkKind::Code).is_some() == wanted)
            && (filter.without_terms.is_empty() || !held().iter().any(|term| filter.without_terms.contains(term)))
            && self.checks.pass(&paper.title, &paper.abstract_text)
    }

    /// The store filters by the terms of a phrase, and the text is checked for their order. A term counts where the phrase has
    /// it however its words are joined, because the check ignores hyphens: `pre-training` is found in `pre training`, which
    /// has no term `pretrain`.
    fn require(&mut self, phrase: &str) {
        let apart = terms(&text::fold(phrase));
        let certain = terms(phrase).into_iter().filter(|term| apart.contains(term));
        self.filter.terms.extend(certain);
        self.filter.terms.sort_unstable();
        self.filter.terms.dedup();
        self.checks.phrases.push(phrase.to_owned());
    }

    /// The store leaves out a word of one term in all its forms; a phrase is looked for in the text.
    fn forbid(&mut self, word: &str) {
        match terms(word).as_slice() {
            [term] if !word.trim().contains(char::is_whitespace) => self.filter.without_terms.push(*term),
            _ => self.checks.without.push(word.to_owned()),
        }
    }
}

/// Checks the lists of a filter: how long they are, and that each value says something.
fn check_values(filter: &wire::PaperFilter) -> Result<(), Status> {
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
    Ok(())
}

/// The bounds of the time of publication, which must leave some time between them.
fn published_between(filter: &wire::PaperFilter) -> Result<(Option<Timestamp>, Option<Timestamp>), Status> {
    let time = |field: &'static str, time: Option<_>| {
        time.map(|time| from_wire_time(field, time))
            .transpose()
            .map_err(|error| {
                let problem = match error {
                    ConvertError::Invalid { problem, .. } => problem,
                    ConvertError::Missing(_) => error.to_string(),
                };
                status::invalid(field, format!("is not a valid time: {problem}"))
            })
    };
    let after = time("filter.published_after", filter.published_after)?;
    let before = time("filter.published_before", filter.published_before)?;
    if let (Some(after), Some(before)) = (after, before)
        && after >= before
    {
        let description = format!("is {before}, which is not after filter.published_after, {after}");
        return Err(status::invalid("filter.published_before", description));
    }
    Ok((after, before))
}

fn terms(text: &str) -> Vec<u32> {
    let mut terms: Vec<u32> = bm25::terms(text).iter().map(|term| bm25::term_id(term)).collect();
    terms.sort_unstable();
    terms.dedup();
    terms
}

fn keys(authors: &[String]) -> Vec<String> {
    authors.iter().flat_map(|author| names::search_keys(author)).collect()
}

/// A list says "any of these". Where the filter and the query both have one, both must hold: that is the shorter list where
/// the longer one has all of it; otherwise the store cannot express it.
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

#[cfg(test)]
mod tests;
