//! Options for loading a model.

/// Options for [`load`](crate::load). By default everything comes from the model's own files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Name of the model in its description; `None` uses the folder's name.
    pub name: Option<String>,
    /// Required SHA-256 of `model.safetensors`, hex; `None` accepts any.
    pub weights_sha256: Option<String>,
    /// Arithmetic of BERT models.
    pub precision: Precision,
    /// CPU instructions to use.
    pub instructions: Instructions,
    /// Prefix of each query; overrides the model's files.
    pub query_prefix: Option<String>,
    /// Prefix of each document; overrides the model's files.
    pub document_prefix: Option<String>,
    /// Most tokens of one text, special tokens included; overrides the model's files. It may exceed the length that the
    /// model was tuned for, but not the number of its positions.
    pub max_tokens: Option<usize>,
    /// How token vectors are pooled into one; overrides the model's files.
    pub pooling: Option<Pooling>,
}

/// Arithmetic of matrix products.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// PackedWeights and activations as 16-bit integers with 12 to 14 significant bits, sums exact in 32 bits. Cosine to f32 above
    /// 0.9999, and nearly twice as fast.
    #[default]
    Int16,
    /// 32-bit floating point throughout.
    F32,
}

impl Precision {
    /// As [`ModelDescription::dtype`](crate::ModelDescription::dtype) spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Int16 => "int16",
            Self::F32 => "f32",
        }
    }
}

/// CPU instructions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Instructions {
    /// The fastest that this CPU has.
    #[default]
    Auto,
    /// AVX2 and FMA, even where the CPU has more; portable code where it lacks them.
    Avx2,
    /// Portable code, which runs on every CPU.
    Portable,
}

/// How the vectors of a text's tokens become the vector of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The vector of the first token.
    Cls,
}
