//! Turns the calling process into a supervised server that ends with its supervisor, even when that one is killed.
//!
//! The supervisor cannot arrange this itself between fork and exec without unsafe code, so it starts this program's own
//! hidden sub-command, which calls the one function here and is then replaced by the server under the same process id.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::getppid;

/// Replaces this process by `program`; the kernel sends it SIGTERM when the thread that started it ends (Linux).
///
/// `parent` is the supervisor's process id. Returns only on failure: when the supervisor is already gone, or when the
/// program cannot be executed.
pub fn become_supervised_child(parent: u32, program: &OsStr, args: &[OsString]) -> io::Error {
    #[cfg(target_os = "linux")]
    if let Err(errno) = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM) {
        return errno.into();
    }
    // Checked after the signal is set: the death of a supervisor before that would never be noticed.
    let actual = getppid().as_raw();
    if i64::from(actual) != i64::from(parent) {
        return io::Error::other(format!(
            "the supervisor (pid {parent}) is gone, the parent is now pid {actual}"
        ));
    }
    Command::new(program).args(args).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_when_the_supervisor_is_gone() {
        // No process has the largest id.
        let error = become_supervised_child(u32::MAX, OsStr::new("true"), &[]);
        assert!(error.to_string().contains("is gone"), "{error}");
    }
}
