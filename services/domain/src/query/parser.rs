//! Parses tokens into an expression: OR over AND over operands; restrictions are collected separately.

use super::error::{QueryError, QueryErrorKind, SpannedError};
use super::token::Token;
use super::words::{self, Sign};
use super::{
    MAX_CHARS, MAX_DEPTH, MAX_OPERANDS, MAX_WORDS, ParsedQuery, QueryExpression, Restrictions, Span, fields, lexer,
};
use crate::text;

/// Parses a query.
pub(super) fn parse(text: &str) -> Result<ParsedQuery, QueryError> {
    read(text).map_err(|wrong| wrong.within(text))
}

fn read(text: &str) -> Result<ParsedQuery, SpannedError> {
    let length = text.chars().count();
    if let Some((first, _)) = text.char_indices().nth(MAX_CHARS) {
        return Err(QueryErrorKind::TooLong(length).at(first..text.len()));
    }
    let mut parser = Parser {
        tokens: lexer::tokens(text)?.into_iter().peekable(),
        restrictions: Restrictions::default(),
        phrases: Vec::new(),
        words: 0,
        operands: 0,
    };
    let expression = parser.any(0)?;
    if !matches!(expression, Some(QueryExpression::Any(_))) {
        for (phrase, span) in parser.phrases {
            fields::push(&mut parser.restrictions.phrases, phrase).map_err(|kind| kind.at(span))?;
        }
    }
    Ok(ParsedQuery {
        expression,
        restrictions: parser.restrictions,
    })
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<(Token, Span)>>,
    restrictions: Restrictions,
    /// Phrases that restrict unless there turns out to be an OR around them.
    phrases: Vec<(String, Span)>,
    words: usize,
    operands: usize,
}

/// The operands of an AND while it is parsed.
#[derive(Default)]
struct Conjunction {
    with: Vec<QueryExpression>,
    without: Vec<QueryExpression>,
    /// Words up to the next operand or operator, and the sign of the operand they become.
    run: Vec<String>,
    run_sign: Option<Sign>,
    /// AND or NOT without its operand so far.
    operator: Option<(&'static str, Span)>,
    /// Span of the last exclusion.
    excluded: Option<Span>,
    /// Whether anything precedes an AND.
    begun: bool,
}

impl Conjunction {
    /// The sign of an operand here; consumes a pending operator.
    fn take_sign(&mut self, span: &Span) -> Sign {
        self.begun = true;
        match self.operator.take() {
            Some(("NOT", _)) => {
                self.excluded = Some(span.clone());
                Sign::Without
            }
            _ => Sign::With,
        }
    }

    fn push(&mut self, sign: Sign, operand: QueryExpression) {
        match (sign, operand) {
            (Sign::Without, operand) => self.without.push(QueryExpression::Not(Box::new(operand))),
            (Sign::With, QueryExpression::All(operands)) => {
                for operand in operands {
                    match operand {
                        QueryExpression::Not(_) => self.without.push(operand),
                        _ => self.with.push(operand),
                    }
                }
            }
            (Sign::With, operand) => self.with.push(operand),
        }
    }

    fn end_run(&mut self) {
        if let Some(sign) = self.run_sign.take() {
            let words = std::mem::take(&mut self.run).join(" ");
            self.push(sign, QueryExpression::Words(words));
        }
    }

    fn and(&mut self, span: Span) -> Result<(), SpannedError> {
        self.end_run();
        self.require_no_operator()?;
        if !self.begun {
            return Err(QueryErrorKind::NoOperand("AND", "something before it").at(span));
        }
        self.operator = Some(("AND", span));
        Ok(())
    }

    fn not(&mut self, span: Span) -> Result<(), SpannedError> {
        self.end_run();
        if matches!(self.operator, Some(("NOT", _))) {
            self.require_no_operator()?;
        }
        self.operator = Some(("NOT", span));
        Ok(())
    }

    fn require_no_operator(&self) -> Result<(), SpannedError> {
        match &self.operator {
            Some((name, span)) => {
                Err(QueryErrorKind::NoOperand(name, "words, like: or parentheses after it").at(span.clone()))
            }
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Option<QueryExpression>, SpannedError> {
        self.end_run();
        self.require_no_operator()?;
        if let (true, Some(span)) = (self.with.is_empty(), self.excluded) {
            return Err(QueryErrorKind::OnlyNegations.at(span));
        }
        self.with.append(&mut self.without);
        Ok(if self.with.len() > 1 {
            Some(QueryExpression::All(self.with))
        } else {
            self.with.pop()
        })
    }
}

impl Parser {
    fn any(&mut self, depth: usize) -> Result<Option<QueryExpression>, SpannedError> {
        const SIDES: &str = "words, like: or parentheses on both sides; a restriction applies to the whole query";
        let mut alternatives = Vec::new();
        let mut or: Option<Span> = None;
        loop {
            let operand = self.all(depth)?;
            let next = self
                .tokens
                .next_if(|(token, _)| matches!(token, Token::Or))
                .map(|(_, span)| span);
            let operand = match (operand, next.as_ref().or(or.as_ref())) {
                (None, Some(span)) => return Err(QueryErrorKind::NoOperand("OR", SIDES).at(span.clone())),
                (None, None) => return Ok(None),
                (Some(operand), _) => operand,
            };
            match operand {
                QueryExpression::Any(operands) => alternatives.extend(operands),
                operand => alternatives.push(operand),
            }
            or = next;
            if or.is_none() {
                break;
            }
        }
        Ok(if alternatives.len() > 1 {
            Some(QueryExpression::Any(alternatives))
        } else {
            alternatives.pop()
        })
    }

    fn all(&mut self, depth: usize) -> Result<Option<QueryExpression>, SpannedError> {
        let mut all = Conjunction::default();
        while let Some((token, span)) = self
            .tokens
            .next_if(|(token, _)| !matches!(token, Token::Or | Token::Close))
        {
            match token {
                Token::Words(words) => self.run(&mut all, words, span)?,
                Token::Phrase(phrase) => self.phrase(&mut all, phrase, span, depth)?,
                Token::Like(Sign::With, id) => {
                    all.end_run();
                    self.count_operand(&span)?;
                    let sign = all.take_sign(&span);
                    all.push(sign, QueryExpression::Like(id));
                }
                Token::Like(Sign::Without, id) => {
                    self.count_operand(&span)?;
                    exclude(&mut all, QueryExpression::Like(id), span)?;
                }
                Token::Open(Sign::With) => {
                    all.end_run();
                    let sign = all.take_sign(&span);
                    let group = self.group(depth, span)?;
                    all.push(sign, group);
                }
                Token::Open(Sign::Without) => {
                    let group = self.group(depth, span.clone())?;
                    exclude(&mut all, group, span)?;
                }
                Token::Restriction(_) if depth > 0 => return Err(QueryErrorKind::RestrictionInside.at(span)),
                Token::Restriction(restriction) => {
                    not_before(&all)?;
                    all.begun = true;
                    all.operator = None;
                    fields::keep(restriction, &mut self.restrictions).map_err(|kind| kind.at(span))?;
                }
                Token::And => all.and(span)?,
                Token::Not => all.not(span)?,
                Token::Or | Token::Close => break,
            }
        }
        all.finish()
    }

    /// Parses a group whose opening parenthesis was read.
    fn group(&mut self, depth: usize, open: Span) -> Result<QueryExpression, SpannedError> {
        if depth == MAX_DEPTH {
            return Err(QueryErrorKind::TooDeep.at(open));
        }
        let content = self.any(depth + 1)?;
        let close = self.tokens.next().map_or(open.end, |(_, span)| span.end);
        content.ok_or_else(|| QueryErrorKind::EmptyParentheses.at(open.start..close))
    }

    fn run(&mut self, all: &mut Conjunction, words: Vec<String>, span: Span) -> Result<(), SpannedError> {
        if all.run_sign.is_none() || all.operator.is_some() {
            all.end_run();
            self.count_operand(&span)?;
            all.run_sign = Some(all.take_sign(&span));
        }
        self.words += words.len();
        all.run.extend(words);
        if self.words > MAX_WORDS {
            return Err(QueryErrorKind::TooManyWords.at(span));
        }
        Ok(())
    }

    fn phrase(&mut self, all: &mut Conjunction, phrase: String, span: Span, depth: usize) -> Result<(), SpannedError> {
        let words = words::plain_words(&phrase);
        if !words.is_empty() {
            self.run(all, words, span.clone())?;
        }
        // A phrase without letters and digits is in every text.
        if depth == 0 && all.run_sign == Some(Sign::With) && !text::fold(&phrase).is_empty() {
            self.phrases.push((phrase, span));
        }
        Ok(())
    }

    fn count_operand(&mut self, span: &Span) -> Result<(), SpannedError> {
        self.operands += 1;
        if self.operands > MAX_OPERANDS {
            return Err(QueryErrorKind::TooManyOperands.at(span.clone()));
        }
        Ok(())
    }
}

/// Adds an excluded operand; it does not separate the words around it.
fn exclude(all: &mut Conjunction, operand: QueryExpression, span: Span) -> Result<(), SpannedError> {
    not_before(all)?;
    all.begun = true;
    all.operator = None;
    all.excluded = Some(span);
    all.push(Sign::Without, operand);
    Ok(())
}

fn not_before(all: &Conjunction) -> Result<(), SpannedError> {
    match &all.operator {
        Some(("NOT", span)) => Err(QueryErrorKind::NotBeforeRestriction.at(span.clone())),
        _ => Ok(()),
    }
}
