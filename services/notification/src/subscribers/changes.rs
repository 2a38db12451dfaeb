//! Every change of a subscriber: read, decide, write over the version that was read, log.
//!
//! When somebody else was faster it is read and decided again, so a decision always stands on the newest state.

use std::sync::LazyLock;

use domain::{EmailAddress, Preferences};
use jiff::{SignedDuration, Timestamp};
use redis::Script;
use tracing::warn;

use super::placing::{place, writing};
use super::suppressions::Reason;
use super::{
    Channel, Consent, EMAIL_KEY, Opting, PAUSED, State, Subscriber, Subscribers, SubscribersError, broken, email_key,
    invocation, subscriber_key,
};

/// One confirmation mail per address and this long, against subscription bombing.
const CONFIRMATION_PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// Changes of one subscriber that may come in between, one after the other.
const MOST_CONFLICTS: usize = 64;

pub(super) static WRITE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("write.lua")));
pub(super) static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forget.lua")));

/// What is to follow a wish to subscribe.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A confirmation is to be mailed to this subscriber.
    Ask(String),
    /// Nothing: active already, suppressed, or asked a moment ago.
    Quiet,
    /// Nothing: the subscription holds.
    Active,
    /// Nothing: the operator's consent on record does not outweigh why the address is suppressed.
    Suppressed(Reason),
    /// Nothing: the reader ended the subscription after that consent.
    EndedSince(Timestamp),
}

/// What a change makes of a subscriber.
enum Made {
    /// Nothing.
    Same,
    /// This.
    New(Box<Subscriber>),
}

/// Whether a write whose answer was lost is tried again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    Again,
    Fails,
}

impl Subscribers {
    /// Takes a wish to subscribe. `fresh` becomes the id of an address that was not known.
    pub async fn subscribe(
        &self,
        email: &EmailAddress,
        fresh: &str,
        wishes: &Preferences,
        opting: Opting,
        now: Timestamp,
    ) -> Result<Next, SubscribersError> {
        let consent = Consent {
            opting,
            source: String::new(),
            time: now,
        };
        self.wish(email, fresh, wishes, &consent, now).await
    }

    /// The same with consent that was given earlier. Preferences of a reader who is subscribed already stay.
    pub async fn import(
        &self,
        email: &EmailAddress,
        fresh: &str,
        wishes: &Preferences,
        consent: &Consent,
        now: Timestamp,
    ) -> Result<Next, SubscribersError> {
        let known = self.by_email(email).await?;
        let ended = known.as_ref().filter(|known| known.state == State::Unsubscribed);
        if let Some(ended) = ended
            .and_then(|known| known.ended)
            .filter(|ended| *ended >= consent.time)
        {
            return Ok(Next::EndedSince(ended));
        }
        if let Some(known) = known.filter(|known| matches!(known.state, State::Active | State::Paused)) {
            self.log(&known.id).await?;
            return Ok(Next::Active);
        }
        self.wish(email, fresh, wishes, consent, now).await
    }

    async fn wish(
        &self,
        email: &EmailAddress,
        fresh: &str,
        wishes: &Preferences,
        consent: &Consent,
        now: Timestamp,
    ) -> Result<Next, SubscribersError> {
        self.be_whole().await?;
        match (self.suppression(email).await?, consent.opting) {
            (Some(_), Opting::Ask) => return Ok(Next::Quiet),
            (Some(Reason::Bounce), Opting::OnRecord) => self.lift(email, now).await?,
            (Some(reason), Opting::OnRecord) => return Ok(Next::Suppressed(reason)),
            (None, _) => {}
        }
        let address = email_key(&email.key());
        let _: Option<String> = self.ask(redis::cmd("SET").arg(&address).arg(fresh).arg("NX")).await?;
        let id: String = self.ask(redis::cmd("GET").arg(&address)).await?;
        let mut next = Next::Quiet;
        // Not tried twice when the answer is lost: the second try would find that the reader was asked a moment ago, and
        // nobody would ask.
        let made = self.write_over(&id, Lost::Fails, now, |known| {
            let (made, follows) = wished(&id, email, known, wishes, consent, now);
            next = follows;
            made
        });
        made.await?;
        Ok(next)
    }

    /// Forgets that a confirmation was mailed, because it was not; the next wish to subscribe mails one at once.
    pub async fn not_asked(&self, id: &str) -> Result<(), SubscribersError> {
        let change = |known: &mut Subscriber| known.asked = None;
        self.change(id, Timestamp::now(), change).await.map(drop)
    }

    /// Confirms a pending subscription. Changes nothing in any other state, which is answered.
    pub async fn confirm(&self, id: &str, now: Timestamp) -> Result<Option<Subscriber>, SubscribersError> {
        let confirm = |known: &mut Subscriber| {
            if known.state == State::Pending {
                known.state = State::Active;
                known.confirmed = Some(now);
                known.consent = Some(Consent {
                    opting: Opting::Ask,
                    source: String::new(),
                    time: now,
                });
            }
        };
        self.change(id, now, confirm).await
    }

    /// Changes what a subscriber wants. An error of `change` is the answer, and nothing is changed.
    pub async fn prefer<E>(
        &self,
        id: &str,
        now: Timestamp,
        change: impl Fn(&Subscriber) -> Result<Preferences, E>,
    ) -> Result<Result<Option<Subscriber>, E>, SubscribersError> {
        let mut refused = None;
        let changed = self.change(id, now, |known| match change(known) {
            Ok(preferences) => {
                known.preferences = preferences;
                // Whoever chooses mail instead of a webhook that is out of use wants to have it.
                if !known.takes_nothing() {
                    known.end_own_pause();
                }
            }
            Err(error) => refused = Some(error),
        });
        let changed = changed.await?;
        Ok(refused.map_or(Ok(changed), Err))
    }

    /// Changes what a subscriber wants in a way that cannot be refused.
    pub async fn change(
        &self,
        id: &str,
        now: Timestamp,
        mut change: impl FnMut(&mut Subscriber),
    ) -> Result<Option<Subscriber>, SubscribersError> {
        self.write_over(id, Lost::Again, now, |known| {
            let Some(known) = known else {
                return Made::Same;
            };
            let mut changed = known.clone();
            change(&mut changed);
            if changed == *known {
                Made::Same
            } else {
                Made::New(Box::new(changed))
            }
        })
        .await
    }

    /// Sends nothing until resumed, or until a moment. Changes nothing in other states than active and paused.
    pub async fn pause(
        &self,
        id: &str,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Subscriber>, SubscribersError> {
        let pause = |known: &mut Subscriber| {
            if matches!(known.state, State::Active | State::Paused) {
                known.state = State::Paused;
                known.paused_until = until;
                known.pause_reason.clear();
            }
        };
        self.change(id, now, pause).await
    }

    /// Ends a pause. Changes nothing in any other state.
    pub async fn resume(&self, id: &str, now: Timestamp) -> Result<Option<Subscriber>, SubscribersError> {
        let resume = |known: &mut Subscriber| {
            if known.state == State::Paused {
                known.state = State::Active;
            }
        };
        self.change(id, now, resume).await
    }

    /// Ends a subscription. When it returns nothing more is sent, whatever crashes. While Redis does not answer the log
    /// alone takes it, and Redis learns of it before the next edition is claimed.
    pub async fn unsubscribe(&self, id: &str, now: Timestamp) -> Result<Option<Subscriber>, SubscribersError> {
        let end = |known: &mut Subscriber| {
            if matches!(known.state, State::Pending | State::Active | State::Paused) {
                known.state = State::Unsubscribed;
                known.ended = Some(now);
            }
        };
        match self.change(id, now, end).await {
            Ok(Some(ended)) => {
                self.wait_for_disk().await;
                Ok(Some(ended))
            }
            // Nobody, or somebody whom Redis has lost.
            Ok(None) => self.end_in_log(id, now).await,
            Err(SubscribersError::Redis(error)) if self.log.is_some() => {
                warn!(%error, subscriber = id, "redis does not answer, ending the subscription in the log");
                self.end_in_log(id, now).await
            }
            Err(error) => Err(error),
        }
    }

    /// Sends nothing more to a subscriber.
    pub async fn suppress(&self, id: &str, reason: Reason, now: Timestamp) -> Result<(), SubscribersError> {
        let Some(known) = self.get(id).await? else {
            return Ok(());
        };
        match EmailAddress::parse(&known.email) {
            Ok(address) => self.suppress_address(&address, reason, now).await,
            Err(error) => Err(super::corrupt(&subscriber_key(id), &error)),
        }
    }

    /// Forgets everything about a subscriber. A suppression of the address stays.
    pub async fn forget(&self, of: &Subscriber) -> Result<(), SubscribersError> {
        // The log first: should the process end in between, the log makes Redis forget.
        let version = of.version + 1_000;
        self.forget_in_log(&of.id, version).await?;
        self.forget_in_redis(&of.id, version).await?;
        self.wait_for_disk().await;
        Ok(())
    }

    pub(super) async fn forget_in_redis(&self, id: &str, version: u64) -> Result<bool, SubscribersError> {
        let mut keys = vec![
            subscriber_key(id),
            PAUSED.to_owned(),
            super::reading::seen_key(id),
            super::bounces::soft_key(id),
        ];
        let mut arguments = vec![id, EMAIL_KEY];
        for channel in Channel::ALL {
            keys.extend([channel.due_key().to_owned(), channel.deliveries_key(id)]);
            arguments.push(channel.delivery_begin());
        }
        let version = version.to_string();
        arguments.insert(1, &version);
        let arguments: Vec<Vec<u8>> = arguments.into_iter().map(|one| one.as_bytes().to_vec()).collect();
        self.script(&FORGET, &keys, &arguments).await
    }

    /// Reads, decides, writes, logs; answers what holds afterwards.
    async fn write_over(
        &self,
        id: &str,
        lost: Lost,
        now: Timestamp,
        mut decide: impl FnMut(Option<&Subscriber>) -> Made,
    ) -> Result<Option<Subscriber>, SubscribersError> {
        for _ in 0..MOST_CONFLICTS {
            let known = self.get(id).await?;
            let Made::New(made) = decide(known.as_ref()) else {
                // An earlier call may have written it and not got as far as the log.
                self.log(id).await?;
                return Ok(known);
            };
            let mut made = *made;
            let placed = place(known.as_ref(), &mut made, now);
            let (keys, arguments) = writing("next", &made, &placed);
            let call = invocation(&WRITE, &keys, &arguments);
            match call.invoke_async::<bool>(&mut self.redis.clone()).await {
                Ok(true) => {
                    self.log(id).await?;
                    if made.state == State::Active {
                        self.wake();
                    }
                    return Ok(Some(made));
                }
                Ok(false) => {}
                Err(error) if lost == Lost::Again && broken(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(SubscribersError::Contended(subscriber_key(id)))
    }
}

/// What a wish makes of a subscriber, and what follows.
fn wished(
    id: &str,
    email: &EmailAddress,
    known: Option<&Subscriber>,
    wishes: &Preferences,
    consent: &Consent,
    now: Timestamp,
) -> (Made, Next) {
    let state = known.map(|known| known.state);
    let subscribed = matches!(state, Some(State::Active | State::Paused));
    let asked = known.and_then(|known| known.asked);
    let lately = asked.is_some_and(|asked| now < asked.saturating_add(CONFIRMATION_PAUSE).unwrap_or(Timestamp::MAX));
    if consent.opting == Opting::Ask && (subscribed || lately || state == Some(State::Suppressed)) {
        return (Made::Same, Next::Quiet);
    }
    let mut made = Subscriber {
        id: id.to_owned(),
        email: email.as_str().to_owned(),
        state: State::Pending,
        preferences: wishes.clone(),
        unwanted: Vec::new(),
        created: known.map_or(now, |known| known.created),
        confirmed: None,
        ended: None,
        paused_until: None,
        asked,
        due_since: known.and_then(|known| known.due_since),
        consent: None,
        webhook: known.and_then(|known| known.webhook.clone()),
        pause_reason: String::new(),
        version: known.map_or(0, |known| known.version),
    };
    if consent.opting == Opting::Ask {
        made.asked = Some(now);
        return (Made::New(Box::new(made)), Next::Ask(id.to_owned()));
    }
    made.state = State::Active;
    made.confirmed = known
        .filter(|_| subscribed)
        .and_then(|known| known.confirmed)
        .or(Some(now));
    made.consent = Some(consent.clone());
    (Made::New(Box::new(made)), Next::Active)
}
