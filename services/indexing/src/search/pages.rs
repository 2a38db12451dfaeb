//! Pages over a list that stands still: a page token names the list a search made, and the list is kept for a while.
//!
//! Where it is gone, because another replica made it or many others came since, it is made anew and the page goes on behind
//! the last paper that was shown. A token serves the request it was given for and no other.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::PaperId;
use domain::fusion::Fused;
use domain::trending::Scored;
use hashlink::LruCache;
use uuid::Uuid;

/// Lists kept. Each has a few hundred entries of about 200 bytes.
const KEPT: usize = 256;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What was asked; see [`fingerprint`].
    pub request: u64,
    /// The list.
    pub list: Uuid,
    /// Papers of it that were shown.
    pub shown: usize,
    /// The last of them.
    pub last: PaperId,
}

/// A token that was not given for this request.
#[derive(Debug, PartialEq, Eq)]
pub struct BadToken;

/// A paper of a list.
pub trait Entry: Clone {
    /// The paper.
    fn id(&self) -> &PaperId;
    /// What it is ranked by.
    fn score(&self) -> f64;
}

impl Entry for Fused {
    fn id(&self) -> &PaperId {
        &self.id
    }

    fn score(&self) -> f64 {
        self.score
    }
}

impl Entry for Scored {
    fn id(&self) -> &PaperId {
        &self.id
    }

    fn score(&self) -> f64 {
        self.score
    }
}

/// What a search found, before it is cut into pages.
#[derive(Debug)]
pub struct List<E = Fused> {
    /// Best first.
    pub ranking: Vec<E>,
    /// Why it is not as good as it could be.
    pub notice: &'static str,
}

/// The lists that are kept.
pub struct Pages<E = Fused> {
    lists: Mutex<LruCache<Uuid, Arc<List<E>>>>,
}

/// A page of a list.
pub struct Page<E = Fused> {
    /// The papers.
    pub entries: Vec<E>,
    /// Where the next page begins, when there is one.
    pub next: Option<Token>,
}

impl Token {
    /// Reads a token and checks that it is for this request.
    pub fn parse(text: &str, request: u64) -> Result<Self, BadToken> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).map_err(|_| BadToken)?).map_err(|_| BadToken)?;
        let mut parts = text.splitn(4, ' ');
        let mut part = || parts.next().ok_or(BadToken);
        let token = Self {
            request: u64::from_str_radix(part()?, 16).map_err(|_| BadToken)?,
            list: Uuid::try_parse(part()?).map_err(|_| BadToken)?,
            shown: part()?.parse().map_err(|_| BadToken)?,
            last: PaperId::parse(part()?).map_err(|_| BadToken)?,
        };
        if token.request == request {
            Ok(token)
        } else {
            Err(BadToken)
        }
    }

    /// As clients carry it.
    pub fn encode(&self) -> String {
        let Self {
            request,
            list,
            shown,
            last,
        } = self;
        URL_SAFE_NO_PAD.encode(format!("{request:x} {} {shown} {last}", list.simple()))
    }
}

impl<E> Default for Pages<E> {
    fn default() -> Self {
        Self {
            lists: Mutex::new(LruCache::new(KEPT)),
        }
    }
}

impl<E: Entry> Pages<E> {
    /// The list a token names, while it is kept.
    pub fn get(&self, token: &Token) -> Option<Arc<List<E>>> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.get(&token.list).cloned()
    }

    /// Cuts a page. A list of which more is to come is kept.
    pub fn cut(&self, list: &Arc<List<E>>, request: u64, token: Option<&Token>, size: usize) -> Page<E> {
        let begin = token.map_or(0, |token| begin(&list.ranking, token));
        let end = (begin + size).min(list.ranking.len());
        let entries = list.ranking[begin..end].to_vec();
        let more = end < list.ranking.len();
        let next = entries.last().filter(|_| more).map(|last| Token {
            request,
            list: token.map_or_else(|| name_of(list, request), |token| token.list),
            shown: end,
            last: last.id().clone(),
        });
        if let Some(next) = &next {
            let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
            lists.insert(next.list, Arc::clone(list));
        }
        Page { entries, next }
    }
}

/// Behind the last paper that was shown; where it is not in the list any more, behind as many as were shown.
fn begin<E: Entry>(ranking: &[E], token: &Token) -> usize {
    if ranking
        .get(token.shown.wrapping_sub(1))
        .is_some_and(|entry| *entry.id() == token.last)
    {
        return token.shown;
    }
    let place = ranking.iter().position(|entry| *entry.id() == token.last);
    place.map_or(token.shown, |place| place + 1).min(ranking.len())
}

/// Equal lists of equal requests have one name, so that equal requests get equal answers, their tokens too.
fn name_of<E: Entry>(list: &List<E>, request: u64) -> Uuid {
    let mut hasher = DefaultHasher::new();
    for entry in &list.ranking {
        (entry.id().as_str(), entry.score().to_bits()).hash(&mut hasher);
    }
    Uuid::from_u64_pair(request, hasher.finish())
}

/// What a request asks for, without its page: equal in every process of one release.
pub fn fingerprint(request: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    request.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Arc<List> {
        let one = |name: &&str| Fused {
            id: PaperId::parse(&format!("x:{name}")).expect("an id"),
            score: 1.0,
            parts: Vec::new(),
        };
        Arc::new(List {
            ranking: names.iter().map(one).collect(),
            notice: "",
        })
    }

    fn names(page: &Page) -> Vec<&str> {
        page.entries.iter().map(|fused| fused.id.as_str()).collect()
    }

    #[test]
    fn pages_follow_one_another_over_the_same_list() {
        let (pages, made) = (Pages::default(), list(&["a", "b", "c"]));
        let first = pages.cut(&made, 7, None, 2);
        assert_eq!(names(&first), ["x:a", "x:b"]);
        let token = Token::parse(&first.next.expect("more").encode(), 7).expect("its own token");
        let kept = pages.get(&token).expect("kept");
        let second = pages.cut(&kept, 7, Some(&token), 2);
        assert_eq!(names(&second), ["x:c"]);
        assert!(second.next.is_none());
    }

    #[test]
    fn a_list_made_anew_goes_on_behind_the_last_paper() {
        let pages = Pages::default();
        let token = pages.cut(&list(&["a", "b", "c"]), 7, None, 2).next.expect("more");
        let anew = pages.cut(&list(&["new", "a", "b", "c"]), 7, Some(&token), 2);
        assert_eq!(names(&anew), ["x:c"]);
        let without = pages.cut(&list(&["a", "c", "d"]), 7, Some(&token), 2);
        assert_eq!(names(&without), ["x:d"]);
    }

    #[test]
    fn tokens_of_other_requests_and_forged_ones_are_refused() {
        let token = Pages::default()
            .cut(&list(&["a", "b"]), 7, None, 1)
            .next
            .expect("more")
            .encode();
        assert_eq!(Token::parse(&token, 8), Err(BadToken));
        for forged in ["", "x", "AAAA", &token[1..]] {
            assert_eq!(Token::parse(forged, 7), Err(BadToken), "{forged}");
        }
    }
}
