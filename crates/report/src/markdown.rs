//! Tables in Markdown, padded so that they also read well in a terminal.

use std::fmt;

/// A table. The first column is text, the others are aligned right if they are numbers.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row. Missing cells are empty.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.head.len(), String::new());
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3);
        let is_number = |column: usize| {
            let is_one =
                |cell: &String| cell.is_empty() || cell == "–" || cell.starts_with(|c: char| c.is_ascii_digit());
            column > 0 && self.rows.iter().all(|row| is_one(&row[column]))
        };
        let columns: Vec<(usize, bool)> =
            (0..self.head.len()).map(|column| (width(column), is_number(column))).collect();
        let line = |f: &mut fmt::Formatter<'_>, row: &[String]| {
            for (cell, (width, right)) in row.iter().zip(&columns) {
                match right {
                    true => write!(f, "| {cell:>width$} ")?,
                    false => write!(f, "| {cell:<width$} ")?,
                }
            }
            writeln!(f, "|")
        };
        line(f, &self.head)?;
        for (width, right) in &columns {
            let dashes = "-".repeat(width - usize::from(*right));
            write!(f, "| {dashes}{} ", if *right { ":" } else { "" })?;
        }
        writeln!(f, "|")?;
        self.rows.iter().try_for_each(|row| line(f, row))
    }
}

/// A rate or a count: three significant digits, thousands separated.
pub fn number(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_aligned_right_and_words_left() {
        let mut table = Table::new(["control", "rate", "verdict"]);
        table.row(["none", "12,345", "wrong"]);
        table.row(["lock", "9", "holds"]);
        let expected = "| control |   rate | verdict |\n\
                        | ------- | -----: | ------- |\n\
                        | none    | 12,345 | wrong   |\n\
                        | lock    |      9 | holds   |\n";
        assert_eq!(table.to_string(), expected);
        assert_eq!([number(1234567.4), number(12.34), number(0.5)], ["1,234,567", "12.3", "0.50"]);
    }
}
