//! What every command prints goes through here: `print!`, `println!` and `eprintln!` of this crate take the place of those of
//! the standard library, which panic where nobody reads any more.
//!
//! `broadsheet status | head -1` ends quietly once `head` has what it wanted.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// Prints to standard output.
macro_rules! print {
    ($($part:tt)*) => { $crate::printing::print(format_args!($($part)*)) };
}

/// Prints a line to standard output.
macro_rules! println {
    () => { $crate::printing::print(format_args!("\n")) };
    ($($part:tt)*) => { $crate::printing::print(format_args!("{}\n", format_args!($($part)*))) };
}

/// Prints a line to standard error.
macro_rules! eprintln {
    ($($part:tt)*) => { $crate::printing::print_error(format_args!("{}\n", format_args!($($part)*))) };
}

/// Prints to standard output. Where that is closed the process ends, and where it is full it fails.
pub fn print(text: Arguments<'_>) {
    if let Err(error) = write(&mut io::stdout().lock(), text) {
        print_error(format_args!("broadsheet: standard output: {error}\n"));
        std::process::exit(1);
    }
}

/// Prints to standard error, if anybody reads it.
pub fn print_error(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// Writes and flushes; ends the process, content, where nobody reads any more.
fn write(out: &mut impl Write, text: Arguments<'_>) -> io::Result<()> {
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => written,
    }
}
