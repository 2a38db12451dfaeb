//! JSON lines as other programs write them.

use super::Check;
use super::stage::day;

pub const CASES: &[(&str, Check)] = &[
    ("16_four_spellings_are_one_paper", |stage| {
        let paper = stage.known("arxiv:2610.09999");
        for spelling in [
            "https://arxiv.org/pdf/2610.09999v1.pdf",
            "http://www.arxiv.org/abs/2610.09999",
            "oai:arXiv.org:2610.09999",
            "arXiv:2610.09999v2",
        ] {
            assert_eq!(stage.known(spelling).id, paper.id, "{spelling}");
            assert_eq!(
                stage.found(spelling).first().map(String::as_str),
                Some(paper.id.as_str()),
                "{spelling}"
            );
        }
        let known = stage.found("\"Distinct title for\"");
        assert_eq!(known, [paper.id.as_str()]);
        assert_eq!(
            stage.known("https://doi.org/10.4230%2Fdagman.6.1.1").id.as_str(),
            "doi:10.4230/dagman.6.1.1"
        );
    }),
    ("23_undated_stays_undated", |stage| {
        let paper = stage.known("und:und1");
        assert_eq!((day(&paper).as_str(), paper.abstract_text.as_str()), ("", "Second."));
        let page = stage.page("/papers/und:und1");
        assert!(page.contains("date unknown"), "{page}");
        assert!(!stage.page("/").contains("A paper without a date"));
        let listed = stage.json("/api/daily_papers?limit=100").to_string();
        assert!(!listed.contains("A paper without a date"), "{listed}");
        for (format, date) in [("bibtex", "year"), ("ris", "PY  -"), ("csl", "issued")] {
            let export = stage.page(&format!("/papers/und:und1?format={format}"));
            assert!(!export.contains(date), "{export}");
        }
    }),
    ("29_optional_fields_may_be_null", |stage| {
        let expected = [
            ("nulls:n1", "2026-11-01", 1),
            ("nulls:n2", "", 0),
            ("nulls:n3", "", 0),
            ("nulls:n4", "2024-01-01", 0),
            ("nulls:n6", "2024-03-01", 0),
            ("nulls:n7", "2024-03-05", 0),
            ("nulls:n8", "", 2),
        ];
        for (id, published, authors) in expected {
            let paper = stage.known(id);
            assert_eq!(
                (day(&paper).as_str(), paper.authors.len()),
                (published, authors),
                "{paper:?}"
            );
        }
        let snapshot = stage.known("arxiv:0704.99999");
        assert_eq!(snapshot.title, "Line of the arXiv snapshot with a break");
        assert!(!snapshot.authors.is_empty(), "{snapshot:?}");
        assert_eq!(snapshot.categories, ["hep-ph", "math.GT"]);
        assert!(
            !day(&snapshot).starts_with("2008-11-26"),
            "the date of the last change is not that of publication"
        );
    }),
];
