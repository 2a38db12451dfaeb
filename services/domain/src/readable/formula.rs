//! Formulas as a line of text.
//!
//! Nothing is set in two dimensions: a fraction becomes a/b, and an exponent without a raised letter x^(…). Of an unknown
//! command the name stays.

use std::iter::Peekable;
use std::str::Chars;

use super::symbols::{SymbolClass, accented, double_struck, maths_accent, script, symbol};
use super::{MAX_DEPTH, readable_within};

/// Space that is only wanted once; it is a plain one in the result.
const THIN: char = '\u{2009}';
/// What holds a group together.
const OPENING: char = '{';
const CLOSING: char = '}';

/// A formula, given without its dollars, as a line. `depth` is that of the text it stands in.
pub fn formula_line(tex: &str, depth: usize) -> String {
    let mut reader = FormulaReader {
        rest: tex.chars().peekable(),
        depth,
        is_script: false,
    };
    let line = reader.sequence(None).replace(THIN, " ");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct FormulaReader<'a> {
    rest: Peekable<Chars<'a>>,
    depth: usize,
    is_script: bool,
}

impl FormulaReader<'_> {
    /// Reads to a closing brace or bracket, or to the end.
    fn sequence(&mut self, until: Option<char>) -> String {
        let mut set = String::new();
        self.depth += 1;
        while let Some(c) = self.rest.next() {
            if Some(c) == until {
                break;
            }
            match c {
                c if c.is_whitespace() => {}
                '^' | '_' => self.script(c, &mut set),
                '\'' => set.push('′'),
                '\\' => self.command(&mut set),
                '{' if self.depth < MAX_DEPTH => set.push_str(&self.sequence(Some('}'))),
                '{' | '}' | '$' => {}
                '~' | '&' => set.push(' '),
                '-' => self.between("−", SymbolClass::Binary, &mut set),
                '+' => self.between("+", SymbolClass::Binary, &mut set),
                '=' => self.between("=", SymbolClass::Relation, &mut set),
                '<' => self.between("<", SymbolClass::Relation, &mut set),
                '>' => self.between(">", SymbolClass::Relation, &mut set),
                ',' | ';' => self.comma(c, &mut set),
                c => set.push(c),
            }
        }
        self.depth -= 1;
        set
    }

    /// An operator between two operands; without a left one it belongs to what follows.
    fn between(&mut self, sign: &str, kind: SymbolClass, set: &mut String) {
        let has_left = !set.is_empty() && !set.ends_with(['(', '[', '{', THIN, ' ', ',', '⟨']);
        // `2\times` and `\pm 5` have only one operand.
        self.skip_spaces();
        let has_right = self.rest.peek().is_some();
        let is_spaced = !self.is_script && (kind == SymbolClass::Relation || has_left && has_right);
        if is_spaced && has_left {
            set.push(THIN);
        }
        set.push_str(sign);
        if is_spaced {
            set.push(THIN);
        }
    }

    fn comma(&mut self, c: char, set: &mut String) {
        let is_in_number =
            set.ends_with(|before: char| before.is_ascii_digit()) && self.rest.peek().is_some_and(char::is_ascii_digit);
        set.push(c);
        if !is_in_number && !self.is_script {
            set.push(' ');
        }
    }

    fn script(&mut self, sign: char, set: &mut String) {
        let outer = std::mem::replace(&mut self.is_script, true);
        let content = self.argument();
        self.is_script = outer;
        let content = content.trim();
        if sign == '^' && matches!(content, "∘" | "°") {
            set.push('°');
        } else if sign == '^' && content.chars().all(|c| matches!(c, '′' | '∗' | '†' | '‡')) {
            set.push_str(&content.replace('∗', "*"));
        } else if let Some(changed) = script(sign, content) {
            set.push_str(&changed);
        } else if content.chars().all(char::is_alphabetic) {
            set.extend([sign.encode_utf8(&mut [0; 4]), content]);
        } else {
            set.extend([sign.encode_utf8(&mut [0; 4]), &*together(content)]);
        }
    }

    /// One argument: a group, a command, or one character.
    fn argument(&mut self) -> String {
        if self.depth >= MAX_DEPTH {
            return String::new();
        }
        self.skip_spaces();
        let Some(c) = self.rest.next_if(|c| *c != '}') else {
            return String::new();
        };
        match c {
            '{' => return self.sequence(Some('}')),
            '\\' => {
                let mut set = String::new();
                self.depth += 1;
                self.command(&mut set);
                self.depth -= 1;
                return set;
            }
            _ => {}
        }
        match c {
            '-' => "−".to_owned(),
            '\'' => "′".to_owned(),
            '*' => "∗".to_owned(),
            c => c.to_string(),
        }
    }

    /// An argument as written.
    fn raw(&mut self) -> String {
        self.skip_spaces();
        let mut raw = String::new();
        if self.rest.next_if_eq(&OPENING).is_none() {
            raw.extend(self.rest.next_if(|c| c.is_alphanumeric()));
            return raw;
        }
        let mut open = 1;
        for c in self.rest.by_ref() {
            match c {
                OPENING => open += 1,
                CLOSING => open -= 1,
                _ => {}
            }
            if open == 0 {
                break;
            }
            raw.push(c);
        }
        raw
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.rest.next_if(char::is_ascii_alphabetic) {
            name.push(c);
        }
        name
    }

    fn skip_spaces(&mut self) {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
    }

    fn command(&mut self, set: &mut String) {
        let name = self.name();
        if name.is_empty() {
            return self.escaped(set);
        }
        if let Some((text, kind)) = symbol(&name) {
            return self.symbol(text, kind, set);
        }
        if let Some(mark) = maths_accent(&name) {
            let content = self.argument();
            return set.push_str(&under(&content, mark));
        }
        if !self.setting(&name, set) && !self.layout(&name, set) {
            // Unknown: its name says more than nothing.
            set.push_str(&name);
            set.push(' ');
        }
    }

    /// A backslash followed by something other than a letter.
    fn escaped(&mut self, set: &mut String) {
        match self.rest.next() {
            Some('|') => set.push('‖'),
            Some(',' | ':' | ';' | '>' | ' ') => set.push(THIN),
            Some('\\') => set.push(' '),
            Some('!' | '(' | ')' | '[' | ']' | '/' | '-') | None => {}
            Some(c) => set.push(c),
        }
    }

    fn symbol(&mut self, text: &str, kind: SymbolClass, set: &mut String) {
        match kind {
            SymbolClass::Plain => set.push_str(text),
            SymbolClass::Relation | SymbolClass::Binary => self.between(text, kind, set),
            SymbolClass::Function => {
                if set.ends_with(|c: char| c.is_alphanumeric() || c == ')') {
                    set.push(THIN);
                }
                set.push_str(text);
                self.skip_spaces();
                if self.rest.peek().is_some_and(|c| c.is_alphanumeric() || *c == '\\') && !self.is_script {
                    set.push(THIN);
                }
            }
        }
    }

    /// Commands that style their argument; `false` if it is none that has arguments.
    fn setting(&mut self, name: &str, set: &mut String) -> bool {
        match name {
            "operatorname" => {
                self.rest.next_if_eq(&'*');
                let name = self.argument();
                self.symbol(&name, SymbolClass::Function, set);
            }
            "text" | "mathrm" | "textrm" | "mathsf" | "textsf" | "mathtt" | "texttt" | "mbox" | "textnormal"
            | "hbox" | "textsc" | "rm" | "textup" | "textit" | "emph" | "mathit" => {
                set.push_str(&readable_within(&self.raw(), self.depth));
            }
            "mathbb" | "mathds" | "Bbb" | "mathbbm" => {
                set.extend(self.raw().chars().map(|c| double_struck(c).unwrap_or(c)));
            }
            "mathbf" | "textbf" | "bf" | "boldsymbol" | "bm" | "pmb" | "mathbfcal" | "mathcal" | "mathscr"
            | "mathfrak" | "cal" | "textcal" | "boxed" | "overbrace" | "underbrace" | "substack" => {
                set.push_str(&self.argument());
            }
            "textsuperscript" => self.script('^', set),
            "textsubscript" => self.script('_', set),
            "unicode" => {
                let code = self.raw();
                let code = u32::from_str_radix(code.trim_start_matches('x'), 16).ok();
                // What is no character may mean something to those who get the text.
                let is_character = |c: &char| !matches!(c, '\u{fdd0}'..='\u{fdef}') && u32::from(*c) & 0xfffe != 0xfffe;
                set.extend(code.and_then(char::from_u32).filter(is_character));
            }
            _ => return self.placed(name, set),
        }
        true
    }

    /// Commands that put one argument over or beside another; `false` if it is not one of these.
    fn placed(&mut self, name: &str, set: &mut String) -> bool {
        match name {
            "frac" | "tfrac" | "dfrac" | "nicefrac" | "sfrac" | "cfrac" => {
                let (above, below) = (self.argument(), self.argument());
                set.extend([&*together(&above), "/", &together(&below)]);
            }
            "sqrt" => self.root(set),
            "binom" | "tbinom" | "dbinom" => {
                let (n, k) = (self.argument(), self.argument());
                set.extend(["(", &n, " choose ", &k, ")"]);
            }
            "overset" | "underset" | "stackrel" => {
                let (beside, base) = (self.argument(), self.argument());
                let sign = if name == "underset" { '_' } else { '^' };
                set.extend([
                    &*base,
                    &*script(sign, &beside).unwrap_or_else(|| format!("{sign}({beside})")),
                ]);
            }
            "xrightarrow" => {
                let over = self.argument();
                self.between("→", SymbolClass::Relation, set);
                set.extend(["(", &over, ")"]);
            }
            "pmod" => set.extend([" (mod ", &self.argument(), ")"]),
            "bmod" | "mod" => set.push_str(" mod "),
            _ => return false,
        }
        true
    }

    fn root(&mut self, set: &mut String) {
        if self.depth < MAX_DEPTH && self.rest.next_if_eq(&'[').is_some() {
            let of = self.sequence(Some(']'));
            set.push_str(&script('^', &of).unwrap_or_else(|| format!("^({of})")));
        }
        let content = self.argument();
        set.extend(["√", &together(&content)]);
    }

    /// Commands for sizes and positions, which a line of text does not have; `false` if it is not one of these.
    fn layout(&mut self, name: &str, set: &mut String) -> bool {
        match name {
            "left" | "right" | "big" | "Big" | "bigl" | "bigr" | "Bigl" | "Bigr" | "bigg" | "Bigg" | "biggl"
            | "biggr" | "middle" => {
                self.rest.next_if_eq(&'.');
            }
            "quad" | "qquad" | "space" | "enspace" => set.push(' '),
            "limits" | "nolimits" | "displaystyle" | "textstyle" | "scriptstyle" | "small" | "em" | "it" | "sc"
            | "sf" | "tt" | "xspace" | "nonumber" | "ensuremath" | "hfill" | "protect" | "centering" | "mathop"
            | "mathrel" | "mathbin" | "mathord" | "smash" => {}
            "color" | "begin" | "end" | "label" | "cite" | "citep" | "citet" | "ref" | "hspace" | "vspace"
            | "phantom" => {
                self.raw();
            }
            "textcolor" | "colorbox" | "href" => {
                self.raw();
                set.push_str(&self.argument());
            }
            "tag" => set.extend([" (", &self.argument(), ")"]),
            "not" => {
                let content = self.argument();
                set.push_str(&under(content.trim_matches(THIN), '\u{338}'));
            }
            _ => return false,
        }
        true
    }
}

/// An accent on a single letter. On more it would only cover the last one, so it is dropped.
fn under(content: &str, mark: char) -> String {
    let mut chars = content.chars();
    match (chars.next(), chars.next()) {
        (Some(base), None) => accented(base, mark),
        _ => content.to_owned(),
    }
}

/// Puts parentheses around what would fall apart beside other symbols.
fn together(content: &str) -> String {
    let is_simple = content.chars().count() <= 1
        || content.chars().all(|c| c.is_numeric() || c == '.')
        || (content.starts_with('(') && content.ends_with(')'))
        || (content.chars().all(char::is_alphanumeric) && content.chars().count() <= 3);
    if is_simple {
        content.to_owned()
    } else {
        format!("({content})")
    }
}
