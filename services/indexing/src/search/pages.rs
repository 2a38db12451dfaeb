//! Pages of a list that does not change: a page token names the list that a search made, and the list is kept for a while.
//!
//! Where the list is gone, because another replica made it or many others came since, it is made again and the page goes on
//! behind the last paper of the page before. A token is good for the request it was given for and no other.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::PaperId;
use domain::fusion::FusedPaper;
use domain::trending::TrendingScore;
use hashlink::LruCache;
use uuid::Uuid;

/// Lists kept. Each has a few hundred entries of about 200 bytes.
const KEPT: usize = 256;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken {
    /// The request; see [`fingerprint`].
    pub request: u64,
    /// The list.
    pub list: Uuid,
    /// Papers of it on the pages before.
    pub passed: usize,
    /// The last of them.
    pub last: PaperId,
}

/// A token that was not given for this request.
#[derive(Debug, PartialEq, Eq)]
pub struct BadPageToken;

/// A paper of a list.
pub trait RankedPaper: Clone {
    /// The paper.
    fn id(&self) -> &PaperId;
    /// What it is ranked by.
    fn score(&self) -> f64;
}

impl RankedPaper for FusedPaper {
    fn id(&self) -> &PaperId {
        &self.id
    }

    fn score(&self) -> f64 {
        self.score
    }
}

impl RankedPaper for TrendingScore {
    fn id(&self) -> &PaperId {
        &self.id
    }

    fn score(&self) -> f64 {
        self.score
    }
}

/// What a search found, before it is cut into pages.
#[derive(Debug)]
pub struct ResultList<E = FusedPaper> {
    /// Best first.
    pub ranking: Vec<E>,
    /// Why it is not as good as it could be; empty where it is.
    pub notice: &'static str,
    /// The terms that were searched for, where they were searched for alone.
    pub terms: Option<Vec<u32>>,
}

/// Keeps the lists of the latest searches.
pub struct ResultLists<E = FusedPaper> {
    lists: Mutex<LruCache<Uuid, Arc<ResultList<E>>>>,
}

/// One page of a list.
pub struct ResultPage<E = FusedPaper> {
    /// The papers.
    pub entries: Vec<E>,
    /// Where the next page begins, when there is one.
    pub next: Option<PageToken>,
}

impl PageToken {
    /// Reads a token and checks that it is for this request.
    pub fn parse(text: &str, request: u64) -> Result<Self, BadPageToken> {
        let text =
            String::from_utf8(URL_SAFE_NO_PAD.decode(text).map_err(|_| BadPageToken)?).map_err(|_| BadPageToken)?;
        let mut parts = text.splitn(4, ' ');
        let mut part = || parts.next().ok_or(BadPageToken);
        let token = Self {
            request: u64::from_str_radix(part()?, 16).map_err(|_| BadPageToken)?,
            list: Uuid::try_parse(part()?).map_err(|_| BadPageToken)?,
            passed: part()?.parse().map_err(|_| BadPageToken)?,
            last: PaperId::parse(part()?).map_err(|_| BadPageToken)?,
        };
        if token.request == request {
            Ok(token)
        } else {
            Err(BadPageToken)
        }
    }

    /// As clients carry it.
    pub fn encode(&self) -> String {
        let Self {
            request,
            list,
            passed,
            last,
        } = self;
        URL_SAFE_NO_PAD.encode(format!("{request:x} {} {passed} {last}", list.simple()))
    }
}

impl<E> Default for ResultLists<E> {
    fn default() -> Self {
        Self {
            lists: Mutex::new(LruCache::new(KEPT)),
        }
    }
}

impl<E: RankedPaper> ResultLists<E> {
    /// The list a token names, while it is kept.
    pub fn get(&self, token: &PageToken) -> Option<Arc<ResultList<E>>> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.get(&token.list).cloned()
    }

    /// Cuts a page, and keeps a list that has more pages.
    pub fn cut(
        &self,
        list: &Arc<ResultList<E>>,
        request: u64,
        token: Option<&PageToken>,
        size: usize,
    ) -> ResultPage<E> {
        let begin = token.map_or(0, |token| begin(&list.ranking, token));
        let end = (begin + size).min(list.ranking.len());
        let entries = list.ranking[begin..end].to_vec();
        let more = end < list.ranking.len();
        let next = entries.last().filter(|_| more).map(|last| PageToken {
            request,
            list: token.map_or_else(|| name_of(list, request), |token| token.list),
            passed: end,
            last: last.id().clone(),
        });
        if let Some(next) = &next {
            let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
            lists.insert(next.list, Arc::clone(list));
        }
        ResultPage { entries, next }
    }
}

/// Behind the last paper of the page before; where it is not in the list any more, behind as many as were on the pages before.
fn begin<E: RankedPaper>(ranking: &[E], token: &PageToken) -> usize {
    if ranking
        .get(token.passed.wrapping_sub(1))
        .is_some_and(|entry| *entry.id() == token.last)
    {
        return token.passed;
    }
    let place = ranking.iter().position(|entry| *entry.id() == token.last);
    place.map_or(token.passed, |place| place + 1).min(ranking.len())
}

/// Equal lists of equal requests have one name, so that equal requests get equal answers, including their tokens.
fn name_of<E: RankedPaper>(list: &ResultList<E>, request: u64) -> Uuid {
    let mut hasher = DefaultHasher::new();
    for entry in &list.ranking {
        (entry.id().as_str(), entry.score().to_bits()).hash(&mut hasher);
    }
    Uuid::from_u64_pair(request, hasher.finish())
}

/// A hash of a request without its page: the same in every process of one release.
pub fn fingerprint(request: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    request.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Arc<ResultList> {
        let one = |name: &&str| FusedPaper {
            id: PaperId::parse(&format!("x:{name}")).expect("an id"),
            score: 1.0,
            parts: Vec::new(),
        };
        Arc::new(ResultList {
            ranking: names.iter().map(one).collect(),
            notice: "",
            terms: None,
        })
    }

    fn names(page: &ResultPage) -> Vec<&str> {
        page.entries.iter().map(|fused| fused.id.as_str()).collect()
    }

    #[test]
    fn pages_follow_one_another_in_the_same_list() {
        let (pages, made) = (ResultLists::default(), list(&["a", "b", "c"]));
        let first = pages.cut(&made, 7, None, 2);
        assert_eq!(names(&first), ["x:a", "x:b"]);
        let token = PageToken::parse(&first.next.expect("more").encode(), 7).expect("its own token");
        let kept = pages.get(&token).expect("kept");
        let second = pages.cut(&kept, 7, Some(&token), 2);
        assert_eq!(names(&second), ["x:c"]);
        assert!(second.next.is_none());
    }

    #[test]
    fn a_list_made_again_goes_on_behind_the_last_paper() {
        let pages = ResultLists::default();
        let token = pages.cut(&list(&["a", "b", "c"]), 7, None, 2).next.expect("more");
        let anew = pages.cut(&list(&["new", "a", "b", "c"]), 7, Some(&token), 2);
        assert_eq!(names(&anew), ["x:c"]);
        let without = pages.cut(&list(&["a", "c", "d"]), 7, Some(&token), 2);
        assert_eq!(names(&without), ["x:d"]);
    }

    #[test]
    fn tokens_of_other_requests_and_forged_ones_are_refused() {
        let token = ResultLists::default()
            .cut(&list(&["a", "b"]), 7, None, 1)
            .next
            .expect("more")
            .encode();
        assert_eq!(PageToken::parse(&token, 8), Err(BadPageToken));
        for forged in ["", "x", "AAAA", &token[1..]] {
            assert_eq!(PageToken::parse(forged, 7), Err(BadPageToken), "{forged}");
        }
    }
}
