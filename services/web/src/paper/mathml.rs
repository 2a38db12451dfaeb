//! Formulas as MathML. What comes out of the library is looked through: an element or attribute that is not known to be
//! harmless, or a style that the content security policy forbids, and the formula is shown as text instead.

use std::sync::LazyLock;

use math_core::{LatexToMathML, MathCoreConfig, MathDisplay};

use super::escape;

/// Longest formula set in two dimensions, in characters of its text: MathML does not wrap on a narrow screen.
const LONGEST: usize = 32;
/// Longest source of such a formula, in bytes.
const LONGEST_TEX: usize = 200;
/// Most groups within one another, since the library reads them recursively.
const DEEPEST: usize = 12;
const ELEMENTS: [&str; 22] = [
    "math",
    "mfrac",
    "mi",
    "mn",
    "mo",
    "mover",
    "mpadded",
    "mphantom",
    "mroot",
    "mrow",
    "mspace",
    "msqrt",
    "mstyle",
    "msub",
    "msubsup",
    "msup",
    "mtable",
    "mtd",
    "mtext",
    "mtr",
    "munder",
    "munderover",
];
const ATTRIBUTES: [&str; 14] = [
    "accent",
    "accentunder",
    "displaystyle",
    "fence",
    "form",
    "lspace",
    "mathvariant",
    "maxsize",
    "minsize",
    "movablelimits",
    "rspace",
    "scriptlevel",
    "stretchy",
    "width",
];

/// No macros, so no formula means more than it says.
static CONVERTER: LazyLock<Option<LatexToMathML>> =
    LazyLock::new(|| LatexToMathML::new(MathCoreConfig::default()).ok());

/// A formula as MathML, named with the text that it reads as; `None` if it is better shown as that text.
pub fn mathml(tex: &str, text: &str) -> Option<String> {
    if tex.len() > LONGEST_TEX || text.chars().count() > LONGEST || !is_shallow(tex) || tex.contains(is_hidden) {
        return None;
    }
    // Negative space only typesets, and would be a style.
    let tex = tex.replace("\\!", "");
    let converter = CONVERTER.as_ref()?;
    let written = converter.convert_with_local_state(&tex, MathDisplay::Inline).ok()?;
    let inner = written.mathml.strip_prefix("<math>")?;
    is_harmless(&written.mathml).then(|| format!("<math alttext=\"{}\">{inner}", escape(text)))
}

fn is_hidden(c: char) -> bool {
    domain::text::is_invisible(c)
}

fn is_shallow(tex: &str) -> bool {
    let mut depth = 0_usize;
    tex.bytes().all(|byte| {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= DEEPEST
    })
}

/// Whether there are only known elements and attributes, with values of letters and numbers.
fn is_harmless(mathml: &str) -> bool {
    mathml.split('<').skip(1).all(|piece| {
        let Some((tag, text)) = piece.split_once('>') else {
            return false;
        };
        let tag = tag.strip_prefix('/').unwrap_or(tag).trim_end_matches('/');
        let mut words = tag.split_ascii_whitespace();
        !text.contains('>')
            && words.next().is_some_and(|name| ELEMENTS.contains(&name))
            && words.all(is_known_attribute)
    })
}

fn is_known_attribute(attribute: &str) -> bool {
    let Some((name, value)) = attribute.split_once('=') else {
        return false;
    };
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let is_plain = |value: &str| {
        value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'%'))
    };
    ATTRIBUTES.contains(&name) && value.is_some_and(is_plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_become_mathml_with_a_text() {
        assert_eq!(
            mathml("x_i < \\frac{1}{2}", "xᵢ < 1/2").as_deref(),
            Some(
                "<math alttext=\"xᵢ &lt; 1/2\"><msub><mi>x</mi><mi>i</mi></msub><mo>&lt;</mo><mfrac><mn>1</mn><mn>2</mn></mfrac></math>"
            )
        );
        assert!(mathml("O\\!\\left(n\\right)", "O(n)").is_some());
    }

    #[test]
    fn what_is_unknown_or_has_a_style_stays_text() {
        for tex in [
            "\\ours{x}",
            "\\href{https://x.org}{x}",
            "\\color{red}{x}",
            "\\textcolor{red}{x}",
            "\\newcommand{\\a}{\\a\\a}\\a",
            "x^{",
            "\\mkern-2mu x",
            "a\u{202e}b",
        ] {
            assert_eq!(mathml(tex, "x"), None, "{tex}");
        }
        assert_eq!(
            mathml("x", &"x".repeat(LONGEST + 1)),
            None,
            "too wide for a narrow screen"
        );
        assert_eq!(mathml(&format!("{}x{}", "{".repeat(50), "}".repeat(50)), "x"), None);
    }

    #[test]
    fn output_that_is_not_known_is_refused() {
        assert!(is_harmless(
            "<math><mi mathvariant=\"normal\">x</mi><mo lspace=\"0\">&lt;</mo></math>"
        ));
        for hostile in [
            "<math><script>x</script></math>",
            "<math><mi onclick=\"x\">x</mi></math>",
            "<math><mi style=\"color:red\">x</mi></math>",
            "<math><mo><</mo></math>",
            "<math><mo>></mo></math>",
            "<math><mi mathvariant=\"a&quot;\">x</mi></math>",
        ] {
            assert!(!is_harmless(hostile), "{hostile}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn no_formula_panics(tex in r"([a-z0-9<>&^_{}\\ ~'|.,()\[\]-]|\\(left|right|frac|sqrt|text|mathbb|begin|end|over|not|hat|sum|limits|big|middle|operatorname|binom|substack|label|tag|color|hspace|mathrm|prime|\\)|\{[a-z]*\}|\{matrix\}|\{array\}|é|∑){0,24}") {
            if let Some(html) = mathml(&tex, "x") {
                prop_assert!(is_harmless(&html.replacen(" alttext=\"x\"", "", 1)), "{}", html);
                prop_assert_eq!(html.matches("<math").count(), 1);
            }
        }
    }
}
