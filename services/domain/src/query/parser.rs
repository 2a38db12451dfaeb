//! Puts the pieces of a query together: OR over AND over operands, and restrictions aside.

use super::error::{QueryError, QueryErrorKind, Wrong};
use super::lexer::{self, Token};
use super::words::{self, Sign};
use super::{MAX_CHARS, MAX_DEPTH, MAX_OPERANDS, MAX_WORDS, Meaning, Place, Query, Restrictions, fields};
use crate::text;

/// Reads a query.
pub(super) fn parse(text: &str) -> Result<Query, QueryError> {
    read(text).map_err(|wrong| wrong.within(text))
}

fn read(text: &str) -> Result<Query, Wrong> {
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
    let meaning = parser.any(0)?;
    if !matches!(meaning, Some(Meaning::Any(_))) {
        for (phrase, place) in parser.phrases {
            fields::push(&mut parser.restrictions.phrases, phrase).map_err(|kind| kind.at(place))?;
        }
    }
    Ok(Query {
        meaning,
        restrictions: parser.restrictions,
    })
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<(Token, Place)>>,
    restrictions: Restrictions,
    /// Phrases that restrict unless there turns out to be an OR around them.
    phrases: Vec<(String, Place)>,
    words: usize,
    operands: usize,
}

/// What AND joins, while it is read.
#[derive(Default)]
struct Conjunction {
    with: Vec<Meaning>,
    without: Vec<Meaning>,
    /// Words that go on until an operand or operator, and the sign of the operand they make.
    run: Vec<String>,
    run_sign: Option<Sign>,
    /// AND or NOT that waits for its operand.
    operator: Option<(&'static str, Place)>,
    /// Where the last thing to leave out stands.
    left_out: Option<Place>,
    /// Whether anything stands before an AND.
    begun: bool,
}

impl Conjunction {
    /// The sign an operand has here; it ends the wait of an operator.
    fn sign(&mut self, place: &Place) -> Sign {
        self.begun = true;
        match self.operator.take() {
            Some(("NOT", _)) => {
                self.left_out = Some(place.clone());
                Sign::Without
            }
            _ => Sign::With,
        }
    }

    fn push(&mut self, sign: Sign, operand: Meaning) {
        match (sign, operand) {
            (Sign::Without, operand) => self.without.push(Meaning::Not(Box::new(operand))),
            (Sign::With, Meaning::All(operands)) => {
                for operand in operands {
                    match operand {
                        Meaning::Not(_) => self.without.push(operand),
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
            self.push(sign, Meaning::Words(words));
        }
    }

    fn operator_waits(&self) -> Result<(), Wrong> {
        match &self.operator {
            Some((name, place)) => {
                Err(QueryErrorKind::NoOperand(name, "words, like: or parentheses behind it").at(place.clone()))
            }
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Option<Meaning>, Wrong> {
        self.end_run();
        self.operator_waits()?;
        if let (true, Some(place)) = (self.with.is_empty(), self.left_out) {
            return Err(QueryErrorKind::OnlyNegations.at(place));
        }
        self.with.append(&mut self.without);
        Ok(if self.with.len() > 1 {
            Some(Meaning::All(self.with))
        } else {
            self.with.pop()
        })
    }
}

impl Parser {
    fn any(&mut self, depth: usize) -> Result<Option<Meaning>, Wrong> {
        const SIDES: &str = "words, like: or parentheses on both sides; a restriction holds for the whole query";
        let mut alternatives = Vec::new();
        let mut or: Option<Place> = None;
        loop {
            let operand = self.all(depth)?;
            let next = self
                .tokens
                .next_if(|(token, _)| matches!(token, Token::Or))
                .map(|(_, place)| place);
            let operand = match (operand, next.as_ref().or(or.as_ref())) {
                (None, Some(place)) => return Err(QueryErrorKind::NoOperand("OR", SIDES).at(place.clone())),
                (None, None) => return Ok(None),
                (Some(operand), _) => operand,
            };
            match operand {
                Meaning::Any(operands) => alternatives.extend(operands),
                operand => alternatives.push(operand),
            }
            or = next;
            if or.is_none() {
                break;
            }
        }
        Ok(if alternatives.len() > 1 {
            Some(Meaning::Any(alternatives))
        } else {
            alternatives.pop()
        })
    }

    fn all(&mut self, depth: usize) -> Result<Option<Meaning>, Wrong> {
        let mut all = Conjunction::default();
        while let Some((token, place)) = self
            .tokens
            .next_if(|(token, _)| !matches!(token, Token::Or | Token::Close))
        {
            match token {
                Token::Words(words) => self.run(&mut all, words, place)?,
                Token::Phrase(phrase) => self.phrase(&mut all, phrase, place, depth)?,
                Token::Like(Sign::With, id) => {
                    all.end_run();
                    self.count_operand(&place)?;
                    let sign = all.sign(&place);
                    all.push(sign, Meaning::Like(id));
                }
                Token::Like(Sign::Without, id) => {
                    self.count_operand(&place)?;
                    leave_out(&mut all, Meaning::Like(id), place)?;
                }
                Token::Open(Sign::With) => {
                    all.end_run();
                    let sign = all.sign(&place);
                    let group = self.group(depth, place)?;
                    all.push(sign, group);
                }
                Token::Open(Sign::Without) => {
                    let group = self.group(depth, place.clone())?;
                    leave_out(&mut all, group, place)?;
                }
                Token::Restriction(_) if depth > 0 => return Err(QueryErrorKind::RestrictionInside.at(place)),
                Token::Restriction(restriction) => {
                    not_before(&all)?;
                    all.begun = true;
                    all.operator = None;
                    fields::keep(restriction, &mut self.restrictions).map_err(|kind| kind.at(place))?;
                }
                Token::And => {
                    all.end_run();
                    all.operator_waits()?;
                    if !all.begun {
                        return Err(QueryErrorKind::NoOperand("AND", "something in front of it").at(place));
                    }
                    all.operator = Some(("AND", place));
                }
                Token::Not => {
                    all.end_run();
                    if matches!(all.operator, Some(("NOT", _))) {
                        all.operator_waits()?;
                    }
                    all.operator = Some(("NOT", place));
                }
                Token::Or | Token::Close => break,
            }
        }
        all.finish()
    }

    /// What stands in parentheses, of which the first was read.
    fn group(&mut self, depth: usize, open: Place) -> Result<Meaning, Wrong> {
        if depth == MAX_DEPTH {
            return Err(QueryErrorKind::TooDeep.at(open));
        }
        let content = self.any(depth + 1)?;
        let close = self.tokens.next().map_or(open.end, |(_, place)| place.end);
        content.ok_or_else(|| QueryErrorKind::EmptyParentheses.at(open.start..close))
    }

    fn run(&mut self, all: &mut Conjunction, words: Vec<String>, place: Place) -> Result<(), Wrong> {
        if all.run_sign.is_none() || all.operator.is_some() {
            all.end_run();
            self.count_operand(&place)?;
            all.run_sign = Some(all.sign(&place));
        }
        self.words += words.len();
        all.run.extend(words);
        if self.words > MAX_WORDS {
            return Err(QueryErrorKind::TooManyWords.at(place));
        }
        Ok(())
    }

    fn phrase(&mut self, all: &mut Conjunction, phrase: String, place: Place, depth: usize) -> Result<(), Wrong> {
        let words = words::plain_words(&phrase);
        if !words.is_empty() {
            self.run(all, words, place.clone())?;
        }
        // What has no letter and no digit is in every text.
        if depth == 0 && all.run_sign == Some(Sign::With) && !text::fold(&phrase).is_empty() {
            self.phrases.push((phrase, place));
        }
        Ok(())
    }

    fn count_operand(&mut self, place: &Place) -> Result<(), Wrong> {
        self.operands += 1;
        if self.operands > MAX_OPERANDS {
            return Err(QueryErrorKind::TooManyOperands.at(place.clone()));
        }
        Ok(())
    }
}

/// Adds what has a dash in front, which parts no words.
fn leave_out(all: &mut Conjunction, operand: Meaning, place: Place) -> Result<(), Wrong> {
    not_before(all)?;
    all.begun = true;
    all.operator = None;
    all.left_out = Some(place);
    all.push(Sign::Without, operand);
    Ok(())
}

fn not_before(all: &Conjunction) -> Result<(), Wrong> {
    match &all.operator {
        Some(("NOT", place)) => Err(QueryErrorKind::NotBeforeRestriction.at(place.clone())),
        _ => Ok(()),
    }
}
