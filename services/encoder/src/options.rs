//! What a caller may choose when a model is loaded.

/// Choices for [`load`](crate::load). The default takes everything from the model's own files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Name of the model in its description; the folder's name unless given.
    pub name: Option<String>,
    /// SHA-256 that `model.safetensors` must have, hex.
    pub weights_sha256: Option<String>,
    /// Arithmetic of the neural models.
    pub precision: Precision,
    /// Instructions to compute with.
    pub instructions: Instructions,
    /// Put before each query, in place of what the model's files say.
    pub query_prefix: Option<String>,
    /// Put before each document, in place of what the model's files say.
    pub document_prefix: Option<String>,
    /// Most tokens of one text, special tokens included, in place of what the model's files say. It may be above what the
    /// model was tuned for, but not above the positions it has.
    pub max_tokens: Option<usize>,
    /// How token vectors become one, in place of what the model's files say.
    pub pooling: Option<Pooling>,
}

/// Arithmetic of matrix products.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// Weights and activations as 16-bit integers with 12 to 14 significant bits, sums exact in 32 bits. Cosine to f32 above
    /// 0.9999, and nearly twice as fast.
    #[default]
    Int16,
    /// 32-bit floating point throughout.
    F32,
}

impl Precision {
    /// As [`Description::dtype`](crate::Description::dtype) spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Int16 => "int16",
            Self::F32 => "f32",
        }
    }
}

/// Processor instructions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Instructions {
    /// The best that this processor has.
    #[default]
    Auto,
    /// AVX2 and FMA at most, even where there is more; those that every processor has where they are missing.
    Avx2,
    /// Those that every processor has.
    Portable,
}

/// How the vectors of a text's tokens become the vector of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// That of the first token.
    Cls,
}
