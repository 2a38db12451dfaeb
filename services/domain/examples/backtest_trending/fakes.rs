//! What fake accounts achieve who click, read, save and vote for one paper within an hour.

use domain::trending::{Act, Attention};

use crate::lists::Lists;
use crate::world::{HOUR, moment};

const ACCOUNTS: [i64; 3] = [20, 50, 1_000];
/// Places of the papers that are pushed, among the hundred that people may look at.
const TARGETS: [usize; 5] = [10, 25, 50, 75, 99];

/// The worst that was seen.
#[derive(Default, Clone, Copy)]
pub struct Worst {
    /// Ranks won by a paper that was among the first hundred.
    pub moved: usize,
    /// Best rank, from 1, of a paper that nobody had looked at.
    pub from_nothing: usize,
}

impl Worst {
    fn add(&mut self, other: Self) {
        self.moved = self.moved.max(other.moved);
        self.from_nothing = match self.from_nothing {
            0 => other.from_nothing,
            best => best.min(other.from_nothing),
        };
    }
}

/// By number of accounts: new accounts, accounts that were seen the day before, and new accounts in plain counts.
#[derive(Default)]
pub struct Figures([[Worst; 3]; ACCOUNTS.len()]);

impl Figures {
    /// Pushes some papers of the list as it stands, each by itself.
    pub fn measure(&mut self, lists: &Lists<'_>) {
        let list = lists.trending();
        let nobody = (0..lists.world.papers.len()).find(|paper| !list.contains(paper));
        let (Some(nobody), true) = (nobody, list.len() > 100) else {
            return;
        };
        for (worst, accounts) in self.0.iter_mut().zip(ACCOUNTS) {
            for (seen_before, worst) in [false, true].into_iter().zip(worst.iter_mut()) {
                let pushed = |paper| lists.trending_with(&push(lists, paper, accounts, seen_before));
                worst.add(Worst {
                    moved: most_moved(&list, pushed),
                    from_nothing: rank(&pushed(nobody), nobody),
                });
            }
            let acts = usize::try_from(accounts).unwrap_or(0) * Attention::ALL.len();
            let pushed = |paper| lists.counts_with(&[(paper, acts)]);
            worst[2].add(Worst {
                moved: most_moved(&lists.counts(), pushed),
                from_nothing: rank(&pushed(nobody), nobody),
            });
        }
    }

    /// Prints a table and gives what the fewest accounts achieve while they are new.
    pub fn tell(&self) -> Worst {
        println!(
            "fake accounts that do everything to one paper within an hour: most ranks won by a paper of the first hundred,"
        );
        println!("and best rank of a paper that nobody had looked at:");
        println!("  accounts       new      seen the day before   in plain counts");
        for (accounts, [new, seen, counts]) in ACCOUNTS.iter().zip(self.0) {
            let one = |worst: Worst| format!("{:>4} / rank {:<3}", worst.moved, worst.from_nothing);
            println!("  {accounts:>8}  {}  {}     {}", one(new), one(seen), one(counts));
        }
        self.0[0][0]
    }
}

fn most_moved(list: &[usize], pushed: impl Fn(usize) -> Vec<usize>) -> usize {
    let targets = TARGETS.iter().filter_map(|place| Some((*place, *list.get(*place)?)));
    let moved = targets.map(|(place, paper)| (place + 1).saturating_sub(rank(&pushed(paper), paper)));
    moved.max().unwrap_or(0)
}

fn rank(list: &[usize], paper: usize) -> usize {
    list.iter()
        .position(|one| *one == paper)
        .map_or(list.len() + 1, |place| place + 1)
}

fn push(lists: &Lists<'_>, paper: usize, accounts: i64, seen_before: bool) -> Vec<Act> {
    let papers = &lists.world.papers;
    let mut acts = Vec::new();
    for account in 0..accounts {
        let act = |paper: usize, kind, second| Act {
            reader: format!("fake:{account}"),
            paper: papers[paper].id.clone(),
            kind,
            at: moment(second),
        };
        if seen_before {
            // Somewhere far from what is measured.
            acts.push(act(0, Attention::Click, lists.now - 24 * HOUR));
        }
        let kinds = Attention::ALL.into_iter();
        acts.extend(kinds.map(|kind| act(paper, kind, lists.now - account % 60 * 60)));
    }
    acts
}
