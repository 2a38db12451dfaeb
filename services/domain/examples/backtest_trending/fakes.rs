//! What fake accounts achieve who click, read, save and vote for one paper within an hour.

use domain::trending::{AttentionEvent, AttentionKind};

use crate::lists::Lists;
use crate::world::{HOUR, moment};

const ACCOUNTS: [i64; 2] = [20, 1_000];
/// Days on each of which an account was seen before.
const AGES: [i64; 4] = [0, 1, 3, 5];
/// Places of the papers that are pushed, among the hundred that people may look at.
const TARGETS: [usize; 5] = [10, 25, 50, 75, 99];

/// The worst that was seen.
#[derive(Default, Clone, Copy)]
pub struct Worst {
    /// Ranks won by a paper that was among the first hundred.
    pub moved: usize,
    /// Best rank, from 1, of a paper that nobody had looked at; 0 where none was pushed.
    pub from_nothing: usize,
}

impl Worst {
    /// The worse of both.
    pub fn add(&mut self, other: Self) {
        self.moved = self.moved.max(other.moved);
        self.from_nothing = match (self.from_nothing, other.from_nothing) {
            (0, rank) | (rank, 0) => rank,
            (here, there) => here.min(there),
        };
    }
}

/// By number of accounts: accounts of each age, and new accounts in plain counts.
#[derive(Default, Clone, Copy)]
pub struct Figures([([Worst; AGES.len()], Worst); ACCOUNTS.len()]);

impl Figures {
    /// Pushes some papers of the list as it stands, each by itself.
    pub fn measure(&mut self, lists: &Lists<'_>) {
        let (list, counts) = (lists.trending(), lists.counts());
        for ((aged, plain), accounts) in self.0.iter_mut().zip(ACCOUNTS) {
            for (worst_of_age, age) in aged.iter_mut().zip(AGES) {
                let pushed = |paper| lists.trending_with(&push(lists, paper, accounts, age), &[]);
                worst_of_age.add(worst(lists, &list, pushed));
            }
            let events = usize::try_from(accounts).unwrap_or(0) * AttentionKind::ALL.len();
            plain.add(worst(lists, &counts, |paper| lists.counts_with(&[(paper, events)])));
        }
    }

    /// The worse of both, each by itself.
    pub fn add(&mut self, other: &Self) {
        for ((aged, plain), (other_aged, other_plain)) in self.0.iter_mut().zip(other.0) {
            for (here, there) in aged.iter_mut().zip(other_aged) {
                here.add(there);
            }
            plain.add(other_plain);
        }
    }

    /// What the fewest accounts achieve while they are new, and after a day.
    pub fn of_few(&self) -> (Worst, Worst) {
        (self.0[0].0[0], self.0[0].0[1])
    }

    /// Prints a table.
    pub fn tell(&self) {
        println!(
            "fake accounts that do everything to one paper within an hour: most ranks won by a paper of the first hundred,"
        );
        println!("and best rank of a paper that nobody had looked at, by the days on which they were seen before:");
        println!("  accounts             0               1               3               5  new, in plain counts");
        for (accounts, (aged, plain)) in ACCOUNTS.iter().zip(self.0) {
            let one = |worst: Worst| format!("{:>4} / rank {:<4}", worst.moved, worst.from_nothing);
            let aged = aged.map(one).join(" ");
            println!("  {accounts:>8} {aged}  {}", one(plain));
        }
    }
}

/// What a push does to papers of a list, and to one that nobody had looked at.
pub fn worst(lists: &Lists<'_>, list: &[usize], pushed: impl Fn(usize) -> Vec<usize>) -> Worst {
    let nobody = (0..lists.world.papers.len()).find(|paper| !list.contains(paper));
    let (Some(nobody), true) = (nobody, list.len() > 100) else {
        return Worst::default();
    };
    let targets = TARGETS.iter().filter_map(|place| Some((*place, *list.get(*place)?)));
    let moved = targets.map(|(place, paper)| (place + 1).saturating_sub(rank(&pushed(paper), paper)));
    Worst {
        moved: moved.max().unwrap_or(0),
        from_nothing: rank(&pushed(nobody), nobody),
    }
}

fn rank(list: &[usize], paper: usize) -> usize {
    list.iter()
        .position(|one| *one == paper)
        .map_or(list.len() + 1, |place| place + 1)
}

fn push(lists: &Lists<'_>, paper: usize, accounts: i64, age: i64) -> Vec<AttentionEvent> {
    let papers = &lists.world.papers;
    let mut events = Vec::new();
    for account in 0..accounts {
        let event = |paper: usize, kind, second| AttentionEvent {
            reader: format!("fake:{account}"),
            paper: papers[paper].id.clone(),
            kind,
            at: moment(second),
        };
        // A paper that nobody has yet, far from what is measured.
        events.extend((1..=age).map(|day| event(papers.len() - 1, AttentionKind::Click, lists.now - day * 24 * HOUR)));
        let kinds = AttentionKind::ALL.into_iter();
        events.extend(kinds.map(|kind| event(paper, kind, lists.now - account % 60 * 60)));
    }
    events
}
