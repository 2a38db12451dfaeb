//! A secret that is made once and kept in a file that only its owner reads.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// Shortest secret that is taken, in bytes.
const SHORTEST: usize = 32;

/// The secret in a file, which is made where there is none.
///
/// # Errors
/// The file cannot be read or written, or holds too little.
pub fn kept_secret(path: &Path) -> Result<Vec<u8>, String> {
    let problem = |error: std::io::Error| format!("{}: {error}", path.display());
    match std::fs::read(path) {
        Ok(secret) if secret.len() >= SHORTEST => return Ok(secret),
        Ok(_) => {
            return Err(format!(
                "{} is shorter than {SHORTEST} bytes; remove it to have a new one made",
                path.display()
            ));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(problem(error)),
    }
    let secret: [u8; SHORTEST] = rand::random();
    let fresh = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&fresh).and_then(|mut file| {
        file.write_all(&secret)?;
        file.sync_all()
    });
    written
        .and_then(|()| std::fs::rename(&fresh, path))
        .map_err(problem)?;
    Ok(secret.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("some.key");
        let first = kept_secret(&path).expect("a secret");
        assert_eq!(first.len(), SHORTEST);
        assert_eq!(kept_secret(&path), Ok(first));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(&path, "short").expect("written");
        assert!(kept_secret(&path).expect_err("too short").contains("shorter than 32 bytes"));
    }
}
