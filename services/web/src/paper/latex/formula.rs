//! Formulas as a line of text: LaTeX to Unicode, with `<sup>`, `<sub>`, `<i>` and `<b>` where HTML is wanted.
//!
//! Nothing is set in two dimensions: a fraction becomes a/b. Of an unknown command the name stays.

use std::iter::Peekable;
use std::str::Chars;

use super::super::escape;
use super::symbols::{SymbolClass, accented, double_struck, lowered, maths_accent, raised, symbol};
use super::{LatexOutput, plain};

/// Deepest nesting of groups that is read; deeper ones are dropped.
const MAX_DEPTH: usize = 24;
const THIN: char = '\u{2009}';

/// A formula, given without its dollars, in the wanted form.
pub fn formula_text(formula: &str, output: LatexOutput) -> String {
    let mut reader = FormulaReader {
        rest: formula.chars().peekable(),
        output,
        depth: 0,
        is_script: false,
    };
    let set = reader.sequence(None);
    match output {
        LatexOutput::Plain => set.replace(THIN, " ").trim().to_owned(),
        LatexOutput::Html | LatexOutput::NamedLink => format!("<span class=\"math\">{}</span>", set.trim()),
    }
}

struct FormulaReader<'a> {
    rest: Peekable<Chars<'a>>,
    output: LatexOutput,
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
                '^' => self.script("sup", &mut set),
                '_' => self.script("sub", &mut set),
                '\'' => set.push('′'),
                '\\' => self.command(&mut set),
                '{' if self.depth < MAX_DEPTH => set.push_str(&self.sequence(Some('}'))),
                '{' | '}' | '&' | '$' => {}
                '~' => set.push(' '),
                '-' => self.between("−", SymbolClass::Binary, &mut set),
                '+' => self.between("+", SymbolClass::Binary, &mut set),
                '=' => self.between("=", SymbolClass::Relation, &mut set),
                '<' => self.between("&lt;", SymbolClass::Relation, &mut set),
                '>' => self.between("&gt;", SymbolClass::Relation, &mut set),
                ',' | ';' => self.comma(c, &mut set),
                c if c.is_alphabetic() => {
                    let mut letters = String::from(c);
                    while let Some(next) = self.rest.next_if(|next| next.is_alphabetic()) {
                        letters.push(next);
                    }
                    set.push_str(&self.slanted(&letters));
                }
                c => set.push_str(&self.text(&c.to_string())),
            }
        }
        self.depth -= 1;
        set
    }

    fn is_plain(&self) -> bool {
        self.output == LatexOutput::Plain
    }

    /// Text, escaped if the output is HTML.
    fn text(&self, text: &str) -> String {
        if self.is_plain() { text.to_owned() } else { escape(text) }
    }

    fn tagged(&self, tag: &str, content: &str) -> String {
        if self.is_plain() || content.is_empty() {
            content.to_owned()
        } else {
            format!("<{tag}>{content}</{tag}>")
        }
    }

    /// Letters are italic by default.
    fn slanted(&self, letters: &str) -> String {
        self.tagged("i", &self.text(letters))
    }

    /// An operator between two operands; without a left one it belongs to what follows.
    fn between(&self, sign: &str, kind: SymbolClass, set: &mut String) {
        let sign = match (self.is_plain(), sign) {
            (true, "&lt;") => "<",
            (true, "&gt;") => ">",
            (_, sign) => sign,
        };
        let has_left = !set.is_empty() && !set.ends_with(['(', '[', '{', THIN, ' ', ',', '⟨']);
        // `2\\times` and `\\pm 5` have only one operand.
        let has_right = self.rest.clone().any(|c| !c.is_whitespace());
        let is_spaced = !self.is_script && (kind == SymbolClass::Relation || has_left && has_right);
        if !is_spaced {
            set.push_str(sign);
            return;
        }
        if has_left {
            set.push(THIN);
        }
        set.push_str(sign);
        if has_left || kind == SymbolClass::Relation {
            set.push(THIN);
        }
    }

    fn comma(&mut self, c: char, set: &mut String) {
        set.push(c);
        let is_in_number = set.chars().rev().nth(1).is_some_and(|before| before.is_ascii_digit())
            && self.rest.peek().is_some_and(char::is_ascii_digit);
        if !is_in_number && !self.is_script {
            set.push(' ');
        }
    }

    fn script(&mut self, tag: &'static str, set: &mut String) {
        let outer = std::mem::replace(&mut self.is_script, true);
        let content = self.argument();
        self.is_script = outer;
        let content = content.trim();
        if content == "∘" || content == "°" {
            set.push('°');
        } else if content.chars().all(|c| matches!(c, '′' | '∗' | '†' | '‡')) && tag == "sup" {
            set.push_str(&content.replace('∗', "*"));
        } else if self.is_plain() {
            let (change, sign): (fn(char) -> Option<char>, char) = match tag {
                "sup" => (raised, '^'),
                _ => (lowered, '_'),
            };
            let changed: Option<String> = content.chars().map(change).collect();
            set.push_str(&changed.unwrap_or_else(|| format!("{sign}{}", together(content))));
        } else {
            set.push_str(&self.tagged(tag, content));
        }
    }

    /// One argument: a group, a command, or one character.
    fn argument(&mut self) -> String {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
        match self.rest.next() {
            Some('{') if self.depth < MAX_DEPTH => self.sequence(Some('}')),
            Some('\\') => {
                let mut set = String::new();
                self.command(&mut set);
                set
            }
            Some('-') => "−".to_owned(),
            Some('\'') => "′".to_owned(),
            Some(c) if c.is_alphabetic() => self.slanted(&c.to_string()),
            Some('*') => "∗".to_owned(),
            Some(c) if !matches!(c, '{' | '}') => self.text(&c.to_string()),
            _ => String::new(),
        }
    }

    /// An argument as written.
    fn raw(&mut self) -> String {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
        let mut raw = String::new();
        if self.rest.next_if_eq(&'{').is_none() {
            raw.extend(self.rest.next_if(|c| c.is_alphanumeric()));
            return raw;
        }
        let mut open = 1;
        for c in self.rest.by_ref() {
            match c {
                '{' => open += 1,
                '}' => open -= 1,
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
            set.push_str(&under(&content, mark));
            return;
        }
        if !self.setting(&name, set) && !self.layout(&name, set) {
            // Unknown: its name says more than nothing.
            set.push_str(&self.text(&name));
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
            Some(c) => set.push_str(&self.text(&c.to_string())),
        }
    }

    fn symbol(&mut self, text: &str, kind: SymbolClass, set: &mut String) {
        match kind {
            SymbolClass::Plain => set.push_str(&self.text(text)),
            SymbolClass::Relation | SymbolClass::Binary => self.between(&self.text(text), kind, set),
            SymbolClass::Function => {
                if set.ends_with(|c: char| c.is_alphanumeric() || c == '>' || c == ')') {
                    set.push(THIN);
                }
                set.push_str(text);
                while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
                if self.rest.peek().is_some_and(|c| c.is_alphanumeric() || *c == '\\') && !self.is_script {
                    set.push(THIN);
                }
            }
        }
    }

    /// Commands that style their argument; `false` if it is not one of these.
    fn setting(&mut self, name: &str, set: &mut String) -> bool {
        match name {
            "text" | "mathrm" | "textrm" | "mathsf" | "textsf" | "mathtt" | "texttt" | "operatorname" | "mbox"
            | "textnormal" | "hbox" | "textsc" | "rm" | "textup" | "textit" | "emph" | "mathit" => {
                let upright = plain(&self.raw());
                set.push_str(&self.text(&upright));
            }
            "mathbf" | "textbf" | "bf" | "boldsymbol" | "bm" | "pmb" | "mathbfcal" => {
                let content = self.argument();
                set.push_str(&self.tagged("b", &content));
            }
            "mathbb" | "mathds" | "Bbb" => {
                for c in self.raw().chars() {
                    let bold = |c: char| self.tagged("b", &self.text(&c.to_string()));
                    set.push_str(&double_struck(c).map_or_else(|| bold(c), String::from));
                }
            }
            "mathcal" | "mathscr" | "mathfrak" | "cal" | "textcal" => {
                let content = self.argument();
                set.push_str(&content);
            }
            "frac" | "tfrac" | "dfrac" | "nicefrac" | "sfrac" => {
                let (above, below) = (self.argument(), self.argument());
                set.extend([&*together(&above), "/", &together(&below)]);
            }
            "sqrt" => self.root(set),
            "binom" | "tbinom" | "dbinom" => {
                let (n, k) = (self.argument(), self.argument());
                set.extend(["(", &n, " choose ", &k, ")"]);
            }
            "pmod" => {
                let of = self.argument();
                set.extend([" (mod ", &of, ")"]);
            }
            "bmod" | "mod" => set.push_str(" mod "),
            "unicode" => {
                let code = self.raw();
                let code = u32::from_str_radix(code.trim_start_matches('x'), 16).ok();
                let c = code.and_then(char::from_u32).map(String::from).unwrap_or_default();
                set.push_str(&self.text(&c));
            }
            _ => return false,
        }
        true
    }

    fn root(&mut self, set: &mut String) {
        if self.rest.next_if_eq(&'[').is_some() {
            let of = self.sequence(Some(']'));
            set.push_str(&self.tagged("sup", &of));
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
            | "mathrel" | "mathbin" => {}
            "color" | "begin" | "end" | "label" | "cite" | "citep" | "citet" | "ref" | "hspace" | "vspace" | "tag" => {
                self.raw();
            }
            "textcolor" | "colorbox" | "href" => {
                self.raw();
                let content = self.argument();
                set.push_str(&content);
            }
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
    let italic = content.strip_prefix("<i>").and_then(|rest| rest.strip_suffix("</i>"));
    let mut chars = italic.unwrap_or(content).chars();
    match (chars.next(), chars.next(), italic) {
        (Some(base), None, Some(_)) => format!("<i>{}</i>", accented(base, mark)),
        (Some(base), None, None) => accented(base, mark),
        _ => content.to_owned(),
    }
}

/// Puts parentheses around what would fall apart beside other symbols.
fn together(content: &str) -> String {
    let mut is_tag = false;
    let visible = content.chars().filter(|c| {
        let is_visible = !is_tag && *c != '<';
        match c {
            '<' => is_tag = true,
            '>' => is_tag = false,
            _ => {}
        }
        is_visible && *c != '>'
    });
    let visible: String = visible.collect();
    let is_simple = visible.chars().count() <= 1
        || visible.chars().all(|c| c.is_numeric() || c == '.')
        || (visible.starts_with('(') && visible.ends_with(')'))
        || (visible.chars().all(char::is_alphanumeric) && visible.chars().count() <= 3);
    if is_simple {
        content.to_owned()
    } else {
        format!("({content})")
    }
}
