//! Checks a model folder that a person names, before anything is loaded from it.
//!
//! It looks at shape, not at content: a model of one's own has no pinned hash.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::fetch::FetchError;

const WEIGHTS: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";

/// A safetensors header describes tensors in JSON; a larger one than this is a damaged length field.
const LARGEST_HEADER_BYTES: u64 = 100_000_000;

/// Accepts a folder that holds `model.safetensors` and `tokenizer.json`, both complete, and returns it.
pub fn check_model_folder(folder: &Path) -> Result<PathBuf, FetchError> {
    let refused = |problem| FetchError::ModelFolder {
        path: folder.to_owned(),
        problem,
    };
    check_weights(&folder.join(WEIGHTS)).map_err(|problem| refused(format!("{WEIGHTS} {problem}")))?;
    check_tokenizer(&folder.join(TOKENIZER)).map_err(|problem| refused(format!("{TOKENIZER} {problem}")))?;
    Ok(folder.to_owned())
}

/// A safetensors file is the length of its header, the header, and exactly the bytes that the header promises.
fn check_weights(path: &Path) -> Result<(), String> {
    let mut file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let size = file
        .metadata()
        .map_err(|error| format!("cannot be read: {error}"))?
        .len();
    let mut length = [0; 8];
    file.read_exact(&mut length)
        .map_err(|_| "is shorter than the 8 bytes it must begin with".to_owned())?;
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER_BYTES || length > size.saturating_sub(8) {
        return Err(format!(
            "is damaged: it announces a header of {length} bytes and is {size} bytes long"
        ));
    }
    let mut header = Vec::new();
    file.take(length)
        .read_to_end(&mut header)
        .map_err(|error| format!("cannot be read: {error}"))?;
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&header)
        .map_err(|error| format!("is damaged: its header is not a JSON object ({error})"))?;
    let ends = header
        .values()
        .filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64());
    let promised = 8 + length + ends.max().unwrap_or(0);
    if promised != size {
        return Err(format!("is damaged: it must be {promised} bytes long and is {size}"));
    }
    Ok(())
}

fn check_tokenizer(path: &Path) -> Result<(), String> {
    let text = fs::read(path).map_err(|error| format!("cannot be opened: {error}"))?;
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&text) {
        Ok(tokenizer) if tokenizer.contains_key("model") => Ok(()),
        Ok(_) => Err("has no field `model`".to_owned()),
        Err(error) => Err(format!("is not a JSON object: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(weights: &[u8], tokenizer: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(WEIGHTS), weights).unwrap();
        fs::write(folder.path().join(TOKENIZER), tokenizer).unwrap();
        folder
    }

    fn weights() -> Vec<u8> {
        let header = br#"{"embeddings":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(&[0; 8]);
        bytes
    }

    fn refusal(weights: &[u8], tokenizer: &str) -> String {
        check_model_folder(folder_with(weights, tokenizer).path())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_complete_model_is_used_as_it_is() {
        let folder = folder_with(&weights(), r#"{"model":{}}"#);
        assert_eq!(check_model_folder(folder.path()).unwrap(), folder.path());
    }

    #[test]
    fn a_damaged_model_is_refused_with_its_file_and_fault() {
        let complete = weights();
        let cut = refusal(&complete[..complete.len() - 1], r#"{"model":{}}"#);
        assert!(
            cut.contains("model.safetensors is damaged: it must be 81 bytes long and is 80"),
            "{cut}"
        );
        let noise = refusal(&[0xff; 64], r#"{"model":{}}"#);
        assert!(
            noise.contains("announces a header of 18446744073709551615 bytes"),
            "{noise}"
        );
        assert!(refusal(b"abc", r#"{"model":{}}"#).contains("shorter than the 8 bytes"));
        assert!(refusal(&complete, "{}").contains("tokenizer.json has no field `model`"));
        let absent = check_model_folder(Path::new("/nowhere/at/all"))
            .unwrap_err()
            .to_string();
        assert!(absent.contains("/nowhere/at/all"), "{absent}");
    }
}
