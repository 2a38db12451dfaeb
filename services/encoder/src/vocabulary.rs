//! What a model can read: whether its vocabulary has the words of a text, or only their letters.
//!
//! Every vocabulary has single letters of many scripts, so that nearly any word can be spelt. Of a word that is spelt letter by
//! letter a model learns as little as of one that it does not know at all, and vectors of such texts are alike whatever they
//! say. It never judges a language: a word counts as read if its pieces have some length.

use tokenizers::Tokenizer;

/// The token for what the vocabulary does not have.
pub(crate) const UNKNOWN: &str = "[UNK]";

/// A word was read if its pieces have this many letters on average.
const LETTERS_PER_PIECE: (usize, usize) = (3, 2);
/// Letters that an ideograph or a Hangul syllable counts for, because each means as much as a short word; and one of ASCII,
/// because every vocabulary reads Latin script, and what it cuts into letters there is a name such as `5G`.
const DOUBLE: usize = 2;
/// Marks for the beginning of a word, of SentencePiece and of byte-level vocabularies.
const BEGINNINGS: [char; 2] = ['▁', 'Ġ'];
/// Mark for a piece inside a word, of WordPiece vocabularies.
const CONTINUATION: &str = "##";

/// The pieces of a vocabulary, by id.
pub(crate) struct Vocabulary(Vec<Piece>);

/// What of a word a piece holds.
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    /// Letters and digits.
    letters: usize,
    is_known: bool,
    /// Whether it goes on with the word of the piece before it.
    continues: bool,
}

/// How a vocabulary marks where words begin.
#[derive(Clone, Copy)]
enum WordMark {
    /// Pieces inside a word begin with it.
    Continuation,
    /// The first piece of a word begins with it.
    Beginning(char),
    /// Every piece is a word.
    None,
}

impl Vocabulary {
    pub(crate) fn of(tokenizer: &Tokenizer) -> Self {
        let mut pieces = Vec::new();
        let vocabulary = tokenizer.get_vocab(true);
        let mark = WordMark::of(&vocabulary.keys().map(String::as_str).collect::<Vec<_>>());
        for (piece, id) in &vocabulary {
            let at = *id as usize;
            pieces.resize(pieces.len().max(at + 1), Piece::default());
            pieces[at] = Piece {
                letters: letters(piece),
                is_known: piece != UNKNOWN && piece != "<unk>",
                continues: mark.continues(piece),
            };
        }
        Self(pieces)
    }

    /// Whether at least half of the words of a text can be read, of those that have letters or digits. A text without words
    /// can be read.
    pub(crate) fn can_read(&self, ids: &[u32]) -> bool {
        let pieces: Vec<Piece> = ids.iter().map(|id| self.piece(*id)).collect();
        let (mut words, mut read) = (0_usize, 0);
        for word in pieces.chunk_by(|_, next| next.continues) {
            if word.iter().any(|piece| piece.letters > 0 || !piece.is_known) {
                words += 1;
                read += usize::from(is_read(word));
            }
        }
        2 * read >= words
    }

    fn piece(&self, id: u32) -> Piece {
        self.0.get(id as usize).copied().unwrap_or_default()
    }
}

fn is_read(word: &[Piece]) -> bool {
    let letters: usize = word.iter().map(|piece| piece.letters).sum();
    let (numerator, denominator) = LETTERS_PER_PIECE;
    word.iter().all(|piece| piece.is_known) && (word.len() == 1 || letters * denominator >= word.len() * numerator)
}

fn letters(piece: &str) -> usize {
    let weight = |c: char| match c {
        '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' => DOUBLE,
        c if c.is_ascii_alphanumeric() => DOUBLE,
        c if BEGINNINGS.contains(&c) => 0,
        c => usize::from(c.is_alphanumeric()),
    };
    piece.chars().map(weight).sum()
}

impl WordMark {
    /// The mark that most pieces have.
    fn of(pieces: &[&str]) -> Self {
        let marked = |mark: &Self| pieces.iter().filter(|piece| mark.marks(piece)).count();
        let known = BEGINNINGS.map(Self::Beginning).into_iter().chain([Self::Continuation]);
        let most = known.map(|mark| (marked(&mark), mark)).max_by_key(|(count, _)| *count);
        most.filter(|(count, _)| *count > 0)
            .map_or(Self::None, |(_, mark)| mark)
    }

    fn marks(self, piece: &str) -> bool {
        match self {
            Self::Continuation => piece.starts_with(CONTINUATION),
            Self::Beginning(mark) => piece.starts_with(mark),
            Self::None => false,
        }
    }

    fn continues(self, piece: &str) -> bool {
        match self {
            Self::Continuation => self.marks(piece),
            Self::Beginning(_) => !self.marks(piece),
            Self::None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As BERT has it: some English words and their parts, and the letters of some other scripts.
    fn word_pieces() -> Tokenizer {
        let pieces = [
            UNKNOWN, "lantern", "##s", "in", "harbour", "the", "gp", "##t", "-", "4", "x", "н", "##е", "##т", "##и",
            "ᄉ", "##ᅵ", "##ᆫ", "学", ".",
        ];
        let vocabulary: Vec<String> = pieces
            .iter()
            .zip(0..)
            .map(|(piece, id)| format!("\"{piece}\":{id}"))
            .collect();
        let json = format!(
            r###"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"post_processor":null,"decoder":null,
            "normalizer":{{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":true,
            "lowercase":true}},"pre_tokenizer":{{"type":"BertPreTokenizer"}},"model":{{"type":"WordPiece","unk_token":"[UNK]",
            "continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{{{}}}}}}}"###,
            vocabulary.join(",")
        );
        Tokenizer::from_bytes(json).expect("a tokenizer")
    }

    fn can_read(text: &str) -> bool {
        let tokenizer = word_pieces();
        let encoding = tokenizer.encode_fast(text, false).expect("tokens");
        Vocabulary::of(&tokenizer).can_read(encoding.get_ids())
    }

    #[test]
    fn words_and_their_parts_are_read() {
        for text in [
            "Lanterns in harbours",
            "the GPT-4",
            "x",
            "4t",
            "the 🔥 lantern",
            "",
            "- . -",
        ] {
            assert!(can_read(text), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_or_spelt_by_letters_is_not_read() {
        for text in [
            "采购审批",
            "🔥🔥🔥. 🔥 🚀",
            "нети",
            "신신",
            "学习 采购",
            "in 采购审批",
            "ネットワーク",
        ] {
            assert!(!can_read(text), "{text}");
        }
    }

    #[test]
    fn other_marks_of_words_are_known() {
        let of = WordMark::of;
        assert!(of(&["▁the", "s"]).continues("s") && !of(&["▁the", "s"]).continues("▁the"));
        assert!(of(&["Ġthe", "s"]).continues("s"));
        assert!(!of(&["the", "s"]).continues("s"));
        assert_eq!(
            [letters("▁the"), letters("采购"), letters("##ß"), letters(".")],
            [6, 4, 1, 0]
        );
    }
}
