//! Joins the scripts of a page into one script, and its styles into one: over a slow network two files come much sooner than forty.
//!
//! Bundlers that understand all of JavaScript are libraries of a hundred crates and more. The modules of these pages keep a strict form
//! in place of that: each `import` and each `export` is one line, no text in backticks has a second line, and no module imports itself
//! over others. A test checks all of them.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Returns the text of a file by its name.
type Read<'a> = &'a dyn Fn(&str) -> Option<&'static str>;

/// The number of each module that is part of the script; `None` while the modules that it imports are added.
type Known = BTreeMap<String, Option<usize>>;

/// The script of a page: the module of this name with all that it imports, each once, without comments and indents.
///
/// # Errors
/// What a module lacks of the form that the head of this file names.
pub(super) fn script(entry: &str, read: Read<'_>) -> Result<String, String> {
    let mut script = String::new();
    add(entry, read, &mut Known::new(), &mut script)?;
    Ok(script)
}

/// Adds a module behind those that it imports; its number.
fn add(name: &str, read: Read<'_>, known: &mut Known, script: &mut String) -> Result<usize, String> {
    match known.get(name) {
        Some(Some(number)) => return Ok(*number),
        Some(None) => return Err(format!("{name} imports itself over other modules")),
        None => {}
    }
    known.insert(name.to_owned(), None);
    let text = read(name).ok_or_else(|| format!("there is no {name}"))?;
    let (mut body, mut exports) = (String::new(), Vec::new());
    for line in without_comments(text) {
        let broken = || format!("{name}: {line}");
        if line.matches('`').count() % 2 != 0 {
            return Err(broken());
        }
        if let Some(import) = line.strip_prefix("import ") {
            let (what, module) = parse_import(import).ok_or_else(broken)?;
            let number = add(module, read, known, script)?;
            let _ = writeln!(body, "const {what}=m{number};");
        } else if let Some(declared) = line.strip_prefix("export ") {
            exports.push(parse_name(declared).ok_or_else(broken)?);
            let _ = writeln!(body, "{declared}");
        } else {
            let _ = writeln!(body, "{line}");
        }
    }
    let number = known.values().flatten().count();
    let _ = writeln!(script, "const m{number}=(()=>{{\n{body}return{{{}}};\n}})();", exports.join(","));
    known.insert(name.to_owned(), Some(number));
    Ok(number)
}

/// Splits `{ a, b as c } from "./x.js";` or `* as a from "./x.js";` into the left side of an assignment and the name of the module.
fn parse_import(line: &str) -> Option<(String, &str)> {
    let (what, from) = line.split_once(" from ")?;
    let module = from.strip_prefix("\"./")?.strip_suffix("\";")?;
    let what = what.strip_prefix("* as ").map_or_else(|| what.replace(" as ", ":"), str::to_owned);
    Some((what, module))
}

/// The name that a line declares, such as `const a = 1;` or `async function b() {`.
fn parse_name(declared: &str) -> Option<&str> {
    let kinds = ["const ", "function ", "async function ", "class "];
    let rest = kinds.iter().find_map(|kind| declared.strip_prefix(kind))?;
    let end = rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_')?;
    rest.get(..end).filter(|name| !name.is_empty())
}

/// The styles of a page in one file, in this order, without comments and indents.
///
/// # Errors
/// The name of a file that is not there.
pub(super) fn styles(names: &[&str], read: Read<'_>) -> Result<String, String> {
    let mut styles = String::new();
    for name in names {
        for line in without_comments(read(name).ok_or_else(|| format!("there is no {name}"))?) {
            let _ = writeln!(styles, "{line}");
        }
    }
    Ok(styles)
}

/// The lines that are not empty, without indents, and without comments that have lines of their own.
fn without_comments(text: &str) -> impl Iterator<Item = &str> {
    let mut is_comment = false;
    text.lines().map(str::trim).filter(move |line| {
        is_comment |= line.starts_with("/*");
        let skipped = is_comment || line.is_empty() || line.starts_with("//");
        is_comment &= !line.ends_with("*/");
        !skipped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<&'static str> {
        move |name| files.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    #[test]
    fn modules_are_joined_behind_what_they_import() {
        let files = read(&[
            (
                "a.js",
                "// A.\nimport { b, c as d } from \"./b.js\";\nimport * as e from \"./e.js\";\n\nexport const a = b + d + e.f();\n",
            ),
            (
                "b.js",
                "/**\n * B.\n */\nexport const b = 1;\n  export class Inner {}\nexport function c() {\n  return 2;\n}\n",
            ),
            ("e.js", "import { b } from \"./b.js\";\nexport async function f() {\n  /** Two. */\n  return b;\n}\n"),
        ]);
        let expected = "const m0=(()=>{\nconst b = 1;\nclass Inner {}\nfunction c() {\nreturn 2;\n}\nreturn{b,Inner,c};\n})();\n\
            const m1=(()=>{\nconst { b }=m0;\nasync function f() {\nreturn b;\n}\nreturn{f};\n})();\n\
            const m2=(()=>{\nconst { b, c:d }=m0;\nconst e=m1;\nconst a = b + d + e.f();\nreturn{a};\n})();\n";
        assert_eq!(script("a.js", &files).unwrap(), expected);
    }

    #[test]
    fn a_module_of_another_form_is_an_error() {
        for text in [
            "import {\n  b,\n} from \"./b.js\";\n",
            "import \"./b.js\";\n",
            "import { b } from \"b.js\";\n",
            "import { a } from \"./a.js\";\n",
            "import { c } from \"./c.js\";\n",
            "export default 1;\n",
            "export let a = 1;\n",
            "export { a };\n",
            "const a = `one\ntwo`;\n",
        ] {
            let text: &'static str = text;
            let files = |name: &str| {
                if name == "a.js" { Some(text) } else { (name == "b.js").then_some("export const b = 1;\n") }
            };
            assert!(script("a.js", &files).is_err(), "{text}");
        }
    }

    #[test]
    fn styles_are_joined_in_order() {
        let files =
            read(&[("a.css", "/* A. */\na {\n  b: c;\n}\n"), ("b.css", "/* B,\n   with two lines. */\n\nd {\n}\n")]);
        assert_eq!(styles(&["a.css", "b.css"], &files).unwrap(), "a {\nb: c;\n}\nd {\n}\n");
        assert!(styles(&["c.css"], &files).is_err());
    }
}
