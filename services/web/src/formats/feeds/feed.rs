//! A feed and its entries, and both forms of them. Texts of strangers stay texts: they are escaped, and what XML cannot hold
//! is left out.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Serde;
use proto::papers::v1::Paper;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Address, Form};
use crate::Front;
use crate::client::Client;
use crate::formats::paper::{changed, page_of, published, updated, without_illegal};
use crate::paper::url_of;

/// A list of papers.
#[derive(Debug)]
pub struct Feed {
    /// What it is called.
    pub title: String,
    /// What is in it.
    pub subtitle: String,
    /// The papers.
    pub entries: Vec<Entry>,
    /// Token of the next page; empty at the end.
    pub next_page: String,
}

/// A paper of a feed.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Names it in every feed.
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

impl Entry {
    /// A paper and why it is there.
    pub fn of(paper: &Paper, reason: &str, base: &str) -> Self {
        let published = published(paper);
        let last = updated(paper).or(published).or_else(|| changed(paper));
        let name = format!("broadsheet paper {}", paper.id);
        let clean_all =
            |texts: &mut dyn Iterator<Item = &str>| texts.map(one_line).filter(|text| !text.is_empty()).collect();
        Self {
            id: Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).urn().to_string(),
            // One that has left the window of recent papers is known by its id alone.
            title: one_line(if paper.title.is_empty() {
                &paper.id
            } else {
                &paper.title
            }),
            page: page_of(paper, base),
            external: url_of(paper).map(|url| one_line(&url)),
            authors: clean_all(&mut paper.authors.iter().map(|author| author.name.as_str())),
            categories: clean_all(&mut paper.categories.iter().map(String::as_str)),
            language: paper.language.clone(),
            published: published.map(|time| time.to_string()),
            updated: last.unwrap_or_default().to_string(),
            reason: without_illegal(reason),
            abstract_text: without_illegal(&paper.r#abstract),
        }
    }
}

fn one_line(text: &str) -> String {
    domain::text::one_line(&without_illegal(text))
}

/// Where a feed is and where it leads.
#[derive(Debug, Serialize)]
struct Links {
    own: String,
    other: String,
    home: String,
    first: Option<String>,
    next: Option<String>,
}

impl Feed {
    /// The feed in a form. `own` is its address without the form, `home` that of its page, `page` the token of this page.
    pub fn render(
        mut self,
        front: &Front,
        client: &Client,
        form: Form,
        own: &Address,
        home: &Address,
        page: &str,
    ) -> Response {
        self.title = one_line(&self.title);
        let base = client.base();
        let dotted = |form: Form| format!(".{}", form.suffix());
        let other = if form == Form::Atom { Form::Json } else { Form::Atom };
        let links = Links {
            own: own.with("page", page).at(base, &dotted(form)),
            other: own.with("page", page).at(base, &dotted(other)),
            home: home.at(base, ""),
            first: (!page.is_empty()).then(|| own.at(base, &dotted(form))),
            next: (!self.next_page.is_empty()).then(|| own.with("page", &self.next_page).at(base, &dotted(form))),
        };
        let body = match form {
            Form::Json => Ok(format!("{}\n", self.json(&links))),
            Form::Atom => self.atom(front, &links, &own.at("", "")),
        };
        let content_type = format!("{}; charset=utf-8", form.media_type());
        match body {
            Ok(body) => ([(header::CONTENT_TYPE, content_type)], body).into_response(),
            Err(answer) => *answer,
        }
    }

    fn atom(&self, front: &Front, links: &Links, name: &str) -> Result<String, Box<Response>> {
        // Times of one zone and form are ordered as text.
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
        front.pages.fill("feed.atom.xml", context)
    }

    fn json(&self, links: &Links) -> Value {
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

fn item(entry: &Entry) -> Value {
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
