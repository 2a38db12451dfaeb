//! One table of spellings for all doors, and what must hold for any text.

use proptest::prelude::*;

use super::*;

/// Each identifier, and texts that name it.
const SPELLINGS: &[(&str, &[&str])] = &[
    (
        "arxiv:2403.00001",
        &[
            "2403.00001",
            "2403.00001v12",
            "2403.00001v2.pdf",
            "arXiv:2403.00001",
            "ARXIV: 2403.00001v1",
            "arXiv 2403.00001",
            "arXiv.2403.00001",
            "arXiv:2403.00001 [cs.CL]",
            "arXiv:2403.00001v2 [cs.CL] 5 Mar 2024",
            "2403.00001 [cs.CL]",
            "(arXiv:2403.00001).",
            "\u{201c}2403.00001\u{201d},",
            "arXiv preprint arXiv:2403.00001",
            "arXiv e-prints, arXiv:2403.00001",
            "CoRR abs/2403.00001",
            "abs/2403.00001",
            "oai:arXiv.org:2403.00001",
            "info:arxiv/2403.00001",
            "info:eu-repo/semantics/altIdentifier/arxiv/2403.00001",
            "https://arxiv.org/abs/2403.00001",
            "http://arxiv.org/abs/2403.00001v3",
            "HTTPS://ArXiv.org/abs/2403.00001",
            "https:/arxiv.org/abs/2403.00001",
            "arxiv.org/abs/2403.00001",
            "www.arxiv.org/pdf/2403.00001v2.pdf",
            "https://arxiv.org/pdf/2403.00001",
            "https://arxiv.org/pdf/2403.00001v1.pdf?download=true#page=3",
            "https://arxiv.org/html/2403.00001v1/#S3.SS1",
            "https://arxiv.org/html/2403.00001v1/x1.png",
            "https://arxiv.org/e-print/2403.00001",
            "https://arxiv.org/src/2403.00001v2",
            "https://arxiv.org/format/2403.00001",
            "https://arxiv.org/abs/arXiv:2403.00001",
            "https://arxiv.org/abs/2403.00001?utm_source=feed&utm_medium=rss#top",
            "https://export.arxiv.org/abs/2403.00001",
            "https://rss.arxiv.org/abs/2403.00001",
            "https://ar5iv.labs.arxiv.org/html/2403.00001",
            "https://ar5iv.org/abs/2403.00001",
            "https://www.alphaxiv.org/abs/2403.00001v1",
            "https://www.alphaxiv.org/overview/2403.00001",
            "https://huggingface.co/papers/2403.00001",
            "https://www.semanticscholar.org/arxiv/2403.00001",
            "https://api.semanticscholar.org/arXiv:2403.00001",
            "10.48550/arXiv.2403.00001",
            "10.48550/ARXIV.2403.00001v1",
            "https://doi.org/10.48550/arXiv.2403.00001",
            "https://doi.org/10.48550%2FarXiv.2403.00001",
            "2403\u{200b}.00001",
        ],
    ),
    (
        "arxiv:math/0309136",
        &[
            "math/0309136",
            "math.GT/0309136",
            "math.GT/0309136v1",
            "arXiv:math.GT/0309136v2",
            "http://arxiv.org/abs/math.GT/0309136v1",
            "https://arxiv.org/pdf/math/0309136v1.pdf",
            "https://arxiv.org/abs/math%2F0309136",
            "oai:arXiv.org:math/0309136",
            "10.48550/arXiv.math/0309136",
            "arXiv:math/0309136 [math.GT]",
        ],
    ),
    (
        "arxiv:cs/0101001",
        &["cs.CL/0101001", "https://ar5iv.org/html/cs/0101001"],
    ),
    ("arxiv:cond-mat/9701001", &["cond-mat.str-el/9701001"]),
    (
        "doi:10.4230/dagman.6.1.1",
        &[
            "10.4230/dagman.6.1.1",
            "10.4230/DagMan.6.1.1",
            "10.4230%2Fdagman.6.1.1",
            "10.4230%252Fdagman.6.1.1",
            "doi:10.4230/dagman.6.1.1",
            "DOI 10.4230/dagman.6.1.1",
            "DOI: 10.4230/dagman.6.1.1.",
            "doi: https://doi.org/10.4230/dagman.6.1.1",
            "info:doi/10.4230/dagman.6.1.1",
            "urn:doi:10.4230/dagman.6.1.1",
            "https://doi.org/10.4230/DagMan.6.1.1",
            "https://doi.org/10.4230%2Fdagman.6.1.1",
            "https://www.doi.org/10.4230/dagman.6.1.1",
            "http://dx.doi.org/10.4230/dagman.6.1.1",
            "https://dx.doi.org/doi:10.4230/dagman.6.1.1",
            "doi.org/10.4230/dagman.6.1.1",
            "(https://doi.org/10.4230/dagman.6.1.1),",
            "https://doi.org/10.4230/dagman.6.1.1?utm_source=feed",
            "10.4230/dagman.6.1.1?ref=home",
            "https://drops.dagstuhl.de/entities/document/10.4230/DagMan.6.1.1",
            "https://api.openalex.org/works/https://doi.org/10.4230/dagman.6.1.1",
            "https://api.openalex.org/works/doi:10.4230/dagman.6.1.1",
            "<https://doi.org/10.4230/dagman.6.1.1>",
            "{10.4230/dagman.6.1.1}",
        ],
    ),
    (
        "doi:10.1007/978-3-030-15719-7_27",
        &[
            "10.1007/978-3-030-15719-7\\_27",
            "10.1007/978-3-030-15719-7{\\_}27",
            "https://link.springer.com/chapter/10.1007/978-3-030-15719-7_27#citeas",
            "https://link.springer.com/content/pdf/10.1007%2F978-3-030-15719-7_27.pdf",
            "https://link.springer.com/10.1007/978-3-030-15719-7_27",
        ],
    ),
    (
        "doi:10.1145/3292500.3330701",
        &[
            "https://dl.acm.org/doi/10.1145/3292500.3330701",
            "https://dl.acm.org/doi/abs/10.1145/3292500.3330701",
            "https://dl.acm.org/doi/pdf/10.1145/3292500.3330701?download=true",
            "dl.acm.org/doi/10.1145/3292500.3330701",
            "https://doi.acm.org/10.1145/3292500.3330701",
            "https://dl-acm-org.proxy.example/doi/fullHtml/10.1145/3292500.3330701",
        ],
    ),
    (
        "doi:10.1002/abc.123",
        &[
            "https://onlinelibrary.wiley.com/doi/10.1002/abc.123",
            "https://onlinelibrary.wiley.com/doi/full/10.1002/abc.123",
            "https://onlinelibrary.wiley.com/doi/epdf/10.1002/abc.123",
        ],
    ),
    (
        "doi:10.1101/2026.05.05.000009",
        &[
            "https://www.biorxiv.org/content/10.1101/2026.05.05.000009v2.full",
            "https://www.biorxiv.org/content/10.1101/2026.05.05.000009v1?rss=1",
            "https://www.biorxiv.org/content/10.1101/2026.05.05.000009v2.full.pdf+html",
            "https://www.medrxiv.org/content/10.1101/2026.05.05.000009v1.abstract",
        ],
    ),
    (
        "doi:10.1002/(sici)1097-0258(19980815)17:15<1661::aid-sim968>3.0.co;2-2",
        &[
            "10.1002/(SICI)1097-0258(19980815)17:15<1661::AID-SIM968>3.0.CO;2-2",
            "10.1002/(SICI)1097-0258(19980815)17:15%3C1661::AID-SIM968%3E3.0.CO;2-2",
            "10.1002/(SICI)1097-0258(19980815)17:15&lt;1661::AID-SIM968&gt;3.0.CO;2-2",
        ],
    ),
    (
        "doi:10.1016/s0140-6736(20)30183",
        &["(doi:10.1016/S0140-6736(20)30183)"],
    ),
    (
        "doi:10.1371/journal.pone.0000001",
        &["https://journals.plos.org/plosone/article?id=10.1371/journal.pone.0000001"],
    ),
    (
        "doi:10.1093/bioinformatics/btaa123",
        &["https://academic.oup.com/bioinformatics/article/doi/10.1093/bioinformatics/btaa123/5741234"],
    ),
    (
        "doi:10.1038/s41586-020-2649-2",
        &["https://www.nature.com/articles/s41586-020-2649-2.pdf"],
    ),
    (
        "acl:P19-1001",
        &[
            "acl:P19-1001",
            "ACL P19-1001",
            "https://aclanthology.org/P19-1001/",
            "https://www.aclanthology.org/P19-1001v2.pdf",
            "https://www.aclweb.org/anthology/P19-1001.pdf",
        ],
    ),
    (
        "acl:2024.acl-long.1",
        &[
            "2024.acl-long.1",
            "https://aclanthology.org/2024.acl-long.1.pdf",
            "acl:2024.acl-long.1",
        ],
    ),
    (
        "pubmed:31452104",
        &[
            "PMID: 31452104",
            "pmid:031452104",
            "PMID 31452104",
            "pubmed:31452104",
            "https://pubmed.ncbi.nlm.nih.gov/31452104/?format=pubmed",
            "https://www.ncbi.nlm.nih.gov/pubmed/31452104",
            "https://europepmc.org/article/MED/31452104",
        ],
    ),
    (
        "pmc:PMC3531190",
        &[
            "PMC3531190",
            "pmc:PMC3531190",
            "PMCID: PMC3531190",
            "https://www.ncbi.nlm.nih.gov/pmc/articles/PMC3531190/",
            "https://pmc.ncbi.nlm.nih.gov/articles/PMC3531190/pdf/a.pdf",
            "https://europepmc.org/articles/PMC3531190",
        ],
    ),
    (
        "openalex:W2741809807",
        &[
            "W2741809807",
            "w2741809807",
            "openalex:W2741809807",
            "https://openalex.org/W2741809807",
            "https://api.openalex.org/works/W2741809807?select=id",
            "https://openalex.org/works/w2741809807",
        ],
    ),
    (
        "s2:649def34f8be52c8b66281af98ae884c09aef38b",
        &[
            "s2:649DEF34F8BE52C8B66281AF98AE884C09AEF38B",
            "https://www.semanticscholar.org/paper/649def34f8be52c8b66281af98ae884c09aef38b",
            "https://www.semanticscholar.org/paper/Some-Title-Lee/649def34f8be52c8b66281af98ae884c09aef38b",
            "https://api.semanticscholar.org/graph/v1/paper/649def34f8be52c8b66281af98ae884c09aef38b?fields=title",
        ],
    ),
    (
        "corpusid:215416146",
        &[
            "CorpusId:215416146",
            "https://api.semanticscholar.org/CorpusID:215416146",
        ],
    ),
    (
        "isbn:9783161484100",
        &[
            "ISBN 978-3-16-148410-0",
            "isbn:9783161484100",
            "ISBN-10: 3-16-148410-X",
            "urn:isbn:316148410X",
            "978-3-16-148410-0",
        ],
    ),
];

/// Texts that look like identifiers and are none, or none for certain.
const OTHERS: &[&str] = &[
    "",
    "seed-12",
    "12345678",
    "3.14159",
    "1234.5678",
    "2413.00001",
    "2403.001",
    "1912.0001",
    "foo/0309136",
    "abs/0309136",
    "math/030913",
    "https://arxiv.org/list/cs.CL/recent",
    "https://arxiv.org/a/lee_1",
    "https://arxiv.org/",
    "https://arxiv.org@evil.example/abs/2403.00001",
    "https://arxiv.org.evil.example/abs/2403.00001",
    "https://notarxiv.org/abs/2403.00001",
    "https://example.org/10.1145/x",
    "https://example.org/?url=https://arxiv.org/abs/2403.00001",
    "https://doi.org/",
    "https://doi.org/help.html",
    "10.1145",
    "10.1145/",
    "10.11/x",
    "10.1145/a b",
    "11.1145/x",
    "doi:nope",
    "arXiv",
    "arXiv and beyond",
    "PubMed 2024",
    "W12",
    "WIDE",
    "P19-1001",
    "2024.acl",
    "https://aclanthology.org/people/a/ada-lovelace/",
    "https://aclanthology.org/events/acl-2024/",
    "https://openalex.org/A5023888391",
    "649def34f8be52c8b66281af98ae884c09aef38b",
    "ISBN 978-3-16-148410-1",
    "9783161484100",
    "C:N",
    "Transformers: a survey",
    "https://huggingface.co/datasets/2403.00001",
];

#[test]
fn every_spelling_names_its_paper() {
    for (id, spellings) in SPELLINGS {
        for spelling in *spellings {
            let known = Identifier::recognise(spelling).map(|identifier| identifier.to_string());
            assert_eq!(known.as_deref(), Some(*id), "{spelling}");
            let submitted = PaperId::from_submission(spelling, "api").map(|id| id.to_string());
            assert_eq!(submitted.as_deref(), Ok(*id), "{spelling}");
            let identifier = Identifier::recognise(id).expect(id);
            assert_eq!(
                Identifier::new(identifier.scheme(), spelling),
                Ok(identifier),
                "{spelling}"
            );
        }
    }
}

#[test]
fn what_is_no_identifier_is_not_guessed() {
    for text in OTHERS {
        assert_eq!(Identifier::recognise(text), None, "{text}");
    }
    for own in [
        "seed-12",
        "1234.5678",
        "foo/0309136",
        "https://arxiv.org/a/lee_1",
        "https://doi.org/help.html",
    ] {
        let id = PaperId::from_submission(own, "api").expect(own);
        assert_eq!(id.as_str(), format!("api:{own}"));
    }
}

#[test]
fn a_bare_value_is_read_where_its_scheme_is_known() {
    let read = |scheme, value| Identifier::new(scheme, value).map(|id| id.to_string());
    assert_eq!(read(Scheme::Pubmed, "0123").as_deref(), Ok("pubmed:123"));
    assert_eq!(read(Scheme::OpenAlex, "w12").as_deref(), Ok("openalex:W12"));
    assert_eq!(read(Scheme::Acl, "p19-1001").as_deref(), Ok("acl:P19-1001"));
    assert_eq!(read(Scheme::Pmc, "3531190").as_deref(), Ok("pmc:PMC3531190"));
    assert_eq!(
        read(Scheme::Doi, "https://arxiv.org/abs/2403.00001").as_deref(),
        Ok("arxiv:2403.00001")
    );
    let error = Identifier::new(Scheme::Doi, "11.1/x").expect_err("no DOI").to_string();
    assert_eq!(error, "\"11.1/x\" is no doi id; it looks like 10.1145/3292500");
    for (scheme, wrong) in [
        (Scheme::SemanticScholar, "abc"),
        (Scheme::Isbn, "316148410é"),
        (Scheme::Isbn, "0000000001"),
        (Scheme::Pubmed, "12a"),
    ] {
        assert!(Identifier::new(scheme, wrong).is_err(), "{wrong}");
    }
}

#[test]
fn own_ids_are_prefixed_with_their_source() {
    let id = |text| PaperId::from_submission(text, "seed").expect(text).to_string();
    assert_eq!(id("seed-12"), "seed:seed-12");
    assert_eq!(id("seed:12"), "seed:12");
    assert_eq!(id("api:12"), "seed:api:12");
    let of_title = PaperId::from_title("A title", None);
    assert_eq!(PaperId::from_submission(of_title.as_str(), "arxiv"), Ok(of_title));
    let pubmed = PaperId::from_submission("0123", "pubmed").expect("an id");
    assert_eq!(pubmed.as_str(), "pubmed:123");
}

#[test]
fn bad_ids_say_what_is_wrong() {
    assert_eq!(PaperId::parse(""), Err(IdError::Empty));
    assert!(matches!(
        PaperId::from_submission("arxiv:12", "x"),
        Err(IdError::Arxiv(_))
    ));
    assert!(matches!(
        PaperId::from_submission("doi:nope", "x"),
        Err(IdError::Doi(_))
    ));
    assert!(matches!(PaperId::from_submission("a b", "x"), Err(IdError::Blank(_))));
    assert!(matches!(PaperId::parse(&"x".repeat(300)), Err(IdError::TooLong(300))));
    assert!(matches!(PaperId::parse("plain"), Err(IdError::NoScheme(_))));
    assert!(matches!(
        PaperId::parse("https://example.org/x"),
        Err(IdError::NoScheme(_))
    ));
}

#[test]
fn a_paper_of_the_anthology_is_looked_for_twice() {
    let candidates = |id: &str| {
        let all = PaperId::parse(id).expect(id).candidates();
        all.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let (acl, doi) = ("acl:P19-1001", "doi:10.18653/v1/p19-1001");
    assert_eq!(candidates("https://aclanthology.org/P19-1001"), [acl, doi]);
    assert_eq!(candidates(doi), [doi, acl]);
    assert_eq!(candidates("seed:1"), ["seed:1"]);
}

#[test]
fn titles_that_differ_only_in_spelling_share_an_id() {
    let one = PaperId::from_title("Deep  Learning: a survey", Some("José Núñez"));
    assert_eq!(one, PaperId::from_title("deep learning — A Survey", Some("jose nunez")));
    assert_ne!(one, PaperId::from_title("Deep Learning: a survey", Some("Other")));
}

/// Texts made of what spellings are made of.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "arXiv:",
        "https://",
        "arxiv.org/",
        "abs/",
        "2403.00001",
        "v2",
        ".pdf",
        "math.GT/",
        "0309136",
        "doi:",
        "10.1145/",
        "x",
        "%2F",
        "%25",
        "&lt;",
        "\\_",
        "{",
        "}",
        "(",
        ")",
        "?utm_source=a",
        "#a",
        "doi.org/",
        "10.18653/v1/",
        "P19-1001",
        "biorxiv.org/content/",
        ".full",
        "PMID:",
        "123",
        "W12",
        "isbn:",
        "978-3-16-148410-0",
        "10.48550/arXiv.",
        " ",
        "é",
        "\u{200b}",
        "%",
        "s2:",
        "doi/",
        "semanticscholar.org/",
        "openalex.org/works/",
        "[cs.CL]",
        "..",
        "PMC3531190",
    ]);
    prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    if let Some(known) = Identifier::recognise(text) {
        prop_assert_eq!(Identifier::recognise(&known.to_string()), Some(known.clone()));
        prop_assert_eq!(Identifier::from_display(&known.to_string()), Some(known));
    }
    for scheme in Scheme::ALL {
        if let Ok(known) = Identifier::new(scheme, text) {
            prop_assert_eq!(Identifier::new(known.scheme(), known.value()), Ok(known.clone()));
            prop_assert_eq!(PaperId::parse(&known.to_string()), Ok(known.into()));
        }
    }
    for source in ["api", "doi", "pubmed", "acl"] {
        if let Ok(id) = PaperId::from_submission(text, source) {
            prop_assert_eq!(PaperId::parse(id.as_str()), Ok(id.clone()));
            prop_assert_eq!(PaperId::from_submission(id.as_str(), source), Ok(id));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_canonical_spelling_of_any_text_is_its_own(text in "\\PC*|[ -~]{0,40}") {
        holds(&text)?;
    }

    #[test]
    fn the_canonical_spelling_of_any_pieces_is_its_own(text in pieces()) {
        holds(&text)?;
    }
}
