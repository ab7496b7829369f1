//! What the rounds come down to: medians, and how ours stands beside each of the others.

use super::party::Name;
use super::scenarios::Scenario;
use std::fmt::Write as _;

/// What was measured, scenario by scenario, round by round.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<(Scenario, Vec<Round>)>,
}

/// What each party reached in one round.
pub(crate) type Round = Vec<(Name, Reached)>;

/// What one party reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// Operations per second.
    pub(crate) rate: f64,
    /// Microseconds of the client's CPU per operation.
    pub(crate) cpu: f64,
}

impl Report {
    pub(crate) fn add(&mut self, scenario: Scenario, round: Round) {
        match self.lines.iter_mut().find(|(known, _)| *known == scenario) {
            Some((_, rounds)) => rounds.push(round),
            None => self.lines.push((scenario, vec![round])),
        }
    }

    /// Two tables for people.
    pub(crate) fn tables(&self) -> String {
        let rates = self.table("operations/s", 0, |reached| reached.rate);
        let cpu = self.table("client's CPU, µs/op", 2, |reached| reached.cpu);
        format!("{rates}\n{cpu}")
    }

    fn table(&self, title: &str, digits: usize, value: fn(&Reached) -> f64) -> String {
        let mut out = format!(
            "{title:<20}{:>10}{:>10}{:>10}   {:<26}ours/c\n",
            "ours", "kezhuw", "c", "ours/kezhuw"
        );
        for (scenario, rounds) in &self.lines {
            let _ = write!(out, "{:<20}", scenario.to_string());
            let of = |round: &Round, name| found(round, name).map(value);
            for name in [Name::Ours, Name::Kezhuw, Name::C] {
                let values = rounds.iter().filter_map(|round| of(round, name));
                match spread(values.collect()) {
                    Some((median, _, _)) => drop(write!(out, "{median:>10.digits$}")),
                    None => out.push_str("         -"),
                }
            }
            out.push_str("   ");
            for name in [Name::Kezhuw, Name::C] {
                let ratio = |round| Some(of(round, Name::Ours)? / of(round, name)?);
                let ratios = rounds.iter().filter_map(ratio);
                let text = spread(ratios.collect()).map(|(median, least, greatest)| {
                    format!("{median:.2} ({least:.2}..{greatest:.2})")
                });
                let _ = write!(out, "{:<26}", text.as_deref().unwrap_or("-"));
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        out
    }
}

fn found(round: &Round, name: Name) -> Option<&Reached> {
    let found = round.iter().find(|(of, _)| *of == name);
    found.map(|(_, reached)| reached)
}

/// The median, the least and the greatest.
fn spread(mut values: Vec<f64>) -> Option<(f64, f64, f64)> {
    values.sort_by(f64::total_cmp);
    let (least, greatest) = (*values.first()?, *values.last()?);
    // An even number has two in the middle.
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    Some((f64::midpoint(low, high), least, greatest))
}
