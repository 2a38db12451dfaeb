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
    ("AA", "Å", Plain), ("AE", "Æ", Plain), ("Cap", "⋒", Binary), ("Cup", "⋓", Binary), ("Delta", "Δ", Plain),
    ("Downarrow", "⇓", Relation), ("Gamma", "Γ", Plain), ("Im", "ℑ", Plain), ("L", "Ł", Plain), ("Lambda", "Λ", Plain),
    ("Leftarrow", "⇐", Relation), ("Leftrightarrow", "⇔", Relation), ("Longleftrightarrow", "⟺", Relation),
    ("Longrightarrow", "⟹", Relation), ("O", "Ø", Plain), ("OE", "Œ", Plain), ("Omega", "Ω", Plain), ("P", "¶", Plain),
    ("Phi", "Φ", Plain), ("Pi", "Π", Plain), ("Pr", "Pr", Function), ("Psi", "Ψ", Plain), ("Re", "ℜ", Plain),
    ("Rightarrow", "⇒", Relation), ("S", "§", Plain), ("Sigma", "Σ", Plain), ("Theta", "Θ", Plain),
    ("Uparrow", "⇑", Relation), ("Upsilon", "Υ", Plain), ("Vert", "‖", Plain), ("Xi", "Ξ", Plain), ("aa", "å", Plain),
    ("ae", "æ", Plain), ("aleph", "ℵ", Plain), ("alpha", "α", Plain), ("angle", "∠", Plain), ("approx", "≈", Relation),
    ("approxeq", "≊", Relation), ("arccos", "arccos", Function), ("arcsin", "arcsin", Function),
    ("arctan", "arctan", Function), ("arg", "arg", Function), ("argmax", "argmax", Function), ("argmin", "argmin", Function),
    ("ast", "∗", Binary), ("asymp", "≍", Relation), ("backslash", "\\", Plain), ("because", "∵", Relation),
    ("beta", "β", Plain), ("bigcap", "⋂", Plain), ("bigcup", "⋃", Plain), ("bigoplus", "⨁", Plain), ("bigotimes", "⨂", Plain),
    ("blacksquare", "■", Plain), ("bot", "⊥", Plain), ("bullet", "•", Binary), ("cap", "∩", Binary), ("cdot", "·", Binary),
    ("cdots", "⋯", Plain), ("checkmark", "✓", Plain), ("chi", "χ", Plain), ("circ", "∘", Binary), ("circledR", "®", Plain),
    ("clubsuit", "♣", Plain), ("colon", ":", Relation), ("complement", "∁", Plain), ("cong", "≅", Relation),
    ("copyright", "©", Plain), ("cos", "cos", Function), ("cosh", "cosh", Function), ("cot", "cot", Function),
    ("cup", "∪", Binary), ("dag", "†", Plain), ("dagger", "†", Plain), ("ddag", "‡", Plain), ("ddagger", "‡", Plain),
    ("deg", "°", Plain), ("degree", "°", Plain), ("delta", "δ", Plain), ("det", "det", Function), ("diamond", "⋄", Binary),
    ("diamondsuit", "♢", Plain), ("dim", "dim", Function), ("div", "÷", Binary), ("doteq", "≐", Relation),
    ("dots", "…", Plain), ("dotsc", "…", Plain), ("downarrow", "↓", Plain), ("ell", "ℓ", Plain), ("emptyset", "∅", Plain),
    ("epsilon", "ϵ", Plain), ("equiv", "≡", Relation), ("eta", "η", Plain), ("eth", "ð", Plain), ("euro", "€", Plain),
    ("exists", "∃", Plain), ("exp", "exp", Function), ("flat", "♭", Plain), ("forall", "∀", Plain), ("gamma", "γ", Plain),
    ("gcd", "gcd", Function), ("ge", "≥", Relation), ("geq", "≥", Relation), ("geqslant", "≥", Relation),
    ("gets", "←", Relation), ("gg", "≫", Relation), ("gtrapprox", "⪆", Relation), ("gtrsim", "≳", Relation),
    ("hbar", "ℏ", Plain), ("heartsuit", "♡", Plain), ("hookrightarrow", "↪", Relation), ("i", "ı", Plain),
    ("iff", "⟺", Relation), ("imath", "ı", Plain), ("implies", "⟹", Relation), ("in", "∈", Relation),
    ("inf", "inf", Function), ("infty", "∞", Plain), ("int", "∫", Plain), ("iota", "ι", Plain), ("j", "ȷ", Plain),
    ("jmath", "ȷ", Plain), ("kappa", "κ", Plain), ("ker", "ker", Function), ("l", "ł", Plain), ("lVert", "‖", Plain),
    ("lambda", "λ", Plain), ("land", "∧", Binary), ("langle", "⟨", Plain), ("lbrace", "{", Plain), ("lbrack", "[", Plain),
    ("lceil", "⌈", Plain), ("ldots", "…", Plain), ("le", "≤", Relation), ("leftarrow", "←", Relation),
    ("leftrightarrow", "↔", Relation), ("leq", "≤", Relation), ("leqslant", "≤", Relation), ("lesssim", "≲", Relation),
    ("lfloor", "⌊", Plain), ("lim", "lim", Function), ("liminf", "lim inf", Function), ("limsup", "lim sup", Function),
    ("ll", "≪", Relation), ("ln", "ln", Function), ("lnot", "¬", Plain), ("log", "log", Function),
    ("longleftarrow", "⟵", Relation), ("longleftrightarrow", "⟷", Relation), ("longmapsto", "⟼", Relation),
    ("longrightarrow", "⟶", Relation), ("lor", "∨", Binary), ("lvert", "|", Plain), ("mapsto", "↦", Relation),
    ("max", "max", Function), ("measuredangle", "∡", Plain), ("mho", "℧", Plain), ("mid", "|", Relation),
    ("min", "min", Function), ("models", "⊨", Relation), ("mp", "∓", Binary), ("mu", "μ", Plain), ("nabla", "∇", Plain),
    ("natural", "♮", Plain), ("ne", "≠", Relation), ("nearrow", "↗", Plain), ("neg", "¬", Plain), ("neq", "≠", Relation),
    ("ni", "∋", Relation), ("notin", "∉", Relation), ("nrightarrow", "↛", Relation), ("nsubseteq", "⊈", Relation),
    ("nu", "ν", Plain), ("o", "ø", Plain), ("odot", "⊙", Binary), ("oe", "œ", Plain), ("oint", "∮", Plain),
    ("omega", "ω", Plain), ("ominus", "⊖", Binary), ("oplus", "⊕", Binary), ("oslash", "⊘", Binary), ("otimes", "⊗", Binary),
    ("parallel", "∥", Relation), ("partial", "∂", Plain), ("perp", "⊥", Relation), ("phi", "ϕ", Plain), ("pi", "π", Plain),
    ("pm", "±", Binary), ("pounds", "£", Plain), ("prec", "≺", Relation), ("preceq", "⪯", Relation), ("prime", "′", Plain),
    ("prod", "∏", Plain), ("propto", "∝", Relation), ("psi", "ψ", Plain), ("rVert", "‖", Plain), ("rangle", "⟩", Plain),
    ("rbrace", "}", Plain), ("rbrack", "]", Plain), ("rceil", "⌉", Plain), ("rfloor", "⌋", Plain), ("rho", "ρ", Plain),
    ("rightarrow", "→", Relation), ("rightharpoonup", "⇀", Relation), ("rightleftharpoons", "⇌", Relation),
    ("rightsquigarrow", "⇝", Relation), ("rvert", "|", Plain), ("searrow", "↘", Plain), ("setminus", "∖", Binary),
    ("sharp", "♯", Plain), ("sigma", "σ", Plain), ("sim", "∼", Relation), ("simeq", "≃", Relation), ("sin", "sin", Function),
    ("sinh", "sinh", Function), ("smallsetminus", "∖", Binary), ("spadesuit", "♠", Plain), ("sqcap", "⊓", Binary),
    ("sqcup", "⊔", Binary), ("sqsubseteq", "⊑", Relation), ("square", "□", Plain), ("ss", "ß", Plain), ("star", "⋆", Binary),
    ("subset", "⊂", Relation), ("subseteq", "⊆", Relation), ("subsetneq", "⊊", Relation), ("succ", "≻", Relation),
    ("succeq", "⪰", Relation), ("sum", "∑", Plain), ("sup", "sup", Function), ("supset", "⊃", Relation),
    ("supseteq", "⊇", Relation), ("surd", "√", Plain), ("swarrow", "↙", Plain), ("tan", "tan", Function),
    ("tanh", "tanh", Function), ("tau", "τ", Plain), ("textasciicircum", "^", Plain), ("textasciitilde", "~", Plain),
    ("textbackslash", "\\", Plain), ("textbar", "|", Plain), ("textbullet", "•", Plain), ("textcopyright", "©", Plain),
    ("textdegree", "°", Plain), ("textdollar", "$", Plain), ("textemdash", "—", Plain), ("textendash", "–", Plain),
    ("texteuro", "€", Plain), ("textgreater", ">", Plain), ("textless", "<", Plain), ("textmu", "µ", Plain),
    ("textpm", "±", Plain), ("textquotedblleft", "“", Plain), ("textquotedblright", "”", Plain),
    ("textquoteleft", "‘", Plain), ("textquoteright", "’", Plain), ("textregistered", "®", Plain), ("texttimes", "×", Plain),
    ("texttrademark", "™", Plain), ("textunderscore", "_", Plain), ("therefore", "∴", Relation), ("theta", "θ", Plain),
    ("times", "×", Binary), ("to", "→", Relation), ("top", "⊤", Plain), ("triangle", "△", Plain),
    ("triangleq", "≜", Relation), ("uparrow", "↑", Plain), ("updownarrow", "↕", Plain), ("uplus", "⊎", Binary),
    ("upsilon", "υ", Plain), ("varepsilon", "ε", Plain), ("varnothing", "∅", Plain), ("varphi", "φ", Plain),
    ("varpi", "ϖ", Plain), ("varrho", "ϱ", Plain), ("varsigma", "ς", Plain), ("vartheta", "ϑ", Plain),
    ("vdash", "⊢", Relation), ("vdots", "⋮", Plain), ("vee", "∨", Binary), ("vert", "|", Plain), ("wedge", "∧", Binary),
    ("wp", "℘", Plain), ("xi", "ξ", Plain), ("zeta", "ζ", Plain),
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
        _ => return None,
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

/// A letter with doubled strokes, such as ℝ.
pub fn double_struck(c: char) -> Option<char> {
    Some(match c {
        'C' => 'ℂ',
        'H' => 'ℍ',
        'N' => 'ℕ',
        'P' => 'ℙ',
        'Q' => 'ℚ',
        'R' => 'ℝ',
        'Z' => 'ℤ',
        _ => return None,
    })
}

/// The superscript form of a character, if Unicode has one.
pub fn raised(c: char) -> Option<char> {
    Some(match c {
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4'..='9' => char::from_u32(c as u32 - '4' as u32 + '⁴' as u32)?,
        '+' => '⁺',
        '-' | '−' => '⁻',
        '=' => '⁼',
        '(' => '⁽',
        ')' => '⁾',
        'n' => 'ⁿ',
        'i' => 'ⁱ',
        '∘' => '°',
        _ => return None,
    })
}

/// The subscript form of a character, if Unicode has one.
pub fn lowered(c: char) -> Option<char> {
    Some(match c {
        '0'..='9' => char::from_u32(c as u32 - '0' as u32 + '₀' as u32)?,
        '+' => '₊',
        '-' | '−' => '₋',
        '=' => '₌',
        '(' => '₍',
        ')' => '₎',
        _ => return None,
    })
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
        assert_eq!((raised('7'), lowered('3')), (Some('⁷'), Some('₃')));
    }
}
