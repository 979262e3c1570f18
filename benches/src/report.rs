//! Medians, tables and goals as Markdown.

use crate::bench::Sample;
use std::fmt::Write;

/// The rounds of one variant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    samples: Vec<Sample>,
}

/// The middle of each figure over the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Medians {
    /// Requests per second.
    pub rate: f64,
    /// Median latency, in microseconds.
    pub p50: f64,
    /// 99th percentile of the latency, in microseconds.
    pub p99: f64,
    /// Processor time of the hop per request, in microseconds; not a number where there is no hop.
    pub cpu: f64,
    /// How much of the time the hop was busy, from 0 to 1.
    pub busy: f64,
    /// Resident memory, in MiB.
    pub memory: f64,
}

impl Series {
    /// Adds a round.
    pub fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Why the series is void: no round at all, or the first error of a round.
    pub fn failure(&self) -> Option<String> {
        if self.samples.is_empty() {
            return Some("not measured".to_owned());
        }
        self.samples.iter().find_map(|sample| match &sample.outcome {
            outcome if outcome.errors > 0 => Some(outcome.error.clone().unwrap_or_default()),
            outcome if outcome.calls == 0 => Some("no request was answered".to_owned()),
            _ => None,
        })
    }

    /// The medians, unless the series is void.
    pub fn medians(&self) -> Option<Medians> {
        if self.failure().is_some() {
            return None;
        }
        let of = |figure: fn(&Sample) -> f64| median(self.samples.iter().map(figure).collect());
        Some(Medians {
            rate: of(|sample| sample.outcome.calls as f64 / sample.outcome.seconds),
            p50: of(|sample| sample.outcome.p50),
            p99: of(|sample| sample.outcome.p99),
            cpu: of(|sample| sample.cpu.unwrap_or(f64::NAN)),
            busy: of(|sample| sample.busy.unwrap_or(f64::NAN)),
            memory: of(|sample| sample.memory.map_or(f64::NAN, |memory| memory as f64 / 1024.0 / 1024.0)),
        })
    }

    /// The cells of a table's row: all figures, or why there are none.
    pub fn cells(&self) -> Vec<String> {
        let Some(medians) = self.medians() else {
            // An answer's text must not break the table.
            let failure = self.failure().unwrap_or_default().replace(['|', '\n', '\r'], " ");
            return vec![format!("FAILED: {failure}")];
        };
        let cpus = || self.samples.iter().filter_map(|sample| sample.cpu);
        let (least, most) = (cpus().fold(f64::INFINITY, f64::min), cpus().fold(f64::NEG_INFINITY, f64::max));
        let spread = if least.is_finite() { format!("{least:.1} to {most:.1}") } else { "–".to_owned() };
        vec![
            number(medians.rate, 0),
            number(medians.p50, 1),
            number(medians.p99, 1),
            number(medians.cpu, 1),
            spread,
            number(medians.busy * 100.0, 0),
            number(medians.memory, 1),
        ]
    }
}

/// The headings of [`Series::cells`].
pub const FIGURES: [&str; 7] =
    ["calls/s", "p50 µs", "p99 µs", "CPU µs/call", "its spread", "busy %", "RSS MiB"];

/// The middle value, or the mean of the two in the middle; not a number for none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(values.len().saturating_sub(1) / 2), at(values.len() / 2))
}

/// The value with this many digits after the point, a dash where there is none.
pub fn number(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { "–".to_owned() }
}

/// A Markdown table that is readable as text too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        Self { rows: vec![headings.into_iter().map(str::to_owned).collect()] }
    }

    /// Adds a row; cells that are missing at its end stay empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table's text.
    pub fn render(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            for (column, width) in widths.iter().enumerate() {
                // Writing to a `String` cannot fail.
                let _infallible = write!(text, "| {:<width$} ", cell(row, column));
            }
            text.push_str("|\n");
            if index == 0 {
                for width in &widths {
                    let _infallible = write!(text, "|{:-<1$}", "", width + 2);
                }
                text.push_str("|\n");
            }
        }
        text
    }
}

/// A figure and what it should be at most.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// What is measured.
    pub figure: String,
    /// Its value; not a number where it could not be measured.
    pub value: f64,
    /// What it should be at most; `None` where it is only shown.
    pub limit: Option<f64>,
}

/// One part of the report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// The tables and remarks.
    pub text: String,
    /// What belongs into the summary.
    pub goals: Vec<Goal>,
    /// Whether a run failed.
    pub failed: bool,
}

/// The table of all goals.
pub fn summary(goals: &[Goal]) -> String {
    let mut table = Table::new(["figure", "value", "goal", "met"]);
    for Goal { figure, value, limit } in goals {
        let met = match limit {
            Some(_) if !value.is_finite() => "not measured",
            Some(limit) if value <= limit => "yes",
            Some(_) => "NO",
            None => "",
        };
        let limit = limit.map(|limit| format!("≤ {limit}")).unwrap_or_default();
        table.row([figure.clone(), number(*value, 2), limit, met.to_owned()]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::Outcome;

    fn sample(cpu: f64, errors: u64) -> Sample {
        let outcome = Outcome { calls: 10, errors, error: None, seconds: 2.0, p50: 1.0, p99: 2.0 };
        Sample { outcome, cpu: Some(cpu), busy: Some(0.5), memory: Some(1024 * 1024) }
    }

    #[test]
    fn medians_are_of_the_rounds_and_an_error_voids_them() {
        let mut series = Series::default();
        assert!(series.medians().is_none());
        for cpu in [9.0, 1.0, 2.0] {
            series.push(sample(cpu, 0));
        }
        let medians = series.medians().unwrap();
        assert!((medians.cpu - 2.0).abs() < 1e-9 && (medians.rate - 5.0).abs() < 1e-9);
        assert_eq!(series.cells().len(), FIGURES.len());
        series.push(sample(1.0, 1));
        assert!(series.medians().is_none());
        assert_eq!(series.cells().len(), 1);
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert!((median(vec![4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn a_goal_is_met_missed_or_not_measured() {
        let goal = |value, limit| Goal { figure: "f".to_owned(), value, limit };
        let text = summary(&[
            goal(1.0, Some(2.0)),
            goal(3.0, Some(2.0)),
            goal(f64::NAN, Some(2.0)),
            goal(1.0, None),
        ]);
        let met: Vec<&str> =
            text.lines().skip(2).map(|line| line.rsplit('|').nth(1).unwrap().trim()).collect();
        assert_eq!(met, ["yes", "NO", "not measured", ""]);
    }
}
