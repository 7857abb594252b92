//! The words and options of `./bench load`.

use std::path::{Path, PathBuf};

use onsale_load_generator::Outcome;

use super::run::Generator;
use super::sale::Deployment;
use super::scenario::Scenarios;

/// The word that selects this suite.
pub(crate) const SUITE: &str = "load";

/// What the words after `load` select.
pub(crate) enum Load {
    /// Prints the names and questions of the scenarios.
    List,
    /// Fills in this page from its raw output.
    Page(PathBuf),
    /// Runs scenarios and prints their tables.
    Run(Given),
}

/// Numbers of the command line, in place of those of the file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Factors {
    /// The factor of rates, seats and admissions.
    pub(crate) scale: Option<f64>,
    /// The factor of durations.
    pub(crate) stretch: Option<f64>,
    /// Whole purchases per second that the machine can do.
    pub(crate) knee: Option<f64>,
}

/// The scenarios to run, on which deployments, by which generators.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// `full`, `quick` or `tiny`.
    pub(super) size: &'static str,
    /// Names of scenarios. All of them if it is empty.
    pub(super) names: Vec<String>,
    pub(super) deployments: Vec<Deployment>,
    pub(super) generators: Vec<Generator>,
    pub(super) factors: Factors,
    /// The page to fill in.
    pub(super) document: Option<PathBuf>,
    /// The program to measure, if it is not the one next to this one.
    program: Option<PathBuf>,
}

/// Factors, the page to fill in, and the program to measure.
type Options = (Factors, Option<PathBuf>, Option<PathBuf>);

impl Given {
    /// The program to measure.
    pub(super) fn program(&self) -> Outcome<PathBuf> {
        program(self.program.as_deref())
    }
}

/// The program to measure: this one, or that next to this program.
///
/// # Errors
/// If it does not exist.
pub(super) fn program(given: Option<&Path>) -> Outcome<PathBuf> {
    match given {
        Some(program) => Ok(program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))?),
        None => Ok(std::env::current_exe()?.with_file_name("onsale")),
    }
}

/// Reads the words after `load`.
///
/// # Errors
/// If a word is unknown, or `page` has no document.
pub(crate) fn read(words: &[String], is_tiny: bool, (factors, document, program): Options) -> Outcome<Load> {
    let mut given = Given {
        size: if is_tiny { "tiny" } else { "full" },
        names: Vec::new(),
        deployments: Vec::new(),
        generators: Vec::new(),
        factors,
        document,
        program,
    };
    let scenarios = Scenarios::read()?.all();
    for word in words {
        let deployment = Deployment::ALL.into_iter().find(|known| known.name() == word);
        let generator = [Generator::Rust, Generator::Gatling].into_iter().find(|known| known.name() == word);
        match (word.as_str(), deployment, generator) {
            ("list", ..) => return Ok(Load::List),
            ("page", ..) => {
                return given.document.map(Load::Page).ok_or_else(|| "load page needs --doc FILE".into());
            }
            ("quick", ..) => given.size = "quick",
            (_, Some(deployment), _) => given.deployments.push(deployment),
            (_, _, Some(generator)) => given.generators.push(generator),
            (name, ..) if scenarios.iter().any(|scenario| scenario.name() == name) => given.names.push(name.to_owned()),
            (unknown, ..) => {
                return Err(format!("no scenario is called {unknown}; ./bench load list prints the names").into());
            }
        }
    }
    if given.deployments.is_empty() {
        given.deployments = Deployment::USUAL.to_vec();
    }
    if given.generators.is_empty() {
        given.generators = vec![Generator::Rust, Generator::Gatling];
    }
    Ok(Load::Run(given))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use super::*;

    #[test]
    fn words_choose_scenarios_deployments_and_generators() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let Load::Run(given) =
            read(&words("quick opening smoke sqlite rust"), false, (Factors::default(), None, None)).unwrap()
        else {
            unreachable!("a run")
        };
        assert_eq!((given.size, given.names), ("quick", words("opening smoke")));
        assert_eq!((given.deployments, given.generators), (vec![Deployment::Sqlite], vec![Generator::Rust]));
        let Load::Run(all) = read(&[], true, (Factors::default(), None, None)).unwrap() else { unreachable!("a run") };
        assert_eq!((all.size, all.deployments.len(), all.generators.len(), all.names.len()), ("tiny", 2, 2, 0));
        let unknown =
            read(&words("openning"), false, (Factors::default(), None, None)).err().map(|error| error.to_string());
        assert!(unknown.unwrap().contains("no scenario is called openning"));
        assert!(read(&words("page"), false, (Factors::default(), None, None)).is_err());
    }
}
