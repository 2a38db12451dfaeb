//! Reads the tensors of a safetensors file one at a time, as f32, so that the whole file is never in memory.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest as _, Sha256};

use crate::error::LoadError;
use crate::files::corrupt;
use crate::layout::shorten;
use crate::options::LoadOptions;

/// Longest header that is read; a greater length means that the file is damaged.
const LARGEST_HEADER_BYTES: u64 = 32 << 20;
const CHUNK_BYTES: usize = 1 << 18;

/// A weights file whose header has been validated.
#[derive(Debug)]
pub(crate) struct Tensors {
    path: PathBuf,
    metadata: Metadata,
    /// Where the tensors' bytes begin.
    start: u64,
}

impl Tensors {
    /// Reads the header of `model.safetensors` in a folder and checks that the file is as long as the header says.
    pub(crate) fn open(folder: &Path) -> Result<Self, LoadError> {
        let path = folder.join("model.safetensors");
        let (size, header) = read_header(&path)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| not_safetensors(&path, size, &error.to_string()))?;
        let end = metadata.tensors().values().map(|info| info.data_offsets.1).max();
        let start = 8 + header.len() as u64;
        let promised = start + end.unwrap_or(0) as u64;
        if promised != size {
            return Err(not_safetensors(&path, size, &format!("its header promises {promised}")));
        }
        Ok(Self { path, metadata, start })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The first of several possible names of a tensor that the file has.
    pub(crate) fn find<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.metadata.info(name).is_some())
    }

    /// A tensor's shape.
    pub(crate) fn shape(&self, name: &str) -> Result<&[usize], LoadError> {
        Ok(&self.info(name)?.shape)
    }

    /// A tensor, which must have this shape and only finite values.
    pub(crate) fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let info = self.info(name)?;
        if info.shape != shape {
            let found = format!("tensor {name:?} of shape {:?}", info.shape);
            return Err(corrupt(&self.path, found, format!("shape {shape:?}")));
        }
        let decode = match info.dtype {
            Dtype::F32 => decode_f32,
            Dtype::F16 => decode_f16,
            Dtype::BF16 => decode_bf16,
            other => {
                let found = format!("tensor {name:?} of type {other}");
                return Err(corrupt(&self.path, found, "F32, F16 or BF16".to_owned()));
            }
        };
        let values = self.decode(info, decode).map_err(|source| LoadError::Read {
            path: self.path.clone(),
            source,
        })?;
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let found = format!("a value in tensor {name:?}, at {index}, that is not a finite number");
            return Err(corrupt(&self.path, found, "finite numbers".to_owned()));
        }
        Ok(values)
    }

    fn info(&self, name: &str) -> Result<&TensorInfo, LoadError> {
        self.metadata.info(name).ok_or_else(|| {
            let mut names = self.metadata.offset_keys();
            let count = names.len();
            names.truncate(3);
            let found = format!("{count} tensors ({}, …) and no {name:?}", shorten(&names.join(", ")));
            corrupt(
                &self.path,
                found,
                "all tensors of the model that config.json describes".to_owned(),
            )
        })
    }

    fn decode(&self, info: &TensorInfo, decode: fn(&[u8], &mut Vec<f32>)) -> std::io::Result<Vec<f32>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.start + info.data_offsets.0 as u64))?;
        let mut values = Vec::with_capacity(info.shape.iter().product());
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut left = info.data_offsets.1 - info.data_offsets.0;
        while left > 0 {
            let chunk = &mut chunk[..left.min(CHUNK_BYTES)];
            file.read_exact(chunk)?;
            decode(chunk, &mut values);
            left -= chunk.len();
        }
        Ok(values)
    }

    /// The SHA-256 of the whole file, hex. Fails when the options pin a different one.
    pub(crate) fn sha256(&self, options: &LoadOptions) -> Result<String, LoadError> {
        let found = hash(&self.path).map_err(|source| LoadError::Read {
            path: self.path.clone(),
            source,
        })?;
        if let Some(pinned) = options
            .weights_sha256
            .as_ref()
            .filter(|pinned| !pinned.eq_ignore_ascii_case(&found))
        {
            return Err(corrupt(
                &self.path,
                format!("SHA-256 {found}"),
                format!("the pinned {}", shorten(pinned)),
            ));
        }
        Ok(found)
    }
}

fn hash(path: &Path) -> std::io::Result<String> {
    use std::fmt::Write as _;

    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        hasher.update(&chunk[..length]);
    }
    let mut hex = String::with_capacity(64);
    for byte in hasher.finalize() {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

/// The file's length and its header.
fn read_header(path: &Path) -> Result<(u64, Vec<u8>), LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length)
        .map_err(|_| not_safetensors(path, size, "no header length"))?;
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER_BYTES || length > size.saturating_sub(8) {
        return Err(not_safetensors(
            path,
            size,
            &format!("it announces a header of {length} bytes"),
        ));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(failed)?;
    Ok((size, header))
}

fn not_safetensors(path: &Path, size: u64, problem: &str) -> LoadError {
    let found = format!("{size} bytes that are not a complete safetensors file ({problem})");
    corrupt(path, found, "a complete safetensors file".to_owned())
}

fn decode_f32(bytes: &[u8], values: &mut Vec<f32>) {
    values.extend(bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)));
}

fn decode_bf16(bytes: &[u8], values: &mut Vec<f32>) {
    let pairs = bytes.as_chunks().0.iter();
    values.extend(pairs.map(|value| f32::from_bits(u32::from(u16::from_le_bytes(*value)) << 16)));
}

fn decode_f16(bytes: &[u8], values: &mut Vec<f32>) {
    values.extend(bytes.as_chunks().0.iter().map(|value| half(u16::from_le_bytes(*value))));
}

/// IEEE 754 binary16 as f32, exactly.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10) & 0x1f, u32::from(bits) & 0x3ff);
    let size = match exponent {
        0 => fraction as f32 / 16_777_216.0,
        0x1f => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    f32::from_bits(size.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_read_exactly() {
        let cases = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
        ];
        for (bits, value) in cases {
            assert_eq!(half(bits).to_bits(), f32::to_bits(value));
        }
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
    }
}
