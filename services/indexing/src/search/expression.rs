//! A query in structure, checked: from the contract's Expression to what is looked for.
//!
//! It holds to the limits of the query language, so that both forms of a query cost the same.

use std::collections::HashMap;

use common::status;
use domain::query::{MAX_CHARS, MAX_OPERANDS, MAX_WORDS, Meaning};
use domain::{PaperId, text};
use proto::search::v1 as wire;
use proto::search::v1::expression::Kind;
use tonic::Status;

use super::plan::paper_id;

/// A structured query while it is read.
#[derive(Default)]
pub struct Structured {
    operands: usize,
    words: usize,
    /// The field that names each paper.
    pub papers: HashMap<PaperId, String>,
}

impl Structured {
    /// What it looks for; `field` is where it stands, and `depth` how deep.
    pub fn meaning(&mut self, expression: &wire::Expression, field: &str, depth: usize) -> Result<Meaning, Status> {
        if depth > MAX_OPERANDS {
            return Err(status::invalid(field, format!("is nested deeper than {MAX_OPERANDS}")));
        }
        match &expression.kind {
            Some(Kind::Words(words)) => {
                self.operand(field)?;
                check_length(&format!("{field}.words"), words)?;
                let words = text::one_line(words);
                if words.is_empty() {
                    return Err(status::invalid(format!("{field}.words"), "is empty"));
                }
                self.words += words.split(' ').count();
                check_words("expression", self.words)?;
                Ok(Meaning::Words(words))
            }
            Some(Kind::Like(id)) => {
                self.operand(field)?;
                let field = format!("{field}.like");
                let id = paper_id(&field, id)?;
                self.papers.entry(id.clone()).or_insert(field);
                Ok(Meaning::Like(id))
            }
            Some(Kind::All(all)) => {
                let members = self.members(&all.operands, &format!("{field}.all"), depth)?;
                if members.iter().all(|member| matches!(member, Meaning::Not(_))) {
                    let description = "only says what is not wanted; one operand must say what is";
                    return Err(status::invalid(format!("{field}.all"), description));
                }
                Ok(Meaning::All(members))
            }
            Some(Kind::Any(any)) => {
                let members = self.members(&any.operands, &format!("{field}.any"), depth)?;
                if members.iter().any(|member| matches!(member, Meaning::Not(_))) {
                    return Err(status::invalid(
                        format!("{field}.any"),
                        "holds a `not`; it is allowed inside `all` only",
                    ));
                }
                Ok(Meaning::Any(members))
            }
            Some(Kind::Not(inner)) => {
                let inner = self.meaning(inner, &format!("{field}.not"), depth + 1)?;
                if matches!(inner, Meaning::Not(_)) {
                    return Err(status::invalid(format!("{field}.not"), "holds another `not`"));
                }
                Ok(Meaning::Not(Box::new(inner)))
            }
            None => Err(status::invalid(
                field,
                "says nothing; one of words, like, all, any and not is required",
            )),
        }
    }

    fn members(&mut self, all: &[wire::Expression], field: &str, depth: usize) -> Result<Vec<Meaning>, Status> {
        if all.len() < 2 {
            let description = format!("has {} operands; at least 2 are required", all.len());
            return Err(status::invalid(format!("{field}.operands"), description));
        }
        let one = |(index, one)| self.meaning(one, &format!("{field}.operands[{index}]"), depth + 1);
        all.iter().enumerate().map(one).collect()
    }

    fn operand(&mut self, field: &str) -> Result<(), Status> {
        self.operands += 1;
        if self.operands > MAX_OPERANDS {
            let description = format!("is one of more than {MAX_OPERANDS} words and papers");
            return Err(status::invalid(field, description));
        }
        Ok(())
    }
}

/// At most as many characters as a query of the language may have.
pub fn check_length(field: &str, text: &str) -> Result<(), Status> {
    let length = text.chars().count();
    if length > MAX_CHARS {
        let description = format!("has {length} characters; at most {MAX_CHARS} are allowed");
        return Err(status::invalid(field, description));
    }
    Ok(())
}

/// The same for words.
pub fn check_words(field: &str, words: usize) -> Result<(), Status> {
    if words > MAX_WORDS {
        let description = format!("has {words} words; at most {MAX_WORDS} are allowed");
        return Err(status::invalid(field, description));
    }
    Ok(())
}
