//! The commands of the pages on backups and on moving a sale.

use std::path::Path;

use onsale_testing::postgres::Script;

use crate::support::ONSALE;

const BACKUP: &str = include_str!("../../../../docs/guide/backup.md");
const MOVE: &str = include_str!("../../../../docs/guide/move.md");

/// The commands of a page under this name, as a reader sees them. In a list they are indented.
fn named(page: &'static str, name: &str) -> &'static str {
    let mark = format!("<!-- run: {name} -->\n");
    let (_, rest) = page.split_once(&mark).unwrap_or_else(|| panic!("the page has no commands named {name}"));
    let (_, rest) = rest.split_once("```sh\n").unwrap();
    rest.split_once("```").unwrap().0
}

/// The commands of the page on backups under this name.
pub(crate) fn commands(name: &str) -> &'static str {
    named(BACKUP, name)
}

/// With `onsale` on its `PATH`.
fn with_onsale(commands: &str) -> Script {
    Script::new(commands).first_on_path(Path::new(ONSALE).parent().unwrap())
}

/// A script of the page on backups.
pub(crate) fn script(name: &str) -> Script {
    with_onsale(commands(name))
}

/// A script of the page on moving a sale.
pub(crate) fn moving(name: &str) -> Script {
    with_onsale(named(MOVE, name))
}

#[test]
fn every_command_of_the_pages_is_run() {
    let tests = [
        include_str!("dump.rs"),
        include_str!("moved.rs"),
        include_str!("point_in_time.rs"),
        include_str!("sqlite.rs"),
        include_str!("redis.rs"),
    ]
    .concat();
    for page in [BACKUP, MOVE] {
        let blocks = page.matches("```sh").count();
        let names: Vec<&str> =
            page.split("<!-- run: ").skip(1).map(|rest| rest.split_once(" -->").unwrap().0).collect();
        assert_eq!(names.len(), blocks, "each block of commands has a name");
        for name in names {
            assert!(tests.contains(&format!("\"{name}\"")), "no test runs {name}");
        }
    }
}
