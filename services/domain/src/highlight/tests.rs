use proptest::prelude::*;

use super::*;

fn parted(text: &str) -> Vec<&str> {
    sentences(text).into_iter().map(|range| &text[range]).collect()
}

fn shown<'a>(text: &'a str, spans: &[Range<usize>]) -> Vec<&'a str> {
    spans.iter().map(|span| &text[span.clone()]).collect()
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn sentences_end_where_readers_think_so() {
    assert_eq!(
        parted(" We ask: why? (See below.) \"It works!\" Then,\nnew… line. "),
        ["We ask: why?", "(See below.)", "\"It works!\"", "Then,", "new… line."]
    );
    assert_eq!(parted("深度学习。很好！"), ["深度学习。", "很好！"]);
    assert_eq!(parted(""), Vec::<&str>::new());
}

#[test]
fn abbreviations_numbers_and_initials_end_no_sentence() {
    for text in [
        "We use nets, e.g. Transformers.",
        "Smith et al. Show it.",
        "As in Fig. 3 and Eq. (2) we gain 3.5 points.",
        "By D. E. Knuth in the U.S. Senate.",
        "GPT vs. BERT, cf. No. 5, i.e. Both.",
        "Really ... no",
    ] {
        assert_eq!(parted(text), [text]);
    }
    assert_eq!(parted("Is it so? The answer is no. We stop.").len(), 3);
}

#[test]
fn the_sentence_with_most_different_words_of_the_query_is_best() {
    let text = "Graphs, graphs, graphs. We train graph networks. Networks of graphs, e.g. Pre-training ones.";
    let query = QueryTerms::new("graph network pretraining");
    let found = highlight(&query, "On Graph-based nets", text);
    assert_eq!(
        &text[found.sentence.clone()],
        "Networks of graphs, e.g. Pre-training ones."
    );
    assert_eq!(
        shown(text, &found.sentence_spans),
        ["Networks", "graphs", "Pre-training"]
    );
    assert_eq!(shown("On Graph-based nets", &found.title_spans), ["Graph"]);
}

#[test]
fn weights_decide_and_equal_sentences_stay_in_order() {
    let text = "A graph here. A protein there.";
    let best = |query: &QueryTerms| text[highlight(query, "", text).sentence].to_owned();
    assert_eq!(best(&QueryTerms::new("protein graph")), "A graph here.");
    let rare = term_id("protein");
    let weighted = QueryTerms::weighted("protein graph", |id| if id == rare { 2.0 } else { 1.0 });
    assert_eq!(best(&weighted), "A protein there.");
    assert_eq!(best(&QueryTerms::new("other")), "A graph here.");
    assert_eq!(highlight(&weighted, "", ""), Highlight::default());
}

#[test]
fn phrases_are_whole_words_in_order() {
    let text = "Erd\\H{o}s–Rényi \\textbf{Graph} Networks";
    for phrase in ["erdős rényi", "Erdos-Renyi graph", "GRAPH networks", "!", "networks"] {
        assert!(contains_phrase(text, phrase), "{phrase}");
    }
    for phrase in ["graph network", "networks graph", "rényi networks", "raph"] {
        assert!(!contains_phrase(text, phrase), "{phrase}");
    }
    assert!(contains_phrase("基于深度学习的方法", "深度学习"));
}

#[test]
fn papers_pass_with_all_phrases_and_nothing_unwanted() {
    let pass = |phrases: &[&str], without: &[&str]| {
        passes(
            "Deep graph networks",
            "For proteins and GPT4 in C++. State of the art.",
            &strings(phrases),
            &strings(without),
        )
    };
    assert!(pass(&[], &[]));
    assert!(pass(
        &["graph networks", "and gpt4"],
        &["graph proteins", "C", "state art", "GPT-3", "!"]
    ));
    assert!(!pass(&["networks for"], &[]), "no phrase spans title and abstract");
    for unwanted in [
        "protein",
        "Network",
        "GPT-4",
        "c++",
        "state-of-the-art",
        "deep graph",
        "the",
    ] {
        assert!(!pass(&[], &[unwanted]), "{unwanted}");
    }
    assert!(!passes("深度学习", "", &[], &strings(&["深度"])));
}

proptest! {
    #[test]
    fn sentences_part_any_text(text in "([A-Za-z.!?() \n\u{e9}。]|\\PC){0,60}") {
        let mut end = 0;
        for sentence in sentences(&text) {
            prop_assert!(text[end..sentence.start].trim().is_empty());
            prop_assert!(!text[sentence.clone()].is_empty());
            end = sentence.end;
        }
        prop_assert!(text[end..].trim().is_empty());
    }

    #[test]
    fn spans_hold_words_of_the_query(
        query in "[a-c+#-]{1,3}( [a-cé深]{1,3}){0,3}",
        title in "[a-c é深+#'.-]{0,20}",
        text in "([a-cA-C é深+#'.\\\\{}$-]|\\PC){0,60}",
    ) {
        let terms = QueryTerms::new(&query);
        let found = highlight(&terms, &title, &text);
        for (text, spans) in [(&title, &found.title_spans), (&text, &found.sentence_spans)] {
            let mut end = 0;
            for span in spans {
                prop_assert!(span.start >= end && span.start < span.end);
                end = span.end;
                let word = text.get(span.clone()).expect("bounds of characters");
                prop_assert!(bm25::terms(word).iter().any(|term| terms.weights.contains_key(term)), "{:?} in {:?}", word, text);
            }
        }
        prop_assert!(found.sentence_spans.iter().all(|s| found.sentence.start <= s.start && s.end <= found.sentence.end));
    }

    #[test]
    fn any_part_of_whole_words_is_a_phrase(words in prop::collection::vec("[a-zé]{1,4}|[0-9]{1,3}", 1..8), from in 0_usize..8, to in 0_usize..8) {
        let (from, to) = (from.min(to).min(words.len()), from.max(to).min(words.len()));
        prop_assert!(contains_phrase(&words.join(" "), &words[from..to].join("-")));
    }
}

#[test]
fn a_prepared_abstract_is_highlighted_the_same_way() {
    let texts = [
        "",
        "One sentence alone",
        "We study graph-based parsing. Parsers of graphs are slow (cf. Fig. 3). Ours parses $O(n)$ graphs fast, and fast again.",
        "Zürich's lakes from above.\nColour tells algae! 図のグラフを調べる。 Nothing else.",
    ];
    for text in texts {
        let prepared = PreparedAbstract::new(text);
        for words in [
            "",
            "graph parsing",
            "fast graphs",
            "lakes algae",
            "グラフ",
            "GPT-4 graph-based",
            "the of",
        ] {
            let query = QueryTerms::new(words);
            assert_eq!(
                prepared.highlight(&query),
                highlight(&query, "", text),
                "{words} in {text}"
            );
        }
    }
}
