//! Commands in text: accents, emphasis, links, footnotes, and what only serves typesetting.

use super::symbols::{accent, accented, symbol};
use super::{LONGEST_FORMULA, LatexReader, plain};

impl LatexReader<'_> {
    pub(super) fn command(&mut self, closing: &mut Vec<&'static str>) {
        self.at += 1;
        let rest = self.rest();
        let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let Some(name) = rest.get(..length).filter(|name| !name.is_empty()) else {
            return self.escaped();
        };
        self.at += length;
        if accent(name).is_some() && self.accent(name) {
            return;
        }
        if let Some(tag) = emphasis(name) {
            return self.emphasised(tag);
        }
        if let Some(tag) = switch(name) {
            self.skip_spaces();
            self.tag("<", tag);
            closing.push(tag);
            return;
        }
        if self.special(name) {
            return;
        }
        if let Some((text, _)) = symbol(name) {
            self.push(text);
            // The space after the name of a letter only ends the name: `Stra\ss e`.
            if text.chars().all(char::is_alphabetic) && self.rest().starts_with(' ') {
                self.at += 1;
            }
            self.skip_empty_group();
            return;
        }
        self.push(name);
        self.skip_empty_group();
    }

    /// A backslash followed by something other than a letter.
    fn escaped(&mut self) {
        let Some(c) = self.rest().chars().next() else {
            return self.push("\\");
        };
        let end = match c {
            '(' => Some("\\)"),
            '[' => Some("\\]"),
            _ => None,
        };
        if let Some(end) = end
            && let Some((formula, _)) = self.rest()[1..].split_once(end)
            && formula.len() <= LONGEST_FORMULA
        {
            self.at += 1 + formula.len() + end.len();
            return self.formula(formula);
        }
        self.at += c.len_utf8();
        match c {
            '%' | '&' | '_' | '#' | '$' | '{' | '}' | '|' => self.push(&c.to_string()),
            ' ' | ',' | ';' | ':' | '\\' => self.push(" "),
            '-' | '/' | '!' | '@' | ')' | ']' | '(' | '[' => {}
            '*' => self.push("*"),
            c if accent(&c.to_string()).is_some() => {
                if !self.accent(&c.to_string()) {
                    self.push(&c.to_string());
                }
            }
            c => self.push(&format!("\\{c}")),
        }
    }

    /// An accent on the next letter; `false` if no letter follows.
    fn accent(&mut self, name: &str) -> bool {
        let Some(mark) = accent(name) else { return false };
        let rest = self.rest();
        let trimmed = rest.trim_start();
        // `\c c` has a space between; `\b` directly before a word is no accent.
        let is_word = name.len() == 1 && name.starts_with(|c: char| c.is_alphabetic());
        if is_word && trimmed.len() == rest.len() && !rest.starts_with('{') {
            return false;
        }
        let inner = trimmed.strip_prefix('{').unwrap_or(trimmed);
        let inner = inner.strip_prefix('\\').unwrap_or(inner);
        let Some(base) = inner.chars().next().filter(|c| c.is_alphabetic()) else {
            return false;
        };
        let after = &inner[base.len_utf8()..];
        let after = if trimmed.starts_with('{') {
            let Some(after) = after.strip_prefix('}') else {
                return false;
            };
            after
        } else {
            after
        };
        self.at = self.text.len() - after.len();
        // `\'{\i}` is an accented i.
        self.push(&accented(base, mark));
        true
    }

    fn emphasised(&mut self, tag: &'static str) {
        self.skip_spaces();
        if self.rest().starts_with('{') {
            self.at += 1;
            self.tag("<", tag);
            self.nested();
            self.tag("</", tag);
        }
    }

    /// Commands with special handling of their arguments; `false` if it is not one of these.
    fn special(&mut self, name: &str) -> bool {
        match name {
            "href" => {
                let address = self.raw().map(str::to_owned).unwrap_or_default();
                match self.raw() {
                    Some(text) => self.link(&address, &plain(text)),
                    None => self.link(&address, &address),
                }
            }
            "url" | "nolinkurl" => {
                let address = self.raw().unwrap_or_default();
                self.link(address, address);
            }
            "textcolor" | "colorbox" | "hyperlink" | "replaced" => {
                self.raw();
                self.argument();
            }
            "footnote" => {
                self.push(" (");
                self.argument();
                self.out.truncate(self.out.trim_end_matches(['.', ' ']).len());
                self.push(")");
            }
            "item" => self.push(" • "),
            "enquote" => {
                self.push("“");
                self.argument();
                self.push("”");
            }
            "eg" => self.push("e.g."),
            "ie" => self.push("i.e."),
            "etc" => self.push("etc."),
            "etal" => self.push("et al."),
            "quad" | "qquad" | "space" | "newline" | "par" | "bigskip" | "linebreak" => self.push(" "),
            "unicode" | "frac" | "sqrt" | "mathbb" | "mathcal" | "mathbf" | "mathrm" | "binom" | "hat" | "tilde"
            | "bar" => {
                self.stray_formula(name);
            }
            name => return self.dropped(name),
        }
        true
    }

    /// Commands that print nothing; `false` if it is not one of these.
    fn dropped(&mut self, name: &str) -> bool {
        match name {
            "cite" | "citep" | "citet" | "ref" | "eqref" | "label" | "color" | "begin" | "end" | "vspace"
            | "hspace" | "cref" | "footnotemark" | "thanks" => {
                self.raw();
                if name.starts_with("cite") {
                    self.out.truncate(self.out.trim_end_matches([' ', '\u{a0}']).len());
                }
            }
            "xspace" | "noindent" | "centering" | "small" | "large" | "footnotesize" | "normalsize"
            | "displaystyle" | "protect" | "sf" | "rm" => self.skip_spaces(),
            _ => return false,
        }
        true
    }

    /// A maths command outside a formula, with its arguments.
    fn stray_formula(&mut self, name: &str) {
        let start = self.at;
        while self.rest().starts_with('{') && self.raw().is_some() {}
        let formula = format!("\\{name}{}", self.text.get(start..self.at).unwrap_or_default());
        self.formula(&formula);
    }
}

/// The element of a command that emphasises its argument.
fn emphasis(name: &str) -> Option<&'static str> {
    Some(match name {
        "textbf" | "textbfseries" => "b",
        "textit" | "textsl" => "i",
        "emph" => "em",
        "texttt" | "verb" => "code",
        "textsc" => "span class=\"sc\"",
        "textsuperscript" => "sup",
        "textsubscript" => "sub",
        "underline" | "uline" => "u",
        "text" | "textrm" | "textsf" | "mbox" | "textnormal" | "num" | "gls" | "ac" | "revise" | "rev" | "add" => {
            "span"
        }
        _ => return None,
    })
}

/// The element of a command that emphasises the rest of its group.
fn switch(name: &str) -> Option<&'static str> {
    Some(match name {
        "bf" | "bfseries" => "b",
        "it" | "sl" | "itshape" => "i",
        "em" => "em",
        "tt" | "ttfamily" => "code",
        "sc" | "scshape" => "span class=\"sc\"",
        _ => return None,
    })
}
