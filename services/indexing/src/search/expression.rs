//! A structured query, checked: from the contract's Expression to what is looked for.
//!
//! It keeps the limits of the query language, so that both forms of a query cost the same.

use std::collections::HashMap;

use common::status;
use domain::query::{MAX_OPERANDS, QueryExpression};
use domain::{PaperId, text};
use proto::search::v1 as wire;
use proto::search::v1::expression::Kind;
use tonic::Status;

use super::fields::{check_length, check_words, paper_id};

/// Reads one structured query.
#[derive(Default)]
pub struct ExpressionReader {
    operands: usize,
    words: usize,
    /// The field that names each paper.
    pub papers: HashMap<PaperId, String>,
}

impl ExpressionReader {
    /// What an expression looks for; `field` is its path in the request, and `depth` how deep it is nested.
    pub fn expression(
        &mut self,
        expression: &wire::Expression,
        field: &str,
        depth: usize,
    ) -> Result<QueryExpression, Status> {
        if depth > MAX_OPERANDS {
            return Err(status::invalid(field, format!("is nested deeper than {MAX_OPERANDS}")));
        }
        match &expression.kind {
            Some(Kind::Words(words)) => self.words(words, field),
            Some(Kind::Like(id)) => self.like(id, field),
            Some(Kind::All(all)) => {
                let field = format!("{field}.all");
                let members = self.members(&all.operands, &field, depth)?;
                if members.iter().all(|member| matches!(member, QueryExpression::Not(_))) {
                    let description = "only says what is not wanted; one operand must say what is";
                    return Err(status::invalid(field, description));
                }
                Ok(QueryExpression::All(members))
            }
            Some(Kind::Any(any)) => {
                let field = format!("{field}.any");
                let members = self.members(&any.operands, &field, depth)?;
                if members.iter().any(|member| matches!(member, QueryExpression::Not(_))) {
                    let description = "holds a `not`; it is allowed inside `all` only";
                    return Err(status::invalid(field, description));
                }
                Ok(QueryExpression::Any(members))
            }
            Some(Kind::Not(inner)) => {
                let field = format!("{field}.not");
                let inner = self.expression(inner, &field, depth + 1)?;
                if matches!(inner, QueryExpression::Not(_)) {
                    return Err(status::invalid(field, "holds another `not`"));
                }
                Ok(QueryExpression::Not(Box::new(inner)))
            }
            None => Err(status::invalid(
                field,
                "says nothing; one of words, like, all, any and not is required",
            )),
        }
    }

    fn words(&mut self, words: &str, field: &str) -> Result<QueryExpression, Status> {
        self.operand(field)?;
        check_length(&format!("{field}.words"), words)?;
        let words = text::one_line(words);
        if words.is_empty() {
            return Err(status::invalid(format!("{field}.words"), "is empty"));
        }
        self.words += words.split(' ').count();
        check_words("expression", self.words)?;
        Ok(QueryExpression::Words(words))
    }

    fn like(&mut self, id: &str, field: &str) -> Result<QueryExpression, Status> {
        self.operand(field)?;
        let field = format!("{field}.like");
        let id = paper_id(&field, id)?;
        self.papers.entry(id.clone()).or_insert(field);
        Ok(QueryExpression::Like(id))
    }

    fn members(&mut self, all: &[wire::Expression], field: &str, depth: usize) -> Result<Vec<QueryExpression>, Status> {
        if all.len() < 2 {
            let description = format!("has {} operands; at least 2 are required", all.len());
            return Err(status::invalid(format!("{field}.operands"), description));
        }
        let one = |(index, one)| self.expression(one, &format!("{field}.operands[{index}]"), depth + 1);
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
