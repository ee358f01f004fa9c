//! Contestants that take turns, and the table of what they took.

use std::fmt::Write as _;
use std::time::Duration;

/// Does the work so many times; says how long that took, without what it took to prepare.
pub type Work = fn(u64) -> Duration;

/// One kind of work.
pub struct Row {
    /// What it is.
    pub name: &'static str,
    /// How often it is done in one run.
    pub times: u64,
    /// Who does it; the ratios are to the first.
    pub contestants: Vec<(&'static str, Work)>,
}

/// Lets the contestants of a row take turns, `runs` times, and shows their medians.
pub fn compare(row: &Row, runs: usize) -> String {
    let mut nanos = vec![Vec::with_capacity(runs); row.contestants.len()];
    // One round that does not count: pages, caches and branch predictors are as they will be.
    for round in 0..=runs {
        for (taken, (_, work)) in nanos.iter_mut().zip(&row.contestants) {
            let one = work(row.times).as_nanos() as f64 / row.times as f64;
            if round > 0 {
                taken.push(one);
            }
        }
    }
    let mut table = format!("\n{} ({} times, median of {runs})\n", row.name, row.times);
    let mut first = None;
    for (mut taken, (name, _)) in nanos.into_iter().zip(&row.contestants) {
        taken.sort_by(f64::total_cmp);
        let (least, median, most) = (taken[0], taken[runs / 2], taken[runs - 1]);
        let ratio = median / *first.get_or_insert(median);
        // Writing to a string does not fail.
        let _ = writeln!(table, "  {name:<40} {median:>9.1} ns  × {ratio:<5.2} ({least:.1} to {most:.1})");
    }
    table
}
