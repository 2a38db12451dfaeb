//! What authors wrote arrives as they wrote it, by what each source says its texts are.

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use domain::merging::Scheme;
use sources::parsing::PageFormat;
use support::{Read, read};

fn oai(records: &[&str]) -> Read {
    let mut list = String::new();
    for (number, fields) in records.iter().enumerate() {
        let id = format!("2605.0000{number}");
        list.extend([
            "<record><header><identifier>oai:arXiv.org:",
            &id,
            "</identifier><datestamp>2026-05-02</datestamp></header>",
        ]);
        list.extend([
            "<metadata><arXiv><id>",
            &id,
            "</id><created>2026-05-01</created>",
            fields,
            "</arXiv></metadata></record>",
        ]);
    }
    let page = format!("<OAI-PMH><ListRecords>{list}</ListRecords></OAI-PMH>");
    read(PageFormat::ArxivOai, page.as_bytes()).expect("a page")
}

fn crossref(items: &str) -> Read {
    let page = format!("{{\"message\":{{\"items\":[{items}]}}}}");
    read(PageFormat::Crossref, page.as_bytes()).expect("a page")
}

fn titles(page: &Read) -> Vec<&str> {
    page.papers
        .iter()
        .map(|record| record.submission.title.as_str())
        .collect()
}

/// The day a paper was published; empty where it is unknown.
fn day(record: &domain::merging::SourceRecord) -> String {
    let date = record.submission.published.map(|date| date.to_string());
    date.map_or_else(String::new, |date| date[..10].to_owned())
}

#[test]
fn arxiv_is_plain_text_with_tex() {
    let page = oai(&[
        "<title>Do &lt;b&gt; and &lt;/b&gt; end a thought?</title><abstract> Means &lt;E&gt; and &lt;p&gt;, if x&lt;y, say {\\em so}, cost \\$5 or \\$6, with $\\|x\\|_2$ &amp;amp; more.</abstract>",
        "<title>On Poincar\\'e</title><authors><author><keyname>Sm\\'{\\i}\\v{s}ek</keyname><forenames>J\\'an</forenames></author>\
         <author><keyname>{\\O}ster</keyname><forenames>Bj\\\"{o}rn</forenames><suffix>Jr.</suffix></author></authors><abstract>x</abstract>",
    ]);
    assert_eq!(titles(&page), ["Do <b> and </b> end a thought?", "On Poincaré"]);
    assert_eq!(
        page.papers[0].submission.abstract_text,
        "Means <E> and <p>, if x<y, say {\\em so}, cost $5 or $6, with $\\|x\\|_2$ & more."
    );
    assert_eq!(page.papers[1].submission.authors, ["Ján Smíšek", "Björn Øster Jr."]);
}

#[test]
fn withdrawals_in_any_wording_are_withdrawals() {
    let page = oai(&[
        "<title>A</title><comments>arXiv admin note: This submission has been withdrawn by arXiv administrators</comments><abstract>b</abstract>",
        "<title>B</title><abstract>This manuscript has been withdrawn by its author.</abstract>",
        "<title>C</title><comments>Withdrawn from a workshop</comments><abstract>On drug withdrawal.</abstract>",
    ]);
    assert_eq!((page.withdrawn.len(), titles(&page)), (2, vec!["C"]));
    assert!(
        page.withdrawn[0].reason.contains("arXiv administrators"),
        "{:?}",
        page.withdrawn[0]
    );
}

#[test]
fn a_formula_of_crossref_appears_once() {
    let page = crossref(
        r#"{"DOI":"10.5555/f1","title":["At 10<sup>-6</sup> Pa: <i>Fucus</i>"],"abstract":"<jats:title>Abstract</jats:title><jats:p>Of <jats:inline-formula><jats:alternatives><jats:tex-math>\\documentclass{minimal}\\begin{document}$$\\beta$$\\end{document}</jats:tex-math><mml:math><mml:mi>β</mml:mi></mml:math></jats:alternatives></jats:inline-formula>, p &amp;lt; 0.1.</jats:p>"}"#,
    );
    assert_eq!(titles(&page), ["At 10⁻⁶ Pa: Fucus"]);
    assert_eq!(page.papers[0].submission.abstract_text, "Of $\\beta$, p < 0.1.");
}

#[test]
fn an_issue_of_next_year_is_no_date() {
    let page = crossref(
        r#"{"DOI":"10.5555/d1","title":["A"],"published-print":{"date-parts":[[2027,1]]},"created":{"date-time":"2026-03-04T05:06:07Z"}},
           {"DOI":"10.5555/d2","title":["B"],"issued":{"date-parts":[[null]]}},
           {"DOI":"10.5555/d3","title":["C"],"published-online":{"date-parts":[[2025,12,24]]},"published-print":{"date-parts":[[2025,1]]}}"#,
    );
    let dates: Vec<Option<String>> = page
        .papers
        .iter()
        .map(|record| record.submission.published.map(|d| d.to_string()))
        .collect();
    let expected = [Some("2026-03-04T05:06:07Z"), None, Some("2025-12-24T00:00:00Z")];
    assert_eq!(dates, expected.map(|date| date.map(str::to_owned)));
}

#[test]
fn atom_says_what_its_texts_are() {
    let page = "<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:base=\"https://example.org/a/\">\
        <entry xml:base=\"b/\"><id>1</id><title type=\"text\">Why &lt;b&gt;x&lt;/b&gt;</title><link href=\"c\"/><summary type=\"html\">1&lt;sup&gt;st&lt;/sup&gt; &lt;b&gt;x&lt;/b&gt;</summary></entry>\
        <entry><id>2</id><title type=\"xhtml\"><div>10<sup>3</sup> &lt;b&gt; Pa</div></title><link href=\"/d\"/></entry>\
        <entry><id>3</id><title>Of &lt;i&gt;E. coli&lt;/i&gt; and &lt;s&gt;</title></entry></feed>";
    let page = read(PageFormat::Feed, page.as_bytes()).expect("a page");
    let title = |at: usize| domain::text::one_line(&page.papers[at].submission.title);
    assert_eq!(
        [title(0), title(1), title(2)],
        ["Why <b>x</b>", "10³ <b> Pa", "Of E. coli and <s>"]
    );
    assert_eq!(page.papers[0].submission.abstract_text, "1ˢᵗ x");
    assert_eq!(page.papers[0].submission.links[0].1, "https://example.org/a/b/c");
    assert_eq!(page.papers[1].submission.links[0].1, "https://example.org/d");
}

#[test]
fn a_channel_is_the_base_of_its_links() {
    let page = "<rss><channel><title>x</title><link>https://example.org/papers/</link>\
        <item><title>A (arXiv:2605.01234v1 [cs.CL])</title><link>p/1</link><guid isPermaLink=\"false\">g1</guid></item></channel></rss>";
    let page = read(PageFormat::Feed, page.as_bytes()).expect("a page");
    assert_eq!(page.ids(), ["arxiv:2605.01234"]);
    assert_eq!(page.papers[0].submission.title, "A");
    assert_eq!(page.papers[0].submission.links[0].1, "https://example.org/papers/p/1");
}

#[test]
fn the_bytes_of_a_feed_win() {
    let utf8 = "<?xml version=\"1.0\" encoding=\"windows-1251\"?><rss><item><title>Маяк и прилив</title><guid>1</guid></item></rss>";
    assert_eq!(
        titles(&read(PageFormat::Feed, utf8.as_bytes()).expect("a page")),
        ["Маяк и прилив"]
    );
    let utf16: Vec<u8> = utf8.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(
        titles(&read(PageFormat::Feed, &utf16).expect("a page")),
        ["Маяк и прилив"]
    );
}

#[test]
fn people_give_plain_text() {
    let page = read(
        PageFormat::Jsonl,
        br#"{"id":"1","title":"Why <s> and </s> matter","abstract":"H\\\"older and <b>bold</b>"}"#,
    );
    let page = page.expect("a page");
    assert_eq!(titles(&page), ["Why <s> and </s> matter"]);
    assert_eq!(page.papers[0].submission.abstract_text, "Hölder and <b>bold</b>");
}

#[test]
fn bibtex_is_read_by_its_own_rules() {
    let page = r#"@string{ jul = "July" }
@proceedings{vol, title = {A volume}, year = 2022, month = jul # "~28"}
@inproceedings{talk, crossref = {Vol}, title = {{A} talk \& more}, author = "M{\"u}ller, J{\"u}rgen AND {Sons and Daughters, Inc.} and others"}
@article{under, title = "A {"}quoted{"} title", author = {Ann Lee}, doi = {DOI: 10.5555/a\_b}, url = {\url{https://example.org/c_d}}, year = {2020b}, keywords = {a}, keywords = {b; c}}
@misc{at, title = {Found}, abstract = {precision
@10 and recall
@100}, date = {2017-03?}}
@online{press, title = {In press}, year = {in press}, urldate = {2020-01-01}, journal = {arXiv preprint arXiv:2603.00009}}
@misc{open, title = {Open, year = 2001
@comment{jabref-meta: x;}
@software(s1, title = {Paren (thesis)}, year = {2019}, month = {Jul.--Aug.})
"#;
    let page = read(PageFormat::Bibtex, page.as_bytes()).expect("a page");
    let dates: Vec<String> = page.papers.iter().map(day).collect();
    assert_eq!(
        page.ids(),
        ["vol", "talk", "doi:10.5555/a_b", "at", "arxiv:2603.00009", "s1"]
    );
    assert_eq!(
        dates,
        [
            "2022-07-28",
            "2022-07-28",
            "2020-01-01",
            "2017-03-01",
            "2026-03-01",
            "2019-07-01"
        ]
    );
    assert_eq!(
        page.papers[1].submission.authors,
        ["Jürgen Müller", "Sons and Daughters, Inc."]
    );
    assert_eq!(titles(&page)[1..3], ["A talk & more", "A \"quoted\" title"]);
    assert_eq!(page.papers[2].submission.categories, ["a", "b", "c"]);
    assert_eq!(page.papers[2].submission.links[0].1, "https://example.org/c_d");
    assert!(page.papers[3].submission.abstract_text.contains("@100"));
    assert_eq!(page.reasons(), ["the entry does not end"]);
    assert!(page.quarantined[0].excerpt.starts_with("@misc{open"));
}

#[test]
fn a_volume_may_come_first_or_last() {
    let entry = "@inproceedings{a, crossref = {v}, title = {A}}";
    let volume = "@proceedings{v, title = {V}, date = {2019-21}}";
    let set = "@xdata{x, year = 2011, author = {Ann Lee}}\n@misc{b, xdata = {x}, title = {B}}";
    for text in [format!("{entry}\n{volume}\n{set}"), format!("{volume}\n{entry}\n{set}")] {
        let page = read(PageFormat::Bibtex, text.as_bytes()).expect("a page");
        let year = |id: &str| {
            let record = page
                .papers
                .iter()
                .find(|record| record.submission.id == id)
                .expect("a paper");
            record.submission.published.map(|date| date.to_string()[..7].to_owned())
        };
        assert_eq!(
            [year("a"), year("v"), year("b")],
            ["2019-03", "2019-03", "2011-01"].map(|date| Some(date.to_owned()))
        );
    }
    let lonely = read(PageFormat::Bibtex, b"@misc{a, crossref = {nobody}, title = {A}}").expect("a page");
    assert_eq!((lonely.ids(), lonely.papers[0].submission.published), (vec!["a"], None));
}

#[test]
fn every_truncation_keeps_what_came_before() {
    let page = include_bytes!("samples/papers.bib");
    for end in 0..page.len() {
        let page = read(PageFormat::Bibtex, &page[..end]).expect("a page");
        assert!(page.quarantined.len() <= 2, "{end}: {:?}", page.reasons());
        assert!(
            page.papers.iter().all(|record| record.submission.title.len() > 3),
            "{end}"
        );
    }
}

#[test]
fn a_second_version_of_biorxiv_has_no_first_date() {
    let page = br#"{"collection":[{"doi":"10.1101/2026.01.02.000001","title":"Kelp in 10<sup>3</sup> fjords","authors":"Lee, A.","date":"2026-05-29","version":"2","type":"new results","published":"NA"}]}"#;
    let page = read(PageFormat::Biorxiv, page).expect("a page");
    let record = &page.papers[0];
    assert_eq!(record.submission.published, None);
    assert_eq!(
        record.submission.updated.map(|date| date.to_string()).as_deref(),
        Some("2026-05-29T00:00:00Z")
    );
    assert_eq!(record.submission.title, "Kelp in 10³ fjords");
    assert_eq!(record.identifiers.of(Scheme::Doi).count(), 1);
}
