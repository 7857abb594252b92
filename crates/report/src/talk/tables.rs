//! Reads single cells out of the tables of Markdown documents.

/// A table with the heading above it, all as plain text.
struct Sheet {
    heading: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// The text between the markers of a section that a command fills in. `None` if the document has no such section.
pub(super) fn section<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<!-- begin {name} -->"))?;
    Some(rest.split_once(&format!("<!-- end {name} -->"))?.0)
}

/// Text without the marks of code and emphasis.
pub(super) fn plain(text: &str) -> String {
    text.replace("**", "").replace('`', "").trim().to_owned()
}

fn cells(line: &str) -> Vec<String> {
    line.trim().trim_matches('|').split('|').map(plain).collect()
}

fn sheets(text: &str) -> Vec<Sheet> {
    let mut found: Vec<Sheet> = Vec::new();
    let (mut heading, mut is_inside) = (String::new(), false);
    for line in text.lines() {
        if line.starts_with('#') {
            heading = plain(line.trim_start_matches('#'));
        }
        match (line.starts_with('|'), is_inside, found.last_mut()) {
            (true, false, _) => {
                found.push(Sheet { heading: heading.clone(), head: cells(line), rows: Vec::new() });
            }
            (true, true, Some(sheet)) if !line.starts_with("| --") => sheet.rows.push(cells(line)),
            _ => {}
        }
        is_inside = line.starts_with('|');
    }
    found
}

/// A table of a document, by the name of its first column: its rows.
pub(super) fn rows(document: &str, first: &str) -> Option<Vec<Vec<String>>> {
    sheets(document)
        .into_iter()
        .find(|sheet| sheet.head.first().is_some_and(|name| name == first))
        .map(|sheet| sheet.rows)
}

/// The index of a column: by its name, or by name and number for names that occur again, such as `without #2`.
fn column_of(head: &[String], column: &str) -> Option<usize> {
    let (name, number) = match column.rsplit_once(" #") {
        Some((name, number)) => (name, number.parse().ok()?),
        None => (column, 1_usize),
    };
    let mut same = head.iter().enumerate().filter(|(_, found)| *found == name);
    same.nth(number.checked_sub(1)?).map(|(index, _)| index)
}

/// The cell in a column of a row. The row is named by its first cell, by its first cells with ` / ` between them, or by an
/// empty text if the table has one row; the
/// heading by its beginning, and by an empty text if the section has none. `None` if the section has no table: it was not
/// measured yet.
///
/// # Errors
/// If the section has tables, and none of them has the heading, the row and the column.
pub(super) fn cell(section: &str, heading: &str, row: &str, column: &str) -> Result<Option<String>, String> {
    let sheets = sheets(section);
    if sheets.is_empty() {
        return Ok(None);
    }
    let wanted: Vec<&str> = row.split(" / ").collect();
    for sheet in sheets.iter().filter(|sheet| sheet.heading.starts_with(heading)) {
        let is_row = |cells: &&Vec<String>| {
            row.is_empty()
                || cells.len() >= wanted.len() && wanted.iter().zip(cells.iter()).all(|(one, other)| one == other)
        };
        let found = sheet.rows.iter().find(is_row).zip(column_of(&sheet.head, column));
        if let Some(text) = found.and_then(|(cells, index)| cells.get(index)) {
            return Ok(Some(text.clone()));
        }
    }
    let known: Vec<String> = sheets
        .iter()
        .map(|sheet| {
            let rows: Vec<&str> = sheet.rows.iter().filter_map(|cells| cells.first()).map(String::as_str).collect();
            format!("\"{}\" with the columns {:?} and the rows {rows:?}", sheet.heading, sheet.head)
        })
        .collect();
    Err(format!("no cell \"{row}\", \"{column}\" under \"{heading}\"; there are {}", known.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# A\n<!-- begin b -->\n\n### Costs, 64 clients\n\n| way | on | `x` | x |\n| --- | --- | --: | --: |\n\
        | one | p | **1** | 2 |\n| one | q | 3 (3 to 4) | 5 |\n\ntext\n<!-- end b -->\n<!-- begin c -->\nnot yet\n<!-- end c -->\n";

    #[test]
    fn a_cell_is_found_by_heading_row_and_column() {
        let found = |row: &str, column: &str| section(DOCUMENT, "b").map(|text| cell(text, "Costs", row, column));
        let is = |text: &str| Some(Ok(Some(text.to_owned())));
        assert_eq!(found("one", "x"), is("1"));
        assert_eq!(found("one / q", "x"), is("3 (3 to 4)"));
        assert_eq!(found("one / q", "x #2"), is("5"));
        assert_eq!(found("", "x #2"), is("2"));
        assert!(matches!(found("two", "x"), Some(Err(why)) if why.contains("Costs, 64 clients")));
        assert!(matches!(found("one", "x #3"), Some(Err(_))));
        assert_eq!(section(DOCUMENT, "c").map(|text| cell(text, "", "one", "x")), Some(Ok(None)));
        assert_eq!(section(DOCUMENT, "d"), None);
    }
}
