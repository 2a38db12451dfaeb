//! Cases from titles and abstracts as they were really written.

use proptest::prelude::*;
use proto::search::v1::TextSpan;

use super::*;

#[track_caller]
fn reads(latex: &str, expected: &str) {
    assert_eq!(plain(latex), expected, "{latex}");
}

#[track_caller]
fn shows(latex: &str, expected: &str) {
    assert_eq!(html_with_links(latex), expected, "{latex}");
}

#[test]
fn plain_text_stays_as_it_is() {
    reads(
        "A* search in C++ & C#: 50-100x faster",
        "A* search in C++ & C#: 50-100x faster",
    );
    shows("a < b & \"c\"", "a &lt; b &amp; &quot;c&quot;");
}

#[test]
fn accents_and_letters_become_characters() {
    reads(
        r#"Erd\H{o}s, Poincar\'e, G\"{o}del, \L{}ojasiewicz, \'{\i}"#,
        "Erdős, Poincaré, Gödel, Łojasiewicz, í",
    );
    reads(
        r"Fran\c cois, Stra\ss e, \v{S}idak, R\'enyi, na\\\i ve",
        "François, Straße, Šidak, Rényi, na ıve",
    );
}

#[test]
fn signs_of_typesetting_become_what_they_print() {
    reads(
        "pages 1--2 -- or so --- ``quoted'' by Fig.~3, see~\\cite{x}.",
        "pages 1–2 – or so — “quoted” by Fig.~3, see.",
    );
    reads(
        r"12.7\% of ~10k \& more\_less, run it with --help",
        "12.7% of ~10k & more_less, run it with --help",
    );
    reads("the model's `best' one", "the model’s ‘best’ one");
}

#[test]
fn emphasis_becomes_markup_and_groups_go() {
    shows(
        r"a \textbf{deep \emph{net}}, {\em k}-means, {N}ewton",
        "a <b>deep <em>net</em></b>, <em>k</em>-means, Newton",
    );
    shows(
        r"\textsc{Bert} \texttt{a_b}",
        "<span class=\"sc\">Bert</span> <code>a_b</code>",
    );
    reads(r"\textbf{unclosed and {\it more", "unclosed and more");
    reads("stray } brace", "stray  brace");
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
fn unknown_commands_stay_readable() {
    reads(
        r"We propose \ours, which beats \method{} by \SI{3}{\kilo}",
        "We propose ours, which beats method by SI3kilo",
    );
    reads(r"ends with \", "ends with \\");
}

#[test]
fn formulas_become_a_line_of_text() {
    reads(
        "bounds of $O(n\\log n)$ and $\\tilde{O}(\\sqrt{T})$",
        "bounds of O(n log n) and Õ(√T)",
    );
    reads("$\\alpha$-stable, $x_{i}^{2} \\leq 10^{-3}$", "α-stable, x_i² ≤ 10⁻³");
    reads(
        "$\\mathbb{R}^d$, $\\frac{a+b}{2}$, $2\\times$ and $\\pm 0.5\\%$",
        "ℝ^d, (a + b)/2, 2× and ±0.5%",
    );
    reads("SE(3)$^{2}$ at 90$^\\circ$, \\(k \\ge 1\\)", "SE(3)² at 90°, k ≥ 1");
    reads("$\\text{F1 score} > 0.9$, $\\unknown{x}$", "F1 score > 0.9, unknown x");
    shows(
        "$k$-NN with $x_i < \\hat{y}$",
        "<span class=\"math\"><i>k</i></span>-NN with <span class=\"math\"><i>x</i><sub><i>i</i></sub>\u{2009}&lt;\u{2009}<i>ŷ</i></span>",
    );
}

#[test]
fn money_is_no_formula() {
    reads("it costs $5 and saves $10 a day", "it costs $5 and saves $10 a day");
    reads(
        "from $0.10 for all of it to nothing $",
        "from $0.10 for all of it to nothing $",
    );
    reads("a lone $ sign", "a lone $ sign");
}

#[test]
fn highlights_follow_the_source_text() {
    let text = r"Deep \textbf{sparse nets} for $k$-NN nets";
    let spans: Vec<TextSpan> = ["sparse nets", "NN"]
        .iter()
        .filter_map(|word| text.find(word).map(|at| (at, at + word.len())))
        .map(|(start, end)| TextSpan {
            start: u32::try_from(start).expect("short"),
            end: u32::try_from(end).expect("short"),
        })
        .collect();
    assert_eq!(
        html(text, &spans),
        "Deep <b><mark>sparse nets</mark></b> for <span class=\"math\"><i>k</i></span>-<mark>NN</mark> nets"
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
    let (mut with_latex, mut left) = (0, Vec::new());
    for line in lines.step_by(12).take(4_000) {
        let paper: serde_json::Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        for text in [&paper["title"], &paper["abstract"]].map(|text| text.as_str().expect("text")) {
            let html = html_with_links(text);
            assert_eq!(
                html.matches('<').count(),
                2 * html.matches("</").count() + html.matches("<br>").count(),
                "{html}"
            );
            if text.contains(['\\', '$']) {
                with_latex += 1;
                let read = plain(text);
                if read.contains(['\\', '{', '}']) || read.matches('$').count() > text.matches("\\$").count() {
                    left.push(read);
                }
            }
        }
    }
    for read in left.iter().take(40) {
        println!("{read}\n");
    }
    assert!(with_latex > 100, "{with_latex}");
    assert!(
        left.len() * 20 < with_latex,
        "{} of {with_latex} keep some LaTeX",
        left.len()
    );
}

proptest! {
    #[test]
    fn nothing_panics_and_elements_are_closed(text in r"([a-z<>&$^_{}\\ ~'-]|\\[a-z]{1,4}|\\textbf\{|\\frac|é|\$\$){0,40}") {
        let html = html_with_links(&text);
        let opened = html.matches('<').count() - html.matches("</").count();
        prop_assert_eq!(opened, html.matches("</").count(), "{}", html);
        let _ = plain(&text);
    }
}
