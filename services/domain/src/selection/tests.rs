use jiff::Timestamp;
use proptest::prelude::*;

use super::floor::MATCH_FLOOR;
use super::*;
use crate::PaperId;
use crate::schedule::Schedule;

const DIMENSION: usize = 24;

type Values = [f32; DIMENSION];

/// Papers with their vectors, when they came and how they are trending.
struct RecentPapers(Vec<(Paper, DenseVector, i64, f32)>);

impl RecentPapers {
    /// One paper for each vector, named by its place; the first is the newest.
    fn of(vectors: &[Values]) -> Self {
        let papers = vectors.iter().enumerate();
        Self(papers.map(|(at, values)| (paper(at), dense(values), 0, 0.0)).collect())
    }

    fn trending(mut self, scores: &[(usize, f32)]) -> Self {
        for (paper, score) in scores {
            self.0[*paper].3 = *score;
        }
        self
    }

    fn pool(&self) -> CandidatePool<'_> {
        let candidates = self.0.iter().map(|one| Candidate {
            paper: &one.0,
            dense: &one.1,
            indexed_ms: one.2,
            trending: one.3,
        });
        CandidatePool::new(candidates.collect())
    }

    /// Choices name papers by their numbers.
    fn select(&self, preferences: &Preferences, interests: &[Values], seen: &[usize], k: usize) -> Vec<SelectedPaper> {
        let pool = self.pool();
        let panel = pool.panel(DIMENSION).expect("one dimension");
        let number = |at: usize| number(pool.candidates()[at].paper);
        let seen: PaperSet = (0..self.0.len()).filter(|at| seen.contains(&number(*at))).collect();
        let vectors: Vec<Int8Vector> = interests
            .iter()
            .map(|values| Int8Vector::quantise(&dense(values)))
            .collect();
        let reader = ReaderProfile {
            preferences,
            seen: Some(&seen),
        };
        let mut workspace = Workspace::default();
        let choices = select_alone(&pool, &panel, reader, &vectors, &[], k, &mut workspace);
        let mut choices = choices.expect("one dimension");
        for choice in &mut choices {
            choice.paper = number(choice.paper);
        }
        choices
    }

    fn chosen(&self, preferences: &Preferences, interests: &[Values]) -> Vec<(usize, SelectionReason)> {
        let choices = self.select(preferences, interests, &[], 2);
        choices
            .into_iter()
            .map(|choice| (choice.paper, choice.reason))
            .collect()
    }
}

fn paper(at: usize) -> Paper {
    Paper {
        id: PaperId::parse(&format!("x:{at:03}")).expect("an id"),
        title: format!("title{at}"),
        abstract_text: String::new(),
        authors: vec![format!("Author{at}")],
        categories: vec![if at.is_multiple_of(2) {
            "cs.LG".into()
        } else {
            "math.CO".into()
        }],
        published: Timestamp::UNIX_EPOCH,
        updated: None,
        links: Vec::new(),
        source: "test".into(),
        revision: 1,
        content_hash: String::new(),
        language: String::new(),
        accepted: Timestamp::UNIX_EPOCH,
    }
}

fn number(paper: &Paper) -> usize {
    paper.title["title".len()..].parse().expect("a number")
}

/// Brought to norm 1.
fn dense(values: &Values) -> DenseVector {
    let norm = values.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-9);
    DenseVector::new(values.iter().map(|v| v / norm).collect()).expect("a vector")
}

/// A vector of a few values, the others zero.
const fn values(given: &[(usize, f32)]) -> Values {
    let mut values = [0.0; DIMENSION];
    let mut at = 0;
    while at < given.len() {
        values[given[at].0] = given[at].1;
        at += 1;
    }
    values
}

fn wanting(count: usize, share: f32, weights: &[f32]) -> Preferences {
    let schedule = Schedule::parse("07:00", "UTC").expect("a schedule");
    let mut preferences = Preferences::plain(schedule, count);
    preferences.trending_share = share;
    preferences.interests = weights
        .iter()
        .map(|weight| Interest {
            weight: *weight,
            ..Interest::in_words("words")
        })
        .collect();
    preferences
}

/// Papers about `axis`, the first the best; no two alike.
fn about(axis: usize, count: usize) -> Vec<Values> {
    let one = |(at, step): (usize, u8)| values(&[(axis, 1.0), (3 + 8 * axis + at, 0.4 * f32::from(step))]);
    (0..count).zip(1..).map(one).collect()
}

const EAST: Values = values(&[(0, 1.0)]);
const NORTH: Values = values(&[(1, 1.0)]);
const UP: Values = values(&[(2, 1.0)]);

#[test]
fn without_interests_trending_papers_come_first_then_new() {
    let window = RecentPapers::of(&[EAST, NORTH, UP, values(&[(0, 1.0), (1, 1.0)])]).trending(&[(0, 2.0), (2, 3.0)]);
    let chosen = window.chosen(&wanting(3, 0.2, &[]), &[]);
    assert_eq!(
        chosen,
        [
            (2, SelectionReason::Trending),
            (0, SelectionReason::Trending),
            (1, SelectionReason::New)
        ]
    );
    let new = RecentPapers::of(&[EAST, NORTH]).select(&wanting(3, 0.0, &[]), &[], &[], 2);
    assert_eq!(new.iter().map(|choice| choice.paper).collect::<Vec<_>>(), [0, 1]);
    assert!(
        new.iter()
            .all(|choice| choice.parts.is_empty() && choice.score.abs() < f32::EPSILON)
    );
}

#[test]
fn new_papers_never_fill_up_for_a_reader_with_interests() {
    let window = RecentPapers::of(&[EAST, NORTH, UP]);
    assert_eq!(
        window.chosen(&wanting(3, 0.2, &[1.0]), &[EAST]),
        [(0, SelectionReason::Interest(0))]
    );
    let nothing = RecentPapers::of(&[NORTH, values(&[(0, 0.29), (1, 1.0)])]);
    assert_eq!(nothing.chosen(&wanting(3, 0.0, &[1.0]), &[EAST]), []);
}

#[test]
fn what_matches_is_a_matter_of_the_floor() {
    let window = RecentPapers::of(&[EAST, values(&[(0, 0.5), (1, 1.0)]), values(&[(0, 0.2), (2, 1.0)])]);
    let (preferences, vector) = (wanting(3, 0.0, &[1.0]), [Int8Vector::quantise(&dense(&EAST))]);
    let matches = |floor: f32| {
        let pool = window.pool().with_floor(floor);
        let panel = pool.panel(DIMENSION).expect("one dimension");
        let reader = ReaderProfile {
            preferences: &preferences,
            seen: None,
        };
        let choices = select_alone(&pool, &panel, reader, &vector, &[], 3, &mut Workspace::default());
        choices.expect("one dimension").len()
    };
    assert_eq!([0.1, 0.3, 0.5].map(matches), [3, 2, 1]);
}

#[test]
fn what_matches_by_words_stands_among_the_rest() {
    let window = RecentPapers::of(&[EAST, values(&[(0, 0.6), (1, 0.8)]), UP]);
    let (preferences, vector) = (wanting(3, 0.0, &[1.0]), [Int8Vector::quantise(&dense(&EAST))]);
    let pool = window.pool();
    let panel = pool.panel(DIMENSION).expect("one dimension");
    let reader = ReaderProfile {
        preferences: &preferences,
        seen: None,
    };
    let place = |number: usize| {
        pool.candidates()
            .iter()
            .position(|one| self::number(one.paper) == number)
    };
    let paper = u32::try_from(place(2).expect("a paper")).expect("few papers");
    let selected = |by_words: &[Vec<Match>], k| {
        let choices = select_alone(&pool, &panel, reader, &vector, by_words, k, &mut Workspace::default());
        let choices = choices.expect("one dimension");
        choices
            .iter()
            .map(|one| number(pool.candidates()[one.paper].paper))
            .collect::<Vec<_>>()
    };
    let by_words = [vec![Match { paper, score: 0.8 }]];
    for k in 1..=3 {
        assert_eq!(selected(&[], k), [0, 1]);
        assert_eq!(selected(&by_words, k), [0, 2, 1], "{k} requested");
    }
}

#[test]
fn places_are_shared_and_what_one_cannot_fill_goes_to_the_other() {
    let matching = about(0, 4);
    let hot = [UP, NORTH, values(&[(1, -1.0), (2, 1.0)])];
    let papers: Vec<Values> = matching.iter().chain(&hot).copied().collect();
    let window = RecentPapers::of(&papers).trending(&[(4, 1.0), (5, 3.0), (6, 2.0)]);
    let of = |share: f32, count: usize| {
        let chosen = window.chosen(&wanting(count, share, &[1.0]), &[EAST]);
        chosen.into_iter().map(|(paper, _)| paper).collect::<Vec<_>>()
    };
    assert_eq!(of(0.5, 4), [0, 1, 5, 6]);
    assert_eq!(of(0.25, 4), [0, 1, 2, 5]);
    assert_eq!(
        of(0.2, 10),
        [0, 1, 2, 3, 5, 6, 4],
        "matches that are missing are made up for"
    );
    assert_eq!(of(0.8, 5), [0, 1, 5, 6, 4], "and trending papers likewise");
    assert_eq!(of(0.0, 10), [0, 1, 2, 3], "but not where only matches are wanted");
    assert_eq!(of(1.0, 10), [5, 6, 4], "or only what is trending");
}

#[test]
fn a_match_that_is_trending_says_so_in_its_parts() {
    let window = RecentPapers::of(&[EAST, NORTH]).trending(&[(0, 1.0), (1, 4.0)]);
    let choices = window.select(&wanting(2, 0.5, &[2.0]), &[EAST], &[], 2);
    assert_eq!(choices[0].reason, SelectionReason::Interest(0));
    assert_eq!(choices[0].interest, Some(0));
    assert_eq!(
        choices[0].parts,
        [(SelectionPart::Interest, 2.0), (SelectionPart::Trending, 0.25)]
    );
    assert_eq!(choices[1].parts, [(SelectionPart::Trending, 1.0)]);
    assert_eq!(
        (choices[1].reason, choices[1].interest),
        (SelectionReason::Trending, None)
    );
}

#[test]
fn interests_take_turns_by_weight_but_none_is_left_out_for_long() {
    let papers: Vec<Values> = about(0, 8).into_iter().chain(about(1, 8)).collect();
    let window = RecentPapers::of(&papers);
    let turns = |weights: &[f32], count: usize| {
        let chosen = window.chosen(&wanting(count, 0.0, weights), &[EAST, NORTH]);
        let turn = |(_, reason): (usize, SelectionReason)| match reason {
            SelectionReason::Interest(interest) => interest,
            SelectionReason::Trending | SelectionReason::New => unreachable!("only matches were asked for"),
        };
        chosen.into_iter().map(turn).collect::<Vec<_>>()
    };
    assert_eq!(turns(&[1.0, 1.0], 4), [0, 1, 0, 1]);
    assert_eq!(turns(&[2.0, 1.0], 6), [0, 0, 1, 0, 0, 1]);
    assert_eq!(turns(&[0.1, 10.0], 5), [1, 1, 1, 0, 1]);
}

#[test]
fn near_duplicates_and_examples_stay_out() {
    let window = RecentPapers::of(&[
        EAST,
        values(&[(0, 1.0), (1, 0.1)]),
        values(&[(0, 1.0), (1, 1.0)]),
        values(&[(0, 1.0), (2, 1.0)]),
        values(&[(0, 1.0), (3, 1.0)]),
    ]);
    let mut preferences = wanting(5, 0.0, &[1.0]);
    assert_eq!(window.chosen(&preferences, &[EAST]).len(), 4);
    preferences.interests[0].like = vec![paper(0).id];
    preferences.interests[0].unlike = vec![paper(4).id];
    let papers: Vec<usize> = window
        .chosen(&preferences, &[EAST])
        .into_iter()
        .map(|(paper, _)| paper)
        .collect();
    assert_eq!(papers, [1, 2, 3], "in place of the example its double");
}

#[test]
fn an_interest_keeps_to_its_filters_and_exclusions_hold_for_all() {
    let window = RecentPapers::of(&about(0, 6)).trending(&[(4, 1.0), (5, 2.0)]);
    let mut preferences = wanting(6, 0.4, &[1.0]);
    preferences.interests[0].categories = vec!["math".into()];
    preferences.exclusions.authors = vec!["Author1".into()];
    preferences.exclusions.words = vec!["title5".into()];
    let chosen = window.chosen(&preferences, &[EAST]);
    assert_eq!(
        chosen,
        [(3, SelectionReason::Interest(0)), (4, SelectionReason::Trending)]
    );
}

fn any_vector() -> impl Strategy<Value = Values> {
    let few = prop_oneof![
        prop::array::uniform4(-1.0_f32..1.0),
        prop::array::uniform4(prop_oneof![Just(0.0_f32), Just(1.0), Just(-1.0)]),
    ];
    few.prop_map(|few| std::array::from_fn(|at| few.get(at).copied().unwrap_or(0.0)))
}

type Made = (
    Vec<(Values, i64, f32)>,
    Vec<(Values, f32)>,
    f32,
    usize,
    Vec<usize>,
    [usize; 2],
);

fn any_case() -> impl Strategy<Value = Made> {
    let trending = prop_oneof![3 => Just(0.0_f32), 1 => 0.1_f32..9.0, 1 => Just(1.0)];
    let share = prop_oneof![Just(0.0_f32), Just(1.0), 0.0_f32..1.0];
    (
        prop::collection::vec((any_vector(), 0..4_i64, trending), 0..40),
        prop::collection::vec((any_vector(), 0.1_f32..10.0), 0..5),
        share,
        1..12_usize,
        prop::collection::vec(0..40_usize, 0..10),
        [0..40_usize, 0..40],
    )
}

fn made(case: &Made) -> (RecentPapers, Preferences, Vec<Values>, &[usize]) {
    let (papers, interests, share, count, seen, unwanted) = case;
    let papers = papers.iter().enumerate();
    let window = papers
        .map(|(at, (values, ms, hot))| (paper(at), dense(values), *ms, *hot))
        .collect();
    let weights: Vec<f32> = interests.iter().map(|(_, weight)| *weight).collect();
    let mut preferences = wanting(*count, *share, &weights);
    preferences.exclusions.words = vec![format!("title{}", unwanted[0])];
    preferences.exclusions.authors = vec![format!("Author{}", unwanted[1])];
    let interests = interests.iter().map(|(values, _)| *values).collect();
    (RecentPapers(window), preferences, interests, seen)
}

proptest! {
    #[test]
    fn what_is_chosen_is_wanted(case in any_case(), k in 0..20_usize) {
        let (window, preferences, interests, seen) = made(&case);
        let choices = window.select(&preferences, &interests, seen, k);
        prop_assert!(choices.len() <= preferences.paper_count);
        for (at, choice) in choices.iter().enumerate() {
            let (paper, dense, ..) = &window.0[choice.paper];
            prop_assert!(!seen.contains(&choice.paper) && !preferences.exclusions.exclude(paper));
            for other in &choices[..at] {
                prop_assert!(other.paper != choice.paper);
                prop_assert!(dot(window.0[other.paper].1.as_slice(), dense.as_slice()) < NEAR_DUPLICATE);
            }
            let sum: f32 = choice.parts.iter().map(|(_, value)| value).sum();
            prop_assert!((choice.score - sum).abs() < f32::EPSILON);
            match choice.reason {
                SelectionReason::Interest(interest) => {
                    prop_assert_eq!(choice.interest, Some(interest));
                    let cosine = choice.parts[0].1 / preferences.interests[interest].weight;
                    prop_assert!(cosine >= MATCH_FLOOR * 0.999 && preferences.trending_share < 1.0);
                }
                SelectionReason::Trending => prop_assert!(choice.score > 0.0),
                SelectionReason::New => prop_assert!(preferences.interests.is_empty()),
            }
        }
    }

    #[test]
    fn how_many_were_asked_for_does_not_matter(case in any_case(), k in 0..20_usize) {
        let (window, preferences, interests, seen) = made(&case);
        let all = window.select(&preferences, &interests, seen, 1_000);
        prop_assert_eq!(window.select(&preferences, &interests, seen, k), all);
    }

    #[test]
    fn the_order_of_the_window_does_not_matter(case in any_case(), shift in 0..40_usize, k in 0..20_usize) {
        let (window, preferences, interests, seen) = made(&case);
        let mut moved = RecentPapers(window.0.iter().rev().cloned().collect());
        let count = moved.0.len().max(1);
        moved.0.rotate_left(shift % count);
        let here = window.select(&preferences, &interests, seen, k);
        prop_assert_eq!(here, moved.select(&preferences, &interests, seen, k));
    }
}
