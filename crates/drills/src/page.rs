//! A page of `docs/incidents`, cut into what a drill does: its signal, and the commands of its sections.
//!
//! A command is a line of a `sh` block; a line that ends in `\` continues. `# prints: TEXT` at its end is what its output
//! contains during this incident. The mark `<!-- repair -->` stands for what an operator does outside of onsale, such as
//! freeing a disk: there the drill ends the cause.

use std::path::PathBuf;

/// The longest page, in lines: it is read at 3 a.m.
pub const LINES_MAX: usize = 60;

/// The sections of every page, in their order.
pub const SECTIONS: [&str; 7] = ["Signals", "Look", "Do", "It is over when", "Tell", "Afterwards", "Drill"];

/// What separates a command from the text that it prints.
const PRINTS: &str = "# prints: ";

/// The mark of a repair outside of onsale.
const REPAIR: &str = "<!-- repair -->";

/// A step of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A command for a shell.
    Command {
        /// The whole command, in one line.
        line: String,
        /// What its output contains; empty if any output will do.
        prints: String,
    },
    /// The cause ends outside of onsale.
    Repair,
}

/// A page, as text and as steps.
#[derive(Clone, Debug)]
pub struct Page {
    /// The name of its file without the ending, which is the name of its drill.
    pub name: String,
    /// Its text, from the title to the last line.
    pub text: String,
    sections: Vec<(String, String)>,
}

/// The folder of the pages.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/incidents"))
}

impl Page {
    /// Reads a page by the name of its drill.
    ///
    /// # Errors
    /// If there is no such page.
    pub fn read(name: &str) -> Result<Self, String> {
        let path = folder().join(name).with_extension("md");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self::of(name, &text))
    }

    /// Cuts a text into sections.
    pub fn of(name: &str, text: &str) -> Self {
        let mut sections: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                sections.push((title.to_owned(), String::new()));
            } else if let Some((_, body)) = sections.last_mut() {
                body.push_str(line);
                body.push('\n');
            }
        }
        Self { name: name.to_owned(), text: text.to_owned(), sections }
    }

    /// The titles of its sections, in their order.
    pub fn titles(&self) -> Vec<&str> {
        self.sections.iter().map(|(title, _)| title.as_str()).collect()
    }

    /// The text of a section; empty if the page has none of this title.
    pub fn section(&self, title: &str) -> &str {
        self.sections.iter().find(|(known, _)| known == title).map_or("", |(_, body)| body)
    }

    /// The alert that calls an operator: the first word in code after `Alert` in the signals. `None` if a command shows
    /// the incident instead.
    pub fn alert(&self) -> Option<&str> {
        let (_, rest) = self.section("Signals").split_once("Alert `")?;
        rest.split('`').next()
    }

    /// The steps of a section.
    pub fn steps(&self, title: &str) -> Vec<Step> {
        let (mut steps, mut is_code, mut command) = (Vec::new(), false, String::new());
        for line in self.section(title).lines().map(str::trim) {
            if line.starts_with("```") {
                is_code = line == "```sh";
            } else if is_code && line.ends_with('\\') {
                command.push_str(line.trim_end_matches('\\').trim_end());
                command.push(' ');
            } else if is_code && !line.is_empty() {
                command.push_str(line);
                let (line, prints) = command.split_once(PRINTS).unwrap_or((&command, ""));
                steps.push(Step::Command { line: line.trim().to_owned(), prints: prints.trim().to_owned() });
                command.clear();
            } else if !is_code && line.contains(REPAIR) {
                steps.push(Step::Repair);
            }
        }
        steps
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use super::*;

    const TEXT: &str = "# A: b\n\n## Signals\n\nAlert `A`, within 5 s.\n\n## Do\n\n1. One:\n   ```sh\n   \
                        curl -s \\\n     x  # prints: y z\n   ```\n2. <!-- repair --> Two.\n\n## Look\n\n```sh\nls\n```\n";

    #[test]
    fn commands_and_repairs_are_cut_in_their_order() {
        let page = Page::of("a", TEXT);
        assert_eq!(page.titles(), ["Signals", "Do", "Look"]);
        assert_eq!(page.alert(), Some("A"));
        let command = |line: &str, prints: &str| Step::Command { line: line.to_owned(), prints: prints.to_owned() };
        assert_eq!(page.steps("Do"), [command("curl -s x", "y z"), Step::Repair]);
        assert_eq!(page.steps("Look"), [command("ls", "")]);
        assert!(page.steps("Tell").is_empty() && Page::of("b", "## Signals\n").alert().is_none());
    }
}
