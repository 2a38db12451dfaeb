//! Splits text into terms: words in lower case without accents or LaTeX, no stop words, brought to their stems.
//!
//! Queries and documents are split in the same way, or they would not match. It never guesses a language; see [`stem`].

use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;
use unicode_segmentation::UnicodeSegmentation as _;

use super::latex::{joins_next, without_latex};
use super::stems::stem;
use super::stop_words::is_stop_word;

/// The terms of a text in their order, with repetitions.
///
/// A word of two parts joined by a hyphen gives both parts and their joined form, so that `GPT-4` matches `GPT4` and
/// `pre-training` matches `pretraining`. `C++`, `C#` and decimal numbers stay whole.
///
/// Where nothing marks the boundaries of words, letters stand in pairs: Chinese characters alone and in pairs, hiragana and the
/// scripts of Thai, Lao, Khmer and Burmese in pairs. A word in katakana or Hangul stays whole and gives its pairs too, because
/// what readers see as words is run together or has an ending.
pub fn terms(text: &str) -> Vec<String> {
    let folded = fold(&without_latex(text));
    let mut terms = Vec::new();
    each_term(&folded, |term, _| terms.push(term));
    terms
}

/// The terms of a text, each with its byte range, in order.
///
/// They equal those of [`terms`], except where LaTeX joins words across white space. All terms of a word with LaTeX have the
/// range of the whole word.
pub fn terms_with_places(text: &str) -> Vec<(String, Range<usize>)> {
    places(text, |_| true)
}

/// A subset of [`terms_with_places`] that includes every occurrence of the given terms.
pub(crate) fn terms_with_prefixes(text: &str, prefixes: &PrefixFilter) -> Vec<(String, Range<usize>)> {
    places(text, |word| prefixes.may_contain(word))
}

fn places(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    for word in words(text) {
        if !wanted(&text[word.clone()]) {
            continue;
        }
        if text[word.clone()].contains(['\\', '{', '}']) {
            push_latex(text, word, &mut found);
        } else {
            push_places(text, word, &mut found);
        }
    }
    found
}

/// The first letters of some terms. It skips most words of a text without stemming them, and stemming is nearly all of the
/// work of finding a few terms.
///
/// The stemmer keeps the first three letters of a word, with two exceptions: `y` may become `i`, which counts as the same letter
/// here, and stems of three letters may end in `e` where the word continues with `ing`: `age` of `aging`, `die` of `dying`.
#[derive(Debug, Clone)]
pub(crate) struct PrefixFilter {
    /// One bit per sequence of three letters, where "no letter" counts as a letter.
    bits: Vec<u64>,
}

/// Letters, including "no letter".
const LETTERS: usize = 27;
const NONE: usize = LETTERS - 1;

impl Default for PrefixFilter {
    fn default() -> Self {
        Self {
            bits: vec![0; (LETTERS * LETTERS * LETTERS).div_ceil(64)],
        }
    }
}

impl PrefixFilter {
    pub(crate) fn of<'a>(terms: impl Iterator<Item = &'a str>) -> Self {
        let mut prefixes = Self::default();
        for term in terms {
            let mut known = term.bytes().take(3).map_while(letter).fuse();
            let Some(first) = known.next() else { continue };
            let rest = [known.next(), known.next()];
            let any = |place: Option<usize>| place.map_or(0..LETTERS, |letter| letter..letter + 1);
            for second in any(rest[0]) {
                for third in any(rest[1]) {
                    prefixes.set([first, second, third]);
                }
            }
            if let ([Some(second), Some(_)], [_, _, b'e']) = (rest, term.as_bytes()) {
                prefixes.set([first, second, usize::from(b'i' - b'a')]);
            }
        }
        prefixes
    }

    /// Whether a word may contain one of the terms; false only if it certainly does not.
    fn may_contain(&self, word: &str) -> bool {
        let mut run = [NONE; 3];
        let mut length = 0;
        for byte in word.bytes() {
            match letter(byte) {
                Some(letter) => {
                    if let Some(place) = run.get_mut(length) {
                        *place = letter;
                    }
                    length += 1;
                    if length == 3 && self.has(run) {
                        return true;
                    }
                }
                // What is put together over a hyphen, and everything else that means more than a mark between words.
                None if !byte.is_ascii() || byte.is_ascii_digit() || b"\\{}+#".contains(&byte) => return true,
                None if byte == b'-' && (1..3).contains(&length) => return true,
                None if self.has_short(run, length) => return true,
                None => (run, length) = ([NONE; 3], 0),
            }
        }
        self.has_short(run, length)
    }

    fn has_short(&self, run: [usize; 3], length: usize) -> bool {
        (1..3).contains(&length) && self.has(run)
    }

    fn has(&self, beginning: [usize; 3]) -> bool {
        let (word, bit) = Self::position(beginning);
        self.bits[word] & bit != 0
    }

    fn set(&mut self, beginning: [usize; 3]) {
        let (word, bit) = Self::position(beginning);
        self.bits[word] |= bit;
    }

    fn position([first, second, third]: [usize; 3]) -> (usize, u64) {
        let index = (first * LETTERS + second) * LETTERS + third;
        (index / 64, 1 << (index % 64))
    }
}

/// The index of a letter; `y` counts as `i`.
fn letter(byte: u8) -> Option<usize> {
    let number = |lower: u8| usize::from(if lower == b'y' { b'i' } else { lower } - b'a');
    byte.is_ascii_alphabetic().then(|| number(byte.to_ascii_lowercase()))
}

/// The words between white space; a LaTeX accent and the letter after it stay together.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut goes_on = false;
    for word in text.split_whitespace() {
        let start = word.as_ptr().addr() - text.as_ptr().addr();
        let end = start + word.len();
        match words.last_mut() {
            Some(last) if goes_on => last.end = end,
            _ => words.push(start..end),
        }
        goes_on = joins_next(word);
    }
    words
}

/// Adds the terms of a word with LaTeX. Its range omits surrounding punctuation unless that changes the terms.
fn push_latex(text: &str, word: Range<usize>, found: &mut Vec<(String, Range<usize>)>) {
    let terms_of_word = terms(&text[word.clone()]);
    let trimmed = text[word.clone()].trim_matches(|c: char| !c.is_alphanumeric());
    let start = trimmed.as_ptr().addr() - text.as_ptr().addr();
    let place = if terms(trimmed) == terms_of_word {
        start..start + trimmed.len()
    } else {
        word
    };
    found.extend(terms_of_word.into_iter().map(|term| (term, place.clone())));
}

/// Adds the terms of a word without LaTeX, each with its own range.
fn push_places(text: &str, word: Range<usize>, found: &mut Vec<(String, Range<usize>)>) {
    let letters = &text[word.clone()];
    if letters.is_ascii() {
        let folded = letters.to_ascii_lowercase().replace('_', " ");
        each_term(&folded, |term, place| {
            found.push((term, word.start + place.start..word.start + place.end));
        });
        return;
    }
    // Letters are folded with their marks, one after the other; what came of each says where it stood.
    let mut folded = String::with_capacity(letters.len());
    let mut places: Vec<Range<usize>> = Vec::with_capacity(letters.len());
    let mut chars = letters.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        let mut end = start + c.len_utf8();
        while let Some((at, mark)) = chars.next_if(|(_, c)| canonical_combining_class(*c) != 0) {
            end = at + mark.len_utf8();
        }
        folded.push_str(&fold(&letters[start..end]));
        places.resize(folded.len(), word.start + start..word.start + end);
    }
    if folded != fold(letters) {
        // Letters that are put together from several, as in Hangul spelt in parts.
        let folded = fold(letters);
        each_term(&folded, |term, _| found.push((term, word.clone())));
        return;
    }
    each_term(&folded, |term, place| {
        found.push((term, places[place.start].start..places[place.end - 1].end));
    });
}

/// Calls `found` with every term of a folded text and its byte range.
fn each_term(folded: &str, mut found: impl FnMut(String, Range<usize>)) {
    let mut compound: Vec<Range<usize>> = Vec::new();
    let mut before = 0..0;
    let mut words = folded.unicode_word_indices().peekable();
    while let Some((start, word)) = words.next() {
        let end = start + word.len();
        let joins = before.end == start && is_unspaced(&folded[before.clone()]) && is_unspaced(word);
        if joins {
            found(folded[before.start..end].to_owned(), before.start..end);
        }
        if &folded[before.end..start] != "-" {
            push_joined(folded, &compound, &mut found);
            compound.clear();
        }
        compound.push(start..end);
        before = start..end;
        let joined = joins
            || words
                .peek()
                .is_some_and(|(next, after)| *next == end && is_unspaced(after));
        if !joined || is_ideograph(word) || !is_unspaced(word) {
            push_word(folded, start..end, &mut found);
        }
        push_pairs(folded, start..end, &mut found);
    }
    push_joined(folded, &compound, &mut found);
}

/// Adds the pairs of letters of a longer word in katakana or Hangul.
fn push_pairs(folded: &str, word: Range<usize>, found: &mut impl FnMut(String, Range<usize>)) {
    let letters = &folded[word.clone()];
    if !letters.chars().all(is_syllable) || letters.chars().nth(2).is_none() {
        return;
    }
    let ends = letters.char_indices().skip(2).map(|(at, _)| at).chain([letters.len()]);
    for ((start, _), end) in letters.char_indices().zip(ends) {
        found(letters[start..end].to_owned(), word.start + start..word.start + end);
    }
}

/// Lower case and compatibility forms, without Latin, Greek and Cyrillic accents, except the one that distinguishes й from и.
/// Marks of other scripts are part of the spelling and stay.
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

/// Finds the terms of one word.
fn push_word(folded: &str, place: Range<usize>, found: &mut impl FnMut(String, Range<usize>)) {
    let word = &folded[place.clone()];
    if is_stop_word(word) {
        return;
    }
    let rest = &folded[place.end..];
    if let [b'a'..=b'z'] = word.as_bytes()
        && let Some(suffix) = ["++", "#"].into_iter().find(|suffix| rest.starts_with(suffix))
    {
        found(format!("{word}{suffix}"), place.start..place.end + suffix.len());
        return;
    }
    if is_number(word) {
        found(word.replace(',', ""), place);
        return;
    }
    // What segmentation leaves together and readers see apart: `results.We`, `arxiv.org`, `10.1145`-like mixtures.
    for part in word.split(|c: char| !c.is_alphanumeric() && c != '\'' && !is_mark(c)) {
        if part.chars().any(char::is_alphanumeric) && !is_stop_word(part) {
            let start = part.as_ptr().addr() - folded.as_ptr().addr();
            found(stem(part), start..start + part.len());
        }
    }
}

fn push_joined(folded: &str, compound: &[Range<usize>], found: &mut impl FnMut(String, Range<usize>)) {
    if let [first, second] = compound {
        let joined = format!("{}{}", &folded[first.clone()], &folded[second.clone()]);
        if joined.chars().all(char::is_alphanumeric) {
            found(stem(&joined), first.start..second.end);
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

/// One letter, with its marks, of a script without spaces, as segmentation yields them.
fn is_unspaced(word: &str) -> bool {
    let mut chars = word.chars();
    let first = chars.next().unwrap_or_default();
    let is_letter = matches!(first,
        '\u{3041}'..='\u{3096}' | '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}');
    is_ideograph(word) || is_letter && chars.all(is_mark)
}

/// A letter of katakana, or a syllable of Hangul.
fn is_syllable(c: char) -> bool {
    matches!(c, '\u{30a1}'..='\u{30fc}' | '\u{ac00}'..='\u{d7a3}')
}

/// Marks that are part of words in Indic and other scripts, though Unicode does not classify them as letters.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
    fn terms_know_the_words_they_come_from() {
        let text =
            "The Gödel–C++ pre-training of $\\alpha$-stable \\textbf{ﬁne} nets.We {\\em graphs}, Fran\\c cois 深度学";
        let found: Vec<(String, &str)> = terms_with_places(text)
            .into_iter()
            .map(|(term, place)| (term, &text[place]))
            .collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(term, word)| (term.as_str(), *word)).collect();
        assert_eq!(
            found,
            [
                ("godel", "Gödel"),
                ("c++", "C++"),
                ("pre", "pre"),
                ("train", "training"),
                ("pretrain", "pre-training"),
                ("alpha", "alpha$-stable"),
                ("stabl", "alpha$-stable"),
                ("fine", "\\textbf{ﬁne}"),
                ("net", "nets"),
                ("graph", "graphs"),
                ("francoi", "Fran\\c cois"),
                ("深", "深"),
                ("深度", "深度"),
                ("度", "度"),
                ("度学", "度学"),
                ("学", "学"),
            ]
        );
    }

    #[test]
    fn stems_that_end_in_another_letter_than_their_words_are_found() {
        for (word, term) in [("aging", "age"), ("icing", "ice"), ("dying", "die"), ("skies", "sky")] {
            let found = terms_with_prefixes(word, &PrefixFilter::of([term].into_iter()));
            assert_eq!(found, [(term.to_owned(), 0..word.len())]);
        }
    }

    proptest! {
        #[test]
        fn words_with_other_beginnings_hold_none_of_the_terms(
            text in "(([a-z]{1,9}|[a-z]{1,3}(y|ies|ed|ing|s|ly)|dying|lying|[Ss]kies|pre-train|C\\+\\+|Ünder|x2)[ .,:/$_('-]{1,2}){1,12}",
            wanted in 0_usize..12,
        ) {
            let all = terms_with_places(&text);
            let terms: Vec<String> = all.iter().skip(wanted).take(2).map(|(term, _)| term.clone()).collect();
            let prefixes = PrefixFilter::of(terms.iter().map(String::as_str));
            let of_terms = |found: Vec<(String, Range<usize>)>| -> Vec<(String, Range<usize>)> {
                found.into_iter().filter(|(term, _)| terms.contains(term)).collect()
            };
            prop_assert_eq!(of_terms(terms_with_prefixes(&text, &prefixes)), of_terms(all));
        }

        #[test]
        fn places_change_no_term(text in "([a-zA-Z0-9éßİ\u{301}ø深度ガ한ﬁ½ -’'._+#(),]|\\PC){0,40}") {
            let text = text.replace(['\\', '{', '}'], "");
            let found = terms_with_places(&text);
            for (term, place) in &found {
                prop_assert!(text.get(place.clone()).is_some_and(|word| !word.is_empty()), "{} {:?}", term, place);
            }
            let found: Vec<String> = found.into_iter().map(|(term, _)| term).collect();
            prop_assert_eq!(found, terms(&text));
        }
    }

    #[test]
    fn words_run_together_are_found_by_their_pairs() {
        let all_in = |words: &str, text: &str| {
            let there = terms(text);
            let wanted = terms(words);
            let found = wanted.iter().filter(|term| there.contains(term)).count();
            (found, wanted.len())
        };
        assert_eq!(
            terms("ネットワーク"),
            ["ネットワーク", "ネッ", "ット", "トワ", "ワー", "ーク"]
        );
        assert_eq!(all_in("ネットワーク", "ニューラルネットワークによる灯台"), (5, 6));
        assert_eq!(all_in("신경망", "신경망을 이용한"), (2, 3));
        assert_eq!(all_in("학습", "딥러닝 학습을"), (1, 1));
        assert_eq!(terms("による"), ["によ", "よる"]);
        assert_eq!(terms("の"), ["の"]);
        assert_eq!(terms("灯台の画"), ["灯", "灯台", "台", "台の", "の画", "画"]);
        let (found, wanted) = all_in("ประภาคาร", "โครงข่ายสำหรับการจดจำประภาคาร");
        assert!(found == wanted && wanted > 3, "{found} of {wanted}");
        let (found, wanted) = all_in("ประภาคาร", "โครงข่ายประสาท");
        assert!(2 * found < wanted, "{found} of {wanted}");
    }

    #[test]
    fn chinese_gives_characters_and_pairs() {
        assert_eq!(terms("深度学习"), ["深", "深度", "度", "度学", "学", "学习", "习"]);
        assert_eq!(terms("深。度 学"), ["深", "度", "学"]);
    }
}
