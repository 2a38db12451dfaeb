//! Splits text into terms: words in lower case without accents or LaTeX, no stop words, brought to their stems.
//!
//! Queries and documents take the same way, or they would never meet. It never guesses a language; see [`stem`] for what
//! it goes by instead.

use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

use super::latex::without_latex;
use super::stems::stem;
use super::stop_words::is_stop_word;

/// The terms of a text in their order, with repetitions.
///
/// A word of two parts joined by a hyphen gives both parts and their joined form, so that `GPT-4` meets `GPT4` and
/// `pre-training` meets `pretraining`. `C++`, `C#` and decimal numbers stay whole. Chinese characters give each one and
/// each two that stand together, because nothing else says where a word ends.
pub fn terms(text: &str) -> Vec<String> {
    let folded = fold(&without_latex(text));
    let mut terms = Vec::new();
    let mut compound: Vec<&str> = Vec::new();
    let mut before = "";
    let mut end = 0;
    for (start, word) in folded.unicode_word_indices() {
        if end == start && is_ideograph(before) && is_ideograph(word) {
            terms.push(format!("{before}{word}"));
        }
        before = word;
        if &folded[end..start] != "-" {
            push_joined(&compound, &mut terms);
            compound.clear();
        }
        compound.push(word);
        end = start + word.len();
        push_word(word, &folded[end..], &mut terms);
    }
    push_joined(&compound, &mut terms);
    terms
}

/// Lower case, compatibility forms, Latin, Greek and Cyrillic accents gone, but for the one that tells й from и. Marks of
/// other scripts spell words and stay.
fn fold(text: &str) -> String {
    let mut before = ' ';
    text.nfkd()
        .filter(|c| {
            let short_i = *c == '\u{306}' && matches!(before, 'и' | 'И');
            before = *c;
            short_i || !matches!(c, '\u{300}'..='\u{36f}')
        })
        .nfc()
        .flat_map(char::to_lowercase)
        .fold(String::with_capacity(text.len()), |mut folded, c| {
            match c {
                'ß' => folded.push_str("ss"),
                'æ' => folded.push_str("ae"),
                'œ' => folded.push_str("oe"),
                'ø' => folded.push('o'),
                'ł' => folded.push('l'),
                'đ' => folded.push('d'),
                'ı' => folded.push('i'),
                '’' | 'ʼ' => folded.push('\''),
                '\u{2010}' | '\u{2011}' => folded.push('-'),
                '_' => folded.push(' '),
                // Left over by lower-casing a capital with a dot.
                '\u{300}'..='\u{36f}' => {}
                _ => folded.push(c),
            }
            folded
        })
}

/// Adds the terms of one word; `rest` is the text behind it.
fn push_word(word: &str, rest: &str, terms: &mut Vec<String>) {
    if is_stop_word(word) {
        return;
    }
    if let [b'a'..=b'z'] = word.as_bytes()
        && let Some(suffix) = ["++", "#"].into_iter().find(|suffix| rest.starts_with(suffix))
    {
        terms.push(format!("{word}{suffix}"));
        return;
    }
    if is_number(word) {
        terms.push(word.replace(',', ""));
        return;
    }
    // What segmentation leaves together and readers see apart: `results.We`, `arxiv.org`, `10.1145`-like mixtures.
    for part in word.split(|c: char| !c.is_alphanumeric() && c != '\'' && !is_mark(c)) {
        if part.chars().any(char::is_alphanumeric) && !is_stop_word(part) {
            terms.push(stem(part));
        }
    }
}

fn push_joined(compound: &[&str], terms: &mut Vec<String>) {
    if let [first, second] = compound {
        let joined = format!("{first}{second}");
        if joined.chars().all(char::is_alphanumeric) {
            terms.push(stem(&joined));
        }
    }
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b',')
}

fn is_ideograph(word: &str) -> bool {
    let mut chars = word.chars();
    matches!(
        (chars.next(), chars.next()),
        (Some('\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'), None)
    )
}

/// Marks that spell words in scripts of India and others; Unicode does not count them as letters.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str) -> String {
        terms(text).join(" ")
    }

    #[test]
    fn words_are_lower_case_stemmed_and_without_stop_words() {
        assert_eq!(
            joined("The Transformers are learning, e.g. to translate."),
            "transform learn translat"
        );
        assert_eq!(joined("The model’s weights aren't shared"), "model weight share");
    }

    #[test]
    fn accents_and_compatibility_forms_are_folded() {
        assert_eq!(
            joined("Gödel Erdős Łukasz Øystein ﬁne ×"),
            "godel erdo lukasz oystein fine"
        );
        assert_eq!(joined("Gödel"), joined("GODEL"));
        assert_eq!(joined("G\\\"odel"), joined("Gödel"));
    }

    #[test]
    fn hyphenated_words_meet_their_parts_and_their_joined_form() {
        assert_eq!(joined("pre-training"), "pre train pretrain");
        assert_eq!(joined("COVID-19"), "covid 19 covid19");
        assert_eq!(joined("GPT-4"), "gpt 4 gpt4");
        assert_eq!(joined("GPT4"), "gpt4");
        assert_eq!(joined("state-of-the-art"), "state art");
        assert_eq!(joined("Cahn–Hilliard - equation"), "cahn hilliard equat");
    }

    #[test]
    fn languages_and_numbers_stay_whole() {
        assert_eq!(joined("C++ beats C# and C."), "c++ beat c# c");
        assert_eq!(joined("1,000 papers at 3.5 GB/s"), "1000 paper 3.5 gb s");
    }

    #[test]
    fn glued_sentences_and_names_with_dots_are_split() {
        assert_eq!(joined("good results.We use node.js"), "good result use node js");
        assert_eq!(joined("max_len foo:bar"), "max len foo bar");
    }

    #[test]
    fn latex_leaves_words() {
        assert_eq!(
            joined(r"$\mathcal{O}(n \log n)$ for \textbf{graphs}"),
            "o n log n graph"
        );
        assert_eq!(joined(r"an $\alpha$-divergence"), "alpha diverg");
    }

    #[test]
    fn other_scripts_are_stemmed_or_keep_their_words() {
        assert_eq!(joined("Нейронные сети, нейронных сетей"), "нейрон сет нейрон сет");
        assert_eq!(joined("новый край, ёлка"), "нов кра елк");
        assert_eq!(terms("हिन्दी"), ["हिन्दी"]);
    }

    #[test]
    fn chinese_gives_characters_and_pairs() {
        assert_eq!(terms("深度学习"), ["深", "深度", "度", "度学", "学", "学习", "习"]);
        assert_eq!(terms("深。度 学"), ["深", "度", "学"]);
    }
}
