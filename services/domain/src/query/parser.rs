//! Parses tokens into an expression: OR over AND over operands; restrictions are collected separately.
//!
//! An operator that lacks an operand is a word: the parser says which one, and parsing begins anew.

use super::error::{QueryError, QueryErrorKind, SpannedError};
use super::token::{Restriction, Token};
use super::words::{self, Sign};
use super::{MAX_CHARS, MAX_OPERANDS, MAX_WORDS, ParsedQuery, QueryExpression, Restrictions, Span, fields, lexer};
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
    let mut tokens = lexer::tokens(text)?;
    if is_in_capitals(&tokens) {
        for (token, _) in &mut tokens {
            if let Some(word) = token.as_word() {
                *token = word;
            }
        }
    }
    // Each round makes one operator a word or drops one dash, and words are limited, so there is a last round.
    loop {
        match Parser::new(&tokens).query() {
            Ok(query) => return Ok(query),
            Err(Stop::Wrong(error)) => return Err(error),
            Err(Stop::Text(place)) => read_as_text(&mut tokens[place].0),
        }
    }
}

/// Whether a text is all in capitals, as titles are: AND, OR and NOT are words there.
fn is_in_capitals(tokens: &[(Token, Span)]) -> bool {
    let words = tokens.iter().filter_map(|(token, _)| match token {
        Token::Words(words) => Some(words),
        _ => None,
    });
    let mut is_upper = false;
    for c in words.flatten().flat_map(|word| word.chars()) {
        if c.is_lowercase() {
            return false;
        }
        is_upper |= c.is_uppercase();
    }
    is_upper
}

fn read_as_text(token: &mut Token) {
    match token {
        Token::Open(sign) => *sign = Sign::With,
        operator => *operator = operator.as_word().unwrap_or(Token::Words(Vec::new())),
    }
}

/// Why parsing stopped.
enum Stop {
    /// A mistake to report.
    Wrong(SpannedError),
    /// The token at this place cannot be the operator that it looks like.
    Text(usize),
}

impl From<SpannedError> for Stop {
    fn from(error: SpannedError) -> Self {
        Self::Wrong(error)
    }
}

struct Parser<'a> {
    tokens: &'a [(Token, Span)],
    at: usize,
    restrictions: Restrictions,
    /// Phrases that restrict unless there turns out to be an OR around them.
    phrases: Vec<(&'a str, Span)>,
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
    /// AND or NOT without its operand so far, and its place.
    operator: Option<(Operator, usize)>,
    /// Place of the last NOT or dash that excludes an operand.
    excluded: Option<usize>,
    /// Whether anything precedes an AND.
    begun: bool,
}

/// An operator between the operands of a conjunction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Not,
}

impl Conjunction {
    /// The sign of an operand here; consumes a pending operator.
    fn take_sign(&mut self) -> Sign {
        self.begun = true;
        match self.operator.take() {
            Some((Operator::Not, place)) => {
                self.excluded = Some(place);
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

    fn and(&mut self, place: usize) -> Result<(), Stop> {
        self.end_run();
        if !self.begun {
            return Err(Stop::Text(place));
        }
        self.require_no_operator()?;
        self.operator = Some((Operator::And, place));
        Ok(())
    }

    fn not(&mut self, place: usize) -> Result<(), Stop> {
        self.end_run();
        if matches!(self.operator, Some((Operator::Not, _))) {
            return Err(Stop::Text(place));
        }
        self.operator = Some((Operator::Not, place));
        Ok(())
    }

    fn require_no_operator(&self) -> Result<(), Stop> {
        match self.operator {
            Some((_, place)) => Err(Stop::Text(place)),
            None => Ok(()),
        }
    }

    fn finish(mut self, tokens: &[(Token, Span)]) -> Result<Option<QueryExpression>, Stop> {
        self.end_run();
        self.require_no_operator()?;
        if let (true, Some(place)) = (self.with.is_empty(), self.excluded) {
            let mut exclusion = tokens.iter().skip(place).take(2);
            return match exclusion.find(|(token, _)| matches!(token, Token::Like(..))) {
                Some((_, span)) => Err(QueryErrorKind::OnlyNegations.at(span.clone()).into()),
                None => Err(Stop::Text(place)),
            };
        }
        self.with.append(&mut self.without);
        Ok(if self.with.len() > 1 {
            Some(QueryExpression::All(self.with))
        } else {
            self.with.pop()
        })
    }
}

impl<'a> Parser<'a> {
    fn new(tokens: &'a [(Token, Span)]) -> Self {
        Self {
            tokens,
            at: 0,
            restrictions: Restrictions::default(),
            phrases: Vec::new(),
            words: 0,
            operands: 0,
        }
    }

    fn query(mut self) -> Result<ParsedQuery, Stop> {
        let expression = self.any(0)?;
        if !matches!(expression, Some(QueryExpression::Any(_))) {
            for (phrase, span) in self.phrases {
                fields::push(&mut self.restrictions.phrases, phrase.to_owned()).map_err(|kind| kind.at(span))?;
            }
        }
        Ok(ParsedQuery {
            expression,
            restrictions: self.restrictions,
        })
    }

    fn any(&mut self, depth: usize) -> Result<Option<QueryExpression>, Stop> {
        let mut alternatives = Vec::new();
        let mut or: Option<usize> = None;
        loop {
            let operand = self.all(depth)?;
            let next = matches!(self.tokens.get(self.at), Some((Token::Or, _))).then_some(self.at);
            match (operand, next.or(or)) {
                (None, Some(place)) => return Err(self.lonely_or(place)),
                (None, None) => return Ok(None),
                (Some(QueryExpression::Any(operands)), _) => alternatives.extend(operands),
                (Some(operand), _) => alternatives.push(operand),
            }
            or = next;
            if or.is_none() {
                break;
            }
            self.at += 1;
        }
        Ok(if alternatives.len() > 1 {
            Some(QueryExpression::Any(alternatives))
        } else {
            alternatives.pop()
        })
    }

    /// An OR that lacks an operand is a word, unless a field stands there: then it was meant to be an operator.
    fn lonely_or(&self, place: usize) -> Stop {
        let beside = [place.checked_sub(1), Some(place + 1)].into_iter().flatten();
        let mut beside = beside.filter_map(|place| self.tokens.get(place));
        if beside.any(|(token, _)| token.has_field()) {
            let span = self.tokens[place].1.clone();
            return Stop::Wrong(QueryErrorKind::OrBesideRestriction.at(span));
        }
        Stop::Text(place)
    }

    fn all(&mut self, depth: usize) -> Result<Option<QueryExpression>, Stop> {
        let mut all = Conjunction::default();
        while let Some((token, span)) = self.tokens.get(self.at) {
            let place = self.at;
            if matches!(token, Token::Or | Token::Close) {
                break;
            }
            self.at += 1;
            match token {
                Token::Words(words) => self.run(&mut all, words.clone(), span)?,
                Token::Phrase(phrase) => self.phrase(&mut all, phrase, span, depth)?,
                Token::Like(Sign::With, id) => {
                    all.end_run();
                    self.count_operand(span)?;
                    let sign = all.take_sign();
                    all.push(sign, QueryExpression::Like(id.clone()));
                }
                Token::Like(Sign::Without, id) => {
                    self.count_operand(span)?;
                    self.exclude(&mut all, QueryExpression::Like(id.clone()), place)?;
                }
                Token::Open(Sign::With) => {
                    all.end_run();
                    let sign = all.take_sign();
                    if let Some(group) = self.group(depth)? {
                        all.push(sign, group);
                    }
                }
                Token::Open(Sign::Without) => {
                    if let Some(group) = self.group(depth)? {
                        self.exclude(&mut all, group, place)?;
                    }
                }
                Token::Restriction(one) => self.restrict(&mut all, one, place, depth)?,
                Token::And => all.and(place)?,
                Token::Not => all.not(place)?,
                Token::Or | Token::Close => break,
            }
        }
        all.finish(self.tokens)
    }

    /// Parses a group whose opening parenthesis was read.
    fn group(&mut self, depth: usize) -> Result<Option<QueryExpression>, Stop> {
        let content = self.any(depth + 1)?;
        self.at += 1;
        Ok(content)
    }

    fn restrict(&mut self, all: &mut Conjunction, one: &Restriction, place: usize, depth: usize) -> Result<(), Stop> {
        let (token, span) = &self.tokens[place];
        if depth > 0 {
            return match one {
                Restriction::WithoutWord(text) | Restriction::WithoutPhrase(text) => {
                    self.run(all, words::plain_words(text), span)
                }
                _ => Err(QueryErrorKind::RestrictionInside.at(span.clone()).into()),
            };
        }
        self.require_no_not(all, token)?;
        all.begun = true;
        all.operator = None;
        fields::keep(one.clone(), &mut self.restrictions).map_err(|kind| kind.at(span.clone()))?;
        Ok(())
    }

    fn run(&mut self, all: &mut Conjunction, words: Vec<String>, span: &Span) -> Result<(), Stop> {
        if all.run_sign.is_none() || all.operator.is_some() {
            all.end_run();
            self.count_operand(span)?;
            all.run_sign = Some(all.take_sign());
        }
        self.words += words.len();
        all.run.extend(words);
        if self.words > MAX_WORDS {
            return Err(QueryErrorKind::TooManyWords.at(span.clone()).into());
        }
        Ok(())
    }

    fn phrase(&mut self, all: &mut Conjunction, phrase: &'a str, span: &Span, depth: usize) -> Result<(), Stop> {
        self.run(all, words::plain_words(phrase), span)?;
        // A phrase without letters and digits is in every text.
        if depth == 0 && all.run_sign == Some(Sign::With) && !text::fold(phrase).is_empty() {
            self.phrases.push((phrase, span.clone()));
        }
        Ok(())
    }

    fn count_operand(&mut self, span: &Span) -> Result<(), Stop> {
        self.operands += 1;
        if self.operands > MAX_OPERANDS {
            return Err(QueryErrorKind::TooManyOperands.at(span.clone()).into());
        }
        Ok(())
    }

    /// Adds an excluded operand; it does not separate the words around it.
    fn exclude(&self, all: &mut Conjunction, operand: QueryExpression, place: usize) -> Result<(), Stop> {
        self.require_no_not(all, &self.tokens[place].0)?;
        all.begun = true;
        all.operator = None;
        all.excluded = Some(place);
        all.push(Sign::Without, operand);
        Ok(())
    }

    /// NOT before an exclusion is a word; before a field or `-like:` it was meant to be an operator.
    fn require_no_not(&self, all: &Conjunction, before: &Token) -> Result<(), Stop> {
        match all.operator {
            Some((Operator::Not, place)) if before.has_field() || matches!(before, Token::Like(..)) => {
                Err(QueryErrorKind::NotBeforeRestriction
                    .at(self.tokens[place].1.clone())
                    .into())
            }
            Some((Operator::Not, place)) => Err(Stop::Text(place)),
            _ => Ok(()),
        }
    }
}
