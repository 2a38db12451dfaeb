//! Texts of strangers that keep the encoder busy.
