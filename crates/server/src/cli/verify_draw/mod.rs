//! `onsale verify-draw`: checks a published draw. It reads no setting and no database, and trusts nothing that the server computed.

mod read;

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use onsale_domain::ids::TokenId;
use onsale_domain::waiting_room::{Digest, DrawKey, ListHash};

use super::{Failed, Outcome, print};
use read::{Draw, Entry};

/// Wrong places that are printed, at most.
const EXAMPLES: usize = 3;

/// What to print for a person who was not drawn.
const LEARN: &str = "\
Check a draw by its address, or from two files that you saved:
  onsale verify-draw https://tickets.example/concerts/ID/draw
  onsale verify-draw draw.json entries.csv

Exit codes: 0 the draw holds, 1 it does not, 2 it cannot be read, or it is not drawn yet.

If the draw names a beacon, compare its printed name and value with their source.
docs/guide/draw.md explains what a draw proves and what it does not, and has the same check in Python.";

/// The command with its arguments.
pub(super) fn command() -> Command {
    Command::new("verify-draw")
        .about("Check a published draw: its seed, its list and every place; exit 1 if one does not hold")
        .after_help(LEARN)
        .arg(
            Arg::new("draw")
                .value_name("URL|DRAW")
                .required(true)
                .help("The address of the draw, or a file with the JSON of that address"),
        )
        .arg(
            Arg::new("entries")
                .value_name("ENTRIES")
                .help("A file with the list (CSV), if the draw is a file. It is next to the draw, under /entries"),
        )
}

/// Reads the draw, prints a line for each check, and fails with exit code 1 if one does not hold.
pub(super) fn run(given: &ArgMatches) -> Outcome {
    let named = |name: &str| given.get_one::<String>(name).map(String::as_str);
    let (draw, mut entries) = read::read(named("draw").unwrap_or_default(), named("entries"))?;
    // Exit code 1 is kept for a draw that does not hold.
    report(&draw, &mut entries).map_err(|failed| match failed {
        Failed::Error(reason) | Failed::Usage(reason) => Failed::Usage(reason),
    })
}

fn report(draw: &Draw, entries: &mut [Entry]) -> Outcome {
    let checks = checks(draw, entries);
    for Check { name, result } in &checks {
        print(&match result {
            Ok(found) => format!("ok      {name}: {found}"),
            Err(wrong) => format!("BROKEN  {name}: {wrong}"),
        })?;
    }
    if let (Some(name), Some(value)) = (&draw.beacon_name, &draw.beacon) {
        print(&format!("compare the beacon with its source: {name:?} had the value {value:?}"))?;
    }
    let concert = draw.concert;
    match checks.iter().filter(|check| check.result.is_err()).count() {
        0 => print(&format!("the draw of concert {concert} holds")),
        broken => {
            let all = checks.len();
            print(&format!("the draw of concert {concert} does not hold: {broken} of {all} checks failed"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// A check with what was found, or with what is wrong.
struct Check {
    name: &'static str,
    result: Result<String, String>,
}

/// Checks the draw. Sorts the entries by token id.
fn checks(draw: &Draw, entries: &mut [Entry]) -> Vec<Check> {
    entries.sort_unstable_by_key(|entry| entry.token);
    let tokens: Vec<TokenId> = entries.iter().map(|entry| entry.token).collect();
    let mut hash = ListHash::default();
    hash.add(&tokens);
    let hash = hash.finish();
    let mut checks = Vec::new();
    let mut check = |name, result| checks.push(Check { name, result });
    check("commitment", same(draw.commitment, draw.seed.commitment(), "is the SHA-256 of the seed"));
    check("token ids", distinct(&tokens));
    check(
        "entries",
        match draw.entries == tokens.len() as u64 {
            true => Ok(format!("the list has {}, as published", tokens.len())),
            false => Err(format!("the list has {}, and {} were published", tokens.len(), draw.entries)),
        },
    );
    check("entriesHash", same(draw.entries_hash, hash, "is the SHA-256 of the list"));
    check(
        "beacon",
        match (&draw.beacon_name, &draw.beacon) {
            (Some(_), Some(_)) => Ok("its value is part of the key".to_owned()),
            (None, None) => Ok("the draw was announced without one".to_owned()),
            (Some(_), None) => Err("one was named, and no value was used".to_owned()),
            (None, Some(_)) => Err("a value was used that was not named".to_owned()),
        },
    );
    let beacon = draw.beacon.as_deref().unwrap_or_default();
    let key = DrawKey::of(&draw.seed, draw.concert, hash, beacon.as_bytes());
    check("places", places(&key, &tokens, entries));
    checks
}

fn same(published: Digest, computed: Digest, what: &str) -> Result<String, String> {
    match published == computed {
        true => Ok(format!("{published} {what}")),
        false => Err(format!("{published} was published, and {computed} {what}")),
    }
}

fn distinct(ascending: &[TokenId]) -> Result<String, String> {
    match ascending.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok("each occurs once".to_owned()),
        Some(pair) => Err(format!("{} occurs more than once", pair[0])),
    }
}

fn places(key: &DrawKey, tokens: &[TokenId], entries: &[Entry]) -> Result<String, String> {
    let mut wrong = 0;
    let mut examples = Vec::new();
    for (place, index) in (1_u32..).zip(key.order(tokens)) {
        let Entry { token, place: published } = entries[index as usize];
        if published != place {
            wrong += 1;
            if examples.len() < EXAMPLES {
                examples.push(format!("\n        {token} has place {place}, and {published} was published"));
            }
        }
    }
    match wrong {
        0 => Ok(format!("all {} follow from the seed, the list and the beacon", tokens.len())),
        _ => Err(format!("{wrong} of {} do not follow from the draw{}", tokens.len(), examples.concat())),
    }
}
