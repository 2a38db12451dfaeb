//! Comma-separated values, line by line, with named columns. A value that runs over several lines is refused, so that a
//! forgotten quote never swallows the lines behind it.

use csv::StringRecord;

use crate::error::CommandError;

/// The columns of a file, as its header names them.
pub struct CsvColumns {
    names: StringRecord,
}

/// The values of a line.
pub struct CsvRecord<'a> {
    columns: &'a CsvColumns,
    values: StringRecord,
}

impl CsvColumns {
    /// Reads the header, in which only known columns may stand and none of the required ones may be missing.
    pub fn parse(header: &str, known: &[&str], required: &[&str]) -> Result<Self, CommandError> {
        let refused = |problem: String| {
            let known = known.join(", ");
            CommandError::data(format!("the header {problem}; known columns: {known}"))
        };
        let names = values(header).map_err(refused)?;
        if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
            let unknown = domain::text::shorten(unknown);
            return Err(refused(format!("names the unknown column {unknown:?}")));
        }
        if let Some(missing) = required.iter().find(|name| !names.iter().any(|known| known == **name)) {
            return Err(refused(format!("does not name the column {missing}")));
        }
        Ok(Self { names })
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, as the predicate of a sentence.
    pub fn record(&self, line: &str) -> Result<CsvRecord<'_>, String> {
        let values = values(line)?;
        let (count, expected) = (values.len(), self.names.len());
        if count != expected {
            return Err(format!("has {count} values; the header has {expected}"));
        }
        Ok(CsvRecord { columns: self, values })
    }
}

impl CsvRecord<'_> {
    /// The value of a column; empty where the file has no such column.
    pub fn get(&self, column: &str) -> &str {
        let index = self.columns.names.iter().position(|name| name == column);
        index.and_then(|index| self.values.get(index)).unwrap_or_default()
    }
}

fn values(line: &str) -> Result<StringRecord, String> {
    if line.matches('"').count() % 2 == 1 {
        return Err("has a quote that is not closed on the same line".to_owned());
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(line.as_bytes());
    let mut values = StringRecord::new();
    let problem = |error| format!("is not a line of comma-separated values: {error}");
    reader.read_record(&mut values).map_err(problem)?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["email", "interests", "time"];

    fn refusal(header: &str) -> String {
        let refused = CsvColumns::parse(header, &KNOWN, &["email"]).err();
        format!("{:?}", refused.expect("a refusal"))
    }

    #[test]
    fn values_are_found_by_the_names_of_their_columns() {
        let columns = CsvColumns::parse("time, email", &KNOWN, &["email"]).expect("a header");
        let record = columns.record(r#""at ""noon"", daily", a@x.org "#).expect("a line");
        assert_eq!(record.get("time"), r#"at "noon", daily"#);
        assert_eq!((record.get("email"), record.get("interests")), ("a@x.org", ""));
    }

    #[test]
    fn broken_headers_and_lines_are_refused() {
        assert!(refusal("email,phone").contains("unknown column \\\"phone\\\""));
        assert!(refusal("time").contains("does not name the column email"));
        let columns = CsvColumns::parse("email,time", &KNOWN, &["email"]).expect("a header");
        for (line, problem) in [("\"a,b", "not closed"), ("a,b\"", "not closed"), ("a", "has 1 values")] {
            let refused = columns.record(line).err().expect("a refusal");
            assert!(refused.contains(problem), "{line}: {refused}");
        }
    }
}
