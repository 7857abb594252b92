//! Line charts with logarithmic axes.

use std::fmt::Write as _;

use crate::number;
use crate::svg::{COLORS, WIDTH, escaped, start, write_centred};

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct Series {
    /// Printed at the end of the line.
    pub name: String,
    /// Points with positive coordinates, by ascending x.
    pub points: Vec<(f64, f64)>,
    /// Drawn as dashes: a prediction.
    pub is_dashed: bool,
}

/// A chart of lines.
#[derive(Clone, Debug)]
pub struct LineChart {
    /// Printed above the chart, and read aloud for it.
    pub title: String,
    /// What the x axis shows, with its unit.
    pub x: String,
    /// What the y axis shows, with its unit.
    pub y: String,
    /// The places of the x axis that are labelled, with their labels.
    pub ticks: Vec<(f64, String)>,
    /// The lines, at most eight before colours repeat.
    pub series: Vec<Series>,
}

const HEIGHT: f64 = 480.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;

impl LineChart {
    /// The chart as the text of an SVG file.
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let range = |of: fn(&(f64, f64)) -> f64| {
            points().map(of).fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), value| (low.min(value), high.max(value)))
        };
        let (x_range, y_data) = (range(|point| point.0), range(|point| point.1));
        let y_range = (10_f64.powf(y_data.0.log10().floor()), 10_f64.powf(y_data.1.log10().ceil()));
        let place = |value: f64, (low, high): (f64, f64), from: f64, to: f64| {
            let share = if high > low { (value / low).ln() / (high / low).ln() } else { 0.5 };
            from + share * (to - from)
        };
        let x_of = |x: f64| place(x, x_range, LEFT, WIDTH - RIGHT);
        let y_of = |y: f64| place(y, y_range, HEIGHT - BOTTOM, TOP);

        let mut svg = start(&self.title, HEIGHT, LEFT);
        self.axes(&mut svg, y_range, x_of, y_of);
        let mut label_tops: Vec<f64> = Vec::new();
        for (index, series) in self.series.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let dashes = if series.is_dashed { " stroke-dasharray=\"6 5\"" } else { "" };
            let path: Vec<String> =
                series.points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_of(*x), y_of(*y))).collect();
            let _ =
                writeln!(svg, "<polyline class=\"line\" stroke=\"{color}\"{dashes} points=\"{}\"/>", path.join(" "));
            let Some((x, y)) = series.points.last() else { continue };
            // Labels that would cover each other move down.
            let mut top = y_of(*y) + 4.0;
            while label_tops.iter().any(|taken| (taken - top).abs() < 15.0) {
                top += 3.0;
            }
            label_tops.push(top);
            let (left, name) = (x_of(*x) + 8.0, escaped(&series.name));
            let _ = writeln!(svg, "<text x=\"{left:.1}\" y=\"{top:.1}\" style=\"fill:{color}\">{name}</text>");
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn axes(&self, svg: &mut String, (low, high): (f64, f64), x_of: impl Fn(f64) -> f64, y_of: impl Fn(f64) -> f64) {
        let mut decade = low;
        while decade <= high * 1.001 {
            let (y, end) = (y_of(decade), WIDTH - RIGHT);
            let label = number(decade).trim_end_matches(".00").to_owned();
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
                y + 4.0
            );
            decade *= 10.0;
        }
        for (x, label) in &self.ticks {
            write_centred(svg, x_of(*x), HEIGHT - BOTTOM + 20.0, label);
        }
        write_centred(svg, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 14.0, &self.x);
        let (x, y) = (18.0, (TOP + HEIGHT - BOTTOM) / 2.0);
        let turned = format!("transform=\"rotate(-90 {x} {y})\"");
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" {turned} text-anchor=\"middle\">{}</text>", escaped(&self.y));
    }
}
