//! The results, as lines for people and one line for scripts.

use std::time::Duration;

use anyhow::Context as _;

use crate::bare::BareRun;
use crate::clients::ServiceRun;

/// Prints a line.
#[expect(clippy::print_stdout, reason = "printing is what this program is for")]
pub fn print_line(text: &str) {
    println!("{text}");
}

/// Prints the latency of queries sent one by one to a service without other load.
pub fn say_idle_latency(took: &mut [Duration]) {
    if let Some(p50) = median(took) {
        print_line(&format!("a single query on an idle service: p50 {:.1} ms", millis(p50)));
    }
}

/// The figures of all rounds.
#[derive(Default)]
pub struct LoadReport {
    of_bare: Vec<f64>,
    of_bare_cpu: Vec<f64>,
    rates: Vec<f64>,
    batches: Vec<Duration>,
    queries: Vec<Duration>,
}

impl LoadReport {
    /// Adds a round: the service between two runs of the bare encoder. They are compared by tokens, because the number of
    /// queries in a round depends on how long it took.
    pub fn add(&mut self, round: usize, alone: &[BareRun; 2], served: &ServiceRun) {
        let [before, after] = alone.each_ref().map(|one| per_second(one.tokens, one.wall));
        let rate = per_second(served.tokens, served.wall);
        let of_bare = rate / f64::midpoint(before, after);
        let cpu_of_bare = cpu_of_bare(alone, served);
        let busy = served.cpu.map(|cpu| cpu.as_secs_f64() / served.wall.as_secs_f64());
        print_line(&format!(
            "round {round}: bare {before:.0} and {after:.0} tokens/s; service {rate:.0} tokens/s, {:.1} papers/s and {:.0} \
             queries/s ({of_bare:.3} of bare by the clock, {:.3} by processor time; {:.2} cores busy)",
            per_second(served.papers, served.wall),
            per_second(served.queries.len(), served.wall),
            cpu_of_bare.unwrap_or(f64::NAN),
            busy.unwrap_or(f64::NAN)
        ));
        self.of_bare.push(of_bare);
        self.of_bare_cpu.extend(cpu_of_bare);
        self.rates.push(per_second(served.papers, served.wall));
        self.batches.extend(alone.each_ref().map(|one| one.batch));
        self.queries.extend(&served.queries);
    }

    /// Prints the last lines.
    pub fn end(mut self) -> anyhow::Result<()> {
        let batch = median(&mut self.batches).context("no round was measured")?;
        let of_bare = median(&mut self.of_bare).context("no round was measured")?;
        let rate = median(&mut self.rates).context("no round was measured")?;
        self.queries.sort_unstable();
        let p50 = quantile(&self.queries, 0.50).context("no query was answered")?;
        let p99 = quantile(&self.queries, 0.99).context("no query was answered")?;
        let in_batches = p99.as_secs_f64() / batch.as_secs_f64();
        print_line(&format!(
            "a full micro-batch takes {:.1} ms; {} queries beside bulk: p50 {:.1} ms, p99 {:.1} ms; by processor time {:.3} \
             of bare, tokenising and term weights included in the service's",
            millis(batch),
            self.queries.len(),
            millis(p50),
            millis(p99),
            median(&mut self.of_bare_cpu).unwrap_or(f64::NAN),
        ));
        print_line(&format!(
            "embedding: of_bare={of_bare:.3} query_p99_batches={in_batches:.2} papers_per_s={rate:.1}"
        ));
        Ok(())
    }
}

fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Tokens per second of CPU time, the service's divided by the bare encoder's.
fn cpu_of_bare(alone: &[BareRun; 2], served: &ServiceRun) -> Option<f64> {
    let [before, after] = alone;
    let bare = f64::midpoint(
        per_second(before.tokens, before.cpu?),
        per_second(after.tokens, after.cpu?),
    );
    Some(per_second(served.tokens, served.cpu?) / bare)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The median.
pub fn median<T: PartialOrd + Copy>(values: &mut [T]) -> Option<T> {
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied()
}

/// The smallest value that at least this share of the sorted values do not exceed.
fn quantile(sorted: &[Duration], share: f64) -> Option<Duration> {
    let rank = (1..=sorted.len()).find(|rank| *rank as f64 >= share * sorted.len() as f64)?;
    sorted.get(rank - 1).copied()
}

/// CPU time that a process has used; Linux only.
pub fn cpu_of(pid: &str) -> Option<Duration> {
    /// The unit of these fields, on every architecture.
    const TICKS_PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may contain spaces, the state is the first field, and user and system time are the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}
