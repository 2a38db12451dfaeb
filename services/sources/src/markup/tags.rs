//! Splits a text into tags and what is between them, and tells markup from words in angle brackets.

use std::collections::HashMap;
use std::ops::Range;

use super::{ReadReference, without_references};

/// A part of a text.
#[derive(Debug)]
pub enum Token<'a> {
    /// Text between tags, with its references.
    Text(&'a str),
    /// The content of a CDATA section.
    Literal(&'a str),
    /// A tag, or what looks like one.
    Tag(Tag<'a>),
    /// A comment, a declaration or an instruction.
    Comment,
}

/// A tag.
#[derive(Debug)]
pub struct Tag<'a> {
    /// As it is written.
    pub raw: &'a str,
    /// Its name in lower case, without prefix.
    pub name: String,
    /// Whether it ends an element.
    pub closes: bool,
    /// Whether it is markup and no word of the text.
    pub is_markup: bool,
    /// The token that ends its element.
    pub end: Option<usize>,
    start: usize,
}

impl Tag<'_> {
    /// The value of an attribute, with its references.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let (_, behind) = self.raw.split_once(&format!(" {name}="))?;
        let quote = behind.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        behind[1..].split(quote).next()
    }

    fn has_attributes(&self) -> bool {
        self.raw.contains('=')
    }

    fn is_prefixed(&self) -> bool {
        self.raw
            .split(char::is_whitespace)
            .next()
            .is_some_and(|name| name.contains(':'))
    }
}

/// Which tags are markup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagRule {
    /// Those of elements that HTML, JATS or MathML have.
    Known,
    /// Of these, those that stand as markup does.
    Standing,
}

/// The parts of a text, each tag with the end of its element.
pub struct TokenList<'a> {
    tokens: Vec<Token<'a>>,
    read: ReadReference,
}

impl<'a> TokenList<'a> {
    /// Of a text; `read` says what references stand for.
    pub fn new(text: &'a str, rule: TagRule, read: ReadReference) -> Self {
        let mut tokens = split(text);
        pair(&mut tokens);
        mark(&mut tokens, text, rule);
        Self { tokens, read }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// One of them.
    pub fn at(&self, at: usize) -> &Token<'a> {
        &self.tokens[at]
    }

    /// Text with its references as characters.
    pub fn characters(&self, text: &str) -> String {
        without_references(text, self.read)
    }

    /// All text of a range, whatever its tags are.
    pub fn raw(&self, range: Range<usize>) -> String {
        self.tokens[range]
            .iter()
            .map(|token| match token {
                Token::Text(text) => without_references(text, self.read),
                Token::Literal(text) => (*text).to_owned(),
                Token::Tag(tag) if !tag.is_markup => tag.raw.to_owned(),
                Token::Tag(_) | Token::Comment => String::new(),
            })
            .collect()
    }

    /// Whether a range holds an element of a name.
    pub fn holds(&self, range: Range<usize>, name: &str) -> bool {
        self.tokens[range]
            .iter()
            .any(|token| matches!(token, Token::Tag(tag) if tag.name == name && tag.end.is_some()))
    }
}

fn split(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut begun, mut at) = (0, 0);
    while let Some(start) = text[at..].find('<').map(|start| at + start) {
        let Some(length) = tag_length(&text[start..]) else {
            at = start + 1;
            continue;
        };
        if start > begun {
            tokens.push(Token::Text(&text[begun..start]));
        }
        let raw = &text[start..start + length];
        tokens.push(token(raw, start));
        at = start + length;
        begun = at;
    }
    if begun < text.len() {
        tokens.push(Token::Text(&text[begun..]));
    }
    tokens
}

fn token(raw: &str, start: usize) -> Token<'_> {
    if let Some(literal) = raw.strip_prefix("<![CDATA[") {
        return Token::Literal(literal.strip_suffix("]]>").unwrap_or(literal));
    }
    if raw.starts_with("<!") || raw.starts_with("<?") {
        return Token::Comment;
    }
    Token::Tag(Tag {
        raw,
        name: tag_name(raw),
        closes: raw.starts_with("</"),
        is_markup: false,
        end: None,
        start,
    })
}

/// Bytes of the tag, comment or section that a text begins with; `None` where the `<` is no beginning of one.
fn tag_length(text: &str) -> Option<usize> {
    if let Some(comment) = text.strip_prefix("<!--") {
        return comment.find("-->").map(|end| end + 7);
    }
    if let Some(section) = text.strip_prefix("<![CDATA[") {
        return section.find("]]>").map(|end| end + 12);
    }
    let name = text.strip_prefix("</").or_else(|| text.strip_prefix('<'))?;
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!' || c == '?') {
        return None;
    }
    let length = name.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, ':' | '-' | '_' | '!' | '?'));
    let behind = &name[length?..];
    // `a <b and c> d` is mathematics: attributes have an equals sign, and tags no second `<`.
    let end = behind.find(['<', '>'])?;
    let inner = behind[..end].trim().trim_end_matches('/');
    let valid =
        behind[end..].starts_with('>') && (inner.is_empty() || inner.contains('=') || name.starts_with(['!', '?']));
    valid.then(|| text.len() - behind.len() + end + 1)
}

fn tag_name(tag: &str) -> String {
    let name = tag.trim_start_matches(['<', '/']);
    let end = name
        .find(|c: char| c.is_whitespace() || matches!(c, '>' | '/'))
        .unwrap_or(name.len());
    let name = &name[..end];
    name.rsplit_once(':')
        .map_or(name, |(_, local)| local)
        .to_ascii_lowercase()
}

/// Finds the end of each element: the next end of its name that no element within it takes.
fn pair(tokens: &mut [Token<'_>]) {
    let mut open: HashMap<String, Vec<usize>> = HashMap::new();
    for at in 0..tokens.len() {
        let Token::Tag(tag) = &tokens[at] else { continue };
        if is_void(&tag.name) || tag.raw.ends_with("/>") {
            continue;
        }
        if !tag.closes {
            open.entry(tag.name.clone()).or_default().push(at);
            continue;
        }
        let begun = open.get_mut(&tag.name).and_then(Vec::pop);
        if let Some(Token::Tag(begun)) = begun.and_then(|begun| tokens.get_mut(begun)) {
            begun.end = Some(at);
        }
    }
}

/// Decides which tags are markup.
fn mark(tokens: &mut [Token<'_>], text: &str, rule: TagRule) {
    for at in 0..tokens.len() {
        let Token::Tag(tag) = &tokens[at] else { continue };
        let end = tag.end.and_then(|end| match &tokens[end] {
            Token::Tag(closing) => Some(closing.start),
            _ => None,
        });
        let evident = tag.is_prefixed() || (tag.has_attributes() && !tag.closes);
        let is_markup = match rule {
            TagRule::Known => evident || is_known(&tag.name),
            TagRule::Standing => evident || stands_as_markup(tag, end, text),
        };
        let (is_markup, end) = (is_markup || tag.is_markup, tag.end);
        for token in [Some(at), end].into_iter().flatten() {
            if let Token::Tag(tag) = &mut tokens[token] {
                tag.is_markup = is_markup;
            }
        }
    }
}

/// Whether a tag that may be a word stands as markup: an empty element, or one around words.
fn stands_as_markup(tag: &Tag<'_>, end: Option<usize>, text: &str) -> bool {
    if is_void(&tag.name) {
        return true;
    }
    let Some(end) = end.filter(|_| is_known(&tag.name)) else {
        return false;
    };
    let content = &text[tag.start + tag.raw.len()..end];
    let apart = content.starts_with(char::is_whitespace) && content.ends_with(char::is_whitespace);
    is_block(&tag.name) || !(content.is_empty() || apart)
}

fn is_void(name: &str) -> bool {
    matches!(
        name,
        "br" | "hr" | "img" | "wbr" | "mspace" | "mprescripts" | "graphic" | "inline-graphic"
    )
}

/// Elements that are paragraphs of their own.
pub fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "br"
            | "li"
            | "ul"
            | "ol"
            | "sec"
            | "section"
            | "tr"
            | "table"
            | "blockquote"
            | "list"
            | "list-item"
            | "dl"
            | "dt"
            | "dd"
            | "caption"
            | "figcaption"
    ) || is_heading(name)
}

/// Elements that are headings.
pub fn is_heading(name: &str) -> bool {
    matches!(name, "title" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

/// Elements whose content is never read.
pub fn is_hidden(name: &str) -> bool {
    matches!(
        name,
        "script" | "style" | "head" | "annotation" | "annotation-xml" | "graphic" | "inline-graphic"
    )
}

fn is_known(name: &str) -> bool {
    is_block(name) || is_hidden(name) || is_void(name) || INLINE.contains(&name)
}

/// Inline elements of HTML, JATS and MathML.
#[rustfmt::skip]
const INLINE: &[&str] = &[
    "a", "abbr", "abstract", "alternatives", "article", "b", "big", "body", "bold", "center", "cite", "code", "del",
    "disp-formula", "em", "email", "ext-link", "figure", "fixed-case", "font", "footer", "formula", "header", "html", "i",
    "inf", "inline-formula", "ins", "italic", "kbd", "label", "main", "mark", "math", "menclose", "mfenced", "mfrac", "mi",
    "mmultiscripts", "mn", "mo", "monospace", "mover", "mpadded", "mphantom", "mroot", "mrow", "ms", "msqrt", "mstyle",
    "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover", "named-content", "nav", "none",
    "overline", "pre", "q", "roman", "s", "sans-serif", "sc", "scp", "semantics", "small", "span", "strike", "strong",
    "styled-content", "sub", "sup", "table-wrap", "tbody", "td", "tex-math", "textual-form", "th", "thead", "time", "tt",
    "u", "underline", "uri", "var", "xref", "fig",
];
