//! Reads a file that holds a private key, unless others can read it, too.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The longest private key in PEM has a few kilobytes.
const MAX_BYTES: u64 = 64 * 1024;

/// The content. As with ssh, only the owner may read a file that belongs to the user of this process; one that belongs to
/// another user, such as a mounted secret, is that user's business.
pub fn read(file: &Path) -> Result<Vec<u8>, String> {
    let words = |error: std::io::Error| error.to_string();
    let mut opened = File::open(file).map_err(words)?;
    let metadata = opened.metadata().map_err(words)?;
    let mode = metadata.mode() & 0o777;
    if metadata.uid() == nix::unistd::geteuid().as_raw() && mode & 0o077 != 0 {
        return Err(format!(
            "has mode {mode:04o}, so others can read the private key; change it with chmod 600 {}",
            file.display()
        ));
    }
    let mut content = Vec::new();
    opened
        .by_ref()
        .take(MAX_BYTES)
        .read_to_end(&mut content)
        .map_err(words)?;
    Ok(content)
}
