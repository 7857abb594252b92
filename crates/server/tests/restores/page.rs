//! The commands of the page on backups.

use std::path::Path;

use onsale_testing::postgres::Script;

use crate::support::ONSALE;

const PAGE: &str = include_str!("../../../../docs/guide/backup.md");

/// The commands under this name, as a reader sees them.
pub(crate) fn commands(name: &str) -> &'static str {
    let mark = format!("<!-- run: {name} -->\n```sh\n");
    let (_, rest) = PAGE.split_once(&mark).unwrap_or_else(|| panic!("the page has no commands named {name}"));
    rest.split_once("```").unwrap().0
}

/// A script of the page, with `onsale` on its `PATH`.
pub(crate) fn script(name: &str) -> Script {
    Script::new(commands(name)).first_on_path(Path::new(ONSALE).parent().unwrap())
}

#[test]
fn every_command_of_the_page_is_run() {
    let tests = [
        include_str!("dump.rs"),
        include_str!("point_in_time.rs"),
        include_str!("sqlite.rs"),
        include_str!("redis.rs"),
    ]
    .concat();
    let blocks = PAGE.matches("```sh").count();
    let names: Vec<&str> = PAGE.split("<!-- run: ").skip(1).map(|rest| rest.split_once(" -->").unwrap().0).collect();
    assert_eq!(names.len(), blocks, "each block of commands has a name");
    for name in names {
        assert!(tests.contains(&format!("\"{name}\"")), "no test runs {name}");
    }
}
