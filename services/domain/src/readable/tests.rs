//! Cases from titles and abstracts as they were really written.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn reads(tex: &str, expected: &str) {
    assert_eq!(readable(tex), expected, "{tex}");
    let parts: String = parts(tex).into_iter().map(|part| part.text).collect();
    assert_eq!(parts, expected, "the parts of {tex}");
}

#[test]
fn plain_text_stays_as_it_is() {
    for text in [
        "A* search in C++ & C#: 50-100x faster",
        "100% of_the #tides ^z, a_b and x^2",
        "run it with --help, about ~10k or 3~5",
    ] {
        reads(text, text);
    }
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
    reads(r"\LaTeX is \alpha stable", "LaTeX is α stable");
}

#[test]
fn signs_of_typesetting_become_what_they_print() {
    reads(
        "pages 1--2 -- or so --- ``quoted'' by Fig.~3, see~\\cite[p. 3]{x}.",
        "pages 1–2 – or so — “quoted” by Fig. 3, see.",
    );
    reads(
        r"12.7\% of ~10k \& more\_less, \#1, \$5",
        "12.7% of ~10k & more_less, #1, $5",
    );
    reads("the model's `best' one", "the model’s ‘best’ one");
    reads(
        "On $\\mathcal{O}(n\\log n)$ rows of G\\\"odel's ~norm",
        "On O(n log n) rows of Gödel’s ~norm",
    );
}

#[test]
fn groups_go_and_sets_stay() {
    reads("{N}ewton, {BERT}: {\\em a, b}", "Newton, BERT: a, b");
    reads("x in {0, 1}, 10{,}000 of {a,b}", "x in {0, 1}, 10,000 of {a,b}");
    reads(r"\textbf{unclosed and {\it more", "unclosed and more");
    reads("stray } brace", "stray  brace");
}

#[test]
fn emphasis_and_links_are_named() {
    let kinds = |text| parts(text).into_iter().map(|part| (part.kind, part.text.into_owned()));
    let words = |text: &str| (PartKind::Words, text.to_owned());
    let mark = |kind| (kind, String::new());
    assert_eq!(
        kinds(r"a \textbf{deep {\it net}}").collect::<Vec<_>>(),
        [
            words("a "),
            mark(PartKind::Begin(Emphasis::Bold)),
            words("deep "),
            mark(PartKind::Begin(Emphasis::Italic)),
            words("net"),
            mark(PartKind::End(Emphasis::Italic)),
            mark(PartKind::End(Emphasis::Bold)),
        ]
    );
    assert_eq!(
        kinds(r"\href{https://x.org}{our \emph{page}}\url{https://y.org}").collect::<Vec<_>>(),
        [
            (PartKind::Link("https://x.org"), "our page".to_owned()),
            (PartKind::Link("https://y.org"), "https://y.org".to_owned()),
        ]
    );
}

#[test]
fn unknown_commands_stay_readable() {
    reads(
        r"We propose \ours, which beats \method{} by \SI{3}{\kilo}",
        "We propose ours, which beats method by SI3kilo",
    );
    reads(r"ends with \", "ends with \\");
    reads(r"a \footnote{See below. }.", "a  (See below).");
}

#[test]
fn formulas_become_a_line_of_text() {
    reads(
        "bounds of $O(n\\log n)$ and $\\tilde{O}(\\sqrt{T})$",
        "bounds of O(n log n) and Õ(√T)",
    );
    reads("$\\alpha$-stable, $x_{i}^{2} \\leq 10^{-3}$", "α-stable, xᵢ² ≤ 10⁻³");
    reads(
        "$\\mathbb{R}^d$, $\\frac{a+b}{2}$, $2\\times$ and $\\pm 0.5\\%$",
        "ℝᵈ, (a + b)/2, 2× and ±0.5%",
    );
    reads("SE(3)$^{2}$ at 90$^\\circ$, \\(k \\ge 1\\)", "SE(3)² at 90°, k ≥ 1");
    reads("$\\text{F1 score} > 0.9$, $\\unknown{x}$", "F1 score > 0.9, unknown x");
    reads("$\\alpha_{ij}$, $x^{foo}$, $x^{a+b\\cdot c}$", "αᵢⱼ, x^foo, x^(a+b·c)");
    reads(
        "$\\|f\\|_{p} \\le 1$ with $\\frac{a}{b} \\to \\infty$",
        "‖f‖ₚ ≤ 1 with a/b → ∞",
    );
    reads("$$\\mathbb {F}_q \\in \\{0,1\\}$$", "𝔽_q ∈ {0,1}");
    reads("$x = \\operatorname*{arg\\,min} f$", "x = arg min f");
}

#[test]
fn maths_outside_of_dollars_is_read_too() {
    reads("10^{-3} of x_{i}, 10\\textsuperscript{3} Pa", "10⁻³ of xᵢ, 10³ Pa");
    reads("\\begin{equation}a\\le b\\end{equation} holds", "a ≤ b holds");
    reads("\\begin{itemize}\\item one\\end{itemize}", " • one");
    reads("the \\frac{1}{2} of \\mathcal{X}", "the 1/2 of X");
}

#[test]
fn money_stays_money() {
    let text = "it costs $5 and saves $10 a day, $0.10/page";
    reads(text, text);
    reads("Costs of \\$5 and of $5 to $10", "Costs of $5 and of $5 to $10");
}

#[test]
fn spans_of_the_source_cut_its_parts() {
    let text = r"Deep \textbf{sparse nets} for $k$-NN --- nets";
    let span = |word: &str| text.find(word).map(|at| at..at + word.len()).expect("it is there");
    let spans = [span("sparse"), span("k$-NN"), span("---")];
    let marked: Vec<String> = parts(text)
        .iter()
        .flat_map(|part| part.cut(&spans))
        .filter(|(_, is_inside)| *is_inside)
        .map(|(piece, _)| piece.to_owned())
        .collect();
    assert_eq!(marked, ["sparse", "k", "-NN", "—"]);
    let backwards = std::ops::Range { start: 1, end: 0 };
    assert_eq!(parts("Bäume")[0].cut(&[90..99, backwards, 2..3]), [("Bäume", false)]);
}

#[test]
fn nothing_invisible_is_shown() {
    reads("a\u{202e}b $x\u{200b}y$ \\textbf{c\u{0}}", "ab xy c");
    reads("$\\unicode{x202e}\\unicode{xfdd0}\\unicode{xffff}$\nz", "\nz");
}

/// Deep and unclosed nesting, in texts much longer than any abstract.
#[test]
fn hostile_nesting_takes_no_stack_and_little_time() {
    for piece in [
        "{",
        "\\textbf{",
        "\\href{a}{",
        "$",
        "$$",
        "\\(",
        "\\url{",
        "\\footnote{",
        "^{",
        "\\frac{",
        "\\hat",
        "\\'",
    ] {
        let text = piece.repeat(5_000);
        let _ = readable(&text);
        let _ = readable(&format!("${}$ {}{}", &text[..500], text, "}".repeat(1_000)));
    }
}

proptest! {
    #[test]
    fn nothing_panics_and_output_is_bounded(text in r"([a-z<>&$^_{}\\ ~'-]|\\[a-z]{1,4}|\\textbf\{|\\frac|\\href\{|é|\$\$|10|\u{202e}){0,60}") {
        prop_assert!(readable(&text).len() <= 6 * text.len() + 16, "{:?}", readable(&text));
        let mut at = 0;
        for part in parts(&text) {
            prop_assert!(part.source.start <= part.source.end && part.source.end <= text.len());
            prop_assert!(text.get(part.source.clone()).is_some(), "{:?}", part);
            prop_assert!(part.source.start >= at || part.text.is_empty(), "{:?} before {}", part, at);
            at = at.max(part.source.start);
            let span = at / 2..at;
            let cut: String = part.cut(&[span]).into_iter().map(|(piece, _)| piece).collect();
            prop_assert_eq!(cut, &*part.text);
        }
    }

    #[test]
    fn no_word_is_lost(words in proptest::collection::vec("[a-z]{3,9}", 1..8), seams in proptest::collection::vec(r"( |\{|\}|\\textbf\{|--|~| \$|\\\$|\\emph| \\|\\&|\{,| \^\{)", 8)) {
        let text: String = words.iter().zip(&seams).flat_map(|(word, seam)| [word.as_str(), seam]).collect();
        let read: String = readable(&text).chars().filter(char::is_ascii_lowercase).collect();
        let known = ["textbf", "emph"];
        if !known.iter().any(|name| words.iter().any(|word| word.starts_with(name))) {
            for word in words.iter().filter(|word| crate::readable::symbols::symbol(word).is_none()) {
                prop_assert!(read.contains(word.as_str()), "{} of {:?} as {:?}", word, text, read);
            }
        }
    }
}
