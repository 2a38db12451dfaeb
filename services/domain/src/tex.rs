//! TeX in the texts of papers: which parts are mathematics, and which characters the rest stands for.
//!
//! [`spans`] tells mathematics from text, [`letters`] writes accents and letters as characters, and [`plain`] drops the
//! formatting, too. Mathematics stays as it is written. The text need not be correct TeX: what is not understood stays.

mod commands;
mod letters;
mod plain;
mod scripts;
mod spans;

pub use letters::letters;
pub use plain::{plain, unescaped};
pub use scripts::{subscript, superscript};
pub use spans::{TexSpan, spans};
