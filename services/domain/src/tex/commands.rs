//! The commands that stand for characters.

/// The combining mark of an accent: `\"o`, `\v{s}`.
pub fn mark(command: &str) -> Option<char> {
    Some(match command {
        "\"" => '\u{308}',
        "'" => '\u{301}',
        "`" => '\u{300}',
        "^" => '\u{302}',
        "~" => '\u{303}',
        "=" => '\u{304}',
        "." => '\u{307}',
        "u" => '\u{306}',
        "v" => '\u{30c}',
        "H" => '\u{30b}',
        "c" => '\u{327}',
        "k" | "textogonekcentered" => '\u{328}',
        "r" => '\u{30a}',
        "b" => '\u{331}',
        "d" => '\u{323}',
        "h" => '\u{309}',
        "t" => '\u{361}',
        "G" => '\u{30f}',
        "cb" | "textcommabelow" => '\u{326}',
        _ => return None,
    })
}

/// A letter that is a command of its own. Blanks after it end the command.
pub fn letter(command: &str) -> Option<&'static str> {
    Some(match command {
        "ss" => "ß",
        "SS" => "SS",
        "o" => "ø",
        "O" => "Ø",
        "l" => "ł",
        "L" => "Ł",
        "ae" => "æ",
        "AE" => "Æ",
        "oe" => "œ",
        "OE" => "Œ",
        "aa" => "å",
        "AA" => "Å",
        "i" => "ı",
        "j" => "ȷ",
        "dh" | "eth" => "ð",
        "DH" => "Ð",
        "th" => "þ",
        "TH" => "Þ",
        "dj" => "đ",
        "DJ" => "Đ",
        "ng" => "ŋ",
        "NG" => "Ŋ",
        "ij" => "ĳ",
        "IJ" => "Ĳ",
        _ => return None,
    })
}

/// A sign that is a command of its own.
pub fn sign(command: &str) -> Option<&'static str> {
    Some(match command {
        "textendash" => "–",
        "textemdash" => "—",
        "textquoteleft" | "lq" => "‘",
        "textquoteright" | "rq" => "’",
        "textquotedblleft" => "“",
        "textquotedblright" => "”",
        "textquotedbl" => "\"",
        "textquotesingle" => "'",
        "quotesinglbase" => "‚",
        "quotedblbase" | "glqq" => "„",
        "guillemotleft" | "flqq" => "«",
        "guillemotright" | "frqq" => "»",
        "textexclamdown" => "¡",
        "textquestiondown" => "¿",
        "dots" | "ldots" | "textellipsis" => "…",
        "copyright" | "textcopyright" => "©",
        "textregistered" => "®",
        "texttrademark" => "™",
        "pounds" | "textsterling" => "£",
        "texteuro" | "euro" => "€",
        "textyen" => "¥",
        "textcent" => "¢",
        "textdollar" => "$",
        "textdegree" => "°",
        "textmu" => "µ",
        "texttimes" => "×",
        "textpm" => "±",
        "S" | "textsection" => "§",
        "P" | "textparagraph" => "¶",
        "dag" | "textdagger" => "†",
        "textbullet" => "•",
        "textperiodcentered" => "·",
        "textordfeminine" => "ª",
        "textordmasculine" => "º",
        "textunderscore" => "_",
        "textasciitilde" => "~",
        "textasciicircum" => "^",
        "TeX" => "TeX",
        "LaTeX" => "LaTeX",
        "BibTeX" => "BibTeX",
        "textless" => "<",
        "textgreater" => ">",
        "textbar" => "|",
        _ => return None,
    })
}

/// Formatting that goes without a trace; what it applies to stays.
pub fn is_formatting(command: &str) -> bool {
    matches!(
        command,
        "emph"
            | "em"
            | "textit"
            | "textbf"
            | "texttt"
            | "textsc"
            | "textsf"
            | "textrm"
            | "textmd"
            | "textup"
            | "textsl"
            | "textnormal"
            | "text"
            | "mbox"
            | "hbox"
            | "it"
            | "bf"
            | "tt"
            | "rm"
            | "sc"
            | "sf"
            | "sl"
            | "itshape"
            | "bfseries"
            | "scshape"
            | "ttfamily"
            | "normalfont"
            | "uppercase"
            | "MakeUppercase"
            | "MakeLowercase"
            | "underline"
            | "uline"
            | "small"
            | "large"
            | "url"
            | "path"
            | "nolinkurl"
            | "relax"
            | "protect"
            | "xspace"
            | "null"
            | "nocorr"
    )
}
