//! Charts over time: panels below each other, with one linear axis of time and a linear axis of values each.

use std::fmt::Write as _;

use crate::number;
use crate::svg::{COLORS, WIDTH, escaped, start, write_centred};

/// One line of a panel.
#[derive(Clone, Debug)]
pub struct TimeSeries {
    /// Printed next to its panel.
    pub name: String,
    /// Points by ascending time, with values of 0 or more.
    pub points: Vec<(f64, f64)>,
}

/// A chart with panels that share the axis of time.
#[derive(Clone, Debug)]
pub struct TimeChart {
    /// Printed above the chart, and read aloud for it.
    pub title: String,
    /// What the axis of time shows, with its unit.
    pub x: String,
    /// What each panel shows, with its unit, and its lines, at most eight before colours repeat.
    pub panels: Vec<(String, Vec<TimeSeries>)>,
}

const PANEL: f64 = 190.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 50.0;
const GAP: f64 = 26.0;
const BOTTOM: f64 = 52.0;

/// The largest value of an axis: 1, 2 or 5 times a power of ten, so that the data fits.
fn limit(largest: f64) -> f64 {
    let power = 10_f64.powf(largest.max(1.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|limit| *limit >= largest).unwrap_or(largest)
}

impl TimeChart {
    /// The chart as the text of an SVG file.
    pub fn svg(&self) -> String {
        let height = TOP + (PANEL + GAP) * self.panels.len() as f64 + BOTTOM - GAP;
        let mut svg = start(&self.title, height, LEFT);
        let all = || self.panels.iter().flat_map(|(_, series)| series).flat_map(|series| &series.points);
        let end = limit(all().map(|(x, _)| *x).fold(0.0, f64::max));
        let end = if all().any(|(x, _)| *x > end * 0.75) { end } else { all().map(|(x, _)| *x).fold(1.0, f64::max) };
        let x_of = |x: f64| LEFT + x / end * (WIDTH - LEFT - RIGHT);
        for (index, (label, series)) in self.panels.iter().enumerate() {
            let top = TOP + (PANEL + GAP) * index as f64;
            panel(&mut svg, (label, series), top, x_of);
        }
        let bottom = height - BOTTOM + 20.0;
        for part in 0..=4 {
            let at = end * f64::from(part) / 4.0;
            write_centred(&mut svg, x_of(at), bottom, &format!("{at:.0}"));
        }
        write_centred(&mut svg, (LEFT + WIDTH - RIGHT) / 2.0, height - 12.0, &self.x);
        svg.push_str("</svg>\n");
        svg
    }
}

fn panel(svg: &mut String, (label, series): (&str, &[TimeSeries]), top: f64, x_of: impl Fn(f64) -> f64) {
    let high = limit(series.iter().flat_map(|series| &series.points).map(|(_, y)| *y).fold(0.0, f64::max));
    let y_of = |y: f64| top + PANEL * (1.0 - y / high);
    for part in 0..=2 {
        let value = high * f64::from(part) / 2.0;
        let (y, right) = (y_of(value), WIDTH - RIGHT);
        let text = number(value).trim_end_matches('0').trim_end_matches('.').to_owned();
        let text = if value >= 100.0 { number(value) } else { text };
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            LEFT - 8.0,
            y + 4.0
        );
    }
    let (x, y) = (18.0, top + PANEL / 2.0);
    let turned = format!("transform=\"rotate(-90 {x} {y})\"");
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" {turned} text-anchor=\"middle\">{}</text>", escaped(label));
    for (index, TimeSeries { name, points }) in series.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_of(*x), y_of(*y))).collect();
        let _ = writeln!(svg, "<polyline class=\"line\" stroke=\"{color}\" points=\"{}\"/>", path.join(" "));
        let (left, at) = (WIDTH - RIGHT + 12.0, top + 14.0 + 18.0 * index as f64);
        let _ = writeln!(svg, "<text x=\"{left}\" y=\"{at:.1}\" style=\"fill:{color}\">{}</text>", escaped(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_within_their_panel() {
        let series =
            TimeSeries { name: "polls & more".to_owned(), points: vec![(0.0, 0.0), (30.0, 150.0), (60.0, 75.0)] };
        let panels = vec![("a second".to_owned(), vec![series.clone()]), ("ms".to_owned(), vec![series])];
        let svg = TimeChart { title: "A run".to_owned(), x: "seconds".to_owned(), panels }.svg();
        // The axis ends at 200, so that 150 is at three quarters of the panel.
        assert!(svg.contains("points=\"80.0,240.0 405.0,97.5 730.0,168.8\""), "{svg}");
        assert!(
            svg.contains("points=\"80.0,456.0 405.0,313.5 730.0,384.8\"") && svg.contains("polls &amp; more"),
            "{svg}"
        );
        assert_eq!([limit(0.0), limit(99.0), limit(100.1), limit(501.0)], [1.0, 100.0, 200.0, 1_000.0]);
    }
}
