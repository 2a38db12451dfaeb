//! One paper out of what many sources say: which paper a claim is about, and what the paper is by all claims together.
//!
//! A paper is published before its claim is kept, so a crash in between leads to the same page being taken again with the
//! same outcome. The rules of merging are in `domain::merging`.
//!
//! A submission that comes by call rather than from a source is taken as it is, and holds until a source says something
//! new.

use domain::merging::{self, Claim, Identifier};
use domain::submission::text_fingerprint;
use domain::{PaperId, Violation};
use jiff::Timestamp;
use tokio::sync::MutexGuard;

use super::claims::{TakenBack, Work, rank};
use super::records::Record;
use super::{ATTEMPTS, Decision, Registry, RegistryError, SHARDS, Verdict};

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
        let papers = self.papers_of(&names, fingerprint.as_deref()).await?;
        let Some((id, others)) = papers.split_first() else {
            return self.say(alone.id.clone(), &claim, &names, now).await;
        };
        let decision = self.say(id.clone(), &claim, &names, now).await?;
        for other in others {
            self.become_alias(other, id).await?;
        }
        Ok(decision)
    }

    /// Takes back a work in the name of a source. `false` when nobody knows it, or it was taken back before.
    pub async fn withdraw_claim(&self, source: &str, taken_back: &TakingBack) -> Result<bool, RegistryError> {
        let names: Vec<String> = taken_back.names().collect();
        let _locks = self.lock_names(&names).await;
        let Some(id) = self.papers_of(&names, None).await?.into_iter().next() else {
            return Ok(false);
        };
        let before = self.records.find(&id).await?;
        if before.is_none_or(|found| found.record.withdrawn) {
            return Ok(false);
        }
        self.change_work(&id, |work| {
            work.withdrawn = Some(TakenBack {
                source: source.to_owned(),
                rank: rank(taken_back.provider),
                datestamp: taken_back.datestamp,
            });
            true
        })
        .await?;
        Ok(self.withdraw(id, &domain::text::one_line(&taken_back.reason)).await?.is_some())
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
            if let Some(found) = &known
                && !Self::is_news(&found.record, &mut work, claim)
            {
                let verdict = Verdict::Unchanged;
                return Ok(Ok(Decision { verdict, id, revision: found.record.revision }));
            }
            if known.is_none() {
                work.put(claim);
            }
            if let Some(found) = known.filter(|found| found.record.withdrawn) {
                // What comes back is news, whatever it says.
                self.forget_content(&found).await?;
            }
            let mut submission = merging::merge(&work.claims()).unwrap_or_else(|| claim.submission.clone());
            submission.id = id.to_string();
            let paper = match submission.into_paper(now) {
                Ok(paper) => paper,
                Err(violations) => return Ok(Err(violations)),
            };
            let decision = self.submit(paper).await?;
            for name in names {
                self.claims.give(name, &decision.id).await?;
            }
            if self.claims.write(&id, &work, entry).await? {
                return Ok(Ok(decision));
            }
        }
        Err(RegistryError::Contended(id))
    }

    /// Whether a claim says anything new about a known paper; if so it is put among the others.
    fn is_news(record: &Record, work: &mut Work, claim: &Claim) -> bool {
        if record.withdrawn {
            if work.stays_withdrawn(claim) {
                return false;
            }
            work.withdrawn = None;
            return work.put(claim) || work.holds(claim);
        }
        // Where the text is kept no longer, saying it again is news.
        (!work.holds(claim) || record.content_hash.is_empty()) && work.put(claim)
    }

    /// Changes what is kept of a work; the closure says whether there is anything to write.
    async fn change_work(&self, id: &PaperId, mut change: impl FnMut(&mut Work) -> bool) -> Result<Work, RegistryError> {
        for _ in 0..ATTEMPTS {
            let (mut work, entry) = self.claims.of(id).await?;
            if !change(&mut work) || self.claims.write(id, &work, entry).await? {
                return Ok(work);
            }
        }
        Err(RegistryError::Contended(id.clone()))
    }

    /// The papers that names were given to, each once, in the order of the names; else the one that has this very text.
    async fn papers_of(&self, names: &[String], fingerprint: Option<&str>) -> Result<Vec<PaperId>, RegistryError> {
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
        if papers.is_empty()
            && let Some(fingerprint) = fingerprint
            && let Some(id) = self.records.id_of_text(fingerprint).await?
        {
            papers.extend(self.canonical(id).await?);
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
            let Some(found) = self.records.find(&id).await? else { return Ok(None) };
            match &found.record.alias_of {
                Some(canonical) => id = PaperId::parse(canonical).map_err(super::unanswered)?,
                None => return Ok(Some(id)),
            }
        }
        Err(RegistryError::Contended(id))
    }

    /// Two papers turn out to be one: the second is withdrawn and stands for the first from now on.
    async fn become_alias(&self, id: &PaperId, canonical: &PaperId) -> Result<(), RegistryError> {
        tracing::info!(paper = %id, same_as = %canonical, "two papers are one work");
        let reason = format!("the same work as {canonical}");
        self.withdraw(id.clone(), &reason).await?;
        for _ in 0..ATTEMPTS {
            let Some(found) = self.records.find(id).await? else { return Ok(()) };
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

/// A work that its source has taken back.
pub struct TakingBack {
    /// Who speaks.
    pub provider: merging::Provider,
    /// Its id.
    pub id: PaperId,
    /// All names of it.
    pub identifiers: merging::Identifiers,
    /// When, by the source's clock.
    pub datestamp: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

impl TakingBack {
    fn names(&self) -> impl Iterator<Item = String> {
        let own = std::iter::once(self.id.to_string());
        own.chain(self.identifiers.iter().map(Identifier::to_string))
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
