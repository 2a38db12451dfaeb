//! One paper in formats for programs: JSON, Markdown, BibTeX, RIS and CSL-JSON, and which of them a caller wants.
//!
//! JSON has texts as they are stored, BibTeX and Markdown keep formulas as TeX, and RIS and CSL-JSON have what people read.
//!
//! It never looks a paper up, and renders no pages.

mod bibtex;
mod csl;
mod json;
mod markdown;
mod ris;
mod text;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use proto::convert::from_wire_time;
use proto::papers::v1::Paper;

pub use json::kind_of;
pub use text::without_illegal;

/// What is escaped in a query parameter: all but the unreserved characters of RFC 3986.
pub const IN_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A format of a paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaperFormat {
    /// The page.
    Html,
    /// Every field, as JSON.
    Json,
    /// Text for people and for language models.
    Markdown,
    /// For LaTeX.
    Bibtex,
    /// For reference managers.
    Ris,
    /// For reference managers and pandoc.
    Csl,
}

/// A format that is not offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("format {0:?} is not offered; offered are html, json, markdown, bibtex, ris and csl")]
pub struct UnknownFormat(String);

/// A format with its name in addresses, its media types (responses use the first), and its file extension.
type FormatInfo = (PaperFormat, &'static str, &'static [&'static str], &'static str);

/// In order of preference, for callers that have none.
const FORMATS: [FormatInfo; 6] = [
    (
        PaperFormat::Html,
        "html",
        &["text/html", "application/xhtml+xml"],
        "html",
    ),
    (PaperFormat::Json, "json", &["application/json"], "json"),
    (PaperFormat::Markdown, "markdown", &["text/markdown"], "md"),
    (
        PaperFormat::Bibtex,
        "bibtex",
        &["application/x-bibtex", "text/x-bibtex"],
        "bib",
    ),
    (PaperFormat::Ris, "ris", &["application/x-research-info-systems"], "ris"),
    (
        PaperFormat::Csl,
        "csl",
        &["application/vnd.citationstyles.csl+json"],
        "json",
    ),
];

impl PaperFormat {
    /// Every format.
    pub fn all() -> impl Iterator<Item = Self> {
        FORMATS.iter().map(|info| info.0)
    }

    /// The format a request wants: by `?format=`, else the best by `Accept`, else the page.
    pub fn requested(format: Option<&str>, headers: &HeaderMap) -> Result<Self, UnknownFormat> {
        match format.filter(|name| !name.is_empty()) {
            Some(name) => Self::named(name),
            None => Ok(Self::accepted(headers)),
        }
    }

    /// By its name in addresses.
    pub fn named(name: &str) -> Result<Self, UnknownFormat> {
        let found = FORMATS.iter().find(|info| info.1 == name);
        found
            .map(|info| info.0)
            .ok_or_else(|| UnknownFormat(domain::text::shorten(name)))
    }

    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        self.info().1
    }

    /// Its media type, without parameters.
    pub fn media_type(self) -> &'static str {
        self.info().2[0]
    }

    /// The one that `Accept` prefers (RFC 9110, 12.5.1): of equals the first, and the page if it accepts none, since a page
    /// helps more than a refusal.
    fn accepted(headers: &HeaderMap) -> Self {
        let ranges: Vec<(&str, u16)> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter_map(range)
            .collect();
        let quality = |types: &[&str]| types.iter().filter_map(|one| quality(&ranges, one)).max();
        let mut best = (Self::Html, 0);
        for (format, _, types, _) in FORMATS {
            let preference = quality(types).unwrap_or(0);
            if preference > best.1 {
                best = (format, preference);
            }
        }
        best.0
    }

    fn info(self) -> &'static FormatInfo {
        FORMATS.iter().find(|info| info.0 == self).unwrap_or(&FORMATS[0])
    }
}

/// One media range with its quality in thousandths.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| name.contains('/'))?;
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let Some(quality) = quality else {
        return Some((name, 1000));
    };
    let quality: f32 = quality.parse().ok().filter(|quality| (0.0..=1.0).contains(quality))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
    let thousandths = (quality * 1000.0) as u16;
    Some((name, thousandths))
}

/// The quality of a media type: that of the most specific range that covers it, if any does.
fn quality(ranges: &[(&str, u16)], media_type: &str) -> Option<u16> {
    let kind = media_type.split('/').next().unwrap_or_default();
    let of = |wanted: &dyn Fn(&str) -> bool| {
        ranges
            .iter()
            .find(|(name, _)| wanted(name))
            .map(|(_, quality)| *quality)
    };
    of(&|name| name.eq_ignore_ascii_case(media_type))
        .or_else(|| {
            of(&|name| {
                name.strip_suffix("/*")
                    .is_some_and(|range| range.eq_ignore_ascii_case(kind))
            })
        })
        .or_else(|| of(&|name| name == "*/*"))
}

/// A paper in a format. `base` is the address of this site without a trailing slash. The page itself is not rendered here; for
/// [`PaperFormat::Html`] the response redirects to it.
pub fn render(paper: &Paper, format: PaperFormat, base: &str) -> Response {
    let Some(body) = text_of(paper, format, base) else {
        return (StatusCode::SEE_OTHER, [(header::LOCATION, page_of(paper, base))]).into_response();
    };
    let page = page_of(paper, base);
    let content_type = format!("{}; charset=utf-8", format.media_type());
    let mut response = ([(header::CONTENT_TYPE, content_type)], body).into_response();
    let headers = response.headers_mut();
    let mut set = |name, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    };
    let file = format!("{}.{}", file_name(&paper.id), format.info().3);
    set(
        header::CONTENT_DISPOSITION,
        Some(format!("inline; filename=\"{file}\"")),
    );
    set(header::LINK, Some(links(&page, format)));
    set(header::LAST_MODIFIED, changed(paper).map(http_date));
    response
}

/// Links to the page and the other formats (RFC 8288).
fn links(page: &str, format: PaperFormat) -> String {
    let mut links = vec![format!("<{page}>; rel=\"canonical\"")];
    for other in PaperFormat::all().filter(|other| !matches!(other, PaperFormat::Html) && *other != format) {
        let (name, kind) = (other.name(), other.media_type());
        links.push(format!("<{page}?format={name}>; rel=\"alternate\"; type=\"{kind}\""));
    }
    links.join(", ")
}

/// A paper as text in a format; `None` for the page.
pub fn text_of(paper: &Paper, format: PaperFormat, base: &str) -> Option<String> {
    let page = page_of(paper, base);
    Some(match format {
        PaperFormat::Html => return None,
        PaperFormat::Json => json::render(paper, &page),
        PaperFormat::Markdown => markdown::render(paper, &page),
        PaperFormat::Bibtex => bibtex::render(paper, &page),
        PaperFormat::Ris => ris::render(paper, &page),
        PaperFormat::Csl => csl::render(paper, &page),
    })
}

/// Absolute address of a paper's page.
pub fn page_of(paper: &Paper, base: &str) -> String {
    page_of_id(&paper.id, base)
}

/// Absolute address of the page of the paper with this id.
pub fn page_of_id(id: &str, base: &str) -> String {
    format!("{base}{}", domain::pages::paper(id))
}

/// When our record of a paper last changed.
pub fn changed(paper: &Paper) -> Option<Timestamp> {
    // Earlier releases had one time for the paper and its revision.
    let time = paper.revised_time.or(paper.accepted_time)?;
    from_wire_time("revised_time", time).ok()
}

/// When the platform first learned of a paper.
pub fn accepted(paper: &Paper) -> Option<Timestamp> {
    from_wire_time("accepted_time", paper.accepted_time?).ok()
}

/// A time in the format of HTTP headers.
pub fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// When a paper was published; `None` if unknown.
pub fn published(paper: &Paper) -> Option<Timestamp> {
    from_wire_time("published_time", paper.published_time?).ok()
}

/// The day a paper was published, UTC.
pub fn published_day(paper: &Paper) -> Option<jiff::civil::Date> {
    Some(TimeZone::UTC.to_datetime(published(paper)?).date())
}

/// When a paper was last changed at its source.
pub fn updated(paper: &Paper) -> Option<Timestamp> {
    from_wire_time("updated_time", paper.updated_time?).ok()
}

/// The part of an id after a scheme, such as the DOI of `doi:…`.
fn without_scheme<'a>(scheme: &str, id: &'a str) -> Option<&'a str> {
    id.strip_prefix(scheme)?.strip_prefix(':')
}

fn file_name(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    id.chars().take(80).map(plain).collect()
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
