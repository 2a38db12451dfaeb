//! What LaTeX commands print, and accents on letters.

use unicode_normalization::char::compose;

/// How a symbol is spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolClass {
    /// No space.
    Plain,
    /// Space on both sides, such as ≤.
    Relation,
    /// Space on both sides between two operands, such as ×.
    Binary,
    /// Upright, followed by space, such as log.
    Function,
}

use SymbolClass::{Binary, Function, Plain, Relation};

#[rustfmt::skip]
const SYMBOLS: &[(&str, &str, SymbolClass)] = &[
    ("AA", "Å", Plain), ("AE", "Æ", Plain), ("Cap", "⋒", Binary), ("Cup", "⋓", Binary), ("DH", "Ð", Plain), ("DJ", "Đ", Plain),
    ("Delta", "Δ", Plain), ("Downarrow", "⇓", Relation), ("Gamma", "Γ", Plain), ("Im", "ℑ", Plain), ("L", "Ł", Plain),
    ("LaTeX", "LaTeX", Plain), ("Lambda", "Λ", Plain), ("Leftarrow", "⇐", Relation), ("Leftrightarrow", "⇔", Relation),
    ("Lleftarrow", "⇚", Relation), ("Longleftarrow", "⟸", Relation), ("Longleftrightarrow", "⟺", Relation),
    ("Longrightarrow", "⟹", Relation), ("Lsh", "↰", Plain), ("NG", "Ŋ", Plain), ("O", "Ø", Plain), ("OE", "Œ", Plain),
    ("Omega", "Ω", Plain), ("P", "¶", Plain), ("Phi", "Φ", Plain), ("Pi", "Π", Plain), ("Pr", "Pr", Function),
    ("Psi", "Ψ", Plain), ("Re", "ℜ", Plain), ("Rightarrow", "⇒", Relation), ("S", "§", Plain), ("Sigma", "Σ", Plain),
    ("TH", "Þ", Plain), ("TeX", "TeX", Plain), ("Theta", "Θ", Plain), ("Uparrow", "⇑", Relation), ("Upsilon", "Υ", Plain),
    ("Vdash", "⊩", Relation), ("Vert", "‖", Plain), ("Xi", "Ξ", Plain), ("aa", "å", Plain), ("ae", "æ", Plain),
    ("aleph", "ℵ", Plain), ("alpha", "α", Plain), ("angle", "∠", Plain), ("approx", "≈", Relation), ("approxeq", "≊", Relation),
    ("arccos", "arccos", Function), ("arcsin", "arcsin", Function), ("arctan", "arctan", Function), ("arg", "arg", Function),
    ("argmax", "argmax", Function), ("argmin", "argmin", Function), ("ast", "∗", Binary), ("asymp", "≍", Relation),
    ("backslash", "\\", Plain), ("because", "∵", Relation), ("beta", "β", Plain), ("beth", "ℶ", Plain), ("bigcap", "⋂", Plain),
    ("bigcup", "⋃", Plain), ("bigoplus", "⨁", Plain), ("bigotimes", "⨂", Plain), ("bigsqcup", "⨆", Plain),
    ("bigstar", "★", Plain), ("bigtriangleup", "△", Plain), ("bigvee", "⋁", Plain), ("bigwedge", "⋀", Plain),
    ("blacksquare", "■", Plain), ("bot", "⊥", Plain), ("bowtie", "⋈", Relation), ("bullet", "•", Binary), ("cap", "∩", Binary),
    ("cdot", "·", Binary), ("cdots", "⋯", Plain), ("checkmark", "✓", Plain), ("chi", "χ", Plain), ("circ", "∘", Binary),
    ("circledR", "®", Plain), ("clubsuit", "♣", Plain), ("colon", ":", Relation), ("coloneq", "≔", Relation),
    ("coloneqq", "≔", Relation), ("complement", "∁", Plain), ("cong", "≅", Relation), ("copyright", "©", Plain),
    ("cos", "cos", Function), ("cosh", "cosh", Function), ("cot", "cot", Function), ("coth", "coth", Function),
    ("csc", "csc", Function), ("cup", "∪", Binary), ("curlyeqprec", "⋞", Relation), ("dag", "†", Plain), ("dagger", "†", Plain),
    ("daleth", "ℸ", Plain), ("dashv", "⊣", Relation), ("ddag", "‡", Plain), ("ddagger", "‡", Plain), ("ddots", "⋱", Plain),
    ("deg", "°", Plain), ("degree", "°", Plain), ("delta", "δ", Plain), ("det", "det", Function), ("dh", "ð", Plain),
    ("diamond", "⋄", Binary), ("diamondsuit", "♢", Plain), ("dim", "dim", Function), ("div", "÷", Binary), ("dj", "đ", Plain),
    ("doteq", "≐", Relation), ("dots", "…", Plain), ("dotsb", "⋯", Plain), ("dotsc", "…", Plain), ("dotsm", "⋯", Plain),
    ("dotso", "…", Plain), ("downarrow", "↓", Plain), ("ell", "ℓ", Plain), ("emptyset", "∅", Plain), ("epsilon", "ϵ", Plain),
    ("equiv", "≡", Relation), ("eta", "η", Plain), ("eth", "ð", Plain), ("euro", "€", Plain), ("exists", "∃", Plain),
    ("exp", "exp", Function), ("flat", "♭", Plain), ("forall", "∀", Plain), ("gamma", "γ", Plain), ("gcd", "gcd", Function),
    ("ge", "≥", Relation), ("geq", "≥", Relation), ("geqslant", "≥", Relation), ("gets", "←", Relation), ("gg", "≫", Relation),
    ("ggg", "⋙", Relation), ("gimel", "ℷ", Plain), ("gt", ">", Relation), ("gtrapprox", "⪆", Relation),
    ("gtrsim", "≳", Relation), ("guillemotleft", "«", Plain), ("guillemotright", "»", Plain), ("hbar", "ℏ", Plain),
    ("heartsuit", "♡", Plain), ("hom", "hom", Function), ("hookrightarrow", "↪", Relation), ("hslash", "ℏ", Plain),
    ("hyphen", "-", Plain), ("i", "ı", Plain), ("iff", "⟺", Relation), ("iiint", "∭", Plain), ("iint", "∬", Plain),
    ("imath", "ı", Plain), ("implies", "⟹", Relation), ("in", "∈", Relation), ("inf", "inf", Function), ("infty", "∞", Plain),
    ("int", "∫", Plain), ("iota", "ι", Plain), ("j", "ȷ", Plain), ("jmath", "ȷ", Plain), ("kappa", "κ", Plain),
    ("ker", "ker", Function), ("l", "ł", Plain), ("lVert", "‖", Plain), ("lambda", "λ", Plain), ("land", "∧", Binary),
    ("langle", "⟨", Plain), ("lbrace", "{", Plain), ("lbrack", "[", Plain), ("lbrbrak", "❲", Plain), ("lceil", "⌈", Plain),
    ("ldots", "…", Plain), ("le", "≤", Relation), ("leadsto", "⇝", Relation), ("leftarrow", "←", Relation),
    ("leftrightarrow", "↔", Relation), ("leq", "≤", Relation), ("leqslant", "≤", Relation), ("lessapprox", "⪅", Relation),
    ("lesseqgtr", "⋚", Relation), ("lesssim", "≲", Relation), ("lfloor", "⌊", Plain), ("lg", "lg", Function),
    ("lim", "lim", Function), ("liminf", "lim inf", Function), ("limsup", "lim sup", Function), ("ll", "≪", Relation),
    ("lll", "⋘", Relation), ("ln", "ln", Function), ("lnot", "¬", Plain), ("log", "log", Function),
    ("longleftarrow", "⟵", Relation), ("longleftrightarrow", "⟷", Relation), ("longmapsto", "⟼", Relation),
    ("longrightarrow", "⟶", Relation), ("lor", "∨", Binary), ("lt", "<", Relation), ("ltimes", "⋉", Binary),
    ("lvert", "|", Plain), ("mapsto", "↦", Relation), ("max", "max", Function), ("measuredangle", "∡", Plain),
    ("mho", "℧", Plain), ("micro", "µ", Plain), ("mid", "|", Relation), ("min", "min", Function), ("models", "⊨", Relation),
    ("mp", "∓", Binary), ("mu", "μ", Plain), ("nabla", "∇", Plain), ("natural", "♮", Plain), ("ne", "≠", Relation),
    ("nearrow", "↗", Plain), ("neg", "¬", Plain), ("neq", "≠", Relation), ("nexists", "∄", Plain), ("ng", "ŋ", Plain),
    ("ngeq", "≱", Relation), ("ngtr", "≯", Relation), ("ni", "∋", Relation), ("nleq", "≰", Relation), ("nless", "≮", Relation),
    ("nmid", "∤", Relation), ("notin", "∉", Relation), ("nparallel", "∦", Relation), ("nrightarrow", "↛", Relation),
    ("nsubset", "⊄", Relation), ("nsubseteq", "⊈", Relation), ("nu", "ν", Plain), ("nwarrow", "↖", Plain), ("o", "ø", Plain),
    ("odot", "⊙", Binary), ("oe", "œ", Plain), ("ohm", "Ω", Plain), ("oint", "∮", Plain), ("omega", "ω", Plain),
    ("ominus", "⊖", Binary), ("oplus", "⊕", Binary), ("oslash", "⊘", Binary), ("otimes", "⊗", Binary), ("owns", "∋", Relation),
    ("parallel", "∥", Relation), ("partial", "∂", Plain), ("permil", "‰", Plain), ("perp", "⊥", Relation), ("phi", "ϕ", Plain),
    ("pi", "π", Plain), ("pm", "±", Binary), ("pounds", "£", Plain), ("prec", "≺", Relation), ("preceq", "⪯", Relation),
    ("prime", "′", Plain), ("prod", "∏", Plain), ("propto", "∝", Relation), ("psi", "ψ", Plain), ("rVert", "‖", Plain),
    ("rangle", "⟩", Plain), ("rbrace", "}", Plain), ("rbrack", "]", Plain), ("rceil", "⌉", Plain), ("restriction", "↾", Binary),
    ("rfloor", "⌋", Plain), ("rho", "ρ", Plain), ("rightarrow", "→", Relation), ("rightharpoonup", "⇀", Relation),
    ("rightleftharpoons", "⇌", Relation), ("rightrightarrows", "⇉", Relation), ("rightsquigarrow", "⇝", Relation),
    ("rtimes", "⋊", Binary), ("rvert", "|", Plain), ("searrow", "↘", Plain), ("sec", "sec", Function),
    ("setminus", "∖", Binary), ("sharp", "♯", Plain), ("sigma", "σ", Plain), ("sim", "∼", Relation), ("simeq", "≃", Relation),
    ("sin", "sin", Function), ("sinh", "sinh", Function), ("smallsetminus", "∖", Binary), ("spadesuit", "♠", Plain),
    ("sqcap", "⊓", Binary), ("sqcup", "⊔", Binary), ("sqsubset", "⊏", Relation), ("sqsubseteq", "⊑", Relation),
    ("sqsupset", "⊐", Relation), ("sqsupseteq", "⊒", Relation), ("square", "□", Plain), ("ss", "ß", Plain),
    ("star", "⋆", Binary), ("subset", "⊂", Relation), ("subseteq", "⊆", Relation), ("subsetneq", "⊊", Relation),
    ("subsetneqq", "⫋", Relation), ("succ", "≻", Relation), ("succeq", "⪰", Relation), ("sum", "∑", Plain),
    ("sup", "sup", Function), ("supset", "⊃", Relation), ("supseteq", "⊇", Relation), ("supsetneq", "⊋", Relation),
    ("surd", "√", Plain), ("swarrow", "↙", Plain), ("tan", "tan", Function), ("tanh", "tanh", Function), ("tau", "τ", Plain),
    ("textasciicircum", "^", Plain), ("textasciitilde", "~", Plain), ("textasteriskcentered", "*", Plain),
    ("textbackslash", "\\", Plain), ("textbar", "|", Plain), ("textbraceleft", "{", Plain), ("textbraceright", "}", Plain),
    ("textbullet", "•", Plain), ("textcopyright", "©", Plain), ("textdegree", "°", Plain), ("textdollar", "$", Plain),
    ("textellipsis", "…", Plain), ("textemdash", "—", Plain), ("textendash", "–", Plain), ("texteuro", "€", Plain),
    ("textexclamdown", "¡", Plain), ("textgreater", ">", Plain), ("textless", "<", Plain), ("textmu", "µ", Plain),
    ("textohm", "Ω", Plain), ("textparagraph", "¶", Plain), ("textpertenthousand", "‱", Plain), ("textperthousand", "‰", Plain),
    ("textpm", "±", Plain), ("textquestiondown", "¿", Plain), ("textquotedbl", "\"", Plain), ("textquotedblleft", "“", Plain),
    ("textquotedblright", "”", Plain), ("textquoteleft", "‘", Plain), ("textquoteright", "’", Plain),
    ("textquotesingle", "'", Plain), ("textregistered", "®", Plain), ("textsection", "§", Plain), ("texttimes", "×", Plain),
    ("texttrademark", "™", Plain), ("textunderscore", "_", Plain), ("th", "þ", Plain), ("therefore", "∴", Relation),
    ("theta", "θ", Plain), ("times", "×", Binary), ("to", "→", Relation), ("top", "⊤", Plain), ("tr", "tr", Function),
    ("triangle", "△", Plain), ("triangleleft", "◁", Relation), ("trianglelefteq", "⊴", Relation), ("triangleq", "≜", Relation),
    ("triangleright", "▷", Relation), ("trianglerighteq", "⊵", Relation), ("twoheadrightarrow", "↠", Relation),
    ("uparrow", "↑", Plain), ("updownarrow", "↕", Plain), ("upharpoonright", "↾", Binary), ("uplus", "⊎", Binary),
    ("upsilon", "υ", Plain), ("vDash", "⊨", Relation), ("varGamma", "𝛤", Plain), ("varepsilon", "ε", Plain),
    ("varkappa", "ϰ", Plain), ("varnothing", "∅", Plain), ("varphi", "φ", Plain), ("varpi", "ϖ", Plain), ("varrho", "ϱ", Plain),
    ("varsigma", "ς", Plain), ("vartheta", "ϑ", Plain), ("vdash", "⊢", Relation), ("vdots", "⋮", Plain), ("vee", "∨", Binary),
    ("vert", "|", Plain), ("wedge", "∧", Binary), ("wp", "℘", Plain), ("xi", "ξ", Plain), ("zeta", "ζ", Plain),
];

/// What a command without arguments prints, and how it is spaced.
pub fn symbol(name: &str) -> Option<(&'static str, SymbolClass)> {
    let place = SYMBOLS.binary_search_by(|(known, ..)| (*known).cmp(name)).ok()?;
    let (_, text, kind) = SYMBOLS[place];
    Some((text, kind))
}

/// The combining mark of an accent in text: `'` of `\'e`, `v` of `\v{s}`.
pub fn accent(command: &str) -> Option<char> {
    Some(match command {
        "'" => '\u{301}',
        "`" => '\u{300}',
        "^" => '\u{302}',
        "\"" => '\u{308}',
        "~" => '\u{303}',
        "=" => '\u{304}',
        "." => '\u{307}',
        "u" => '\u{306}',
        "v" => '\u{30c}',
        "H" => '\u{30b}',
        "c" => '\u{327}',
        "k" => '\u{328}',
        "r" => '\u{30a}',
        "d" => '\u{323}',
        "b" => '\u{331}',
        "t" => '\u{361}',
        _ => return None,
    })
}

/// Whether a command is a Latin letter by itself: `\o`, `\ss`.
pub fn is_letter(command: &str) -> bool {
    symbol(command).is_some_and(|(text, _)| {
        let mut chars = text.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() && c < '\u{250}') && chars.next().is_none()
    })
}

/// The combining mark of an accent in a formula.
pub fn maths_accent(command: &str) -> Option<char> {
    Some(match command {
        "hat" | "widehat" => '\u{302}',
        "bar" | "overline" => '\u{304}',
        "tilde" | "widetilde" => '\u{303}',
        "dot" => '\u{307}',
        "ddot" => '\u{308}',
        "vec" | "overrightarrow" => '\u{20d7}',
        "underline" | "uline" => '\u{331}',
        "check" => '\u{30c}',
        "breve" => '\u{306}',
        "acute" => '\u{301}',
        "grave" => '\u{300}',
        "mathring" => '\u{30a}',
        _ => return None,
    })
}

/// A letter with an accent, as one character if Unicode has it.
pub fn accented(base: char, mark: char) -> String {
    // Dotless letters exist for accents; accented, they are the common ones.
    let base = match base {
        'ı' => 'i',
        'ȷ' => 'j',
        base => base,
    };
    compose(base, mark).map_or_else(|| [base, mark].iter().collect(), String::from)
}

/// A letter or digit with doubled strokes, such as ℝ.
pub fn double_struck(c: char) -> Option<char> {
    let from = |first: char, base: char| char::from_u32(c as u32 - first as u32 + base as u32);
    match c {
        'C' => Some('ℂ'),
        'H' => Some('ℍ'),
        'N' => Some('ℕ'),
        'P' => Some('ℙ'),
        'Q' => Some('ℚ'),
        'R' => Some('ℝ'),
        'Z' => Some('ℤ'),
        'A'..='Z' => from('A', '𝔸'),
        'a'..='z' => from('a', '𝕒'),
        '0'..='9' => from('0', '𝟘'),
        _ => None,
    }
}

/// Characters, and their forms as superscripts, in the same order.
const SUPERSCRIPTS: (&str, &str) = (
    "0123456789+-−=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWβγδθ⊤∘",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵝᵞᵟᶿᵀ°",
);
/// Characters, and their forms as subscripts, in the same order.
const SUBSCRIPTS: (&str, &str) = (
    "0123456789+-−=()aehijklmnoprstuvxβγρφχ",
    "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ",
);

/// A superscript (`^`) or subscript (`_`) in the characters that Unicode has for it. Not of words, which would be hard to read.
pub fn script(sign: char, text: &str) -> Option<String> {
    const MOST_LETTERS: usize = 2;
    let (plain, changed) = if sign == '^' { SUPERSCRIPTS } else { SUBSCRIPTS };
    let longest_word = text
        .split(|c: char| !c.is_alphabetic())
        .map(|word| word.chars().count())
        .max();
    if longest_word > Some(MOST_LETTERS) {
        return None;
    }
    let change = |c: char| changed.chars().nth(plain.chars().position(|known| known == c)?);
    text.chars().map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symbol_is_found() {
        assert!(SYMBOLS.is_sorted_by(|a, b| a.0 < b.0), "binary search needs it");
        assert_eq!(symbol("varepsilon"), Some(("ε", Plain)));
        assert_eq!(symbol("ours"), None);
        assert_eq!(accented('e', '\u{301}'), "é");
        assert_eq!(accented('ı', '\u{301}'), "í");
        assert_eq!((double_struck('R'), double_struck('E')), (Some('ℝ'), Some('𝔼')));
    }

    #[test]
    fn scripts_are_raised_and_lowered() {
        assert_eq!(script('^', "-3").as_deref(), Some("⁻³"));
        assert_eq!(script('_', "ij").as_deref(), Some("ᵢⱼ"));
        assert_eq!(script('^', "(t+1)").as_deref(), Some("⁽ᵗ⁺¹⁾"));
        for (sign, text) in [('^', "foo"), ('_', "max"), ('^', "Q"), ('_', "b")] {
            assert_eq!(script(sign, text), None, "{text}");
        }
        for (plain, changed) in [SUPERSCRIPTS, SUBSCRIPTS] {
            assert_eq!(plain.chars().count(), changed.chars().count());
        }
    }
}
