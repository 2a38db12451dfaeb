//! Files in every format, shape and packing that people have: what is read, what is refused and where, and what a file is
//! called that holds no papers.

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use domain::LinkKind;
use sources::files::{Compression, FileEvent, FileFormat, FileOptions, FilePage, UnreadFields, read};
use sources::{PageContext, RecordLocation, SourceError, SourceKind};

/// A file that was read.
#[derive(Default)]
struct FileRead {
    format: Option<(FileFormat, Compression)>,
    page: support::Read,
    places: Vec<RecordLocation>,
    unread: UnreadFields,
    error: Option<SourceError>,
}

impl FileRead {
    fn of(bytes: &[u8]) -> Self {
        Self::with(bytes, &FileOptions::default())
    }

    fn with(bytes: &[u8], options: &FileOptions) -> Self {
        let context = PageContext::new("test", SourceKind::Files, support::now());
        let mut file = Self::default();
        let summary = read(bytes, "papers", FilePage::WHOLE, options, &context, &mut |event| {
            match event {
                FileEvent::Format(format, compression) => file.format = Some((format, compression)),
                FileEvent::Item(location, item) => {
                    file.places.push(location);
                    file.page.take(item);
                }
            }
            Ok(())
        });
        match summary {
            Ok(summary) => file.unread = summary.unread,
            Err(error) => file.error = Some(error),
        }
        file
    }

    fn format(&self) -> FileFormat {
        self.format.expect("a format").0
    }

    fn titles(&self) -> Vec<&str> {
        let papers = self.page.papers.iter();
        papers.map(|paper| paper.submission.title.as_str()).collect()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).expect("packed");
    packed.finish().expect("packed")
}

/// One file in each format, with two papers called `Tides` and `Harbour lights`.
fn files() -> Vec<(FileFormat, String)> {
    let openalex = |id: u32, title: &str| {
        format!(
            r#"{{"id":"https://openalex.org/W{id}","display_name":"{title}","abstract_inverted_index":{{"We":[0],"measure":[1]}},
        "authorships":[{{"author":{{"display_name":"Ada Lovelace"}}}}],"publication_date":"2024-03-01"}}"#
        )
    };
    let crossref = |id: u32, title: &str| {
        format!(
            r#"{{"DOI":"10.5555/{id}","title":["{title}"],"author":[{{"given":"Ada","family":"Lovelace"}}],"issued":{{"date-parts":[[2024,3,1]]}}}}"#
        )
    };
    vec![
        (
            FileFormat::Jsonl,
            "{\"id\":\"1\",\"title\":\"Tides\",\"authors\":[\"Ada Lovelace\"],\"published\":\"2024-03-01\"}\n\n{\"title\":\"Harbour lights\"}\n".into(),
        ),
        (
            FileFormat::ArxivSnapshot,
            "{\"id\":\"0704.0001\",\"authors\":\"A. Lovelace\",\"authors_parsed\":[[\"Lovelace\",\"Ada\",\"\"]],\"title\":\"Tides\",\"versions\":[{\"version\":\"v1\",\"created\":\"Fri, 1 Mar 2024 00:00:00 GMT\"}],\"update_date\":\"2025-01-01\"}\n{\"id\":\"math/0309136\",\"title\":\"Harbour lights\",\"authors_parsed\":[]}\n".into(),
        ),
        (
            FileFormat::SemanticScholar,
            "{\"corpusid\":7,\"externalids\":{\"DOI\":\"10.5555/7\"},\"title\":\"Tides\",\"authors\":[{\"authorId\":\"1\",\"name\":\"Ada Lovelace\"}],\"publicationdate\":\"2024-03-01\",\"year\":2024}\n{\"corpusid\":8,\"externalids\":{},\"title\":\"Harbour lights\"}\n".into(),
        ),
        (FileFormat::Openalex, format!("{{\"meta\":{{}},\"results\":[{},{}]}}", openalex(1, "Tides"), openalex(2, "Harbour lights"))),
        (FileFormat::Crossref, format!("{{\"status\":\"ok\",\"message\":{{\"items\":[{},\n{}]}}}}", crossref(1, "Tides"), crossref(2, "Harbour lights"))),
        (
            FileFormat::Huggingface,
            r#"[{"paper":{"id":"2403.00001","title":"Tides","authors":[{"name":"Ada Lovelace"}],"publishedAt":"2024-03-01T00:00:00Z","upvotes":3}},{"paper":{"id":"2403.00002","title":"Harbour lights"}}]"#.into(),
        ),
        (
            FileFormat::Csl,
            r#"[{"id":"a","title":"Tides","author":[{"family":"Lovelace","given":"Ada"}],"issued":{"date-parts":[[2024,3,1]]}},{"id":"b","title":"Harbour lights","issued":{"raw":"2024"}}]"#.into(),
        ),
        (
            FileFormat::Bibtex,
            "@article{a, title={Tides}, author={Lovelace, Ada}, date={2024-03-01}}\n@misc{b, title={Harbour lights}}\n".into(),
        ),
        (
            FileFormat::Ris,
            "TY  - JOUR\r\nTI  - Tides\r\nAU  - Lovelace, Ada\r\nDA  - 2024/03/01/\r\nPY  - 2024\r\nER  - \r\n\r\nTY  - JOUR\r\nT1  - Harbour lights\r\nER  - \r\n".into(),
        ),
        (
            FileFormat::Medline,
            "\nPMID- 11\nTI  - Tides\nFAU - Lovelace, Ada\nAU  - Lovelace A\nDP  - 2024 Mar 1\nLID - 10.5555/11 [doi]\n\nPMID- 12\nTI  - Harbour lights\nAB  - We measure\n      them.\n".into(),
        ),
        (
            FileFormat::Pubmed,
            "<?xml version=\"1.0\"?><PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>11</PMID><Article><ArticleTitle>Tides</ArticleTitle>\
             <AuthorList><Author><LastName>Lovelace</LastName><ForeName>Ada</ForeName></Author></AuthorList>\
             <ArticleDate><Year>2024</Year><Month>03</Month><Day>01</Day></ArticleDate></Article>\
             <CommentsCorrectionsList><CommentsCorrections><PMID>99</PMID></CommentsCorrections></CommentsCorrectionsList></MedlineCitation></PubmedArticle>\
             <PubmedArticle><MedlineCitation><PMID>12</PMID><Article><ArticleTitle>Harbour lights</ArticleTitle></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>".into(),
        ),
        (
            FileFormat::Csv,
            "\u{feff}Authors;Document Title;Publication Date;DOI\r\n\"Lovelace, Ada\";Tides;2024-03-01;10.5555/1\r\n;\"Harbour lights\";;\r\n".into(),
        ),
    ]
}

#[test]
fn every_format_is_known_by_its_content_and_read() {
    for (format, text) in files() {
        let file = FileRead::of(text.as_bytes());
        assert!(file.error.is_none(), "{format:?}: {:?}", file.error);
        assert_eq!(file.format(), format, "{text}");
        assert_eq!(
            file.titles(),
            ["Tides", "Harbour lights"],
            "{format:?}: {:?}",
            file.page.quarantined
        );
        let first = &file.page.papers[0].submission;
        assert_eq!(first.authors, ["Ada Lovelace"], "{format:?}");
        let published = first.published.map(|date| date.to_string());
        assert_eq!(published.as_deref(), Some("2024-03-01T00:00:00Z"), "{format:?}");
        let without_id = [
            FileFormat::Jsonl,
            FileFormat::Ris,
            FileFormat::Medline,
            FileFormat::Csv,
            FileFormat::Bibtex,
        ];
        if without_id.contains(&format) {
            assert_eq!(
                file.page.papers[1].submission.published, None,
                "{format:?}: no date is made up"
            );
        }
    }
}

#[test]
fn packed_files_and_other_encodings_read_the_same() {
    for (format, text) in files() {
        let utf_16: Vec<u8> = std::iter::once(0xfeff)
            .chain(text.trim_start_matches('\u{feff}').encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        for (bytes, compression) in [(gzip(text.as_bytes()), Compression::Gzip), (utf_16, Compression::Plain)] {
            let file = FileRead::of(&bytes);
            assert_eq!(file.format, Some((format, compression)));
            assert_eq!(file.titles(), ["Tides", "Harbour lights"], "{format:?}");
        }
    }
}

#[test]
fn a_file_cut_off_anywhere_gives_what_is_whole() {
    for (format, text) in files() {
        for end in 0..text.len() {
            let bytes = &text.as_bytes()[..end];
            let options = FileOptions {
                format: Some(format),
                ..FileOptions::default()
            };
            let file = FileRead::with(bytes, &options);
            let titles = file.titles();
            let whole: Vec<&str> = ["Tides", "Harbour lights"].into_iter().take(titles.len()).collect();
            // A table and BibTeX cannot tell a value that was cut off from a short one.
            if format != FileFormat::Csv {
                assert_eq!(titles, whole, "{format:?} cut off at {end}: {text}");
            }
            let _ = FileRead::of(bytes);
            let _ = FileRead::of(&gzip(text.as_bytes())[..end.min(gzip(text.as_bytes()).len())]);
        }
    }
}

#[test]
fn a_refused_record_is_named_with_its_place() {
    let text = "{\"title\":\"Tides\"}\n\nnot json\n{\"title\":\" \"}\n{\"title\":\"T\",\"published\":\"2999-01-01\"}\n[1]\n{\"id\":7,\"title\":\"Harbour lights\"}\n";
    let file = FileRead::of(text.as_bytes());
    assert_eq!(file.titles(), ["Tides", "Harbour lights"]);
    let places: Vec<(u64, u64)> = file
        .page
        .quarantined
        .iter()
        .map(|one| (one.location.line, one.location.byte))
        .collect();
    assert_eq!(places[0], (3, 19));
    assert_eq!(places.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4, 5, 6]);
    let reasons = file.page.reasons();
    assert!(reasons[0].starts_with("the record is no JSON"), "{reasons:?}");
    assert!(reasons[1].starts_with("title is \"\""), "{reasons:?}");
    assert!(reasons[2].contains("2999-01-01"), "{reasons:?}");
    assert_eq!(reasons[3], "the record is no object");
}

#[test]
fn optional_fields_of_any_type_are_taken() {
    let text = r#"{"id":"n1","title":"Null abstract","abstract":null,"authors":["Ann Lee"],"published":"2026-01-01"}
{"id":"n2","title":"Null authors","authors":null}
{"id":"n3","title":"Null dates","published":null,"url":null,"doi":NaN}
{"id":4,"title":"A year","published":2024}
{"id":"0704.9999","submitter":"A Lee","authors":"A. Lee, B. Ray and C. D. van Dam","title":"Of the snapshot\n  with a break","comments":null,"doi":null,"categories":"hep-ph math.GT","update_date":"2008-11-26","authors_parsed":[["Lee","A.",""],["Ray","B.",""],["van Dam","C. D.",""]]}
{"id":"n6","title":"Milliseconds","published":1709251200000,"categories":null,"journal":{"name":"J"}}
{"id":"n7","title":"RFC date","published":"Tue, 05 Mar 2024 10:00:00 GMT","authors":[{"name":"Ann Lee"},{"family":"Ray","given":"Bob"}]}
{"id":"n8","title":"Authors as text","authors":"Ann Lee; Bob Ray","categories":["cs.CL cs.LG"]}
"#;
    let file = FileRead::of(text.as_bytes());
    assert_eq!(file.page.papers.len(), 8, "{:?}", file.page.quarantined);
    let paper = |index: usize| &file.page.papers[index].submission;
    assert_eq!(paper(4).authors, ["A. Lee", "B. Ray", "C. D. van Dam"]);
    assert_eq!(paper(4).id, "arxiv:0704.9999");
    let published = paper(4).published.map(|date| date.to_string());
    assert_eq!(
        published.as_deref(),
        Some("2007-04-01T00:00:00Z"),
        "by its id, not by its update"
    );
    assert_eq!(paper(6).authors, ["Ann Lee", "Bob Ray"]);
    assert_eq!(paper(7).categories, ["cs.CL", "cs.LG"]);
    assert_eq!(file.unread.to_string(), "journal 1×");
}

#[test]
fn plain_text_stays_as_it_was_written() {
    let text = "{\"title\":\"<script>alert(1)</script> & <b>hedgehogs</b>\",\"abstract\":\"a <S> b\"}";
    let file = FileRead::of(text.as_bytes());
    assert_eq!(file.titles(), ["<script>alert(1)</script> & <b>hedgehogs</b>"]);
    assert_eq!(file.page.papers[0].submission.abstract_text, "a <S> b");
}

#[test]
fn exports_of_databases_are_read_by_their_columns() {
    for (text, url) in [
        (
            "Key,Item Type,Publication Year,Author,Title,DOI,Url,Abstract Note,Date\nX1,journalArticle,2024,\"Lovelace, Ada; Turing, Alan\",Tides,10.5555/1,https://example.org/1,We measure.,2024-03-01\n",
            true,
        ),
        (
            "Authors,Author full names,Title,Year,DOI,Link,Abstract,EID\n\"Lovelace A.; Turing A.\",\"Lovelace, Ada (571); Turing, Alan (9)\",Tides,2024,10.5555/1,https://example.org/1,We measure.,2-s2.0-1\n",
            true,
        ),
        (
            "PT\tAU\tAF\tTI\tID\tAB\tPY\tDI\tUT\nJ\tLovelace, A; Turing, A\tLovelace, Ada; Turing, Alan\tTides\tWAVES\tWe measure.\t2024\t10.5555/1\tWOS:1\n",
            false,
        ),
        (
            "sep=|\nTitle|Authors|Abstract|DOI|Link|Year\nTides|Ada Lovelace; Alan Turing|We measure.|10.5555/1|https://example.org/1|2024\n",
            true,
        ),
    ] {
        let file = FileRead::of(text.as_bytes());
        assert_eq!(
            (file.format(), file.titles()),
            (FileFormat::Csv, vec!["Tides"]),
            "{text}"
        );
        let paper = &file.page.papers[0].submission;
        assert_eq!(paper.authors, ["Ada Lovelace", "Alan Turing"], "{text}");
        assert_eq!(
            (paper.id.as_str(), paper.abstract_text.as_str()),
            ("doi:10.5555/1", "We measure."),
            "{text}"
        );
        assert_eq!(
            paper.links.iter().any(|(kind, _)| *kind == LinkKind::Abstract),
            url,
            "{text}"
        );
        assert!(
            paper.published.is_some_and(|date| date.to_string().starts_with("2024")),
            "{text}"
        );
    }
}

#[test]
fn a_record_of_another_shape_among_them_is_taken() {
    let text = "{\"paperId\":\"649def34f8be52c8b66281af98ae884c09aef38b\",\"title\":\"Tides\"}\n{\"paperId\":\"749def34f8be52c8b66281af98ae884c09aef38b\",\"title\":\"More\"}\n{\"id\":\"x\",\"title\":\"Harbour lights\"}\n";
    let file = FileRead::of(text.as_bytes());
    assert_eq!(file.format(), FileFormat::SemanticScholar);
    assert_eq!(file.titles(), ["Tides", "More", "Harbour lights"]);
}

#[test]
fn what_is_no_file_of_papers_is_called_what_it_is() {
    for (bytes, expected) in [
        (
            &b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title>"[..],
            "an HTML page titled \"502 Bad Gateway\"",
        ),
        (b"%PDF-1.7\n\0\0", "a PDF"),
        (b"nothing of the kind\nat all\n", "nothing of the kind"),
        (b"name,year\nx,2024\n", "name,year"),
    ] {
        let file = FileRead::of(bytes);
        let error = file.error.expect("an error").to_string();
        assert!(error.contains(expected), "{error}");
        assert!(file.page.papers.is_empty());
    }
    let forced = FileOptions {
        format: Some(FileFormat::Csv),
        ..FileOptions::default()
    };
    let error = FileRead::with(b"name,year\nx,2024\n", &forced)
        .error
        .expect("an error")
        .to_string();
    assert!(error.contains("the header names no title"), "{error}");
    assert!(
        FileRead::of(b"").error.is_none(),
        "an empty file has no papers, and that is all"
    );
}

#[test]
fn a_mapping_names_columns_and_nested_keys() {
    let options = FileOptions {
        mapping: BTreeMap::from([
            ("title".to_owned(), "meta.name".to_owned()),
            ("published".to_owned(), "when".to_owned()),
        ]),
        ..FileOptions::default()
    };
    let file = FileRead::with(
        br#"{"title":"no","meta":{"name":"Tides"},"when":"2024-03-01"}"#,
        &options,
    );
    assert_eq!(file.titles(), ["Tides"]);
    assert!(
        file.page.papers[0].submission.published.is_some() && file.unread.is_empty(),
        "{}",
        file.unread
    );
}

#[test]
fn a_line_without_end_costs_little_memory() {
    let begin = &b"{\"title\":\"Tides\"}\n{\"title\":\""[..];
    let endless = std::io::repeat(b'x').take(1 << 30);
    let end = &b"\"}\n{\"title\":\"Harbour lights\"}\n"[..];
    let context = PageContext::new("test", SourceKind::Files, support::now());
    let (mut page, mut largest) = (support::Read::default(), 0);
    let options = FileOptions::default();
    let input = begin.chain(endless).chain(end);
    let summary = read(input, "papers", FilePage::WHOLE, &options, &context, &mut |event| {
        if let FileEvent::Item(_, item) = event {
            page.take(item);
        }
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
        largest = largest.max(kilobytes.unwrap_or(0));
        Ok(())
    });
    summary.expect("a summary");
    assert_eq!(page.papers.len(), 2);
    assert!(page.reasons()[0].contains("bytes"), "{:?}", page.reasons());
    assert!(largest < 256 << 10, "{largest} kB");
}
