//! Secrets that are made once and kept in a file that only its owner can read, for platforms that nobody configured.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Fewest bytes of a secret.
pub const LEAST_BYTES: usize = 32;
const OWNER_ONLY: u32 = 0o600;

/// The secret in a file, which is made where there is none. Of several processes that make one at the same time all get the
/// first.
///
/// # Errors
/// What is wrong with the file, with its path.
pub fn read_or_make(path: &Path) -> Result<Vec<u8>, String> {
    let problem = |error: std::io::Error| format!("{}: {error}", path.display());
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Ok(secret) if secret.len() < LEAST_BYTES => {
            return Err(format!(
                "{} is shorter than {LEAST_BYTES} bytes; remove it to have a new one made",
                path.display()
            ));
        }
        Ok(secret) => {
            // Releases up to 0.1 left it readable to others.
            fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY)).map_err(problem)?;
            return Ok(secret);
        }
        Err(error) => return Err(problem(error)),
    }
    make(path).map_err(problem)?;
    fs::read(path).map_err(problem)
}

fn make(path: &Path) -> std::io::Result<()> {
    let secret: [u8; LEAST_BYTES] = rand::random();
    let fresh = path.with_extension(format!("{}.new", uuid::Uuid::new_v4().simple()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(&fresh)?;
    let kept = file.write_all(&secret).and_then(|()| file.sync_all());
    // Whole at once, and never over one that is there.
    let kept = kept.and_then(|()| match fs::hard_link(&fresh, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    fs::remove_file(&fresh)?;
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_for_its_owner_alone() {
        let folder = std::env::temp_dir().join(format!("broadsheet-kept-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&folder).expect("a folder");
        let path = folder.join("some.key");
        let made = read_or_make(&path).expect("a secret");
        assert_eq!(made.len(), LEAST_BYTES);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("changed");
        assert_eq!(read_or_make(&path).expect("the same"), made);
        let permissions = fs::metadata(&path).expect("there").permissions();
        assert_eq!(permissions.mode() & 0o777, OWNER_ONLY);
        assert_eq!(
            fs::read_dir(&folder).expect("there").count(),
            1,
            "nothing is left beside it"
        );
        fs::write(&path, "short").expect("written");
        assert!(read_or_make(&path).expect_err("refused").contains("remove it"));
        fs::remove_dir_all(&folder).expect("removed");
    }
}
