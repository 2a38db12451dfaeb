//! Titles and abstracts in HTML, and what hostile ones become.

use proptest::prelude::*;
use proto::search::v1::TextSpan;

use super::*;

#[track_caller]
fn shows(tex: &str, expected: &str) {
    assert_eq!(html_with_links(tex), expected, "{tex}");
}

#[test]
fn emphasis_becomes_markup_and_groups_go() {
    shows("a < b & \"c\"", "a &lt; b &amp; &quot;c&quot;");
    shows(
        r"a \textbf{deep \emph{net}}, {\em k}-means, {N}ewton",
        "a <b>deep <em>net</em></b>, <em>k</em>-means, Newton",
    );
    shows(
        r"\textsc{Bert} \texttt{a_b}",
        "<span class=\"sc\">Bert</span> <code>a_b</code>",
    );
}

#[test]
fn addresses_become_links_and_only_those_of_the_web() {
    let link = |url: &str, text: &str| format!("<a href=\"{url}\" rel=\"nofollow noopener\">{text}</a>");
    shows(
        "Code: https://x.org/a_b.",
        &format!("Code: {}.", link("https://x.org/a_b", "https://x.org/a_b")),
    );
    shows(
        r"\href{https://x.org/}{our \textbf{page}}",
        &link("https://x.org/", "our page"),
    );
    shows(
        r"\url{https://x.org/?a=1&b}",
        &link("https://x.org/?a=1&amp;b", "https://x.org/?a=1&amp;b"),
    );
    shows(r"\href{javascript:alert(1)}{here}", "here");
    assert_eq!(
        html(r"\href{https://x.org/}{here}", &[]),
        "here",
        "a title is a link itself"
    );
}

#[test]
fn formulas_are_mathml_or_readable_text() {
    shows(
        "$k$-NN, $\\ours{k}$",
        "<math alttext=\"k\"><mi>k</mi></math>-NN, <span class=\"math\">ours k</span>",
    );
    shows("it costs $5 and $10", "it costs $5 and $10");
}

#[test]
fn highlights_follow_the_source_text() {
    let text = r"Deep \textbf{sparse nets} for $k$-NN nets";
    let spans: Vec<TextSpan> = ["sparse nets", "k$-NN"]
        .iter()
        .filter_map(|word| text.find(word).map(|at| (at, at + word.len())))
        .map(|(start, end)| TextSpan {
            start: u32::try_from(start).expect("short"),
            end: u32::try_from(end).expect("short"),
        })
        .collect();
    assert_eq!(
        html(text, &spans),
        "Deep <b><mark>sparse nets</mark></b> for <mark><math alttext=\"k\"><mi>k</mi></math></mark><mark>-NN</mark> nets"
    );
    let nonsense = [TextSpan { start: 90, end: 99 }, TextSpan { start: 1, end: 0 }];
    assert_eq!(html("Bäume", &nonsense), "Bäume");
}

#[test]
fn hostile_text_is_always_escaped() {
    for hostile in [
        "<script>alert(1)</script>",
        r"\textbf{<script>x</script>}",
        "$<script>$",
        r"$\text{<script>}$",
        r"\href{https://x/<script>}{<script>}",
        r"\<script>",
        r"$\<script>$",
    ] {
        let html = html_with_links(hostile);
        assert!(!html.contains("<script"), "{html}");
    }
}

/// Titles and abstracts as arXiv has them: nearly all of their LaTeX is understood, and none of it breaks the page.
#[test]
fn real_papers_are_readable() {
    use std::io::{BufRead as _, BufReader};
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("BROADSHEET_DATA").map_or(beside, Into::into);
    let Ok(file) = std::fs::File::open(data.join("arxiv-daily/papers.jsonl.zst")) else {
        println!("skipped: arxiv-daily is not there; BROADSHEET_DATA names the folder");
        return;
    };
    let lines = BufReader::new(ruzstd::decoding::StreamingDecoder::new(file).expect("zstd")).lines();
    let (mut with_tex, mut left) = (0, Vec::new());
    let (mut formulas, mut set) = (0, 0);
    for line in lines.step_by(12).take(4_000) {
        let paper: serde_json::Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        for text in [&paper["title"], &paper["abstract"]].map(|text| text.as_str().expect("text")) {
            let html = html_with_links(text);
            let closed = html.matches("</").count() + html.matches("/>").count();
            assert_eq!(html.matches('<').count(), html.matches("</").count() + closed, "{html}");
            formulas += html.matches("<math").count() + html.matches("class=\"math\"").count();
            set += html.matches("<math").count();
            if text.contains(['\\', '$']) {
                with_tex += 1;
                let read = domain::readable::readable(text);
                if read.contains(['\\', '{', '}']) || read.matches('$').count() > text.matches("\\$").count() {
                    left.push(read.into_owned());
                }
            }
        }
    }
    for read in left.iter().take(40) {
        println!("{read}\n");
    }
    println!(
        "{} of {with_tex} keep some LaTeX, {set} of {formulas} formulas are MathML",
        left.len()
    );
    assert!(with_tex > 100, "{with_tex}");
    assert!(
        left.len() * 12 < with_tex,
        "{} of {with_tex} keep some LaTeX",
        left.len()
    );
    assert!(set * 10 > formulas * 8, "only {set} of {formulas} formulas are MathML");
}

proptest! {
    #[test]
    fn nothing_panics_and_elements_are_closed(text in r"([a-z<>&$^_{}\\ ~'-]|\\[a-z]{1,4}|\\textbf\{|\\frac|é|\$\$){0,40}") {
        let html = html_with_links(&text);
        let single = html.matches("/>").count();
        let opened = html.matches('<').count() - html.matches("</").count() - single;
        prop_assert_eq!(opened, html.matches("</").count(), "{}", html);
    }
}
