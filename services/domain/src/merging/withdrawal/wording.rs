//! The words in which sources say that a work was withdrawn.
//!
//! A notice is a sentence whose subject is the work itself: "this paper has been withdrawn", "withdrawn due to an error",
//! "the authors have withdrawn this manuscript". Works about withdrawal, withdrawals from a conference or a market, and
//! earlier versions that were withdrawn are no notices.

mod words;

use words::{Word, sentences, words};

/// An abstract that only consists of a notice has no more words.
const MAX_NOTICE_WORDS: usize = 80;

const NOUNS: [&str; 20] = [
    "article",
    "contribution",
    "document",
    "draft",
    "entry",
    "eprint",
    "essay",
    "letter",
    "manuscript",
    "note",
    "paper",
    "posting",
    "preprint",
    "publication",
    "report",
    "study",
    "submission",
    "thesis",
    "version",
    "work",
];
/// Nouns that need no article: "paper withdrawn".
const BARE_NOUNS: [&str; 5] = ["paper", "article", "manuscript", "submission", "preprint"];
const VERBS: [&str; 2] = ["withdrawn", "retracted"];
const ACTIVE_VERBS: [&str; 8] = [
    "withdraw",
    "withdraws",
    "withdrew",
    "withdrawn",
    "withdrawing",
    "retract",
    "retracted",
    "retracting",
];
/// Between the subject and its verb.
const AUXILIARIES: [&str; 30] = [
    "already",
    "also",
    "am",
    "are",
    "be",
    "been",
    "being",
    "had",
    "has",
    "have",
    "hereby",
    "is",
    "must",
    "needs",
    "now",
    "officially",
    "permanently",
    "should",
    "since",
    "subsequently",
    "temporarily",
    "therefore",
    "thus",
    "to",
    "voluntarily",
    "was",
    "were",
    "will",
    "formally",
    "just",
];
/// Between those who withdraw and their verb.
const INTENTIONS: [&str; 14] = [
    "all",
    "asked",
    "both",
    "chosen",
    "decided",
    "do",
    "like",
    "listed",
    "need",
    "request",
    "requested",
    "want",
    "wish",
    "would",
];
const ACTORS: [&str; 13] = [
    "administrators",
    "arxiv",
    "author",
    "authors",
    "biorxiv",
    "editor",
    "editors",
    "i",
    "journal",
    "medrxiv",
    "publisher",
    "submitter",
    "we",
];
/// What may follow "withdrawn" where no subject stands before it.
const REASONS: [&str; 19] = [
    "after",
    "and",
    "as",
    "at",
    "because",
    "by",
    "due",
    "for",
    "in",
    "on",
    "owing",
    "pending",
    "per",
    "replaced",
    "see",
    "since",
    "superseded",
    "to",
    "until",
];
/// Places that a work is withdrawn from altogether.
const ARCHIVES: [&str; 10] = [
    "archive",
    "archives",
    "arxiv",
    "biorxiv",
    "circulation",
    "medrxiv",
    "publication",
    "repository",
    "server",
    "ssrn",
];
/// Before the subject, these make it part of another thought.
const DEPENDENT: [&str; 15] = [
    "after", "before", "by", "from", "if", "in", "of", "on", "once", "to", "unless", "until", "when", "whether", "with",
];

/// What says that a work was withdrawn: its title, the comment beside it, or a sentence of its abstract.
pub fn withdrawal_notice<'a>(title: &'a str, comment: &'a str, abstract_text: &'a str) -> Option<&'a str> {
    of_title(title)
        .or_else(|| of_comment(comment))
        .or_else(|| of_abstract(abstract_text))
}

fn of_title(title: &str) -> Option<&str> {
    if !may_be_notice(title) {
        return None;
    }
    let title = title.trim();
    let upper = title.to_ascii_uppercase();
    let marks = [
        "WITHDRAWN:",
        "RETRACTED:",
        "RETRACTED ARTICLE:",
        "WITHDRAWN ARTICLE:",
        "RETRACTED PAPER:",
    ];
    let marked = marks.iter().any(|mark| upper.starts_with(mark))
        || ["WITHDRAWN", "RETRACTED"].iter().any(|word| {
            [('[', ']'), ('(', ')')].iter().any(|(open, close)| {
                let mark = format!("{open}{word}{close}");
                upper.starts_with(&mark) || upper.ends_with(&mark)
            })
        });
    let words = words(title);
    let only = matches!(words.as_slice(), [word] if is_verb(word))
        || matches!(words.as_slice(), [noun, verb, ..] if BARE_NOUNS.contains(&noun.text.as_str()) && is_verb(verb) && words.len() < 6)
        || matches!(words.as_slice(), [verb, by, .., actor] if is_verb(verb) && by.text == "by" && is_actor(actor))
        || passive(&words, Articles::Pointing);
    (marked || only).then_some(title)
}

fn of_comment(comment: &str) -> Option<&str> {
    let says = may_be_notice(comment)
        && sentences(comment).any(|sentence| {
            let words = words(sentence);
            headed(&words) || passive(&words, Articles::Any) || active(&words)
        });
    says.then(|| comment.trim())
}

/// An abstract says so in its first or last sentence, or has few others.
fn of_abstract(text: &str) -> Option<&str> {
    if !may_be_notice(text) {
        return None;
    }
    let all: Vec<&str> = sentences(text).collect();
    let is_short = text.split_whitespace().take(MAX_NOTICE_WORDS + 1).count() <= MAX_NOTICE_WORDS;
    let last = all.len().saturating_sub(1);
    let candidates = all
        .iter()
        .enumerate()
        .filter(|(at, _)| is_short || *at < 2 || *at == last);
    candidates
        .map(|(at, sentence)| (at, *sentence))
        .find_map(|(at, sentence)| {
            let words = words(sentence);
            let articles = if at == 0 { Articles::Any } else { Articles::Pointing };
            let says = (at == 0 && is_short && headed(&words)) || passive(&words, articles) || active(&words);
            says.then_some(sentence)
        })
}

/// Whether a text holds one of the words at all; most do not.
fn may_be_notice(text: &str) -> bool {
    ["ithdr", "ITHDR", "etract", "ETRACT", "emoved"]
        .iter()
        .any(|part| text.contains(part))
}

/// Which articles lead to the work itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Articles {
    /// `this` and `our`.
    Pointing,
    /// `the`, too.
    Any,
}

fn is_verb(word: &Word) -> bool {
    VERBS.contains(&word.text.as_str())
}

fn is_actor(word: &Word) -> bool {
    ACTORS.contains(&word.text.as_str())
}

/// "Withdrawn due to …", "temporarily withdrawn", "paper withdrawn", "withdrawal notice".
fn headed(words: &[Word]) -> bool {
    if let [first, second, ..] = words
        && matches!(first.text.as_str(), "withdrawal" | "retraction")
    {
        return matches!(second.text.as_str(), "statement" | "notice" | "note");
    }
    let bare = |word: &Word| BARE_NOUNS.contains(&word.text.as_str());
    let has_noun = words.first().is_some_and(bare);
    let rest = words.get(usize::from(has_noun)..).unwrap_or_default();
    let passed = rest
        .iter()
        .take_while(|word| AUXILIARIES.contains(&word.text.as_str()))
        .count();
    let Some((verb, behind)) = rest[passed..].split_first() else {
        return false;
    };
    let reason = |word: &Word| REASONS.contains(&word.text.as_str());
    is_verb(verb) && (verb.ends || behind.first().is_some_and(reason) || from_archive(behind) == Some(true))
}

/// "This paper has been withdrawn", wherever in the sentence.
fn passive(words: &[Word], articles: Articles) -> bool {
    (0..words.len()).any(|at| {
        let points = match words[at].text.as_str() {
            "this" | "our" | "present" | "my" => true,
            "the" => articles == Articles::Any,
            _ => false,
        };
        let dependent = at > 0 && DEPENDENT.contains(&words[at - 1].text.as_str());
        points && !words[at].quoted && !dependent && withdrawn_subject(&words[at..])
    })
}

/// An article, the work, and what was done with it.
fn withdrawn_subject(words: &[Word]) -> bool {
    let described = |word: &Word| {
        matches!(
            word.text.as_str(),
            "present" | "current" | "entire" | "above" | "arxiv" | "e"
        )
    };
    let adjectives = words[1..].iter().take_while(|word| described(word)).count();
    let Some((noun, behind)) = words[1 + adjectives..].split_first() else {
        return false;
    };
    let is_noun = NOUNS.contains(&noun.text.as_str()) || noun.text == "print";
    if !is_noun || (noun.text == "version" && words[0].text != "this") {
        return false;
    }
    let behind = &behind[attribute_length(behind)..];
    let passed = behind
        .iter()
        .take_while(|word| AUXILIARIES.contains(&word.text.as_str()))
        .count();
    let Some((verb, reason)) = behind.get(passed..).and_then(<[Word]>::split_first) else {
        return false;
    };
    if verb.text == "removed" {
        return reason.iter().take(3).any(|word| word.text == "arxiv");
    }
    let follows = passed > 0 || verb.ends || reason.first().is_some_and(|word| REASONS.contains(&word.text.as_str()));
    is_verb(verb) && follows && from_archive(reason) != Some(false)
}

/// Words such as "by A. Author" or "submitted to arXiv" between a noun and its verb.
fn attribute_length(words: &[Word]) -> usize {
    const LONGEST: usize = 12;
    let begins = |word: &Word| {
        matches!(
            word.text.as_str(),
            "by" | "of" | "submitted" | "entitled" | "titled" | "arxiv"
        )
    };
    if !words.first().is_some_and(begins) {
        return 0;
    }
    let is_verb = |word: &Word| matches!(word.text.as_str(), "has" | "is" | "was" | "had" | "must" | "will");
    let relative = |word: &Word| matches!(word.text.as_str(), "that" | "which" | "who" | "whose");
    let end = words.iter().take(LONGEST).position(is_verb).unwrap_or(0);
    if words[..end].iter().any(relative) { 0 } else { end }
}

/// "The authors have withdrawn this manuscript", "we request the withdrawal of this paper".
fn active(words: &[Word]) -> bool {
    let work = |words: &[Word]| match words {
        [article, noun, ..] => {
            matches!(
                article.text.as_str(),
                "this" | "the" | "our" | "their" | "my" | "his" | "her"
            ) && NOUNS.contains(&noun.text.as_str())
                && (noun.text != "version" || article.text == "this")
        }
        _ => false,
    };
    (0..words.len()).any(|at| {
        let behind = &words[at + 1..];
        if is_actor(&words[at]) && !words[at].quoted {
            let between = |word: &&Word| {
                AUXILIARIES.contains(&word.text.as_str()) || INTENTIONS.contains(&word.text.as_str())
            };
            let passed = behind.iter().take_while(between).count();
            let verb = behind.get(passed).is_some_and(|word| ACTIVE_VERBS.contains(&word.text.as_str()));
            return verb && work(&behind[passed + 1..]) && from_archive(behind.get(passed + 3..).unwrap_or_default()) != Some(false);
        }
        matches!(words[at].text.as_str(), "withdrawal" | "retraction")
            && matches!(behind, [of, this, noun, ..] if of.text == "of" && this.text == "this" && BARE_NOUNS.contains(&noun.text.as_str()))
            && words[..at].iter().any(is_actor)
    })
}

/// Whether what follows names an archive that a work is withdrawn from; `None` where it names no place.
fn from_archive(words: &[Word]) -> Option<bool> {
    let (first, place) = words.split_first()?;
    (first.text == "from").then(|| place.iter().take(4).any(|word| ARCHIVES.contains(&word.text.as_str())))
}

#[cfg(test)]
mod tests;
