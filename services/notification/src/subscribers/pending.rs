//! A request to subscribe that waits for its confirmation.
//!
//! Anybody can fill in the form with anybody's address, so a request stands beside what is known of the address and changes
//! nothing of it. It is bounded in size and time, and it becomes a subscription when the token of its mail is used.

use domain::{EmailAddress, Preferences, Violation};
use jiff::{SignedDuration, Timestamp};
use prost::Message as _;
use proto::subscriptions::v1 as wire;

use super::suppressions::mailbox_hash;

/// How long a request waits: as long as the link in its mail is valid.
pub const WAITING_TIME: SignedDuration = SignedDuration::from_hours(24 * 7);
/// Most interests of a request.
pub const MOST_INTERESTS: usize = 10;
/// Most bytes of what a request wants, as it is stored.
pub const MOST_BYTES: usize = 4_000;

/// Bytes of ids, times and indexes beside a request.
const BESIDE: usize = 512;

/// A request that nobody has confirmed yet.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingSubscription {
    /// Opaque id, and that of the subscriber it becomes where the address has none.
    pub id: String,
    /// The address.
    pub email: EmailAddress,
    /// What the reader wants.
    pub preferences: Preferences,
    /// When it came.
    pub requested: Timestamp,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum PendingState {
    /// It waits.
    Waiting(Box<PendingSubscription>),
    /// It has become a subscription.
    Confirmed(ConfirmedRequest),
}

/// What is left of a request that was confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedRequest {
    /// The subscriber it became.
    pub subscriber_id: String,
    /// The epoch of that subscriber's links then: its own link opens nothing in a later one.
    pub link_epoch: u64,
}

impl PendingSubscription {
    /// When it ends by itself.
    pub fn ends(&self) -> Timestamp {
        self.requested.saturating_add(WAITING_TIME).unwrap_or(Timestamp::MAX)
    }

    /// Bytes that it takes in the store, with what the store keeps to find it.
    pub fn size(&self) -> u64 {
        let wanted = wire::Preferences::from(&self.preferences).encoded_len();
        (wanted + self.email.as_str().len() + BESIDE) as u64
    }

    /// The hash of the mailbox that it would send to.
    pub fn mailbox_hash(&self) -> String {
        mailbox_hash(&self.email)
    }
}

/// What a request must not hold before it is confirmed, because strangers could fill the store with it.
pub fn check_size(preferences: &Preferences) -> Result<(), Vec<Violation>> {
    const LATER: &str = "until the subscription is confirmed; add the rest afterwards, in the preferences";
    let mut wrong = Vec::new();
    let mut too_much = |field: &str, description: String| {
        wrong.push(Violation {
            field: field.to_owned(),
            description,
        });
    };
    let count = preferences.interests.len();
    if count > MOST_INTERESTS {
        let problem = format!("has {count} entries; at most {MOST_INTERESTS} are allowed {LATER}");
        too_much("interests", problem);
    }
    let whole = wire::Preferences::from(preferences);
    let size = whole.encoded_len();
    if size > MOST_BYTES && count <= MOST_INTERESTS {
        let excluded = whole.exclusions.as_ref().map_or(0, wire::Exclusions::encoded_len);
        let field = if excluded > size / 2 {
            "exclusions.words"
        } else {
            "interests"
        };
        let problem = format!(
            "takes too much room: interests and exclusions have {size} bytes together, and {MOST_BYTES} are allowed {LATER}"
        );
        too_much(field, problem);
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use domain::Interest;
    use domain::schedule::Schedule;

    use super::*;

    fn preferences(count: usize, chars: usize) -> Preferences {
        let schedule = Schedule::parse("07:00", "UTC").expect("a schedule");
        let mut preferences = Preferences::plain(schedule, 10);
        preferences.interests = vec![Interest::in_words(&"x".repeat(chars)); count];
        preferences
    }

    fn blamed(preferences: &Preferences) -> Vec<String> {
        let wrong = check_size(preferences).err().unwrap_or_default();
        wrong
            .into_iter()
            .map(|one| format!("{}: {}", one.field, one.description))
            .collect()
    }

    #[test]
    fn ten_interests_of_a_usual_length_pass() {
        assert_eq!(check_size(&preferences(10, 300)), Ok(()));
        assert_eq!(check_size(&preferences(3, 1_000)), Ok(()));
    }

    #[test]
    fn more_is_refused_with_the_field_and_what_is_allowed() {
        let many = blamed(&preferences(11, 10));
        assert!(
            many.len() == 1 && many[0].starts_with("interests: has 11 entries; at most 10"),
            "{many:?}"
        );
        let long = blamed(&preferences(10, 1_000));
        assert!(
            long.len() == 1 && long[0].contains("4000 are allowed until"),
            "{long:?}"
        );
        let mut excluding = preferences(1, 10);
        excluding.exclusions.words = vec!["x".repeat(200); 100];
        let excluding = blamed(&excluding);
        assert!(excluding[0].starts_with("exclusions.words: "), "{excluding:?}");
    }
}
