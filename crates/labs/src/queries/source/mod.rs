//! The statements of the Postgres adapter, read from its source, so that each has the name that it has in the code.
//!
//! A statement is a constant (`wallet::LEDGER`, `wallet::LOCK[1]`), or a literal inside a function (`raise::BEGIN`). The
//! laboratory does not link the adapter, and constants have no names at run time.

mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use onsale_load_generator::Outcome;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use value::{Macros, Value, is_mark, text_of, word_of};

/// The part of the program that sends a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sender {
    /// The thread that decides commands.
    Lane,
    /// Reads that answer calls of the API.
    Reader,
    /// The query for changes of other instances.
    Follower,
    /// The relay of the outbox.
    Relay,
    /// The task that deletes what is old.
    Retention,
    /// `onsale audit`.
    Audit,
    /// A start, a migration, a command of the command line.
    Tool,
}

impl Sender {
    /// The word for it in the tables.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Lane => "lane",
            Self::Reader => "reader",
            Self::Follower => "follower",
            Self::Relay => "relay",
            Self::Retention => "retention",
            Self::Audit => "audit",
            Self::Tool => "tool",
        }
    }
}

/// A statement with its name in the code.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// Module and constant, such as `wallet::LOCK[1]`.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) sender: Sender,
    /// Whether the text is a format: names in braces stand for what is filled in.
    pub(crate) is_format: bool,
}

impl Statement {
    /// Whether the server plans it. The others, such as `BEGIN`, are compared by their text.
    pub(crate) fn is_planned(&self) -> bool {
        !self.is_format && ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&first_word(&self.text))
    }
}

/// The first words of all statements.
const VERBS: [&str; 12] =
    ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "BEGIN", "COMMIT", "ROLLBACK", "SET", "SHOW", "LOCK", "DISCARD"];

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// The folder of the crate whose statements are read.
fn adapters() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapters/src")
}

/// All statements of the adapter of a database, `postgres` or `sqlite`, by name. Migrations are not among them.
///
/// # Errors
/// If the source is not where this program was built, or is no Rust.
pub(crate) fn statements(database: &str) -> Outcome<Vec<Statement>> {
    let mut files = vec![(String::from("stored"), adapters().join("stored.rs"))];
    collect(&adapters().join(database), "", &mut files)?;
    files.sort();
    let mut macros = Macros::default();
    let mut parsed = Vec::new();
    for (module, path) in files {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let tokens: TokenStream = text.parse().map_err(|error| format!("{}: {error}", path.display()))?;
        macros.collect(tokens.clone());
        parsed.push((module, tokens));
    }
    let mut found = Found { macros, statements: Vec::new(), lists: Vec::new(), parts: Vec::new() };
    for (module, tokens) in parsed {
        found.read(&module, None, tokens);
    }
    Ok(found.finished())
}

/// The statement with this name.
///
/// # Errors
/// If the code has none.
pub(crate) fn named<'a>(statements: &'a [Statement], name: &str) -> Outcome<&'a Statement> {
    let found = statements.iter().find(|statement| statement.name == name);
    Ok(found.ok_or_else(|| format!("the code has no statement {name}"))?)
}

/// The settings with which the program opens connections for this sender, each as `SET name = value`.
///
/// # Errors
/// If the source is not where this program was built.
pub(crate) fn settings(sender: Sender) -> Outcome<String> {
    let role = match sender {
        Sender::Lane => "Lane",
        Sender::Reader => "Reader",
        Sender::Follower => "Follower",
        Sender::Relay | Sender::Retention => "Outbox",
        Sender::Audit => "Audit",
        Sender::Tool => "Tool",
    };
    let source = std::fs::read_to_string(adapters().join("postgres/connection.rs"))?;
    let (_, options) = source.split_once(&format!("Self::{role} =>")).ok_or("no options of a role")?;
    // The literal that follows, over several lines.
    let options = options.split('"').nth(1).ok_or("no options of a role")?;
    let words = options.split(|c: char| c.is_whitespace() || c == '\\');
    let settings = words.filter_map(|word| word.split_once('='));
    Ok(settings.map(|(name, value)| format!("SET {name} = '{value}';")).collect())
}

/// Adds the Rust files of a folder, each with its module.
fn collect(folder: &Path, within: &str, files: &mut Vec<(String, PathBuf)>) -> Outcome<()> {
    for entry in std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            // Tests and migrations send nothing in a sale.
            if !["tests", "migrations"].contains(&stem.as_str()) {
                collect(&path, &format!("{stem}::"), files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let module = match stem.as_str() {
                "mod" if within.is_empty() => "postgres".to_owned(),
                "mod" => within.trim_end_matches(':').to_owned(),
                _ => format!("{within}{stem}"),
            };
            files.push((module, path));
        }
    }
    Ok(())
}

/// A constant that lists names of statements.
struct List {
    module: String,
    name: String,
    members: Vec<(Option<String>, String)>,
}

/// Whether an attribute is `cfg(test)`.
fn is_for_tests(attribute: &TokenTree) -> bool {
    attribute.to_string().replace(' ', "").contains("cfg(test)")
}

struct Found {
    macros: Macros,
    /// Statements with the module and the name of their constant.
    statements: Vec<(String, String, Statement)>,
    lists: Vec<List>,
    /// Constants that are no statements and that formats may name: module, name, text.
    parts: Vec<(String, String, String)>,
}

impl Found {
    /// Reads the constants and the literals of a module, or of a function in it.
    fn read(&mut self, module: &str, function: Option<&str>, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        let mut of_function: Option<String> = function.map(str::to_owned);
        let mut is_test = false;
        while let Some(token) = tokens.get(at) {
            let next = word_of(tokens.get(at + 1));
            match token {
                TokenTree::Punct(mark) if mark.as_char() == '#' => {
                    at += 1;
                    if is_mark(tokens.get(at), '!') {
                        at += 1;
                    }
                    is_test |= tokens.get(at).is_some_and(is_for_tests);
                }
                TokenTree::Ident(word) if *word == "const" && next.as_deref().is_some_and(|name| name != "fn") => {
                    at = self.constant(module, &tokens, at + 1);
                    is_test = false;
                    continue;
                }
                TokenTree::Ident(word) if *word == "macro_rules" => {
                    // Its rules were read before; their literals are parts of statements.
                    at += 3;
                }
                TokenTree::Ident(word) if *word == "mod" && is_test => at += 2,
                TokenTree::Ident(word) if *word == "fn" => (of_function, is_test) = (next, false),
                TokenTree::Ident(word) if ["struct", "enum", "impl", "use"].iter().any(|item| word == item) => {
                    is_test = false;
                }
                TokenTree::Ident(word) if *word == "concat" && is_mark(tokens.get(at + 1), '!') => at += 2,
                TokenTree::Group(group) => {
                    self.read(module, of_function.as_deref(), group.stream());
                    if group.delimiter() == Delimiter::Brace && function.is_none() {
                        of_function = None;
                    }
                }
                TokenTree::Literal(_) => self.literal(module, of_function.as_deref(), &tokens, at),
                _ => {}
            }
            at += 1;
        }
    }

    /// Reads a constant whose name is at this token. Returns the token after it.
    fn constant(&mut self, module: &str, tokens: &[TokenTree], at: usize) -> usize {
        let name = word_of(tokens.get(at)).unwrap_or_default();
        let end = (at..tokens.len()).find(|at| is_mark(tokens.get(*at), ';')).unwrap_or(tokens.len());
        let Some(begin) = (at..end).find(|at| is_mark(tokens.get(*at), '=')) else { return end + 1 };
        match self.macros.value(&tokens[begin + 1..end]) {
            Some(Value::Text(text)) if VERBS.contains(&first_word(&text)) => {
                self.add(module, &name, &name, text);
            }
            Some(Value::Texts(texts)) => {
                let statements = texts.into_iter().enumerate().filter(|(_, text)| VERBS.contains(&first_word(text)));
                for (index, text) in statements {
                    self.add(module, &name, &format!("{name}[{index}]"), text);
                }
            }
            Some(Value::Text(text)) => self.parts.push((module.to_owned(), name, text)),
            Some(Value::Names(members)) => self.lists.push(List { module: module.to_owned(), name, members }),
            _ => {}
        }
        end + 1
    }

    /// Adds a literal of a function if it is a statement. It is named after its variable, or else its first word.
    fn literal(&mut self, module: &str, function: Option<&str>, tokens: &[TokenTree], at: usize) {
        let (Some(function), Some(text)) = (function, text_of(&tokens[at])) else { return };
        let first = first_word(&text);
        if !VERBS.contains(&first) {
            return;
        }
        let is_bound =
            at >= 3 && is_mark(tokens.get(at - 1), '=') && word_of(tokens.get(at - 3)).as_deref() == Some("let");
        let variable = if is_bound { word_of(tokens.get(at - 2)) } else { None };
        let name = format!("{function}::{}", variable.unwrap_or_else(|| first.to_owned()));
        self.add(module, &name, &name, text);
    }

    fn add(&mut self, module: &str, constant: &str, name: &str, text: String) {
        // A constant is no format; the name of a literal has its function.
        let is_format = name.contains("::") && text.contains('{');
        let name = format!("{module}::{name}");
        let statement = Statement { name, is_format, text, sender: Sender::Tool };
        self.statements.push((module.to_owned(), constant.to_owned(), statement));
    }

    /// All statements, each with its sender.
    fn finished(self) -> Vec<Statement> {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut all = Vec::new();
        for (module, constant, statement) in &self.statements {
            // Its own parts, then those that it may import: a name that two modules have is not imported.
            let own = self.parts.iter().filter(|(of, ..)| of == module);
            let is_one = |name: &String| self.parts.iter().filter(|(_, other, _)| other == name).count() == 1;
            let imported = self.parts.iter().filter(|(of, name, _)| of != module && is_one(name));
            let filled =
                |text: String, (_, name, part): &(_, String, String)| text.replace(&format!("{{{name}}}"), part);
            let text = own.chain(imported).fold(statement.text.clone(), filled);
            let is_format = statement.is_format && text.contains('{');
            let number = seen.entry(&statement.name).or_default();
            *number += 1;
            let name = if *number > 1 { format!("{} {number}", statement.name) } else { statement.name.clone() };
            all.push(Statement { text, is_format, sender: self.sender(module, constant), name });
        }
        all
    }

    fn sender(&self, module: &str, constant: &str) -> Sender {
        let is_in = |wanted: fn(&List) -> bool| {
            self.lists.iter().filter(|list| wanted(list)).any(|list| {
                list.members.iter().any(|(of, name)| {
                    name == constant
                        && (of.as_deref() == Some(module) || of.is_none() && self.owner(list, name) == module)
                })
            })
        };
        match module.split("::").next().unwrap_or_default() {
            "audit" | "stored" => Sender::Audit,
            "news" => Sender::Follower,
            "retention" => Sender::Retention,
            "session" => Sender::Lane,
            "identity" if constant == "HISTORY" => Sender::Follower,
            _ if is_in(|list| list.name == "WRITES" || ["writer", "held"].contains(&list.module.as_str())) => {
                Sender::Lane
            }
            "reader" => Sender::Reader,
            _ if is_in(|list| list.name.ends_with("READS")) => Sender::Reader,
            "outbox" | "dead_letters" => Sender::Relay,
            _ => Sender::Tool,
        }
    }

    /// The module of a constant that a list names without one: the list's own, or that of the file it is imported from.
    fn owner<'a>(&'a self, list: &'a List, constant: &str) -> &'a str {
        let is_own = |(module, name, _): &&(String, String, Statement)| *module == list.module && name == constant;
        match self.statements.iter().find(is_own) {
            Some(_) => &list.module,
            None => self.imported(constant).unwrap_or(&list.module),
        }
    }

    fn imported(&self, constant: &str) -> Option<&str> {
        self.statements
            .iter()
            .find(|(module, name, _)| module.ends_with("_statements") && name == constant)
            .map(|(module, ..)| module.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use super::*;

    #[test]
    fn statements_of_all_forms_are_read_with_their_names() {
        let all = statements("postgres").unwrap();
        let of = |name: &str| all.iter().find(|statement| statement.name == name).cloned();
        let ledger = of("wallet::LEDGER").unwrap();
        assert!(ledger.text.starts_with("SELECT user_id, version") && ledger.sender == Sender::Reader);
        let hot = of("wallet::LOCK[1]").unwrap();
        assert!(hot.text.contains("FROM accounts WHERE ctid = $2 AND user_id = ANY ($1)"), "{}", hot.text);
        assert!(hot.sender == Sender::Lane && hot.is_planned());
        for (name, part) in [
            ("event::LOG", "SELECT position, event_id, type"),
            ("dead_letters::ALL", "WHERE true ORDER BY at"),
            ("outbox::TAKE", "FROM relay_parts)::float"),
            ("held::SEATS", "seats.performance_id = a"),
            ("postgres::secret::insert", "INSERT INTO secrets"),
            ("positions::raise::BEGIN", "BEGIN"),
            ("audit::wallet::LEDGER", "FROM ledger l LEFT JOIN payments"),
        ] {
            assert!(of(name).unwrap().text.contains(part), "{name}: {:?}", of(name));
        }
        assert!(of("stored::count_orphans::SELECT").unwrap().is_format);
        assert_eq!(of("room_statements::NAME").unwrap().sender, Sender::Lane);
        assert_eq!(of("outbox::TAKE").unwrap().sender, Sender::Relay);
        assert_eq!(of("news::TURNS").unwrap().sender, Sender::Follower);
        assert!(all.len() > 120, "{}", all.len());
        let lane = settings(Sender::Lane).unwrap();
        assert!(lane.contains("SET enable_seqscan = 'off';") && !lane.contains("work_mem"), "{lane}");
    }

    #[test]
    fn statements_of_sqlite_are_read_with_the_columns_filled_in() {
        let all = statements("sqlite").unwrap();
        let list = named(&all, "payment::payments_of::SELECT").unwrap();
        assert!(list.text.starts_with("SELECT payment_id, reservation_id") && !list.is_format, "{list:?}");
    }
}
