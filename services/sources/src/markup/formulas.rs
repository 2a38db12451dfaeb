//! Formulas as text: TeX without the document around it, and MathML in a line.

use std::ops::Range;

use domain::tex::{subscript, superscript};

use super::tags::{Tag, Token, TokenList};

/// How deep MathML may be nested; what is deeper is left out.
const MAX_DEPTH: usize = 64;

/// A formula in TeX between dollars, without the document that publishers wrap it in.
pub fn tex(raw: &str, is_display: bool) -> String {
    let body = raw.split_once("\\begin{document}").map_or(raw, |(_, body)| body);
    let body = body.split_once("\\end{document}").map_or(body, |(body, _)| body);
    let mut formula = body.trim();
    for (open, close) in [("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")] {
        let bare = formula.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(bare) = bare {
            formula = bare.trim();
            break;
        }
    }
    if formula.is_empty() {
        return String::new();
    }
    if formula.starts_with("\\begin{equation")
        || formula.starts_with("\\begin{align")
        || formula.starts_with("\\begin{eqnarray")
    {
        return formula.to_owned();
    }
    let delimiter = if is_display { "$$" } else { "$" };
    format!("{delimiter}{formula}{delimiter}")
}

/// MathML as text, or its TeX where it brings that along.
pub fn math(tokens: &TokenList<'_>, tag: &Tag<'_>, range: Range<usize>) -> String {
    let is_display = tag.attribute("display") == Some("block");
    if let Some(alternative) = tag.attribute("alttext") {
        return tex(&super::unescaped(alternative), is_display);
    }
    if let Some(annotation) = tex_annotation(tokens, range.clone()) {
        return tex(&annotation, is_display);
    }
    children(tokens, range, 0).into_iter().map(|child| child.text).collect()
}

fn tex_annotation(tokens: &TokenList<'_>, range: Range<usize>) -> Option<String> {
    range.clone().find_map(|at| match tokens.at(at) {
        Token::Tag(tag) if tag.name == "annotation" => {
            let end = tag.end.filter(|end| *end < range.end)?;
            let is_tex = tag
                .attribute("encoding")
                .is_some_and(|kind| kind.to_ascii_lowercase().contains("tex"));
            is_tex.then(|| tokens.raw(at + 1..end))
        }
        _ => None,
    })
}

/// An element of MathML as text.
struct MathNode {
    name: String,
    text: String,
}

/// The elements of a range; text between them is only the white space of the file.
fn children(tokens: &TokenList<'_>, range: Range<usize>, depth: usize) -> Vec<MathNode> {
    let mut nodes = Vec::new();
    let mut at = range.start;
    while at < range.end {
        if let Token::Tag(tag) = tokens.at(at)
            && !tag.closes
        {
            let end = tag.end.filter(|end| *end < range.end);
            let inner = at + 1..end.unwrap_or(at + 1);
            nodes.push(MathNode {
                name: tag.name.clone(),
                text: element(tokens, &tag.name, inner, depth),
            });
            at = end.unwrap_or(at);
        }
        at += 1;
    }
    if nodes.is_empty() {
        let text = tokens.raw(range).trim().to_owned();
        if !text.is_empty() {
            nodes.push(MathNode {
                name: String::new(),
                text,
            });
        }
    }
    nodes
}

fn element(tokens: &TokenList<'_>, name: &str, range: Range<usize>, depth: usize) -> String {
    if depth >= MAX_DEPTH
        || matches!(
            name,
            "annotation" | "annotation-xml" | "mphantom" | "none" | "mprescripts"
        )
    {
        return String::new();
    }
    match name {
        "mi" | "mn" | "mo" | "ms" => {
            let is_invisible = |c: &char| matches!(c, '\u{2061}'..='\u{2064}');
            return tokens.raw(range).trim().chars().filter(|c| !is_invisible(c)).collect();
        }
        "mtext" => return tokens.raw(range),
        "mspace" => return " ".to_owned(),
        _ => {}
    }
    let nodes = children(tokens, range, depth + 1);
    let part = |at: usize| nodes.get(at).map_or("", |node| node.text.as_str());
    match name {
        "msup" => format!("{}{}", part(0), superscript(part(1))),
        "msub" | "munder" => format!("{}{}", part(0), subscript(part(1))),
        "msubsup" | "munderover" => format!("{}{}{}", part(0), subscript(part(1)), superscript(part(2))),
        "mover" => over(part(0), part(1)),
        "mfrac" => format!("{}/{}", in_parentheses(part(0)), in_parentheses(part(1))),
        "mroot" => format!("{}√{}", superscript(part(1)), in_parentheses(part(0))),
        "msqrt" => format!("√{}", in_parentheses(&joined(&nodes, ""))),
        "mfenced" => format!("({})", joined(&nodes, ", ")),
        "mtable" => joined(&nodes, "; "),
        "mtr" => joined(&nodes, " "),
        "mmultiscripts" => multiscripts(&nodes),
        _ => joined(&nodes, ""),
    }
}

fn joined(nodes: &[MathNode], separator: &str) -> String {
    nodes
        .iter()
        .map(|node| node.text.as_str())
        .collect::<Vec<_>>()
        .join(separator)
}

/// What is more than one letter or number needs parentheses beside a stroke.
fn in_parentheses(text: &str) -> String {
    if text.chars().all(char::is_alphanumeric) {
        return text.to_owned();
    }
    format!("({text})")
}

/// An accent over one letter is a mark on it; anything else over something is a superscript.
fn over(base: &str, above: &str) -> String {
    let mark = match above {
        "¯" | "ˉ" | "‾" | "̄" => '\u{304}',
        "^" | "ˆ" | "̂" => '\u{302}',
        "~" | "˜" | "̃" => '\u{303}',
        "→" | "⃗" => '\u{20d7}',
        "˙" | "." | "̇" => '\u{307}',
        "¨" | "̈" => '\u{308}',
        _ => return format!("{base}{}", superscript(above)),
    };
    if base.chars().count() == 1 {
        return format!("{base}{mark}");
    }
    format!("{}{mark}", in_parentheses(base))
}

/// A base with pairs of subscript and superscript behind it, and after a mark in front of it.
fn multiscripts(nodes: &[MathNode]) -> String {
    let Some((base, scripts)) = nodes.split_first() else {
        return String::new();
    };
    let pairs = |nodes: &[MathNode]| {
        let mut written = String::new();
        for pair in nodes.chunks(2) {
            written.push_str(&subscript(&pair[0].text));
            written.push_str(&superscript(pair.get(1).map_or("", |node| node.text.as_str())));
        }
        written
    };
    let mark = scripts
        .iter()
        .position(|node| node.name == "mprescripts")
        .unwrap_or(scripts.len());
    let before = scripts.get(mark + 1..).unwrap_or_default();
    format!("{}{}{}", pairs(before), base.text, pairs(&scripts[..mark]))
}

#[cfg(test)]
mod tests {
    use crate::markup::plain;

    #[test]
    fn a_formula_in_several_forms_appears_once() {
        let math = "<mml:math xmlns:mml=\"http://www.w3.org/1998/Math/MathML\"><mml:msub><mml:mi>α</mml:mi>\n  <mml:mi>s</mml:mi></mml:msub></mml:math>";
        for (text, expected) in [
            (
                format!("We study <jats:inline-formula><jats:alternatives><jats:tex-math>$$\\alpha _s$$</jats:tex-math>{math}</jats:alternatives></jats:inline-formula> here"),
                "We study $\\alpha _s$ here",
            ),
            (format!("<inline-formula>{math}<tex-math>\\alpha_s</tex-math></inline-formula>"), "$\\alpha_s$"),
            (format!("of {math} only"), "of αₛ only"),
            (
                "Let <tex-math>\\documentclass[12pt]{minimal}\n\\usepackage{amsmath}\n\\begin{document}$$\\mathbb {F}_q$$\\end{document}</tex-math> be".into(),
                "Let $\\mathbb {F}_q$ be",
            ),
            ("<disp-formula><tex-math><![CDATA[a < b & c]]></tex-math></disp-formula>".into(), "$$a < b & c$$"),
            (
                "<math><semantics><mrow><mi>x</mi></mrow><annotation encoding=\"application/x-tex\">x^2</annotation></semantics></math>".into(),
                "$x^2$",
            ),
            ("<math alttext=\"a&lt;b\"><mi>a</mi></math>".into(), "$a<b$"),
            ("a <span aria-hidden=\"true\">a</span>".into(), "a "),
            ("<script type=\"math/tex\">x_1</script>".into(), "$x_1$"),
        ] {
            assert_eq!(plain(&text), expected, "{text}");
        }
    }

    #[test]
    fn mathml_is_written_in_a_line() {
        for (inner, expected) in [
            (
                "<mrow><msup><mi>B</mi><mo>+</mo></msup><mo stretchy=\"false\">→</mo><msup><mi>K</mi><mo>+</mo></msup><mi>ν</mi></mrow>",
                "B⁺→K⁺ν",
            ),
            (
                "<mfrac><mn>1</mn><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow></mfrac>",
                "1/(a+b)",
            ),
            (
                "<msqrt><mi>s</mi></msqrt><mo>=</mo><mn>13</mn><mspace width=\"1em\"/><mtext>TeV</mtext>",
                "√s=13 TeV",
            ),
            ("<mover accent=\"true\"><mi>x</mi><mo>¯</mo></mover>", "x\u{304}"),
            (
                "<mmultiscripts><mi>C</mi><mprescripts/><none/><mn>14</mn></mmultiscripts>",
                "¹⁴C",
            ),
            ("<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>", "xᵢ²"),
            ("<mroot><mi>x</mi><mn>3</mn></mroot>", "³√x"),
        ] {
            assert_eq!(plain(&format!("<math>{inner}</math>")), expected);
        }
    }
}
