//! The two lists that are compared, as they stand at a moment: trending of the day, and plain counts of the last 24 hours.

use std::collections::HashMap;

use domain::PaperId;
use domain::trending::{Act, Heat, Report, TopicHeat, Window, rank};

use crate::world::{FIELDS, HOUR, World, moment};

/// How far down a list people look.
pub const TOP: usize = 20;

/// Both lists over one world.
pub struct Lists<'a> {
    pub world: &'a World,
    pub heat: Heat,
    places: HashMap<PaperId, usize>,
    /// Acts that have happened.
    done: usize,
    /// Reports that were made.
    reported: usize,
    pub now: i64,
}

impl<'a> Lists<'a> {
    /// Before anything has happened.
    pub fn new(world: &'a World) -> Self {
        let places = world.papers.iter().enumerate();
        Self {
            world,
            heat: Heat::default(),
            places: places.map(|(place, paper)| (paper.id.clone(), place)).collect(),
            done: 0,
            reported: 0,
            now: 0,
        }
    }

    /// Lets time go on.
    pub fn advance(&mut self, now: i64) {
        self.now = now;
        while let Some((second, _, act)) = self.world.acts.get(self.done)
            && *second < now
        {
            self.heat.add(act);
            self.done += 1;
        }
        while let Some((second, report)) = self.world.reports.get(self.reported)
            && *second < now
        {
            self.heat.report(report);
            self.reported += 1;
        }
        self.heat.forget(moment(now));
    }

    /// Papers by their score.
    pub fn trending(&self) -> Vec<usize> {
        self.ranked(&self.heat)
    }

    /// The same after further acts and reports.
    pub fn trending_with(&self, acts: &[Act], reports: &[Report]) -> Vec<usize> {
        let mut heat = self.heat.clone();
        for act in acts {
            heat.add(act);
        }
        for report in reports {
            heat.report(report);
        }
        self.ranked(&heat)
    }

    fn ranked(&self, heat: &Heat) -> Vec<usize> {
        let papers = heat.papers(Window::Day, moment(self.now));
        let papers = papers.map(|heat| TopicHeat {
            topic: FIELDS[self.world.papers[self.places[&heat.id]].field].0.to_owned(),
            heat,
        });
        let ranking = rank(papers.collect());
        ranking.into_iter().map(|one| self.places[&one.id]).collect()
    }

    /// Papers by the number of acts in 24 hours.
    pub fn counts(&self) -> Vec<usize> {
        self.counts_with(&[])
    }

    /// The same after further acts on a paper.
    pub fn counts_with(&self, further: &[(usize, usize)]) -> Vec<usize> {
        let mut counts: HashMap<usize, usize> = further.iter().copied().collect();
        let recent = self.world.acts[..self.done].iter().rev();
        for (_, paper, _) in recent.take_while(|(second, ..)| *second >= self.now - 24 * HOUR) {
            *counts.entry(*paper).or_default() += 1;
        }
        let mut counts: Vec<(usize, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(paper, count)| (std::cmp::Reverse(*count), *paper));
        counts.into_iter().map(|(paper, _)| paper).collect()
    }
}
