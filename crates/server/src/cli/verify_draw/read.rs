//! Reads a published draw, from two files or from its address.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::time::Duration;

use onsale_domain::ids::{ConcertId, TokenId};
use onsale_domain::waiting_room::{Digest, Seed};
use reqwest::Url;
use serde::Deserialize;

use super::super::{Failed, block_on};

/// The longest time to connect, and to wait for the next bytes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of the JSON that are read, at most.
const DRAW_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of the list that are read, at most: some hundred million entries.
const ENTRIES_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// The header row of the list.
const HEADER: [&str; 2] = ["tokenId", "place"];

/// A draw that is drawn, as it was published.
pub(super) struct Draw {
    pub(super) concert: ConcertId,
    pub(super) commitment: Digest,
    pub(super) seed: Seed,
    pub(super) entries: u64,
    pub(super) entries_hash: Digest,
    pub(super) beacon_name: Option<String>,
    pub(super) beacon: Option<String>,
}

/// A row of the list.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) token: TokenId,
    pub(super) place: u32,
}

/// The fields of the JSON that are checked. Further fields may be added.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    concert_id: String,
    state: String,
    commitment: String,
    entries: Option<u64>,
    entries_hash: Option<String>,
    beacon_name: Option<String>,
    beacon: Option<String>,
    seed: Option<String>,
}

/// Reads a draw and its list. `entries` is `None` if `draw` is an address.
///
/// # Errors
/// `Failed::Usage`, so that the exit code is 2, for anything that cannot be read.
pub(super) fn read(draw: &str, entries: Option<&str>) -> Result<(Draw, Vec<Entry>), Failed> {
    let is_url = draw.starts_with("http://") || draw.starts_with("https://");
    match (is_url, entries) {
        (true, None) => fetched(draw),
        (false, Some(entries)) => {
            let parsed = parse_draw(open(draw)?).map_err(|problem| unreadable(draw, problem))?;
            Ok((parsed, parse_entries(open(entries)?).map_err(|problem| unreadable(entries, problem))?))
        }
        (true, Some(_)) => {
            Err(Failed::Usage("ENTRIES is read from the address of the draw; do not name it".to_owned()))
        }
        (false, None) => Err(Failed::Usage(format!("{draw} is no address, so name its list too: DRAW ENTRIES"))),
    }
}

fn unreadable(name: &str, problem: impl Display) -> Failed {
    Failed::Usage(format!("{name} cannot be read: {problem}"))
}

fn open(path: &str) -> Result<File, Failed> {
    File::open(path).map_err(|error| unreadable(path, error))
}

fn parse_draw(from: impl Read) -> Result<Draw, String> {
    let published: Published = serde_json::from_reader(from.take(DRAW_BYTES_MAX)).map_err(|error| error.to_string())?;
    let Published { concert_id, state, commitment, entries, entries_hash, beacon_name, beacon, seed } = published;
    if state != "drawn" {
        return Err(format!("its state is {state:?}, so there are no places to check yet"));
    }
    let digest = |field: &str, text: Option<String>| {
        text.as_deref().and_then(Digest::parse).ok_or(format!("{field} is not 64 lower-case hexadecimal digits"))
    };
    Ok(Draw {
        concert: ConcertId::parse(&concert_id).ok_or("concertId is not a UUID")?,
        commitment: digest("commitment", Some(commitment))?,
        seed: Seed::new(digest("seed", seed)?.0),
        entries: entries.ok_or("entries is not a number")?,
        entries_hash: digest("entriesHash", entries_hash)?,
        beacon_name,
        beacon,
    })
}

fn parse_entries(from: impl Read) -> Result<Vec<Entry>, String> {
    let mut rows = csv::Reader::from_reader(BufReader::new(from));
    if rows.headers().map_err(|error| error.to_string())? != HEADER.as_slice() {
        return Err(format!("its first line is not {}", HEADER.join(",")));
    }
    let mut entries = Vec::new();
    let mut row = csv::StringRecord::new();
    while rows.read_record(&mut row).map_err(|error| error.to_string())? {
        // After the header, and without a blank line.
        let line = entries.len() + 2;
        let (Some(token), Some(place)) = (row.get(0).and_then(TokenId::parse), row.get(1)) else {
            return Err(format!("line {line} has no token id"));
        };
        let place = place.parse().map_err(|_| format!("line {line} has no place"))?;
        entries.push(Entry { token, place });
    }
    Ok(entries)
}

/// Downloads the JSON and the list into files without names, then reads these.
fn fetched(address: &str) -> Result<(Draw, Vec<Entry>), Failed> {
    let url = Url::parse(address).map_err(|error| unreadable(address, error))?;
    let mut list = url.clone();
    list.path_segments_mut().map_err(|()| unreadable(address, "it has no path"))?.pop_if_empty().push("entries");
    let (draw, entries) = block_on(async {
        // Fails if the process has a default provider already, and any provider will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().connect_timeout(PATIENCE).read_timeout(PATIENCE).user_agent("onsale");
        let client = client.build().map_err(|error| unreadable(address, error))?;
        let draw = download(&client, url, DRAW_BYTES_MAX).await.map_err(|problem| unreadable(address, problem))?;
        let name = list.to_string();
        let entries = download(&client, list, ENTRIES_BYTES_MAX).await.map_err(|problem| unreadable(&name, problem))?;
        Ok((draw, entries))
    })
    .map_err(|failed| match failed {
        Failed::Error(reason) | Failed::Usage(reason) => Failed::Usage(reason),
    })?;
    let draw = parse_draw(draw).map_err(|problem| unreadable(address, problem))?;
    Ok((draw, parse_entries(entries).map_err(|problem| unreadable(&format!("{address}/entries"), problem))?))
}

async fn download(client: &reqwest::Client, url: Url, bytes_max: u64) -> Result<File, String> {
    let text = |error: reqwest::Error| chain(&error.without_url());
    let mut answer = client.get(url).send().await.map_err(text)?;
    if !answer.status().is_success() {
        return Err(format!("the server answered {}", answer.status()));
    }
    let mut file = tempfile::tempfile().map_err(|error| error.to_string())?;
    let mut left = bytes_max;
    while let Some(part) = answer.chunk().await.map_err(text)? {
        left = left.checked_sub(part.len() as u64).ok_or(format!("it is longer than {bytes_max} bytes"))?;
        file.write_all(&part).map_err(|error| error.to_string())?;
    }
    file.rewind().map_err(|error| error.to_string())?;
    Ok(file)
}

/// The error with its causes: only the innermost names what failed.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
