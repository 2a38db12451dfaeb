//! Commands in text: accents, emphasis, links, footnotes, and what only serves typesetting.

use super::symbols::{accent, accented, is_letter, symbol};
use super::{Emphasis, PartKind, TextReader, maths, readable_within};

impl<'a> TextReader<'a> {
    /// Reads a command. Emphasis that lasts to the end of the group is added to `open`.
    pub(super) fn command(&mut self, open: &mut Vec<Emphasis>) {
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
        if let Some(emphasis) = switch(name) {
            self.skip_spaces();
            self.mark(PartKind::Begin(emphasis));
            return open.push(emphasis);
        }
        if let Some(emphasis) = emphasis(name) {
            return self.emphasised(emphasis);
        }
        if self.special(name) {
            return;
        }
        match symbol(name) {
            Some((text, _)) => {
                self.push(text);
                // The space after the name of a letter only ends the name: `Stra\ss e`.
                if is_letter(name) && self.rest().starts_with(' ') {
                    self.at += 1;
                }
            }
            None => self.push(name),
        }
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
            && let Some(tex) = maths::enclosed(&self.rest()[1..], end)
        {
            self.at += 1 + tex.len() + end.len();
            return self.formula(tex);
        }
        self.at += c.len_utf8();
        match c {
            '%' | '&' | '_' | '#' | '$' | '{' | '}' | '|' | '*' => self.push(c.encode_utf8(&mut [0; 4])),
            ',' | ';' | ':' | '\\' => self.push(" "),
            c if c.is_whitespace() => self.push(" "),
            '-' | '/' | '!' | '@' | ')' | ']' | '(' | '[' => {}
            c if accent(c.encode_utf8(&mut [0; 4])).is_some() => {
                let name = c.encode_utf8(&mut [0; 4]).to_owned();
                if !self.accent(&name) {
                    self.push(&name);
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
        let is_word = name.starts_with(|c: char| c.is_alphabetic());
        if is_word && trimmed.len() == rest.len() && !rest.starts_with('{') {
            return false;
        }
        let inner = trimmed.strip_prefix('{').unwrap_or(trimmed);
        let inner = inner.strip_prefix('\\').unwrap_or(inner);
        let Some(base) = inner.chars().next().filter(|c| c.is_alphabetic()) else {
            return false;
        };
        let mut after = &inner[base.len_utf8()..];
        if trimmed.starts_with('{') {
            let Some(behind) = after.strip_prefix('}') else {
                return false;
            };
            after = behind;
        }
        self.at = self.text.len() - after.len();
        // `\'{\i}` is an accented i.
        self.push(&accented(base, mark));
        true
    }

    /// The argument of a command, emphasised.
    fn emphasised(&mut self, emphasis: Emphasis) {
        self.skip_spaces();
        if self.rest().starts_with('{') {
            self.at += 1;
            self.mark(PartKind::Begin(emphasis));
            self.nested();
            self.token = self.at;
            self.mark(PartKind::End(emphasis));
        }
    }

    /// Commands with special handling of their arguments; `false` if it is not one of these.
    fn special(&mut self, name: &'a str) -> bool {
        match name {
            "href" => self.link(true),
            "url" | "nolinkurl" => self.link(false),
            "textcolor" | "colorbox" | "hyperlink" | "replaced" => {
                self.argument();
                self.inline_argument();
            }
            "text" | "textrm" | "textsf" | "mbox" | "textnormal" | "num" | "gls" | "ac" | "revise" | "rev" | "add" => {
                self.skip_spaces();
                self.inline_argument();
            }
            "footnote" => {
                self.push(" (");
                self.inline_argument();
                self.trim_end(&['.', ' ']);
                self.token = self.at;
                self.push(")");
            }
            "item" => {
                self.skip_spaces();
                self.push(" • ");
            }
            "enquote" => {
                self.push("“");
                self.inline_argument();
                self.token = self.at;
                self.push("”");
            }
            "eg" => self.push("e.g."),
            "ie" => self.push("i.e."),
            "etc" => self.push("etc."),
            "etal" => self.push("et al."),
            "quad" | "qquad" | "space" | "newline" | "par" | "bigskip" | "linebreak" => self.push(" "),
            "unicode" | "frac" | "tfrac" | "dfrac" | "sqrt" | "mathbb" | "mathcal" | "mathbf" | "mathrm" | "binom"
            | "hat" | "tilde" | "bar" | "textsuperscript" | "textsubscript" => self.stray_formula(),
            "begin" => self.environment(),
            name => return self.dropped(name),
        }
        true
    }

    /// A link, with words of its own or with its address as words.
    fn link(&mut self, has_words: bool) {
        let Some(address) = self.argument() else { return };
        let words = if has_words { self.argument() } else { None };
        let text = words.map_or(address.into(), |words| readable_within(words, self.depth));
        self.add(PartKind::Link(address), text.into_owned());
    }

    /// The beginning of an environment; one of mathematics is a formula.
    fn environment(&mut self) {
        const MATHS: [&str; 8] = [
            "equation",
            "align",
            "displaymath",
            "math",
            "gather",
            "multline",
            "eqnarray",
            "split",
        ];
        let Some(name) = self.argument() else { return };
        if MATHS.contains(&name.trim_end_matches('*'))
            && let Some(tex) = maths::enclosed(self.rest(), &format!("\\end{{{name}}}"))
        {
            self.at += tex.len() + "\\end{}".len() + name.len();
            self.formula(tex);
        }
    }

    /// Commands that print nothing; `false` if it is not one of these.
    fn dropped(&mut self, name: &str) -> bool {
        match name {
            "ref" | "eqref" | "label" | "color" | "end" | "vspace" | "hspace" | "cref" | "footnotemark" | "thanks" => {
                self.argument();
            }
            name if name.starts_with("cite") => {
                self.optional();
                self.argument();
                self.trim_end(&[' ']);
            }
            "xspace" | "noindent" | "centering" | "small" | "large" | "footnotesize" | "normalsize"
            | "displaystyle" | "protect" | "sf" | "rm" => self.skip_spaces(),
            _ => return false,
        }
        true
    }

    /// Options of a citation, such as `[see][p. 3]`.
    fn optional(&mut self) {
        const LONGEST: usize = 100;
        while let Some(rest) = self.rest().strip_prefix('[')
            && let Some(end) = rest.bytes().take(LONGEST).position(|byte| byte == b']')
        {
            self.at += end + 2;
        }
    }

    /// A maths command outside a formula, with its arguments.
    fn stray_formula(&mut self) {
        while self.argument().is_some() {}
        self.formula(&self.text[self.token..self.at]);
    }
}

/// The emphasis of a command on its argument.
fn emphasis(name: &str) -> Option<Emphasis> {
    Some(match name {
        "textbf" | "textbfseries" => Emphasis::Bold,
        "textit" | "textsl" => Emphasis::Italic,
        "emph" => Emphasis::Stress,
        "texttt" | "verb" => Emphasis::Code,
        "textsc" => Emphasis::SmallCaps,
        "underline" | "uline" => Emphasis::Underline,
        _ => return None,
    })
}

/// The emphasis of a command on the rest of its group.
fn switch(name: &str) -> Option<Emphasis> {
    Some(match name {
        "bf" | "bfseries" => Emphasis::Bold,
        "it" | "sl" | "itshape" => Emphasis::Italic,
        "em" => Emphasis::Stress,
        "tt" | "ttfamily" => Emphasis::Code,
        "sc" | "scshape" => Emphasis::SmallCaps,
        _ => return None,
    })
}
