//! The ratios as a drawing: a row for each scenario, a bar for each of three numbers, on a logarithmic scale
//! whose middle is "the same as Java's". To the right is better, whether more or less is what one wants; the
//! thin line is the spread of the runs.

use crate::report::{Metric, Report};
use crate::stats::Ratio;
use std::fmt::Write as _;

const ROW: f64 = 46.0;
const BAR: f64 = 10.0;
const NAMES: f64 = 190.0;
const SCALE: f64 = 620.0;
const TOP: f64 = 60.0;
/// The scale goes from a thirty-second to thirty-two times.
const DOUBLINGS: f64 = 5.0;

/// What is drawn: the metric, its name, whether more is better, its colour.
const BARS: [(Metric, &str, bool, &str); 3] = [
    (Metric::Rate, "throughput", true, "#2a7f62"),
    (
        Metric::ServerCpu,
        "server CPU per operation",
        false,
        "#b5651d",
    ),
    (Metric::P99, "p99", false, "#4061a0"),
];

/// Draws what was found.
pub(crate) fn draw(report: &Report) -> String {
    let columns = BARS.map(|(metric, ..)| report.ratios(metric));
    let names: Vec<_> = columns[0].iter().map(|(name, _)| *name).collect();
    let rows = names.len() as f64;
    let (width, height) = (NAMES + SCALE + 30.0, TOP + rows * ROW + 10.0);
    let mut out = String::new();
    line(
        &mut out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>"
        ),
    );
    legend(&mut out, height);
    for (row, name) in names.iter().enumerate() {
        let top = TOP + row as f64 * ROW;
        line(
            &mut out,
            format_args!("<text x=\"8\" y=\"{:.0}\">{name}</text>", top + 22.0),
        );
        for (place, ((_, _, more_is_better, colour), column)) in
            BARS.iter().zip(&columns).enumerate()
        {
            if let Some((_, Some(ratio))) = column.get(row) {
                let top = top + place as f64 * (BAR + 3.0);
                bar(&mut out, top, *ratio, *more_is_better, colour);
            }
        }
    }
    out + "</svg>\n"
}

/// The grid, and what the colours mean.
fn legend(out: &mut String, height: f64) {
    for (place, (_, name, _, colour)) in BARS.iter().enumerate() {
        let x = NAMES + place as f64 * 210.0;
        line(
            out,
            format_args!(
                "<rect x=\"{x}\" y=\"10\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"19\">{name}</text>",
                x + 15.0
            ),
        );
    }
    for step in -5_i32..=5 {
        let x = x_of(f64::from(step).exp2());
        let factor = f64::from(step.abs()).exp2();
        let label = match step {
            0 => "as Java".to_owned(),
            1.. => format!("{factor}× better"),
            _ => format!("{factor}× worse"),
        };
        line(
            out,
            format_args!(
                "<line x1=\"{x:.1}\" y1=\"48\" x2=\"{x:.1}\" y2=\"{height}\" stroke=\"#ddd\"/>\
                 <text x=\"{x:.1}\" y=\"42\" font-size=\"9\" text-anchor=\"middle\">{label}</text>"
            ),
        );
    }
}

/// A bar from the middle to the median, and a line from the worst to the best run.
fn bar(out: &mut String, top: f64, ratio: Ratio, more_is_better: bool, colour: &str) {
    let better = |value: f64| if more_is_better { value } else { 1.0 / value };
    let (middle, end) = (x_of(1.0), x_of(better(ratio.median)));
    let (left, width) = (middle.min(end), (end - middle).abs().max(1.0));
    let (from, to) = (x_of(better(ratio.min)), x_of(better(ratio.max)));
    let centre = top + BAR / 2.0;
    line(
        out,
        format_args!(
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
             <line x1=\"{from:.1}\" y1=\"{centre:.1}\" x2=\"{to:.1}\" y2=\"{centre:.1}\" stroke=\"black\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"9\">{:.2}</text>",
            end.max(middle) + 4.0,
            top + BAR - 1.0,
            ratio.median
        ),
    );
}

/// Where a factor is on the scale; what is beyond its ends is at them.
fn x_of(factor: f64) -> f64 {
    let doublings = factor.log2().clamp(-DOUBLINGS, DOUBLINGS);
    NAMES + SCALE * (doublings + DOUBLINGS) / (2.0 * DOUBLINGS)
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes everything");
}
