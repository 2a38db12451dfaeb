//! What follows from a change of a subscriber: the next version, when the next edition is due, whether the vectors of the
//! interests still hold; and all of it as the arguments of the script that writes.

use jiff::Timestamp;

use super::record::{self, Fields};
use super::{DUE, PAUSED, State, Subscriber, email_key, subscriber_key};

/// Where the sorted sets have a subscriber, and whether the vectors of the interests still hold.
pub(super) struct Placed {
    due: Due,
    vectors: Vectors,
}

enum Due {
    Keep,
    Never,
    At(Timestamp),
}

#[derive(PartialEq, Eq)]
enum Vectors {
    Hold,
    Gone,
}

/// What follows from a change: the next version, since when slots count, when the next one is due.
pub(super) fn place(before: Option<&Subscriber>, made: &mut Subscriber, now: Timestamp) -> Placed {
    made.version = before.map_or(0, |before| before.version) + 1;
    if made.state != State::Paused {
        made.paused_until = None;
    }
    let same_slots = before.is_some_and(|before| {
        before.state == State::Active && before.preferences.schedule == made.preferences.schedule
    });
    let due = match made.state {
        State::Active if same_slots => Due::Keep,
        State::Active => {
            made.due_since = Some(now);
            Due::At(made.preferences.schedule.next_slot(now))
        }
        _ => Due::Never,
    };
    let same_interests = before.is_some_and(|before| before.preferences.interests == made.preferences.interests);
    let vectors = if same_interests { Vectors::Hold } else { Vectors::Gone };
    Placed { due, vectors }
}

/// As the log has a subscriber, due at a given moment.
pub(super) fn placed_at(due: Option<Timestamp>) -> Placed {
    Placed {
        due: due.map_or(Due::Never, Due::At),
        vectors: Vectors::Gone,
    }
}

/// Keys and arguments of the script that writes.
pub(super) fn writing(over: &str, made: &Subscriber, placed: &Placed) -> ([String; 4], Vec<Vec<u8>>) {
    let address = email_key(&made.email.to_ascii_lowercase());
    let keys = [subscriber_key(&made.id), address, DUE.to_owned(), PAUSED.to_owned()];
    let ms = |time: Timestamp| time.as_millisecond().to_string();
    let due = match &placed.due {
        Due::Keep => "keep".to_owned(),
        Due::Never => String::new(),
        Due::At(moment) => ms(*moment),
    };
    let until = made.paused_until.map_or(String::new(), ms);
    let head = [made.id.clone(), over.to_owned(), made.version.to_string(), due, until];
    let mut fields: Fields = record::fields(made);
    if placed.vectors == Vectors::Gone {
        fields.extend([("encoder", Vec::new()), ("vectors", Vec::new())]);
    }
    let fields = fields
        .into_iter()
        .flat_map(|(name, value)| [name.as_bytes().to_vec(), value]);
    let arguments = head.into_iter().map(String::into_bytes).chain(fields).collect();
    (keys, arguments)
}
