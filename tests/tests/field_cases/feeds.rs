//! Feeds and lists of sources.

use super::Check;
use super::stage::day;

pub const CASES: &[(&str, Check)] = &[
    ("14_bytes_decide_the_encoding", |stage| {
        let paper = stage.known("harbour:hp-w2");
        assert_eq!(paper.title, "Русский маяк и приливы вторая часть");
    }),
    ("16_spellings_in_a_feed", |stage| {
        for id in [
            "2403.00001",
            "2403.00002",
            "2403.00004",
            "2403.00005",
            "2403.00006",
            "math/0309136",
        ] {
            let paper = stage.known(&format!("arxiv:{id}"));
            assert!(!paper.title.contains("arXiv:"), "{paper:?}");
        }
        assert!(stage.known("https://arxiv.org/abs/math.GT/0309136v1").id.as_str() == "arxiv:math/0309136");
    }),
    ("17_angle_brackets_are_text", |stage| {
        let paper = stage.known("arxiv:2611.00001");
        for part in ["<S>", "<Q>", "<p>", "<p_T>", "|<i|j>|^2 < 0.1", "a<b and c>d"] {
            assert!(paper.abstract_text.contains(part), "{part}: {paper:?}");
        }
        let paper = stage.known("arxiv:2611.00003");
        assert_eq!(paper.title, "Why <s> and </s> matter: tokens at the edge");
        assert!(paper.abstract_text.contains("<s>, <unk> and <b>"), "{paper:?}");
        let page = stage.page("/papers/arxiv:2611.00003");
        assert!(page.contains("Why &lt;s&gt; and &lt;/s&gt; matter"), "{page}");
    }),
    ("18_every_wording_of_a_withdrawal", |stage| {
        for id in ["arxiv:2611.00004", "arxiv:2611.00005"] {
            assert!(stage.paper(id).is_none(), "{id}");
        }
    }),
    ("19_a_formula_stands_once", |stage| {
        let paper = stage.known("doi:10.5555/docclass");
        assert!(!paper.abstract_text.contains("documentclass"), "{paper:?}");
        assert_eq!(paper.abstract_text.matches("mathbb").count(), 1, "{paper:?}");
        assert!(paper.abstract_text.contains("be a finite field."), "{paper:?}");
        let paper = stage.known("doi:10.5555/mathml");
        let formulas = paper.abstract_text.matches("alpha").count() + paper.abstract_text.matches('α').count();
        assert_eq!(formulas, 1, "{paper:?}");
        assert!(paper.abstract_text.contains("p < 0.05 and a<b"), "{paper:?}");
        let bibtex = stage.page("/papers/doi:10.5555/docclass?format=bibtex");
        assert!(!bibtex.contains("\\$"), "{bibtex}");
    }),
    ("21_superscripts_stay", |stage| {
        let title = stage.known("doi:10.5555/face").title;
        assert!(title.contains("10³ Pa") || title.contains("10^3 Pa"), "{title}");
        assert!(
            title.contains("Zostera marina at") && !title.contains("<sup>"),
            "{title}"
        );
    }),
    ("24_a_second_version_keeps_the_date", |stage| {
        let paper = stage.known("doi:10.1101/2026.05.05.000009");
        assert_eq!(day(&paper), "2026-05-05");
        assert_eq!(paper.abstract_text, "Second text.");
        assert!(paper.updated.is_some(), "{paper:?}");
        assert!(!stage.page("/").contains("Kelp genomes in the fjord"));
    }),
    ("27_accents_are_letters", |stage| {
        let paper = stage.known("arxiv:2611.00007");
        assert_eq!(paper.authors, ["Kurt Gödel", "Pál Erdős", "Jan Łukasiewicz"]);
        assert!(stage.found("author:godel").iter().any(|id| id == paper.id.as_str()));
        for format in ["bibtex", "ris", "csl"] {
            let export = stage.page(&format!("/papers/arxiv:2611.00007?format={format}"));
            assert!(
                export.contains("Gödel") || export.contains("G{\\\"o}del") || export.contains("G\\\"odel"),
                "{export}"
            );
            assert!(!export.contains("textbackslash"), "{export}");
        }
        let bibtex = stage.page("/papers/arxiv:2611.00007?format=bibtex");
        assert!(bibtex.contains("Costs of \\$5"), "{bibtex}");
        let page = stage.page("/papers/arxiv:2611.00007");
        assert!(
            page.contains("Hölder") && page.contains("Costs of $5 and $10 lanterns"),
            "{page}"
        );
    }),
];
