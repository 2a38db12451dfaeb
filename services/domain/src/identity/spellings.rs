//! The table of spellings: how people, files, feeds and sites write the identifiers of [`Scheme`].
//!
//! | spelling | read by |
//! |---|---|
//! | `2402.14776v2`, `10.1145/3292500`, `PMC3531190`: a value that nothing else looks like | [`unmistakable`] |
//! | `arXiv:2402.14776 [cs.CL]`, `doi 10.1145/3292500`, `PMID: 123` | [`NAMES`] |
//! | an address of arXiv, a resolver, an index or a publisher | [`SITES`] |
//!
//! A spelling that is in none of them is not an identifier: nothing is guessed.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::scheme::{Scheme, trimmed, unmistakable, without_version};
use crate::text;

/// Longest spelling in bytes.
const MAX_BYTES: usize = 2_048;
/// Spellings inside one another: `https://api.openalex.org/works/doi:10.1145/3292500`.
const MAX_DEPTH: usize = 3;
/// Parts of a path that are looked at.
const MAX_SEGMENTS: usize = 8;

/// A name in front of a value, in lower case, and whether white space is enough between them: `PubMed 2024` is two words.
struct Prefix {
    word: &'static str,
    spaced: bool,
    scheme: Scheme,
}

const fn name(word: &'static str, scheme: Scheme) -> Prefix {
    Prefix {
        word,
        spaced: true,
        scheme,
    }
}

const fn with_colon(word: &'static str, scheme: Scheme) -> Prefix {
    Prefix {
        word,
        spaced: false,
        scheme,
    }
}

/// Longer names stand before their beginnings.
const NAMES: [Prefix; 33] = [
    name("oai:arxiv.org", Scheme::Arxiv),
    name("info:eu-repo/semantics/altidentifier/arxiv", Scheme::Arxiv),
    name("info:arxiv", Scheme::Arxiv),
    name("arxiv preprint", Scheme::Arxiv),
    name("arxiv e-prints", Scheme::Arxiv),
    name("arxiv e-print", Scheme::Arxiv),
    name("arxiv eprint", Scheme::Arxiv),
    name("arxiv.org", Scheme::Arxiv),
    name("arxiv", Scheme::Arxiv),
    name("corr", Scheme::Arxiv),
    with_colon("abs", Scheme::Arxiv),
    name("info:eu-repo/semantics/altidentifier/doi", Scheme::Doi),
    name("info:doi", Scheme::Doi),
    name("urn:doi", Scheme::Doi),
    name("doi", Scheme::Doi),
    name("acl anthology", Scheme::Acl),
    name("acl", Scheme::Acl),
    name("info:pmid", Scheme::Pubmed),
    with_colon("pubmed", Scheme::Pubmed),
    name("pmid", Scheme::Pubmed),
    name("pmcid", Scheme::Pmc),
    with_colon("pmc", Scheme::Pmc),
    name("openalex", Scheme::OpenAlex),
    name("semantic scholar", Scheme::SemanticScholar),
    name("semanticscholar", Scheme::SemanticScholar),
    name("s2", Scheme::SemanticScholar),
    name("corpusid", Scheme::CorpusId),
    name("urn:isbn", Scheme::Isbn),
    name("isbn-13", Scheme::Isbn),
    name("isbn-10", Scheme::Isbn),
    name("isbn13", Scheme::Isbn),
    name("isbn10", Scheme::Isbn),
    name("isbn", Scheme::Isbn),
];

/// A site whose addresses hold identifiers: its host, with all subdomains, and the beginning of the path.
struct Site {
    host: &'static str,
    under: &'static str,
    scheme: Scheme,
}

const fn site(host: &'static str, under: &'static str, scheme: Scheme) -> Site {
    Site { host, under, scheme }
}

const SITES: [Site; 34] = [
    site("arxiv.org", "", Scheme::Arxiv),
    site("ar5iv.org", "", Scheme::Arxiv),
    site("alphaxiv.org", "", Scheme::Arxiv),
    site("xxx.lanl.gov", "", Scheme::Arxiv),
    site("arxiv-vanity.com", "papers", Scheme::Arxiv),
    site("huggingface.co", "papers", Scheme::Arxiv),
    site("hf.co", "papers", Scheme::Arxiv),
    site("semanticscholar.org", "arxiv", Scheme::Arxiv),
    site("scirate.com", "arxiv", Scheme::Arxiv),
    site("papers.cool", "arxiv", Scheme::Arxiv),
    site("doi.org", "", Scheme::Doi),
    site("link.springer.com", "", Scheme::Doi),
    site("biorxiv.org", "content", Scheme::Doi),
    site("medrxiv.org", "content", Scheme::Doi),
    site("frontiersin.org", "", Scheme::Doi),
    site("journals.aps.org", "", Scheme::Doi),
    site("iopscience.iop.org", "", Scheme::Doi),
    site("journals.plos.org", "", Scheme::Doi),
    site("drops.dagstuhl.de", "", Scheme::Doi),
    site("nature.com", "articles", Scheme::Doi),
    site("aclanthology.org", "", Scheme::Acl),
    site("aclanthology.info", "", Scheme::Acl),
    site("aclweb.org", "anthology", Scheme::Acl),
    site("pubmed.ncbi.nlm.nih.gov", "", Scheme::Pubmed),
    site("ncbi.nlm.nih.gov", "pubmed", Scheme::Pubmed),
    site("europepmc.org", "article/med", Scheme::Pubmed),
    site("europepmc.org", "abstract/med", Scheme::Pubmed),
    site("pmc.ncbi.nlm.nih.gov", "articles", Scheme::Pmc),
    site("ncbi.nlm.nih.gov", "pmc/articles", Scheme::Pmc),
    site("europepmc.org", "article/pmc", Scheme::Pmc),
    site("europepmc.org", "articles", Scheme::Pmc),
    site("openalex.org", "", Scheme::OpenAlex),
    site("semanticscholar.org", "", Scheme::SemanticScholar),
    site("dl.acm.org", "", Scheme::Doi),
];

/// What publishers write behind a DOI in the address of a page.
const PAGES: [&str; 26] = [
    "+html",
    ".full",
    ".full-text",
    ".abstract",
    ".short",
    ".pdf",
    ".html",
    ".xml",
    ".epub",
    ".supplementary-material",
    ".article-info",
    ".article-metrics",
    "/full",
    "/abstract",
    "/pdf",
    "/epdf",
    "/epub",
    "/html",
    "/meta",
    "/fulltext",
    "/full-text",
    "/summary",
    "/references",
    "/figures",
    "/tables",
    "/supplementary-material",
];

/// The identifier that a text is a spelling of. The text may have white space, brackets and punctuation around it.
pub(super) fn recognise(raw: &str) -> Option<(Scheme, String)> {
    (raw.len() <= MAX_BYTES).then(|| within(&visible(raw), 0))?
}

/// A text without invisible characters, which come along when it is copied.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let is_visible = |c: &char| c.is_whitespace() || !text::is_invisible(*c);
    if text.chars().all(|c| is_visible(&c)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(is_visible).collect())
}

fn within(raw: &str, depth: usize) -> Option<(Scheme, String)> {
    let spelling = trimmed(raw);
    if depth == MAX_DEPTH || spelling.is_empty() {
        return None;
    }
    if let Some(address) = address(spelling) {
        return on_a_site(address, depth);
    }
    named(spelling, depth).or_else(|| unmistakable(without_class(spelling)))
}

/// A value behind the name of its scheme.
fn named(spelling: &str, depth: usize) -> Option<(Scheme, String)> {
    let lower = spelling.to_ascii_lowercase();
    for Prefix { word, spaced, scheme } in &NAMES {
        let Some(rest) = lower.strip_prefix(word) else { continue };
        let parted = rest.starts_with([':', '=', '/', '.', ',']) || *spaced && rest.starts_with(char::is_whitespace);
        if !parted {
            continue;
        }
        let rest = spelling.get(word.len()..)?;
        let rest = rest.trim_start_matches(|c: char| matches!(c, ':' | '=' | '/' | '.' | ',') || c.is_whitespace());
        let value = if *scheme == Scheme::Isbn {
            rest
        } else {
            without_class(rest)
        };
        return scheme.canonical(value).or_else(|| within(rest, depth + 1));
    }
    None
}

/// `2403.00001 [cs.CL] 5 Mar 2024` as arXiv prints it on its papers, without what is behind the id.
fn without_class(text: &str) -> &str {
    match text.split_once(char::is_whitespace) {
        Some((first, rest)) if rest.trim_start().starts_with(['[', '(']) => first,
        _ => text,
    }
}

/// An address without its scheme: anything with `http://`, else only on hosts that are in the table.
fn address(spelling: &str) -> Option<&str> {
    let start = |prefix: &str| {
        let begin = spelling.get(..prefix.len())?;
        begin.eq_ignore_ascii_case(prefix).then(|| &spelling[prefix.len()..])
    };
    // Servers in between make one slash of two inside a path.
    if let Some(rest) = start("https:/").or_else(|| start("http:/")) {
        return Some(rest.trim_start_matches('/'));
    }
    let bare = spelling.strip_prefix("//").unwrap_or(spelling);
    let (host, _) = bare.split_once('/')?;
    let host = host.to_ascii_lowercase();
    SITES.iter().any(|site| is_at(&host, site.host)).then_some(bare)
}

fn is_at(host: &str, site: &str) -> bool {
    let subdomain = host.strip_suffix(site);
    subdomain.is_some_and(|subdomain| subdomain.is_empty() || subdomain.ends_with('.'))
}

/// The identifier in an address.
fn on_a_site(address: &str, depth: usize) -> Option<(Scheme, String)> {
    let (authority, rest) = address.split_at(address.find(['/', '?', '#']).unwrap_or(address.len()));
    let host = authority.rsplit('@').next()?.to_ascii_lowercase();
    let host = host.split(':').next()?.trim_end_matches('.');
    let rest = rest.split('#').next()?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = decoded(path);
    let path = path.trim_start_matches('/');
    for site in SITES.iter().filter(|site| is_at(host, site.host)) {
        let Some(below) = below(path, site.under) else { continue };
        let found = match site.scheme {
            Scheme::Doi => doi_of_page(host, path, query),
            scheme => in_path(scheme, below, depth),
        };
        if found.is_some() {
            return found;
        }
    }
    // The platform that most publishers use has the DOI under `/doi/`; resolvers of publishers are called `doi.`.
    let lower = path.to_ascii_lowercase();
    let is_resolver = host.starts_with("doi.") && lower.starts_with("10.");
    let is_page = lower.starts_with("doi/") || lower.contains("/doi/") || lower.starts_with("doilanding");
    (is_resolver || is_page).then(|| doi_of_page(host, path, query))?
}

/// What a path has behind its beginning.
fn below<'a>(path: &'a str, under: &str) -> Option<&'a str> {
    let begin = path.get(..under.len())?;
    let rest = &path[under.len()..];
    (begin.eq_ignore_ascii_case(under) && (under.is_empty() || rest.starts_with('/')))
        .then(|| rest.trim_start_matches('/'))
}

/// The first part of a path, or two of them together, that are an identifier; or another spelling in the path.
fn in_path(scheme: Scheme, path: &str, depth: usize) -> Option<(Scheme, String)> {
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .take(MAX_SEGMENTS)
        .collect();
    let here = (0..segments.len()).find_map(|at| {
        let two = segments.get(at + 1).map(|next| format!("{}/{next}", segments[at]));
        scheme
            .canonical(segments[at])
            .or_else(|| two.and_then(|two| scheme.canonical(&two)))
    });
    // A spelling of its own, such as `doi:10.1145/3292500`, from the beginning of a part to the end.
    let starts = std::iter::once(0).chain(path.match_indices('/').map(|(at, _)| at + 1));
    here.or_else(|| {
        starts.take(MAX_SEGMENTS).find_map(|at| {
            let rest = &path[at..];
            let is_spelling = rest.find([':', '/']).is_some_and(|end| rest[end..].starts_with(':'));
            is_spelling.then(|| within(rest, depth + 1))?
        })
    })
}

/// The DOI in the address of a page, without what says which page it is.
fn doi_of_page(host: &str, path: &str, query: &str) -> Option<(Scheme, String)> {
    if is_at(host, "doi.org") {
        let doi = path.split_once("10.").map(|(before, _)| &path[before.len()..])?;
        return Scheme::Doi.canonical(doi);
    }
    if is_at(host, "nature.com") {
        let article = below(path, "articles")?.split(['/', '.']).next()?;
        return article
            .starts_with("s4")
            .then(|| Scheme::Doi.canonical(&format!("10.1038/{article}")))?;
    }
    let parameter = || {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix("id=").or_else(|| pair.strip_prefix("doi=")))
    };
    let start = path.starts_with("10.").then_some(path);
    let start = start.or_else(|| path.find("/10.").map(|at| &path[at + 1..]));
    let mut doi = match start {
        Some(doi) => doi.to_owned(),
        None => decoded(parameter()?),
    };
    while let Some(bare) = PAGES.iter().find_map(|page| doi.strip_suffix(page)) {
        doi.truncate(bare.len());
    }
    // Oxford writes a number of its own behind it.
    if is_at(host, "oup.com")
        && let Some((bare, number)) = doi.rsplit_once('/')
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        doi.truncate(bare.len());
    }
    if is_at(host, "biorxiv.org") || is_at(host, "medrxiv.org") {
        doi = without_version(&doi).to_owned();
    }
    doi.starts_with("10.").then(|| Scheme::Doi.canonical(&doi))?
}

/// Without percent escapes, and escapes of escapes.
fn decoded(text: &str) -> String {
    let mut text = text.to_owned();
    while text.contains('%')
        && let Ok(decoded) = percent_decode_str(&text).decode_utf8()
        && decoded != text
    {
        text = decoded.into_owned();
    }
    text
}
