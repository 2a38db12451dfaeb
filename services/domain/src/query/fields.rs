//! Parses `field:value` and adds it to the restrictions.

use super::error::QueryErrorKind;
use super::token::{Restriction, Token};
use super::words::{Field, Sign};
use super::{MAX_RESTRICTIONS, Restrictions, dates};
use crate::{PaperId, text};

/// Parses the value of a field; it may be empty and is in Unicode NFC.
pub(super) fn read(sign: Sign, (field, example): Field, value: &str) -> Result<Token, QueryErrorKind> {
    let value = text::one_line(value);
    if value.is_empty() || field == "author" && text::fold(&value).is_empty() {
        return Err(QueryErrorKind::EmptyValue(format!("{field}:"), example));
    }
    Ok(Token::Restriction(match field {
        "cat" => Restriction::Category(sign, value),
        "author" => Restriction::Author(sign, value),
        "source" => Restriction::Source(sign, value.to_lowercase()),
        "has" => code(sign, &value)?,
        "like" => {
            return Ok(Token::Like(
                sign,
                PaperId::parse(&value).map_err(QueryErrorKind::BadId)?,
            ));
        }
        _ if sign == Sign::Without => return Err(QueryErrorKind::NotExcludable(field)),
        "lang" => Restriction::Language(value),
        "year" => Restriction::Published(dates::years(&value)?),
        _ => Restriction::Published(dates::dates(&value)?),
    }))
}

/// Adds a restriction.
pub(super) fn keep(restriction: Restriction, kept: &mut Restrictions) -> Result<(), QueryErrorKind> {
    match restriction {
        Restriction::WithoutWord(word) => push(&mut kept.without_words, word),
        Restriction::WithoutPhrase(phrase) => push(&mut kept.without_phrases, phrase),
        Restriction::Category(Sign::With, value) => push(&mut kept.categories, value),
        Restriction::Category(Sign::Without, value) => push(&mut kept.without_categories, value),
        Restriction::Author(Sign::With, value) => push(&mut kept.authors, value),
        Restriction::Author(Sign::Without, value) => push(&mut kept.without_authors, value),
        Restriction::Source(Sign::With, value) => push(&mut kept.sources, value),
        Restriction::Source(Sign::Without, value) => push(&mut kept.without_sources, value),
        Restriction::Language(value) => push(&mut kept.languages, value),
        Restriction::Code(wanted) if kept.has_code.is_some_and(|kept| kept != wanted) => {
            Err(QueryErrorKind::Contradiction)
        }
        Restriction::Code(wanted) => {
            kept.has_code = Some(wanted);
            Ok(())
        }
        Restriction::Published((after, before)) => {
            kept.published_after = kept.published_after.max(after);
            kept.published_before = match (kept.published_before, before) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            match (kept.published_after, kept.published_before) {
                (Some(after), Some(before)) if after >= before => Err(QueryErrorKind::EmptyRange),
                _ => Ok(()),
            }
        }
    }
}

/// Adds a value unless the list has it already.
pub(super) fn push(list: &mut Vec<String>, value: String) -> Result<(), QueryErrorKind> {
    if list.contains(&value) {
        return Ok(());
    }
    if list.len() == MAX_RESTRICTIONS {
        return Err(QueryErrorKind::TooManyRestrictions);
    }
    list.push(value);
    Ok(())
}

fn code(sign: Sign, value: &str) -> Result<Restriction, QueryErrorKind> {
    if value != "code" {
        return Err(QueryErrorKind::BadValue {
            field: "has",
            value: text::shorten(value),
            allowed: "write has:code or -has:code",
        });
    }
    Ok(Restriction::Code(sign == Sign::With))
}
