//! Layouts of halls as JSON texts, shared by SQLite and Postgres.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::sync::Arc;

use onsale_domain::concert::{LaidRow, LaidSection, Layout};
use serde::Deserialize;
use serde_json::{Value, json};

/// The stored form of a section.
#[derive(Deserialize)]
struct StoredSection {
    name: String,
    grade: String,
    accessible: bool,
    /// Each row with the first and the last seat of each segment.
    rows: Vec<(String, Vec<u32>)>,
}

/// Encodes a layout as JSON, its sections in order.
pub(crate) fn layout_to_text(layout: &Layout) -> String {
    let row = |row: &LaidRow| {
        let bounds: Vec<u32> = row.segments.iter().flat_map(|segment| [*segment.start(), *segment.end()]).collect();
        json!([&*row.name, bounds])
    };
    let section = |section: &LaidSection| {
        let rows: Vec<Value> = section.rows.iter().map(row).collect();
        json!({"name": &*section.name, "grade": &*section.grade, "accessible": section.accessible, "rows": rows})
    };
    Value::from(layout.sections().iter().map(section).collect::<Vec<_>>()).to_string()
}

/// Decodes a layout; `None` if the text is not of one.
pub(crate) fn layout_from_text(text: &str) -> Option<Arc<Layout>> {
    // Each batch that chooses seats reads the layout of its performance, which has thousands of numbers and hardly ever changes.
    LAST_LAYOUT.with_borrow_mut(|last| match last {
        Some((known, layout)) if known == text => Some(layout.clone()),
        _ => {
            let layout = Arc::new(parse(text)?);
            *last = Some((text.to_owned(), layout.clone()));
            Some(layout)
        }
    })
}

thread_local! {
    /// The layout that this thread read last, with its text.
    static LAST_LAYOUT: RefCell<Option<(String, Arc<Layout>)>> = const { RefCell::new(None) };
}

fn parse(text: &str) -> Option<Layout> {
    let stored: Vec<StoredSection> = serde_json::from_str(text).ok()?;
    let segments = |bounds: &[u32]| -> Option<Vec<RangeInclusive<u32>>> {
        bounds.chunks(2).map(|pair| Some(*pair.first()?..=*pair.get(1)?)).collect()
    };
    let section = |StoredSection { name, grade, accessible, rows }: StoredSection| {
        let row =
            |(name, bounds): (String, Vec<u32>)| Some(LaidRow { name: name.into(), segments: segments(&bounds)? });
        let rows = rows.into_iter().map(row).collect::<Option<_>>()?;
        Some(LaidSection { name: name.into(), grade: grade.into(), accessible, rows })
    };
    Some(Layout::of(stored.into_iter().map(section).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use onsale_domain::concert::{PlannedSection, PlannedSegment};

    use super::*;

    #[test]
    fn layouts_are_read_as_they_were_written() {
        let segment = |row: &str, from, to| PlannedSegment { row: row.into(), from, to };
        let section = |name: &str, accessible, rows: &[PlannedSegment]| PlannedSection {
            name: name.into(),
            grade: "R \"front\"\n".into(),
            price: 1,
            accessible,
            rows: rows.to_vec(),
        };
        for plan in [
            vec![section("가 \"1\"", false, &[segment("A", 1, 10), segment("B", 11, 20), segment("A", 21, 30)])],
            vec![section("B", true, &[segment("", 9, 9)]), section("A", false, &[segment("1", 1, 2)])],
        ] {
            let (layout, _) = Layout::plan(&plan).unwrap();
            let text = layout_to_text(&layout);
            for _ in 0..2 {
                assert_eq!(layout_from_text(&text).as_deref(), Some(&layout), "{text}");
            }
        }
    }

    #[test]
    fn damaged_layouts_are_not_read() {
        for text in ["", "{}", r#"[{"name":"A","grade":"R","accessible":false,"rows":[["1",[1]]]}]"#] {
            assert_eq!(layout_from_text(text), None, "{text}");
        }
    }
}
