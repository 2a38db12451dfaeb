//! HTML held against the standard, by a checker that runs beside the tests.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::json;

use crate::tools::{Tools, file};

/// The checker's process, and what it has said of pages before.
pub struct Validity {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    known: HashMap<String, Vec<String>>,
}

impl Validity {
    /// Starts it.
    pub fn start(tools: &Tools) -> Self {
        let mut command = Command::new(&tools.node);
        command.arg(file("validate.mjs")).arg(&tools.checkers);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self {
            questions: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
            known: HashMap::new(),
        }
    }

    /// What is wrong with a page, by the standard.
    pub fn findings(&mut self, html: &str) -> Vec<String> {
        if let Some(known) = self.known.get(html) {
            return known.clone();
        }
        writeln!(self.questions, "{}", json!({ "html": html })).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let findings: Vec<String> = serde_json::from_str(&answer).expect("the checker of HTML answers");
        self.known.insert(html.to_owned(), findings.clone());
        findings
    }
}

impl Drop for Validity {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
