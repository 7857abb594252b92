//! Charts of horizontal bars that start at zero.

use std::fmt::Write as _;

use crate::number;
use crate::svg::{COLORS, WIDTH, escaped, start, write_centred};

/// A chart of horizontal bars in groups.
#[derive(Clone, Debug)]
pub struct BarChart {
    /// Printed above the chart, and read aloud for it.
    pub title: String,
    /// What the length of a bar shows, with its unit.
    pub unit: String,
    /// The names of the bars of each group. One name is not printed.
    pub series: Vec<String>,
    /// What the mark of a group means. Printed if any group has one.
    pub mark: String,
    /// The groups, from top to bottom.
    pub groups: Vec<BarGroup>,
}

/// Bars with one label.
#[derive(Clone, Debug)]
pub struct BarGroup {
    /// Printed to the left of the bars.
    pub label: String,
    /// The length of each bar, in the order of the series; at least 0.
    pub values: Vec<f64>,
    /// The value at which a vertical mark is drawn, such as a target.
    pub mark: Option<f64>,
}

const LEFT: f64 = 240.0;
const RIGHT: f64 = 80.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 54.0;
const BAR: f64 = 17.0;
const GAP: f64 = 13.0;

/// The distance of grid lines: 1, 2 or 5 times a power of ten, so that there are three to seven of them.
fn step(largest: f64) -> f64 {
    let rough = largest.max(f64::MIN_POSITIVE) / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

/// A number of an axis, without the digits of a value.
fn tick(value: f64) -> String {
    let text = if value < 10.0 { format!("{value:.2}") } else { number(value) };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

impl BarChart {
    /// The chart as the text of an SVG file.
    pub fn svg(&self) -> String {
        let bars = self.series.len().max(1) as f64;
        let each = bars * BAR + GAP;
        let height = TOP + self.groups.len() as f64 * each + BOTTOM;
        let all = self.groups.iter().flat_map(|group| group.values.iter().copied().chain(group.mark));
        let largest = all.fold(0.0, f64::max);
        let x_of = |value: f64| LEFT + value / largest.max(f64::MIN_POSITIVE) * (WIDTH - LEFT - RIGHT);

        let mut svg = start(&self.title, height, 20.0);
        self.legend(&mut svg);
        let (step, bottom) = (step(largest), height - BOTTOM);
        let mut value = 0.0;
        while value <= largest * 1.001 {
            let x = x_of(value);
            let _ = writeln!(svg, "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>");
            write_centred(&mut svg, x, bottom + 18.0, &tick(value));
            value += step;
        }
        for (index, group) in self.groups.iter().enumerate() {
            group.draw(&mut svg, TOP + index as f64 * each + GAP / 2.0, x_of);
        }
        write_centred(&mut svg, (LEFT + WIDTH - RIGHT) / 2.0, height - 12.0, &self.unit);
        svg.push_str("</svg>\n");
        svg
    }

    /// The names of the bars and of the mark, in a line below the title.
    fn legend(&self, svg: &mut String) {
        let mut x = LEFT;
        if self.series.len() > 1 {
            for (name, color) in self.series.iter().zip(COLORS) {
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"45\" width=\"13\" height=\"13\" fill=\"{color}\"/>\
                     <text x=\"{}\" y=\"56\">{}</text>",
                    x + 19.0,
                    escaped(name)
                );
                x += 45.0 + 7.2 * name.chars().count() as f64;
            }
        }
        if self.groups.iter().any(|group| group.mark.is_some()) {
            let _ = writeln!(
                svg,
                "<line class=\"mark\" x1=\"{0}\" x2=\"{0}\" y1=\"43\" y2=\"60\"/><text x=\"{1}\" y=\"56\">{2}</text>",
                x + 6.0,
                x + 15.0,
                escaped(&self.mark)
            );
        }
    }
}

impl BarGroup {
    fn draw(&self, svg: &mut String, top: f64, x_of: impl Fn(f64) -> f64) {
        let tall = self.values.len() as f64 * BAR;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 10.0,
            top + tall / 2.0 + 4.5,
            escaped(&self.label)
        );
        for (index, (value, color)) in self.values.iter().zip(COLORS).enumerate() {
            let (y, end) = (top + index as f64 * BAR, x_of(*value));
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"{color}\"/>\
                 <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                end - LEFT,
                BAR - 2.0,
                // The number stands to the right of a mark that is close to the end of the bar.
                self.mark.map(&x_of).filter(|mark| (0.0..48.0).contains(&(mark - end))).unwrap_or(end) + 7.0,
                y + 12.0,
                number(*value)
            );
        }
        if let Some(mark) = self.mark {
            let x = x_of(mark);
            let _ = writeln!(
                svg,
                "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
                top - 3.0,
                top + tall + 1.0
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_value_and_names_are_escaped() {
        let group = |label: &str, value: f64, mark| BarGroup { label: label.to_owned(), values: vec![value], mark };
        let chart = BarChart {
            title: "Shares".to_owned(),
            unit: "share".to_owned(),
            series: vec!["share".to_owned()],
            mark: "target".to_owned(),
            groups: vec![group("a & b", 0.25, Some(0.2)), group("c", 0.5, None)],
        };
        let svg = chart.svg();
        assert!(svg.contains("a &amp; b") && svg.contains(">target<") && svg.contains("prefers-color-scheme:dark"));
        // The longest bar takes the whole width of 540, and half of its value takes half of it.
        assert!(svg.contains("width=\"540.0\"") && svg.contains("width=\"270.0\""), "{svg}");
        assert_eq!(svg.matches("class=\"mark\"").count(), 2, "one in the legend and one at its group");
    }

    #[test]
    fn axes_have_round_numbers() {
        assert_eq!([step(0.8), step(45_000.0), step(9.0)], [0.2, 20_000.0, 5.0]);
        assert_eq!([tick(0.2), tick(0.0), tick(20_000.0)], ["0.2", "0", "20,000"]);
    }
}
