//! One paper out of what many sources say: which paper a claim is about, and what the paper is by all claims together.
//!
//! A paper is published before its claim is kept, so a crash in between leads to the same page being taken again with the
//! same outcome. The rules of merging are in `domain::merging`.
//!
//! A submission that comes by call rather than from a source is taken as it is, and holds until a source says something
//! new.

use domain::merging::{self, Claim, Identifier, Sameness, Standing, Withdrawn};
use domain::submission::text_fingerprint;
use domain::{PaperId, Violation};
use jiff::Timestamp;
use tokio::sync::MutexGuard;

use super::claims::Work;
use super::records::Found;
use super::{ATTEMPTS, Decision, Registry, RegistryError, SHARDS, SameText, Verdict};
use crate::metrics::ALIKE;

/// What a title is kept under among the names of works.
const TITLE: &str = "title";

impl Registry {
    /// Takes what a source says about a work: finds the paper, or makes it, and publishes it when that is news.
    ///
    /// # Errors
    /// Inside, everything that is wrong with the claim; outside, a register that does not answer.
    pub async fn submit_claim(
        &self,
        claim: Claim,
        now: Timestamp,
    ) -> Result<Result<Decision, Vec<Violation>>, RegistryError> {
        let alone = match claim.submission.clone().into_paper(now) {
            Ok(paper) => paper,
            Err(violations) => return Ok(Err(violations)),
        };
        let names = names_of(&claim, &alone.id);
        let _locks = self.lock_names(&names).await;
        let fingerprint = text_fingerprint(&alone);
        let papers = self.papers_of(&claim, &names, fingerprint.as_deref()).await?;
        let Some((id, others)) = papers.split_first() else {
            return self.say(alone.id.clone(), &claim, &names, now).await;
        };
        let decision = self.say(id.clone(), &claim, &names, now).await?;
        for other in others {
            self.become_alias(other, id, now).await?;
        }
        Ok(decision)
    }

    /// Takes back a work in the name of a source. `false` when nobody knows it, or it stands by what others say, or it was
    /// taken back before.
    pub async fn withdraw_claim(
        &self,
        source: &str,
        id: &PaperId,
        withdrawn: &Withdrawn,
        reason: &str,
    ) -> Result<bool, RegistryError> {
        let mut names: Vec<String> = withdrawn.identifiers.iter().map(Identifier::to_string).collect();
        names.push(id.to_string());
        let _locks = self.lock_names(&names).await;
        let Some(id) = self.named(&names).await?.into_iter().next() else {
            return Ok(false);
        };
        let before = self.records.find(&id).await?;
        if before.is_none_or(|found| found.record.withdrawn) {
            return Ok(false);
        }
        let work = self.change_work(&id, |work| work.take_back(source, withdrawn)).await?;
        if let Standing::Stands(claims) = work.standing()
            && !claims.is_empty()
            && self.publish_merged(&id, &claims, Timestamp::now()).await?.is_ok()
        {
            return Ok(false);
        }
        Ok(self.withdraw(id, &domain::text::one_line(reason)).await?.is_some())
    }

    /// Adds a claim to a paper and publishes what the paper is now.
    ///
    /// The claim is kept after the paper was published: what is kept has had its effect, whatever crashed.
    async fn say(
        &self,
        id: PaperId,
        claim: &Claim,
        names: &[String],
        now: Timestamp,
    ) -> Result<Result<Decision, Vec<Violation>>, RegistryError> {
        for _ in 0..ATTEMPTS {
            let known = self.records.find(&id).await?;
            let (mut work, entry) = self.claims.of(&id).await?;
            // Where the text of a paper is kept no longer, saying it again is news.
            let is_kept = known
                .as_ref()
                .is_some_and(|found| !found.record.content_hash.is_empty());
            let says_more = !(is_kept && work.holds(claim)) && work.put(claim);
            let standing = work.standing();
            if let Some(found) = &known
                && (!says_more || standing == Standing::Withdrawn)
            {
                let revision = found.record.revision;
                if says_more && !self.claims.write(&id, &work, entry).await? {
                    continue;
                }
                return Ok(Ok(Decision {
                    verdict: Verdict::Unchanged,
                    id,
                    revision,
                }));
            }
            if let Some(found) = known.filter(|found: &Found| found.record.withdrawn) {
                // What comes back is news, whatever it says.
                self.forget_content(&found).await?;
            }
            let claims = match standing {
                Standing::Stands(claims) => claims,
                Standing::Withdrawn => vec![claim.clone()],
            };
            let decision = match self.publish_merged(&id, &claims, now).await? {
                Ok(decision) => decision,
                Err(violations) => return Ok(Err(violations)),
            };
            for name in names {
                self.claims.give(name, &decision.id).await?;
            }
            if let Some(title) = merging::title_key(claim) {
                self.claims.give(&format!("{TITLE}:{title}"), &decision.id).await?;
            }
            if self.claims.write(&id, &work, entry).await? {
                return Ok(Ok(decision));
            }
        }
        Err(RegistryError::Contended(id))
    }

    async fn publish_merged(
        &self,
        id: &PaperId,
        claims: &[Claim],
        now: Timestamp,
    ) -> Result<Result<Decision, Vec<Violation>>, RegistryError> {
        let missing = || Violation {
            field: "title".to_owned(),
            description: "is missing in all that sources say".to_owned(),
        };
        let Some(merged) = merging::merge(claims) else {
            return Ok(Err(vec![missing()]));
        };
        for conflict in &merged.conflicts {
            tracing::warn!(paper = %id, scheme = conflict.scheme.as_str(), values = ?conflict.values, "sources contradict each other");
        }
        let mut submission = merged.submission;
        submission.id = id.to_string();
        match submission.into_paper(now) {
            Ok(paper) => Ok(Ok(self.decide(paper, SameText::AsNamed).await?)),
            Err(violations) => Ok(Err(violations)),
        }
    }

    async fn change_work(&self, id: &PaperId, change: impl Fn(&mut Work)) -> Result<Work, RegistryError> {
        for _ in 0..ATTEMPTS {
            let (mut work, entry) = self.claims.of(id).await?;
            change(&mut work);
            if self.claims.write(id, &work, entry).await? {
                return Ok(work);
            }
        }
        Err(RegistryError::Contended(id.clone()))
    }

    /// The papers that a claim is about: by its names, else by title, authors and date, else by the very same text.
    async fn papers_of(
        &self,
        claim: &Claim,
        names: &[String],
        fingerprint: Option<&str>,
    ) -> Result<Vec<PaperId>, RegistryError> {
        let mut papers = Vec::new();
        for id in self.named(names).await? {
            if self.is_same(&id, claim).await? {
                papers.push(id);
            }
        }
        if papers.is_empty()
            && let Some(title) = merging::title_key(claim)
        {
            for id in self.named(&[format!("{TITLE}:{title}")]).await? {
                if self.is_same(&id, claim).await? {
                    papers.push(id);
                }
            }
        }
        if papers.is_empty()
            && let Some(fingerprint) = fingerprint
            && let Some(id) = self.records.id_of_text(fingerprint).await?
            && let Some(id) = self.canonical(id).await?
            && self.is_same(&id, claim).await?
        {
            papers.push(id);
        }
        Ok(papers)
    }

    /// Whether a claim is about a paper, by all that is said about that. What is only alike is reported.
    async fn is_same(&self, id: &PaperId, claim: &Claim) -> Result<bool, RegistryError> {
        let (work, _) = self.claims.of(id).await?;
        let claims = work.claims();
        let sameness = |other: &Claim| merging::same_work(claim, other);
        // Known by a submission that no source speaks of: its id is all there is to go by.
        if claims.is_empty() || claims.iter().any(|other| matches!(sameness(other), Sameness::Same(_))) {
            return Ok(true);
        }
        if let Some(alike) = claims.iter().find_map(|other| match sameness(other) {
            Sameness::Alike(alike) => Some(alike),
            _ => None,
        }) {
            ALIKE.inc();
            let submitted = &claim.submission;
            tracing::info!(paper = %id, source = submitted.source, id = submitted.id, ?alike, "alike, kept as two papers");
        }
        Ok(false)
    }

    /// The papers that names were given to, each once, in the order of the names.
    async fn named(&self, names: &[String]) -> Result<Vec<PaperId>, RegistryError> {
        let mut papers: Vec<PaperId> = Vec::new();
        for name in names {
            let given = self.claims.paper_of(name).await?;
            let id = match given {
                Some(id) => Some(id),
                // Known by a submission that said no more than this id.
                None => self.known(name).await?,
            };
            if let Some(id) = id
                && let Some(id) = self.canonical(id).await?
                && !papers.contains(&id)
            {
                papers.push(id);
            }
        }
        Ok(papers)
    }

    async fn known(&self, name: &str) -> Result<Option<PaperId>, RegistryError> {
        let Ok(id) = PaperId::parse(name) else { return Ok(None) };
        Ok(self.records.find(&id).await?.map(|_| id))
    }

    /// The paper that an id stands for; `None` where nothing is recorded under it yet.
    async fn canonical(&self, mut id: PaperId) -> Result<Option<PaperId>, RegistryError> {
        for _ in 0..ATTEMPTS {
            let Some(found) = self.records.find(&id).await? else {
                return Ok(None);
            };
            match &found.record.alias_of {
                Some(canonical) => id = PaperId::parse(canonical).map_err(super::unanswered)?,
                None => return Ok(Some(id)),
            }
        }
        Err(RegistryError::Contended(id))
    }

    /// Two papers turn out to be one: what is said of the second goes to the first, and the second is withdrawn and stands
    /// for the first from now on.
    async fn become_alias(&self, id: &PaperId, canonical: &PaperId, now: Timestamp) -> Result<(), RegistryError> {
        tracing::info!(paper = %id, same_as = %canonical, "two papers are one work");
        for claim in self.claims.of(id).await?.0.claims() {
            if let Err(violations) = Box::pin(self.say(canonical.clone(), &claim, &[], now)).await? {
                tracing::warn!(paper = %id, ?violations, "a claim could not be moved");
            }
        }
        let reason = format!("the same work as {canonical}");
        self.withdraw(id.clone(), &reason).await?;
        for _ in 0..ATTEMPTS {
            let Some(found) = self.records.find(id).await? else {
                return Ok(());
            };
            let mut record = found.record.clone();
            record.alias_of = Some(canonical.to_string());
            if self.records.write(&record, Some(&found)).await? {
                return Ok(());
            }
        }
        Err(RegistryError::Contended(id.clone()))
    }

    /// In-process order among claims that share a name. Taken in the order of the shards, so that no two wait for each
    /// other.
    async fn lock_names(&self, names: &[String]) -> Vec<MutexGuard<'_, ()>> {
        let mut shards: Vec<usize> = names.iter().map(|name| super::shard_of(name)).collect();
        shards.sort_unstable();
        shards.dedup();
        let mut guards = Vec::with_capacity(shards.len());
        for shard in shards {
            guards.push(self.names[shard % SHARDS].lock().await);
        }
        guards
    }
}

/// All names of a claim, the one it would be called by first.
fn names_of(claim: &Claim, id: &PaperId) -> Vec<String> {
    let mut names: Vec<String> = claim.identifiers.iter().map(Identifier::to_string).collect();
    if !names.contains(&id.to_string()) {
        names.push(id.to_string());
    }
    names
}
