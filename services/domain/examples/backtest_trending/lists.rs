//! The two lists that are compared, as they stand at a moment: trending of the day, and plain counts of the last 24 hours.

use std::collections::HashMap;

use domain::PaperId;
use domain::trending::{AttentionEvent, AttentionTracker, SignalReport, TopicAttention, TrendingWindow, rank};

use crate::world::{FIELDS, HOUR, World, moment};

/// How far down a list people look.
pub const TOP: usize = 20;

/// Both lists over one world.
pub struct Lists<'a> {
    pub world: &'a World,
    pub tracker: AttentionTracker,
    places: HashMap<PaperId, usize>,
    /// Events that have happened.
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
            tracker: AttentionTracker::default(),
            places: places.map(|(place, paper)| (paper.id.clone(), place)).collect(),
            done: 0,
            reported: 0,
            now: 0,
        }
    }

    /// Lets time go on.
    pub fn advance(&mut self, now: i64) {
        self.now = now;
        while let Some((second, _, event)) = self.world.events.get(self.done)
            && *second < now
        {
            self.tracker.add(event);
            self.done += 1;
        }
        while let Some((second, report)) = self.world.reports.get(self.reported)
            && *second < now
        {
            self.tracker.add_report(report);
            self.reported += 1;
        }
        self.tracker.forget(moment(now));
    }

    /// Papers by their score.
    pub fn trending(&self) -> Vec<usize> {
        self.ranked(&self.tracker)
    }

    /// The same after further events and reports.
    pub fn trending_with(&self, events: &[AttentionEvent], reports: &[SignalReport]) -> Vec<usize> {
        let mut tracker = self.tracker.clone();
        for event in events {
            tracker.add(event);
        }
        for report in reports {
            tracker.add_report(report);
        }
        self.ranked(&tracker)
    }

    fn ranked(&self, tracker: &AttentionTracker) -> Vec<usize> {
        let papers = tracker.papers(TrendingWindow::Day, moment(self.now));
        let papers = papers.map(|attention| TopicAttention {
            topic: FIELDS[self.world.papers[self.places[&attention.id]].field].0.to_owned(),
            attention,
        });
        let ranking = rank(papers.collect());
        ranking.into_iter().map(|one| self.places[&one.id]).collect()
    }

    /// Papers by the number of events in 24 hours.
    pub fn counts(&self) -> Vec<usize> {
        self.counts_with(&[])
    }

    /// The same after further events on a paper.
    pub fn counts_with(&self, further: &[(usize, usize)]) -> Vec<usize> {
        let mut counts: HashMap<usize, usize> = further.iter().copied().collect();
        let recent = self.world.events[..self.done].iter().rev();
        for (_, paper, _) in recent.take_while(|(second, ..)| *second >= self.now - 24 * HOUR) {
            *counts.entry(*paper).or_default() += 1;
        }
        let mut counts: Vec<(usize, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(paper, count)| (std::cmp::Reverse(*count), *paper));
        counts.into_iter().map(|(paper, _)| paper).collect()
    }
}
