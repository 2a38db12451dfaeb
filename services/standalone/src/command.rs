//! Runs a program of the machine and reports a failure in a form that people can act on.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// How much of a failed command's output is worth repeating.
const TAIL_LINES: usize = 4;

/// Runs a command to its end. The error names the program and repeats the end of what it wrote to standard error.
pub(crate) fn run(command: &mut Command) -> Result<Output, String> {
    let name = Path::new(command.get_program()).display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("; ");
    Err(format!("{name} failed ({}): {tail}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_named_with_the_end_of_its_output() {
        let problem = run(Command::new("sh").args(["-c", "echo first >&2; echo last word >&2; exit 3"])).unwrap_err();
        assert!(problem.starts_with("sh failed"), "{problem}");
        assert!(problem.ends_with("first; last word"), "{problem}");
        assert!(run(&mut Command::new("no-such-program-here")).is_err());
    }
}
