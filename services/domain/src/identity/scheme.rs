//! The schemes of identifiers that several sources share, and what a bare value of each looks like.
//!
//! A value is made canonical here, without any prefix or address around it. Nothing here checks whether the work exists.

use percent_encoding::percent_decode_str;

use crate::text;

/// Longest value in characters.
const MAX_CHARS: usize = 200;
/// Longest raw value in bytes: escapes make one longer than it is.
const MAX_RAW_BYTES: usize = 2_048;

/// Archives of arXiv before April 2007, when they were part of the id.
const ARCHIVES: [&str; 35] = [
    "acc-phys", "adap-org", "alg-geom", "ao-sci", "astro-ph", "atom-ph", "bayes-an", "chao-dyn", "chem-ph", "cmp-lg",
    "comp-gas", "cond-mat", "cs", "dg-ga", "funct-an", "gr-qc", "hep-ex", "hep-lat", "hep-ph", "hep-th", "math",
    "math-ph", "mtrl-th", "nlin", "nucl-ex", "nucl-th", "patt-sol", "physics", "plasm-ph", "q-alg", "q-bio",
    "quant-ph", "solv-int", "stat", "supr-con",
];

/// An identifier scheme. A work's id is its first identifier in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// arXiv, without version and subject class: `2402.14776`, `hep-th/9901001`, `math/0309136`.
    Arxiv,
    /// DOI in lower case: `10.1145/3292500`.
    Doi,
    /// ACL Anthology: `2024.acl-long.1`, `P19-1001`.
    Acl,
    /// PubMed: digits.
    Pubmed,
    /// PubMed Central: `PMC3531190`.
    Pmc,
    /// OpenAlex work: `W2741809807`.
    OpenAlex,
    /// Semantic Scholar paper: 40 hexadecimal digits.
    SemanticScholar,
    /// Semantic Scholar corpus id: digits. A number of its own beside [`Scheme::SemanticScholar`].
    CorpusId,
    /// A whole book, as ISBN-13 without hyphens. Chapters share the one of their book, so it names only what is a book.
    Isbn,
}

impl Scheme {
    /// As it stands before the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arxiv => "arxiv",
            Self::Doi => "doi",
            Self::Acl => "acl",
            Self::Pubmed => "pubmed",
            Self::Pmc => "pmc",
            Self::OpenAlex => "openalex",
            Self::SemanticScholar => "s2",
            Self::CorpusId => "corpusid",
            Self::Isbn => "isbn",
        }
    }

    /// Every scheme, in their order.
    pub const ALL: [Self; 9] = [
        Self::Arxiv,
        Self::Doi,
        Self::Acl,
        Self::Pubmed,
        Self::Pmc,
        Self::OpenAlex,
        Self::SemanticScholar,
        Self::CorpusId,
        Self::Isbn,
    ];

    /// What a value of it looks like, for messages.
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::Arxiv => "it looks like 2402.14776 or hep-th/9901001",
            Self::Doi => "it looks like 10.1145/3292500",
            Self::Acl => "it looks like 2024.acl-long.1 or P19-1001",
            Self::Pubmed | Self::CorpusId => "it is a number",
            Self::Pmc => "it looks like PMC3531190",
            Self::OpenAlex => "it looks like W2741809807",
            Self::SemanticScholar => "it has 40 hexadecimal digits",
            Self::Isbn => "it has 10 or 13 digits, of which the last is a check digit",
        }
    }

    /// The canonical form of a bare value. The DOI that arXiv registers for each of its papers becomes that arXiv id.
    pub(super) fn canonical(self, raw: &str) -> Option<(Self, String)> {
        if raw.len() > MAX_RAW_BYTES {
            return None;
        }
        let raw = trimmed(raw);
        let value = match self {
            Self::Arxiv => arxiv(raw),
            Self::Doi => {
                let doi = doi(raw)?;
                if let Some(value) = doi.strip_prefix("10.48550/arxiv.").and_then(arxiv) {
                    return Some((Self::Arxiv, value));
                }
                Some(doi)
            }
            Self::Acl => acl(raw),
            Self::Pubmed | Self::CorpusId => number(raw),
            Self::Pmc => pmc(raw),
            Self::OpenAlex => digits_after(raw, 'w').map(|digits| format!("W{digits}")),
            Self::SemanticScholar => hexadecimal(raw),
            Self::Isbn => isbn(raw),
        }?;
        (value.chars().count() <= MAX_CHARS).then_some((self, value))
    }
}

/// The scheme and canonical form of a value that needs no prefix, because nothing else looks like it.
pub(super) fn unmistakable(raw: &str) -> Option<(Scheme, String)> {
    let text = trimmed(raw);
    let first = text.chars().next()?;
    let scheme = match first {
        '1' if text.starts_with("10.") => Scheme::Doi,
        'W' | 'w' if (9..=13).contains(&text.len()) => Scheme::OpenAlex,
        'P' | 'p' if text.len() >= 7 => Scheme::Pmc,
        '9' if text.matches('-').count() == 4 => Scheme::Isbn,
        _ if is_arxiv_as_assigned(text) => Scheme::Arxiv,
        '1' | '2' => Scheme::Acl,
        _ => return None,
    };
    if scheme == Scheme::Pmc && !text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("pmc")) {
        return None;
    }
    scheme.canonical(text)
}

/// Without white space, quotes, brackets and punctuation around it, except closing brackets that it opens itself.
pub(super) fn trimmed(text: &str) -> &str {
    const AROUND: &[char] = &['"', '\'', '`', '“', '”', '‘', '’', '«', '»'];
    let mut text = text.trim();
    loop {
        let start = text.trim_start_matches(AROUND).trim_start_matches(['(', '[', '<', '{']);
        let end = start
            .trim_end_matches(AROUND)
            .trim_end_matches(['.', ',', ';', ':', '!', '?', '…', '/', '\\']);
        let end = without_stray_bracket(end).trim();
        if end.len() == text.len() {
            return text;
        }
        text = end;
    }
}

fn without_stray_bracket(text: &str) -> &str {
    for (open, close) in [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>')] {
        if let Some(inner) = text.strip_suffix(close)
            && text.matches(open).count() < text.matches(close).count()
        {
            return inner;
        }
    }
    text
}

/// `2402.14776v2`, `hep-th/9901001` or `math.GT/0309136`, without version, subject class and the ending of a file.
fn arxiv(raw: &str) -> Option<String> {
    let lower = raw.to_ascii_lowercase();
    let mut bare = lower.as_str();
    for ending in [".gz", ".pdf", ".html", ".ps"] {
        bare = bare.strip_suffix(ending).unwrap_or(bare);
    }
    let bare = without_version(bare);
    if let Some((month, number)) = bare.split_once('.')
        && is_digits(month, 4..=4)
        && is_digits(number, 4..=5)
    {
        return Some(bare.to_owned());
    }
    let (archive, number) = bare.split_once('/')?;
    let archive = match archive.split_once('.') {
        Some((archive, class)) if class.len() >= 2 && class.bytes().all(is_letter_or_dash) => archive,
        Some(_) => return None,
        None => archive,
    };
    (ARCHIVES.contains(&archive) && is_digits(number, 7..=7)).then(|| format!("{archive}/{number}"))
}

/// Whether arXiv can have assigned an id: the month exists, and numbers are as long as they were then.
fn is_arxiv_as_assigned(text: &str) -> bool {
    let Some(id) = arxiv(text) else { return false };
    let month = |text: &str| matches!(text.parse::<u8>(), Ok(1..=12));
    if let Some((_, number)) = id.split_once('/') {
        return month(&number[2..4]);
    }
    let Some((date, number)) = id.split_once('.') else {
        return false;
    };
    let length = if date < "1501" { 4 } else { 5 };
    month(&date[2..]) && date >= "0704" && number.len() == length
}

/// A DOI in lower case, without escapes of URLs, HTML and TeX, and without parameters that only count clicks.
fn doi(raw: &str) -> Option<String> {
    let mut doi = raw.to_owned();
    // Each round shortens it, so there is a last one; escapes of escapes are real.
    loop {
        let plain = trimmed(&unescaped(&doi)).to_ascii_lowercase();
        if plain == doi {
            break;
        }
        doi = plain;
    }
    let (registrant, name) = doi.strip_prefix("10.")?.split_once('/')?;
    let mut parts = registrant.split('.');
    let plausible =
        parts.next().is_some_and(|first| is_digits(first, 4..=9)) && parts.all(|part| is_digits(part, 1..=9));
    let sound = name.contains(char::is_alphanumeric) && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    (plausible && sound).then_some(doi)
}

/// One layer of escapes less.
fn unescaped(doi: &str) -> String {
    let mut text = match percent_decode_str(doi).decode_utf8() {
        Ok(decoded) if doi.contains('%') => decoded.into_owned(),
        _ => doi.to_owned(),
    };
    text.retain(|c| c.is_whitespace() || !text::is_invisible(c));
    for (escape, plain) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
        ("{\\textunderscore}", "_"),
    ] {
        if text.contains(escape) {
            text = text.replace(escape, plain);
        }
    }
    for mark in ['_', '%', '&', '#', '$', '{', '}', '-', '<', '>'] {
        if text.contains('\\') {
            text = text.replace(&format!("\\{mark}"), &mark.to_string());
        }
        if text.contains('{') {
            text = text.replace(&format!("{{{mark}}}"), &mark.to_string());
        }
    }
    without_parameters(&text).to_owned()
}

/// Without `?utm_source=…` and the like: a question mark belongs to a DOI unless `name=` follows.
fn without_parameters(doi: &str) -> &str {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    match doi.split_once('?') {
        Some((bare, parameters)) if parameters.split_once('=').is_some_and(|(name, _)| is_name(name)) => bare,
        _ => doi,
    }
}

/// `P19-1001` or `2024.acl-long.1`, without the ending of a file and a version.
fn acl(raw: &str) -> Option<String> {
    let mut bare = raw;
    for ending in [".pdf", ".bib", ".xml"] {
        bare = bare.strip_suffix(ending).unwrap_or(bare);
    }
    let bare = without_version(bare);
    if let Some((volume, number)) = bare.split_once('-')
        && volume.starts_with(|c: char| c.is_ascii_alphabetic())
        && is_digits(&volume[1..], 2..=2)
        && is_digits(number, 4..=5)
    {
        return Some(bare.to_ascii_uppercase());
    }
    let mut parts = bare.split('.');
    let (year, volume, number) = (parts.next()?, parts.next()?, parts.next()?);
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let (venue, name) = volume.split_once('-')?;
    let sound = parts.next().is_none() && is_digits(year, 4..=4) && is_digits(number, 1..=5);
    (sound && is_word(venue) && is_word(name)).then(|| bare.to_ascii_lowercase())
}

fn number(raw: &str) -> Option<String> {
    let digits = raw.trim_start_matches('0');
    is_digits(digits, 1..=10).then(|| digits.to_owned())
}

fn pmc(raw: &str) -> Option<String> {
    let lower = raw.to_ascii_lowercase();
    let bare = lower.strip_prefix("pmc").unwrap_or(&lower);
    let (digits, version) = bare.split_once('.').unwrap_or((bare, "1"));
    (is_digits(digits, 3..=10) && is_digits(version, 1..=2)).then(|| format!("PMC{digits}"))
}

fn digits_after(raw: &str, letter: char) -> Option<&str> {
    let digits = raw.strip_prefix([letter, letter.to_ascii_uppercase()])?;
    is_digits(digits, 1..=12).then_some(digits)
}

fn hexadecimal(raw: &str) -> Option<String> {
    (raw.len() == 40 && raw.bytes().all(|b| b.is_ascii_hexdigit())).then(|| raw.to_ascii_lowercase())
}

/// An ISBN with a right check digit, as ISBN-13.
fn isbn(raw: &str) -> Option<String> {
    let bare: String = raw
        .chars()
        .filter(|c| !matches!(c, '-' | ' ' | '‐' | '‑' | '–'))
        .collect();
    if !bare.is_ascii() {
        return None;
    }
    let value = |b: u8| u32::from(b - b'0');
    match bare.len() {
        13 if is_digits(&bare, 13..=13) && (bare.starts_with("978") || bare.starts_with("979")) => {
            (isbn_check(&bare[..12]) == value(bare.as_bytes()[12])).then_some(bare)
        }
        10 if is_digits(&bare[..9], 9..=9) => {
            let last = match bare.as_bytes()[9] {
                b'x' | b'X' => 10,
                digit if digit.is_ascii_digit() => value(digit),
                _ => return None,
            };
            let sum: u32 = (1..)
                .zip(bare.bytes().take(9))
                .map(|(place, digit)| place * value(digit))
                .sum();
            let body = format!("978{}", &bare[..9]);
            (sum % 11 == last).then(|| format!("{body}{}", isbn_check(&body)))
        }
        _ => None,
    }
}

/// The check digit of the first twelve digits of an ISBN-13.
fn isbn_check(digits: &str) -> u32 {
    let sum: u32 = digits
        .bytes()
        .zip([1, 3].into_iter().cycle())
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    (10 - sum % 10) % 10
}

/// Without `v2` at its end.
pub(super) fn without_version(text: &str) -> &str {
    match text.rsplit_once(['v', 'V']) {
        Some((bare, version)) if is_digits(version, 1..=3) => bare,
        _ => text,
    }
}

fn is_digits(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_letter_or_dash(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'-'
}
