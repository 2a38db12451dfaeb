//! The words in which sources say that a work was withdrawn.
//!
//! A notice is a sentence whose subject is the work itself: "this paper has been withdrawn", "withdrawn due to an error",
//! "the authors have withdrawn this manuscript". Works about withdrawal, withdrawals from a conference or a market, and
//! earlier versions that were withdrawn are no notices.

/// An abstract that only consists of a notice has no more words.
const MAX_NOTICE_WORDS: usize = 80;
/// Sentences of one text that are read.
const MAX_SENTENCES: usize = 200;

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

/// The sentence that says that a work was withdrawn, from its title, the comment beside it or its abstract.
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
    if !may_be_notice(comment) {
        return None;
    }
    sentences(comment).find(|sentence| {
        let words = words(sentence);
        headed(&words) || passive(&words, Articles::Any) || active(&words)
    })
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

/// A word in lower case.
struct Word {
    text: String,
    /// A quotation begins with it.
    quoted: bool,
    /// The thought ends behind it.
    ends: bool,
}

/// Which articles lead to the work itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Articles {
    /// `this` and `our`.
    Pointing,
    /// `the`, too.
    Any,
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .char_indices()
            .find(|&(at, c)| ends_sentence(rest, at, c))
            .map_or(rest.len(), |(at, c)| at + c.len_utf8());
        let sentence = &rest[..end];
        rest = &rest[end..];
        Some(sentence.trim().trim_matches(['(', ')', '[', ']']))
    })
    .filter(|sentence| !sentence.is_empty())
    .take(MAX_SENTENCES)
}

/// Whether a sentence ends with this character. The point of an initial ends none.
fn ends_sentence(text: &str, at: usize, c: char) -> bool {
    let behind = &text[at + c.len_utf8()..];
    let mut before = text[..at].chars().rev();
    let initial =
        c == '.' && before.next().is_some_and(char::is_uppercase) && !before.next().is_some_and(char::is_alphanumeric);
    matches!(c, '(' | ')' | '[' | ']')
        || matches!(c, '.' | '!' | '?' | ';' | ':' | '\n')
            && !initial
            && (behind.is_empty() || behind.starts_with(char::is_whitespace))
}

fn words(sentence: &str) -> Vec<Word> {
    let is_part = |c: char| c.is_alphanumeric();
    let mut words: Vec<Word> = Vec::new();
    let mut quoted = false;
    let mut rest = sentence;
    while let Some(c) = rest.chars().next() {
        if is_part(c) {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (text, ends) = (rest[..end].to_lowercase(), false);
            words.push(Word {
                text,
                quoted: std::mem::take(&mut quoted),
                ends,
            });
            rest = &rest[end..];
            continue;
        }
        quoted = matches!(c, '"' | '“' | '‘' | '`' | '«');
        if matches!(c, ',' | ';' | ':' | '.' | '–' | '—' | '-' | '!')
            && let Some(last) = words.last_mut()
        {
            last.ends = true;
        }
        rest = &rest[c.len_utf8()..];
    }
    if let Some(last) = words.last_mut() {
        last.ends = true;
    }
    words
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
    let bare = |word: &&Word| BARE_NOUNS.contains(&word.text.as_str());
    let rest = words
        .get(usize::from(words.first().filter(bare).is_some())..)
        .unwrap_or_default();
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
mod tests {
    use super::*;

    #[test]
    fn comments_that_withdraw() {
        for comment in [
            "arXiv admin note: This submission has been withdrawn by arXiv administrators due to inappropriate text overlap",
            "Withdrawn due to an error in Lemma 2",
            "Withdrawn",
            "withdrawn.",
            "WITHDRAWN BY THE AUTHOR",
            "This paper has been withdrawn by the author(s)",
            "12 pages, 3 figures. This paper has been withdrawn",
            "Paper withdrawn, error in eq. 3",
            "Paper has been withdrawn",
            "10 pages (withdrawn)",
            "Withdrawn - superseded by arXiv:2401.00001",
            "The paper has been withdrawn due to a crucial sign error in equation 1",
            "This manuscript is temporarily withdrawn",
            "Due to a gap in the proof, the authors have withdrawn this paper",
            "We hereby withdraw this article",
            "I would like to withdraw my paper",
            "The authors have decided to retract this paper",
            "This article has been retracted at the request of the editors",
            "Retracted: the data were fabricated",
            "This paper by A. Author has been withdrawn",
            "This work has been withdrawn from arXiv",
            "arXiv admin note: this version has been removed by arXiv administrators as the submitter did not have the right to agree to the license",
            "This e-print has been withdrawn",
        ] {
            assert!(withdrawal_notice("", comment, "").is_some(), "{comment}");
        }
    }

    #[test]
    fn comments_that_only_mention_it() {
        for comment in [
            "Withdrawn from ICLR 2024, revised version",
            "This paper was withdrawn from JHEP and will be submitted elsewhere",
            "arXiv admin note: substantial text overlap with a paper withdrawn by the authors",
            "Replaces the withdrawn paper arXiv:2401.00001",
            "v1 withdrawn; this is the corrected version",
            "The previous version has been withdrawn",
            "The original version of this paper has been withdrawn",
            "Theorem 3 of this paper has been retracted",
            "This paper has not been withdrawn",
            "Withdrawn life insurance policies, 12 pages",
            "Supersedes a submission that was withdrawn",
            "12 pages, a study of drug withdrawal",
            "If this paper is withdrawn, cite the journal",
        ] {
            assert_eq!(withdrawal_notice("", comment, ""), None, "{comment}");
        }
    }

    #[test]
    fn abstracts_that_withdraw() {
        for text in [
            "This manuscript has been withdrawn by the author due to an error in Lemma 2.",
            "This paper has been withdrawn by the authors. The proof of Theorem 1 fails.",
            "Withdrawn.",
            "The authors have withdrawn their manuscript owing to a duplicate posting. Therefore, the authors do not wish this work to be cited.",
            "Withdrawal Statement The authors have withdrawn their manuscript whilst they perform further experiments.",
            "We study lanterns. We show that they shine. This paper has been withdrawn by the author.",
            "This submission has been withdrawn by arXiv administrators because of fraudulent authorship.",
        ] {
            assert!(withdrawal_notice("", "", text).is_some(), "{text}");
        }
    }

    #[test]
    fn abstracts_about_withdrawal() {
        for text in [
            "Drug withdrawal is common. The drug was withdrawn from the market in 2004.",
            "Withdrawn life insurance policies are priced by a model of surrender.",
            "This paper shows that the drug has been withdrawn for good reasons.",
            "This paper studies papers that were retracted and why.",
            "We count how often readers meet the sentence \"This paper has been withdrawn\" in a listing.",
            "In this paper withdrawn cases are compared with those that went to court.",
            "Retracted articles are cited for years; the paper was withdrawn, and nobody noticed. We model it.",
            "Deposits are withdrawn by customers at random times.",
            "The retraction map sends each point to its nearest neighbour. We retract the cell onto its boundary.",
            "If a paper is withdrawn after publication, its citations stay.",
            "The bill was withdrawn by its authors. We explain why.",
        ] {
            assert_eq!(withdrawal_notice("", "", text), None, "{text}");
        }
    }

    #[test]
    fn titles_that_withdraw() {
        for title in [
            "RETRACTED: Lanterns of the north",
            "Withdrawn: Lanterns",
            "Retracted article: Lanterns",
            "[Retracted] Lanterns",
            "Lanterns (withdrawn)",
            "Withdrawn",
            "Paper withdrawn by the author",
            "This paper has been withdrawn",
        ] {
            assert!(withdrawal_notice(title, "", "").is_some(), "{title}");
        }
        for title in [
            "Withdrawn life insurance",
            "Withdrawn by design",
            "Why articles are retracted",
            "Paper withdrawal in chemistry",
            "Opioid withdrawal",
        ] {
            assert_eq!(withdrawal_notice(title, "", ""), None, "{title}");
        }
    }
}
