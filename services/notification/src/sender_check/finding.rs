//! What a check found, for people and for scripts.

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingLevel {
    /// As it should be.
    Ok,
    /// Mails are delivered, or this could not be checked.
    Warn,
    /// Receivers refuse mails, or treat them as spam.
    Fail,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderFinding {
    /// Which check.
    pub check: &'static str,
    /// How it ended.
    pub level: FindingLevel,
    /// What was found.
    pub found: String,
    /// What to do, where there is something to do.
    pub advice: Option<String>,
    /// What to publish, where that is what to do.
    pub publish: Vec<DnsRecord>,
}

/// A record to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecord {
    /// Its name, with the dot at its end.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// Its value, as zone files spell it.
    pub value: String,
}

impl FindingLevel {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl SenderFinding {
    /// All is well.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, FindingLevel::Ok, found)
    }

    /// Something to look at.
    pub fn warn(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(check, FindingLevel::Warn, found).advised(advice)
    }

    /// Something to mend.
    pub fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(check, FindingLevel::Fail, found).advised(advice)
    }

    /// DNS gave no answer.
    pub fn unanswered(check: &'static str, failure: &impl ToString) -> Self {
        Self::fail(
            check,
            failure.to_string(),
            "check that the DNS servers of the domain answer, and try again",
        )
    }

    /// With a record to publish.
    #[must_use]
    pub fn publishing(mut self, record: DnsRecord) -> Self {
        self.publish.push(record);
        self
    }

    fn new(check: &'static str, level: FindingLevel, found: impl Into<String>) -> Self {
        Self {
            check,
            level,
            found: found.into(),
            advice: None,
            publish: Vec::new(),
        }
    }

    fn advised(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl DnsRecord {
    /// A text, in strings of at most 255 bytes.
    pub fn text(name: &str, text: &str) -> Self {
        const LONGEST: usize = 255;
        let mut strings = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let mut end = rest.len().min(LONGEST);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (string, behind) = rest.split_at(end);
            strings.push(format!("\"{string}\""));
            rest = behind;
        }
        Self::new(name, "TXT", strings.join(" "))
    }

    /// Any other record.
    pub fn new(name: &str, kind: &'static str, value: impl Into<String>) -> Self {
        Self {
            name: format!("{}.", name.trim_end_matches('.')),
            kind,
            value: value.into(),
        }
    }
}
