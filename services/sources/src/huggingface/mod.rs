//! Hugging Face daily papers, with their up-votes.
//!
//! Terms: <https://huggingface.co/terms-of-service>; the API is public, and papers and abstracts are arXiv's. Anonymous
//! callers have a few hundred requests in five minutes; we ask once in two seconds.
//!
//! Address: `/api/daily_papers?date=2026-03-01&limit=100&p=0`. Cursor: the day and its page. Each pass takes the last days
//! again, because votes go on for days; a page with fewer records than asked for ends a day.
//!
//! Fields: `paper.id` is the arXiv id; `paper.upvotes` (the pages show the same), `numComments` and `githubStars` are
//! signals.

use async_trait::async_trait;
use domain::LinkKind;
use domain::merging::Scheme;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Kind, check_number, check_url};
use crate::cursor::{Cursor, CursorError, Position, Span};
use crate::dates::{self, day_of};
use crate::error::SourceError;
use crate::http::{Client, Request};
use crate::json::{self, Layout, Said, date, list, number_at, text};
use crate::listing::{Listing, address, no_such};
use crate::page::Outcome;
use crate::record::SignalKind;
use crate::source::{Outlet, Page, Source};

/// Pages of one day; there are a few dozen papers.
const MAX_PAGES: u64 = 1_000;
/// The answer is the list.
pub const LAYOUT: Layout = Layout {
    list: &[],
    expected: "a list of Hugging Face daily papers",
};

/// Settings of kind `huggingface`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the daily papers.
    pub url: String,
    /// Records a page, 1 to 100.
    pub page_size: u32,
    /// Days that each pass takes again, for votes that came later.
    pub days_again: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "https://huggingface.co/api/daily_papers".into(),
            page_size: 100,
            days_again: 3,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_url("url", &self.url)?;
        check_number("page_size", self.page_size.into(), 1..=100)?;
        check_number("days_again", self.days_again.into(), 0..=60)
    }
}

/// Hugging Face daily papers.
pub struct HuggingFace {
    name: String,
    settings: Settings,
    client: Client,
}

impl HuggingFace {
    /// By its settings.
    pub fn new(name: &str, settings: &Settings, client: &Client) -> Self {
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            client: client.clone(),
        }
    }

    fn overlap(&self) -> SignedDuration {
        SignedDuration::from_hours(24 * i64::from(self.settings.days_again))
    }

    /// The first day of a pass: that of the span, or some days ago.
    fn first_day(&self, cursor: &Cursor) -> Date {
        let from = cursor.span.from.unwrap_or_else(|| {
            let now = Timestamp::now();
            now.checked_sub(self.overlap()).unwrap_or(now)
        });
        day_of(from)
    }
}

#[async_trait]
impl Source for HuggingFace {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Huggingface
    }

    fn begin(&self, span: Span) -> Result<Cursor, CursorError> {
        Cursor::start(Kind::Huggingface, span)
    }

    async fn fetch(&self, cursor: &Cursor, outlet: Outlet) -> Result<Page, SourceError> {
        cursor.expect(Kind::Huggingface)?;
        let (day, number) = match &cursor.position {
            Position::Start => (self.first_day(cursor), 0),
            Position::Day { day, number } => (*day, *number),
            other => return Err(no_such(other).into()),
        };
        let mut url = address(&self.settings.url)?;
        url.query_pairs_mut()
            .append_pair("date", &day.to_string())
            .append_pair("limit", &self.settings.page_size.to_string())
            .append_pair("p", &number.to_string());
        let listing = Listing {
            client: &self.client,
            kind: Kind::Huggingface,
            name: &self.name,
            layout: LAYOUT,
        };
        let stamp = dates::midnight(day);
        let request = Request::new(url, "application/json");
        let listed = listing
            .fetch(&request, outlet, move |value| interpret(value, stamp))
            .await?;
        let mut next = listed.behind(cursor);
        if number >= MAX_PAGES {
            return Err(SourceError::Stuck {
                pages: number,
                what: format!("pages of {day} without end"),
            });
        }
        if listed.facts.records >= u64::from(self.settings.page_size) {
            next.position = Position::Day {
                day,
                number: number + 1,
            };
            return Ok(listed.more(next));
        }
        let last = day_of(cursor.span.until.unwrap_or(listed.clock).min(listed.clock));
        match day.tomorrow() {
            Ok(tomorrow) if tomorrow <= last => {
                next.position = Position::Day {
                    day: tomorrow,
                    number: 0,
                };
                Ok(listed.more(next))
            }
            _ => Ok(listed.ended(&next, self.overlap())),
        }
    }
}

/// What a daily paper means; `day` is the day it was listed.
pub fn interpret(value: &Value, day: Option<Timestamp>) -> Said {
    let mut draft = match json::object(value) {
        Ok(draft) => draft,
        Err(bad) => return bad,
    };
    let paper = value.get("paper").filter(|paper| paper.is_object()).unwrap_or(value);
    let id = text(paper, "/id");
    id.clone_into(&mut draft.native_id);
    draft.identify(Scheme::Arxiv, id);
    draft.datestamp = day;
    if draft.identifiers.is_empty() {
        let reason = format!("paper.id is {id:?}, which is no arXiv id");
        return Said::plain(Outcome::Bad(Box::new(draft), reason));
    }
    text(paper, "/title").clone_into(&mut draft.title);
    text(paper, "/summary").clone_into(&mut draft.abstract_text);
    draft.authors = list(paper, "/authors")
        .iter()
        .map(|author| text(author, "/name").to_owned())
        .collect();
    draft.published = date(paper, "/publishedAt").or_else(|| date(value, "/publishedAt"));
    draft.link(LinkKind::Code, text(paper, "/githubRepo"));
    crate::arxiv::metadata::links(&mut draft);
    let counted = [
        (SignalKind::Upvotes, number_at(paper, "/upvotes")),
        (SignalKind::Stars, number_at(paper, "/githubStars")),
        (SignalKind::Comments, number_at(value, "/numComments")),
    ];
    Said {
        outcome: Outcome::Paper(Box::new(draft)),
        signals: counted
            .into_iter()
            .filter_map(|(kind, count)| Some((kind, count?)))
            .collect(),
    }
}
