//! What follows from a change of a subscriber: the next version, when the next edition is due, whether the vectors of the
//! interests still hold; and all of it as the arguments of the script that writes.

use jiff::Timestamp;

use super::record::{self, Fields};
use super::{Channel, PAUSED, State, Subscriber, email_key, subscriber_key};

/// Where the sorted sets have a subscriber, and whether the vectors of the interests still hold.
pub(super) struct Placed {
    /// One for each channel, in their order.
    due: [Due; 2],
    vectors: Vectors,
}

/// When it is due.
pub(super) enum Due {
    /// As before.
    Keep,
    /// Never.
    Never,
    /// Then.
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
        made.pause_reason.clear();
    }
    let same_schedule = |before: &&Subscriber| before.preferences.schedule == made.preferences.schedule;
    let before_with_slots = before.filter(same_schedule);
    if made.state == State::Active && before_with_slots.is_none_or(|before| before.state != State::Active) {
        made.due_since = Some(now);
    }
    let due = Channel::ALL.map(|channel| {
        if !made.is_due_on(channel) {
            Due::Never
        } else if before_with_slots.is_some_and(|before| before.is_due_on(channel)) {
            Due::Keep
        } else {
            Due::At(made.preferences.schedule.next_slot(now))
        }
    });
    let same_interests = before.is_some_and(|before| before.preferences.interests == made.preferences.interests);
    let vectors = if same_interests { Vectors::Hold } else { Vectors::Gone };
    Placed { due, vectors }
}

/// As the log has a subscriber, due at given moments, one for each channel.
pub(super) fn placed_at(due: [Option<Timestamp>; 2]) -> Placed {
    Placed {
        due: due.map(|due| due.map_or(Due::Never, Due::At)),
        vectors: Vectors::Gone,
    }
}

/// Keys and arguments of the script that writes.
pub(super) fn writing(over: &str, made: &Subscriber, placed: &Placed) -> ([String; 5], Vec<Vec<u8>>) {
    let address = email_key(&made.email.to_ascii_lowercase());
    let [mail, webhook] = Channel::ALL.map(|channel| channel.due_key().to_owned());
    let keys = [subscriber_key(&made.id), address, PAUSED.to_owned(), mail, webhook];
    let ms = |time: Timestamp| time.as_millisecond().to_string();
    let [mail, webhook] = placed.due.each_ref().map(|due| match due {
        Due::Keep => "keep".to_owned(),
        Due::Never => String::new(),
        Due::At(moment) => ms(*moment),
    });
    let until = made.paused_until.map_or(String::new(), ms);
    let version = made.version.to_string();
    let head = [made.id.clone(), over.to_owned(), version, until, mail, webhook];
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
