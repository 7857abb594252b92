//! Makes the one file of a presentation out of its slides, and writes figures and charts of documents into them.
//!
//! The parts are in `docs/talk/source`: `page.html` around all, styles, a script, and one file for each slide. In them,
//!
//! - `{{name}}` is a figure of the list `docs/talk/figures.md`;
//! - `{{number name}}` is its number alone, and `{{largest name …}}` the largest of several: the lengths of bars;
//! - `{{chart path}}` is a chart of a document, and `{{qr}}` a QR code;
//! - `{{from}}` names the documents of the slide's figures, and the commands that print them;
//! - `<en>` and `<ko>` are texts in English and in Korean: the page shows one of them.

mod figures;
mod tables;

use std::collections::BTreeSet;
use std::path::Path;

use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

use figures::{Figures, read};

/// What the QR code leads to, unless the speaker names the address of a running server.
const COMMAND: &str = "cargo run --release -- serve --demo";

/// The presentation as one HTML file. `root` is the root of the repository; `address` is that of a running demonstration
/// for the QR code, if there is one.
///
/// # Errors
/// A sentence for people: if a part is missing, or a figure is in no table.
pub fn page(root: &Path, address: Option<&str>) -> Result<String, String> {
    let documents = root.join("docs");
    let folder = documents.join("talk");
    let source = folder.join("source");
    let maker = Maker {
        figures: Figures::read(&folder, &documents)?,
        documents: &documents,
        qr: qr(address.unwrap_or(COMMAND))?,
    };
    let mut slides = String::new();
    for (index, file) in files(&source.join("slides"))?.iter().enumerate() {
        let text = read(file)?.replace("{{slide}}", &format!("{:02}", index + 1));
        let slide = maker.filled(&text).map_err(|why| format!("{}: {why}", file.display()))?;
        slides.push_str(&on_one_line(&slide));
        slides.push('\n');
    }
    let styles: Result<Vec<String>, String> =
        files(&source.join("styles"))?.iter().map(|file| read(file).map(|text| on_one_line(&text))).collect();
    Ok(in_both_languages(&read(&source.join("page.html"))?)
        .replace("{{styles}}", &styles?.join("\n"))
        .replace("{{script}}", read(&source.join("talk.js"))?.trim_end())
        .replace("{{slides}}", slides.trim_end()))
}

/// The files of a folder by name.
fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let named = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder).map_err(named)?.collect();
    let mut files: Vec<_> = entries.map_err(named)?.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

/// A slide on a line of its own: a changed figure is one changed line of the file.
fn on_one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn in_both_languages(text: &str) -> String {
    let languages =
        [("<en>", "<span lang=\"en\">"), ("<ko>", "<span lang=\"ko\">"), ("</en>", "</span>"), ("</ko>", "</span>")];
    languages.into_iter().fold(text.to_owned(), |text, (short, long)| text.replace(short, long))
}

struct Maker<'a> {
    figures: Figures,
    documents: &'a Path,
    qr: String,
}

impl Maker<'_> {
    /// A slide with everything between `{{` and `}}` written out.
    fn filled(&self, slide: &str) -> Result<String, String> {
        let mut made = String::new();
        let mut rest = slide;
        while let Some((before, after)) = rest.split_once("{{") {
            let (word, after) = after.split_once("}}").ok_or("{{ without }}")?;
            made.push_str(before);
            made.push_str(&self.made(word, slide)?);
            rest = after;
        }
        made.push_str(rest);
        Ok(in_both_languages(&made))
    }

    fn made(&self, words: &str, slide: &str) -> Result<String, String> {
        let words: Vec<&str> = words.split_whitespace().collect();
        match words[..] {
            ["qr"] => Ok(self.qr.clone()),
            ["from"] => self.sources(slide),
            ["chart", path] => Ok(chart(&read(&self.documents.join(path)).unwrap_or_default(), path)),
            ["number", name] => Ok(self.figures.named(name)?.number()),
            ["largest", ref names @ ..] => self.largest(names),
            [name] => {
                let figure = self.figures.named(name)?;
                let title = escaped(&format!("docs/{}: {}", figure.document, figure.place));
                Ok(format!("<data value=\"{name}\" title=\"{title}\">{}</data>", escaped(&figure.text)))
            }
            _ => Err(format!("{words:?} is neither a figure nor a chart")),
        }
    }

    fn largest(&self, names: &[&str]) -> Result<String, String> {
        let mut numbers =
            names.iter().map(|name| Ok(self.figures.named(name)?.number())).collect::<Result<Vec<_>, String>>()?;
        numbers.sort_by(|one, other| {
            let [one, other] = [one, other].map(|number| number.parse::<f64>().unwrap_or_default());
            one.total_cmp(&other)
        });
        Ok(numbers.pop().filter(|number| number != "0").unwrap_or_else(|| "1".to_owned()))
    }

    /// The documents of a slide's figures and charts, each with its command.
    fn sources(&self, slide: &str) -> Result<String, String> {
        let mut documents = BTreeSet::new();
        let mut is_limited = false;
        for words in slide.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
            let words: Vec<&str> = words.split_whitespace().collect();
            match words[..] {
                ["qr" | "from"] | ["number" | "largest", ..] => {}
                ["chart", path] => {
                    // Charts lie in a folder next to the page or below it: the list of commands names the page of each.
                    let of = self
                        .figures
                        .commands
                        .keys()
                        .find(|document| path.starts_with(document.trim_end_matches(".md")));
                    documents.extend(of.map(String::as_str));
                }
                _ => {
                    let figure = self.figures.named(words.first().copied().unwrap_or_default())?;
                    is_limited |= figure.text.contains('†');
                    documents.insert(&figure.document);
                }
            }
        }
        let mut text = String::new();
        for document in documents {
            let command = self
                .figures
                .commands
                .get(document)
                .ok_or_else(|| format!("figures.md has no command of {document}"))?;
            text.push_str(&format!("<a href=\"../{document}\">docs/{document}</a> <code>{}</code> ", escaped(command)));
        }
        if is_limited {
            text.push_str("<en>† or more: the load generator was at its limit</en><ko>† 이 값 이상: 부하 생성기가 한계에 이르렀다</ko>");
        }
        Ok(format!("<p class=\"from\">{}</p>", text.trim_end()))
    }
}

/// A chart as part of a page: without its own styles, which would apply to the whole page, and without its ground. If it was
/// not drawn yet, the place states that.
fn chart(svg: &str, path: &str) -> String {
    let drawn = svg.split_once("<style>").zip(svg.split_once("</style>"));
    let Some(((start, _), (_, rest))) = drawn else {
        return format!(
            "<p class=\"chart none\" data-chart=\"{path}\"><en>not measured yet</en><ko>아직 측정하지 않음</ko></p>"
        );
    };
    let rest = rest.trim_start_matches("<rect class=\"ground\" width=\"100%\" height=\"100%\"/>");
    format!("<figure class=\"chart\" data-chart=\"{path}\">{start}{rest}</figure>")
}

fn qr(text: &str) -> Result<String, String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|error| format!("no QR code of {text}: {error}"))?;
    let image = code.render::<svg::Color<'_>>().quiet_zone(true).min_dimensions(200, 200).build();
    let image = image.split_once("<svg").map(|(_, rest)| rest).unwrap_or_default();
    Ok(format!("<svg role=\"img\" aria-label=\"QR: {}\"{image}", escaped(text)))
}

fn escaped(text: &str) -> String {
    crate::svg::escaped(text).replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_leaves_the_styles_of_the_page_alone() {
        let svg = "<svg viewBox=\"0 0 1 1\"><title>a</title><style>text{fill:red}</style>\
            <rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n<text>b</text></svg>\n";
        let made = chart(svg, "a/b.svg");
        assert!(made.contains("<title>a</title>\n<text>b</text>") && !made.contains("fill:red"), "{made}");
        assert!(chart("", "a/b.svg").contains("not measured yet"));
    }

    #[test]
    fn lines_of_a_slide_are_joined() {
        assert_eq!(on_one_line("<p>\n  one\n\n  two\n</p>\n"), "<p> one two </p>");
    }
}
