//! A feed and its entries, in both formats. Text from outside is escaped, and characters that XML cannot hold are dropped.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use domain::readable::readable;
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Serde;
use proto::papers::v1::Paper;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{FeedAddress, FeedFormat};
use crate::caller::Caller;
use crate::formats::paper::{changed, page_of, published, updated, without_illegal};
use crate::paper::url_of;
use crate::state::AppState;

/// A list of papers.
#[derive(Debug)]
pub struct PaperFeed {
    /// Its title.
    pub title: String,
    /// What it holds, in a sentence.
    pub subtitle: String,
    /// The papers.
    pub entries: Vec<FeedEntry>,
    /// Token of the next page; empty on the last.
    pub next_page: String,
}

/// A paper of a feed.
#[derive(Debug, Clone, Serialize)]
pub struct FeedEntry {
    /// The same in every feed.
    pub id: String,
    title: String,
    page: String,
    external: Option<String>,
    authors: Vec<String>,
    categories: Vec<String>,
    language: String,
    published: Option<String>,
    updated: String,
    reason: String,
    abstract_text: String,
}

impl FeedEntry {
    /// A paper, and why it is in the feed.
    pub fn new(paper: &Paper, reason: &str, base: &str) -> Self {
        let published = published(paper);
        // Atom requires a time of every entry; where no source says one, it is that of our own record.
        let last = updated(paper).or(published).or_else(|| changed(paper));
        let name = format!("broadsheet paper {}", paper.id);
        let clean_all =
            |texts: &mut dyn Iterator<Item = &str>| texts.map(one_line).filter(|text| !text.is_empty()).collect();
        Self {
            id: Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).urn().to_string(),
            // Of a paper that is no longer among the recent ones only the id is known.
            title: one_line(&if paper.title.is_empty() {
                paper.id.as_str().into()
            } else {
                readable(&paper.title)
            }),
            page: page_of(paper, base),
            external: url_of(paper).map(|url| one_line(&url)),
            authors: clean_all(&mut paper.authors.iter().map(|author| author.name.as_str())),
            categories: clean_all(&mut paper.categories.iter().map(String::as_str)),
            language: paper.language.clone(),
            published: published.map(|time| time.to_string()),
            updated: last.unwrap_or_default().to_string(),
            reason: without_illegal(reason),
            abstract_text: without_illegal(&readable(&paper.r#abstract)),
        }
    }
}

fn one_line(text: &str) -> String {
    domain::text::one_line(&without_illegal(text))
}

/// Links of a feed.
#[derive(Debug, Serialize)]
struct FeedLinks {
    own: String,
    other: String,
    home: String,
    first: Option<String>,
    next: Option<String>,
}

impl PaperFeed {
    /// Renders the feed. `own` is its address without the format, `home` that of its page on this site, `page` the token of this
    /// page.
    pub fn render(
        mut self,
        app: &AppState,
        caller: &Caller,
        format: FeedFormat,
        own: &FeedAddress,
        home: &FeedAddress,
        page: &str,
    ) -> Response {
        self.title = one_line(&self.title);
        let base = caller.base();
        let dotted = |format: FeedFormat| format!(".{}", format.suffix());
        let other = if format == FeedFormat::Atom {
            FeedFormat::Json
        } else {
            FeedFormat::Atom
        };
        let links = FeedLinks {
            own: own.with("page", page).at(base, &dotted(format)),
            other: own.with("page", page).at(base, &dotted(other)),
            home: home.at(base, ""),
            first: (!page.is_empty()).then(|| own.at(base, &dotted(format))),
            next: (!self.next_page.is_empty()).then(|| own.with("page", &self.next_page).at(base, &dotted(format))),
        };
        let body = match format {
            FeedFormat::Json => Ok(format!("{}\n", self.json(&links))),
            FeedFormat::Atom => self.atom(app, &links, &own.at("", "")),
        };
        let content_type = format!("{}; charset=utf-8", format.media_type());
        match body {
            Ok(body) => ([(header::CONTENT_TYPE, content_type)], body).into_response(),
            Err(answer) => *answer,
        }
    }

    fn atom(&self, app: &AppState, links: &FeedLinks, name: &str) -> Result<String, Box<Response>> {
        // Times in one zone and format sort as text.
        let updated = self.entries.iter().map(|entry| entry.updated.as_str()).max();
        let updated = updated.map_or_else(|| Timestamp::UNIX_EPOCH.to_string(), str::to_owned);
        let name = format!("broadsheet feed {name}");
        let context = context! {
            id => Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).urn().to_string(),
            title => self.title.as_str(),
            subtitle => self.subtitle.as_str(),
            updated,
            links => Serde(links),
            entries => Serde(&self.entries),
        };
        app.pages.fill("feed.atom.xml", context)
    }

    fn json(&self, links: &FeedLinks) -> Value {
        let items: Vec<Value> = self.entries.iter().map(item).collect();
        let mut feed = json!({
            "version": "https://jsonfeed.org/version/1.1",
            "title": self.title,
            "description": self.subtitle,
            "home_page_url": links.home,
            "feed_url": links.own,
            "language": "en",
            "authors": [{ "name": "Broadsheet" }],
            "items": items,
        });
        if let Some(next) = &links.next {
            feed["next_url"] = json!(next);
        }
        feed
    }
}

fn item(entry: &FeedEntry) -> Value {
    let authors: Vec<Value> = entry.authors.iter().map(|name| json!({ "name": name })).collect();
    let mut item = json!({
        "id": entry.id,
        "url": entry.page,
        "title": entry.title,
        "summary": entry.reason,
        "content_text": entry.abstract_text,
        "date_modified": entry.updated,
        "authors": authors,
        "tags": entry.categories,
    });
    for (name, value) in [("external_url", &entry.external), ("date_published", &entry.published)] {
        if let Some(value) = value {
            item[name] = json!(value);
        }
    }
    if !entry.language.is_empty() {
        item["language"] = json!(entry.language);
    }
    item
}

#[cfg(test)]
mod tests {
    use proto::convert::to_wire_time;

    use super::*;

    #[test]
    fn an_entry_of_unknown_date_has_the_time_of_our_record() {
        let accepted: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a moment");
        let undated = Paper {
            id: "seed:1".to_owned(),
            title: "Owls".to_owned(),
            accepted_time: Some(to_wire_time(accepted)),
            ..Paper::default()
        };
        let json = item(&FeedEntry::new(&undated, "Matches owls", "http://h"));
        assert_eq!(json["date_modified"], "2026-03-01T12:00:00Z");
        assert!(json.get("date_published").is_none(), "{json}");
        let dated = Paper {
            published_time: Some(to_wire_time(Timestamp::UNIX_EPOCH)),
            ..undated
        };
        let json = item(&FeedEntry::new(&dated, "Matches owls", "http://h"));
        assert_eq!(json["date_published"], "1970-01-01T00:00:00Z");
    }
}
