//! One paper out of many sources: which paper a source record belongs to, and the merged paper of all its records.
//!
//! A paper is published before its record is stored, so after a crash in between the same page is read again with the same
//! outcome. The rules of merging are in `domain::merging`.
//!
//! A submission by call rather than from a source is published unchanged, and remains until a source has something new.

use domain::merging::{self, Field, Identifier, SourceRecord, SourceWithdrawal, WorkMatch, WorkState};
use domain::submission::text_fingerprint;
use domain::{PaperId, Violation};
use tokio::sync::MutexGuard;

use super::dates::PaperOrigin;
use super::records::VersionedRecord;
use super::work::Work;
use super::{ATTEMPTS, Decision, Registry, RegistryError, SHARDS, Verdict};
use crate::metrics::POSSIBLE_MATCHES;

/// Prefix of index keys that are titles.
const TITLE: &str = "title";

impl Registry {
    /// Submits a source record: finds its paper, or makes one, and publishes the paper if it has changed.
    ///
    /// # Errors
    /// Inside, everything that is wrong with the record; outside, a registry that does not answer.
    pub async fn submit_record(&self, record: SourceRecord) -> Result<Result<Decision, Vec<Violation>>, RegistryError> {
        let alone = match record.submission.clone().into_paper(self.clock.now()) {
            Ok(paper) => paper,
            Err(violations) => return Ok(Err(violations)),
        };
        let keys = keys_of(&record, &alone.id);
        let _locks = self.lock_keys(&keys).await;
        let fingerprint = text_fingerprint(&alone);
        let papers = self.papers_of(&record, &keys, fingerprint.as_deref()).await?;
        let Some((id, others)) = papers.split_first() else {
            return self.add_record(alone.id.clone(), &record, &keys).await;
        };
        let decision = self.add_record(id.clone(), &record, &keys).await?;
        for other in others {
            self.merge_into(other, id).await?;
        }
        Ok(decision)
    }

    /// Withdraws a work on behalf of a source. `false` if it is unknown, if other sources keep it available, or if it was
    /// withdrawn before.
    pub async fn withdraw_record(
        &self,
        source: &str,
        id: &PaperId,
        withdrawn: &SourceWithdrawal,
        reason: &str,
    ) -> Result<bool, RegistryError> {
        let mut keys: Vec<String> = withdrawn.identifiers.iter().map(Identifier::to_string).collect();
        keys.push(id.to_string());
        let _locks = self.lock_keys(&keys).await;
        let Some(id) = self.papers_with(&keys).await?.into_iter().next() else {
            return Ok(false);
        };
        let before = self.records.find(&id).await?;
        if before.is_none_or(|known| known.record.withdrawn) {
            return Ok(false);
        }
        let work = self.change_work(&id, |work| work.withdraw(source, withdrawn)).await?;
        if let WorkState::Current(records) = work.state()
            && !records.is_empty()
            && self.publish_merged(&id, &records).await?.is_ok()
        {
            return Ok(false);
        }
        Ok(self.withdraw(id, &domain::text::one_line(reason)).await?.is_some())
    }

    /// Adds a record to a paper and publishes the merged paper.
    ///
    /// The record is stored after the paper was published, so a stored record has had its effect whatever crashed.
    async fn add_record(
        &self,
        id: PaperId,
        record: &SourceRecord,
        keys: &[String],
    ) -> Result<Result<Decision, Vec<Violation>>, RegistryError> {
        for _ in 0..ATTEMPTS {
            let known = self.records.find(&id).await?;
            let (mut work, revision) = self.works.read(&id).await?;
            // If the content of a paper is no longer stored, the same record is news.
            let has_content = known
                .as_ref()
                .is_some_and(|known| !known.record.content_hash.is_empty());
            let is_news = !(has_content && work.contains(record)) && work.insert(record);
            let state = work.state();
            if let Some(known) = &known
                && (!is_news || state == WorkState::Withdrawn)
            {
                let paper_revision = known.record.revision;
                if is_news && !self.works.write(&id, &work, revision).await? {
                    continue;
                }
                return Ok(Ok(Decision {
                    verdict: Verdict::Unchanged,
                    id,
                    revision: paper_revision,
                }));
            }
            if let Some(known) = known.filter(|known: &VersionedRecord| known.record.withdrawn) {
                // A reinstated paper is news, whatever its content.
                self.clear_content_hash(&known).await?;
            }
            let records = match state {
                WorkState::Current(records) => records,
                WorkState::Withdrawn => vec![record.clone()],
            };
            let decision = match self.publish_merged(&id, &records).await? {
                Ok(decision) => decision,
                Err(violations) => return Ok(Err(violations)),
            };
            self.assign_keys(record, keys, &decision.id).await?;
            if self.works.write(&id, &work, revision).await? {
                return Ok(Ok(decision));
            }
        }
        Err(RegistryError::Contended(id))
    }

    /// Lets a paper be found by the keys of a record and by its title.
    async fn assign_keys(&self, record: &SourceRecord, keys: &[String], id: &PaperId) -> Result<(), RegistryError> {
        let title = merging::title_key(record).map(|title| format!("{TITLE}:{title}"));
        for key in keys.iter().chain(&title) {
            self.works.assign(key, id).await?;
        }
        Ok(())
    }

    async fn publish_merged(
        &self,
        id: &PaperId,
        records: &[SourceRecord],
    ) -> Result<Result<Decision, Vec<Violation>>, RegistryError> {
        let missing = || Violation {
            field: "title".to_owned(),
            description: "is missing in every source record".to_owned(),
        };
        let Some(merged) = merging::merge(records) else {
            return Ok(Err(vec![missing()]));
        };
        for conflict in &merged.conflicts {
            tracing::warn!(paper = %id, scheme = conflict.scheme.as_str(), values = ?conflict.values, "sources contradict each other");
        }
        let dated_by = merged.origins.into_iter().find(|(field, _)| *field == Field::Published);
        let origin = PaperOrigin::SourceRecords {
            dated_by: dated_by.map(|(_, origin)| origin.source).unwrap_or_default(),
        };
        let mut submission = merged.submission;
        submission.id = id.to_string();
        match submission.into_paper(self.clock.now()) {
            Ok(paper) => Ok(Ok(self.decide(paper, origin).await?)),
            Err(violations) => Ok(Err(violations)),
        }
    }

    async fn change_work(&self, id: &PaperId, change: impl Fn(&mut Work)) -> Result<Work, RegistryError> {
        for _ in 0..ATTEMPTS {
            let (mut work, revision) = self.works.read(id).await?;
            change(&mut work);
            if self.works.write(id, &work, revision).await? {
                return Ok(work);
            }
        }
        Err(RegistryError::Contended(id.clone()))
    }

    /// The papers that a record belongs to: by its identifiers, else by title, authors and date, else by identical text.
    async fn papers_of(
        &self,
        record: &SourceRecord,
        keys: &[String],
        fingerprint: Option<&str>,
    ) -> Result<Vec<PaperId>, RegistryError> {
        let mut papers = Vec::new();
        for id in self.papers_with(keys).await? {
            if self.is_same_work(&id, record).await? {
                papers.push(id);
            }
        }
        if papers.is_empty()
            && let Some(title) = merging::title_key(record)
        {
            for id in self.papers_with(&[format!("{TITLE}:{title}")]).await? {
                if self.is_same_work(&id, record).await? {
                    papers.push(id);
                }
            }
        }
        if papers.is_empty()
            && let Some(fingerprint) = fingerprint
            && let Some(id) = self.records.id_of_text(fingerprint).await?
            && let Some(id) = self.canonical(id).await?
            && self.is_same_work(&id, record).await?
        {
            papers.push(id);
        }
        Ok(papers)
    }

    /// Whether a record describes the same work as the records of a paper. Possible matches are reported.
    async fn is_same_work(&self, id: &PaperId, record: &SourceRecord) -> Result<bool, RegistryError> {
        let (work, _) = self.works.read(id).await?;
        let records = work.records();
        let compare = |other: &SourceRecord| merging::same_work(record, other);
        // A paper that no source has described was submitted by call: its id is all there is to compare.
        if records.is_empty()
            || records
                .iter()
                .any(|other| matches!(compare(other), WorkMatch::Match(_)))
        {
            return Ok(true);
        }
        if let Some(possible) = records.iter().find_map(|other| match compare(other) {
            WorkMatch::Possible(possible) => Some(possible),
            WorkMatch::Match(_) | WorkMatch::NoMatch => None,
        }) {
            POSSIBLE_MATCHES.inc();
            let submitted = &record.submission;
            tracing::info!(paper = %id, source = submitted.source, id = submitted.id, ?possible, "possible match, kept as two papers");
        }
        Ok(false)
    }

    /// The papers that keys were assigned to, each once, in the order of the keys.
    async fn papers_with(&self, keys: &[String]) -> Result<Vec<PaperId>, RegistryError> {
        let mut papers: Vec<PaperId> = Vec::new();
        for key in keys {
            let id = match self.works.paper_of(key).await? {
                Some(id) => Some(id),
                // Submitted by call, under no other identifier.
                None => self.paper_with_id(key).await?,
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

    async fn paper_with_id(&self, key: &str) -> Result<Option<PaperId>, RegistryError> {
        let Ok(id) = PaperId::parse(key) else { return Ok(None) };
        Ok(self.records.find(&id).await?.map(|_| id))
    }

    /// The canonical id of an id; `None` if it is not recorded yet.
    async fn canonical(&self, mut id: PaperId) -> Result<Option<PaperId>, RegistryError> {
        for _ in 0..ATTEMPTS {
            let Some(known) = self.records.find(&id).await? else {
                return Ok(None);
            };
            match known.canonical()? {
                Some(canonical) => id = canonical,
                None => return Ok(Some(id)),
            }
        }
        Err(RegistryError::Contended(id))
    }

    /// Two papers turned out to be one work: the records of the first move to `canonical`, and it is withdrawn and becomes an
    /// alias.
    async fn merge_into(&self, id: &PaperId, canonical: &PaperId) -> Result<(), RegistryError> {
        tracing::info!(paper = %id, same_as = %canonical, "two papers are one work");
        for record in self.works.read(id).await?.0.records() {
            if let Err(violations) = Box::pin(self.add_record(canonical.clone(), &record, &[])).await? {
                tracing::warn!(paper = %id, ?violations, "a source record could not be moved");
            }
        }
        let reason = format!("the same work as {canonical}");
        self.withdraw(id.clone(), &reason).await?;
        for _ in 0..ATTEMPTS {
            let Some(known) = self.records.find(id).await? else {
                return Ok(());
            };
            let mut record = known.record.clone();
            record.alias_of = Some(canonical.to_string());
            if self.records.write(&record, Some(&known)).await? {
                return Ok(());
            }
        }
        Err(RegistryError::Contended(id.clone()))
    }

    /// Serialises records that share a key, within this process. Locked in the order of the shards, so that no two wait for
    /// each other.
    async fn lock_keys(&self, keys: &[String]) -> Vec<MutexGuard<'_, ()>> {
        let mut shards: Vec<usize> = keys.iter().map(|key| super::shard_of(key)).collect();
        shards.sort_unstable();
        shards.dedup();
        let mut guards = Vec::with_capacity(shards.len());
        for shard in shards {
            guards.push(self.keys[shard % SHARDS].lock().await);
        }
        guards
    }
}

/// The index keys of a record: its identifiers and the id it would have as a paper of its own.
fn keys_of(record: &SourceRecord, id: &PaperId) -> Vec<String> {
    let mut keys: Vec<String> = record.identifiers.iter().map(Identifier::to_string).collect();
    if !keys.contains(&id.to_string()) {
        keys.push(id.to_string());
    }
    keys
}
