//! BibTeX as people have it.

use domain::LinkKind;

use super::Check;
use super::stage::day;

pub const CASES: &[(&str, Check)] = &[
    ("01_authors_across_lines", |stage| {
        let paper = stage.known("doi:10.5555/978-3-030-15719-7_27");
        assert_eq!(paper.authors, ["Ann B. Lee", "Bob Ray", "Carla Gómez-Ruiz"]);
    }),
    ("02_and_within_braces", |stage| {
        let paper = stage.known("bib:groupreport");
        let expected = [
            "Hélène Moreau",
            "Advanced Kelp and Tide Research Team",
            "Barnard and Sons, Inc.",
        ];
        assert_eq!(paper.authors, expected);
    }),
    ("03_and_others_is_nobody", |stage| {
        assert_eq!(stage.known("bib:okafor2019wind").authors, ["Ngozi Okafor", "Per Lind"]);
    }),
    ("05_escaped_doi_and_url", |stage| {
        let paper = stage.known("doi:10.5555/978-3-030-15719-7_27");
        assert_eq!(
            paper.link(LinkKind::Abstract),
            Some("https://example.org/36_2/beitrag_2.html")
        );
    }),
    ("06_escaped_braces_count", |stage| {
        let paper = stage.known("bib:first05");
        assert_eq!(day(&paper), "2006-01-01");
        assert_eq!(paper.authors.len(), 2, "{paper:?}");
        assert!(!paper.authors[1].as_str().contains(['{', '}', '\\']), "{paper:?}");
        assert_eq!(day(&stage.known("bib:second05")), "2007-01-01");
    }),
    ("07_at_sign_at_line_start", |stage| {
        let paper = stage.known("bib:at7");
        assert!(
            paper.abstract_text.contains("@10") && paper.abstract_text.contains("@100"),
            "{paper:?}"
        );
        assert_eq!(paper.authors, ["Jon Falk"]);
        assert_eq!(stage.known("bib:at7b").title, "After the at sign at a line start");
    }),
    ("09_dates", |stage| {
        for (key, expected) in [
            ("m1", "2001-01"),
            ("m2", "1955-05-03"),
            ("m3", "2012-12-09"),
            ("m4", "2012-01-10"),
            ("m5", "1985-04"),
            ("m6", "2018-07"),
            ("m7", "2019-07-28"),
            ("m8", "2017-03"),
            ("m9", "2016-07-21"),
            ("m10", "2020"),
            ("in19", "2022"),
        ] {
            let published = day(&stage.known(&format!("bib:{key}")));
            assert!(published.starts_with(expected), "{key}: {published}");
        }
        assert_eq!(day(&stage.known("bib:ol19")), "", "in press is no date");
    }),
    ("10_and_in_capitals", |stage| {
        let paper = stage.known("bib:oa19");
        assert_eq!(paper.authors, ["Jürgen Müller", "Eva Schmidt"]);
        assert_eq!(paper.title, "A \"quoted\" title with Über");
        assert_eq!(stage.known("bib:lat1").title, "Café in Latin one");
    }),
    ("11_repeated_fields", |stage| {
        let paper = stage.known("bib:kw9");
        assert_eq!(
            paper.categories,
            ["Tide tables", "Third-party lanterns", "Harbour software"]
        );
        assert_eq!(paper.authors, ["Henrik Bær", "Klaus Šafařík"]);
    }),
];
