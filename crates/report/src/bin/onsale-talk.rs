//! Writes the presentation: `./talk` runs this.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, address) = match &arguments[..] {
        [file] => (file, None),
        [file, address] => (file, Some(address.as_str())),
        _ => return failed("usage: onsale-talk FILE [ADDRESS of a running demonstration]"),
    };
    let written = onsale_report::talk::page(Path::new("."), address)
        .and_then(|page| std::fs::write(file, page).map_err(|error| format!("{file}: {error}")));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "talk: {why}");
    ExitCode::FAILURE
}
