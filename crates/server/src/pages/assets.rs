//! The asset files of the pages: compressed once, and sent with an ETag.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::sync::LazyLock;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;

use super::bundle;
use crate::http::{Kept, Written, respond};

/// The Content-Security-Policy: a page loads scripts, styles and images only from this server.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";

const CSS: &str = "text/css; charset=utf-8";
pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! files {
    ($($kind:ident $name:literal),+ $(,)?) => {
        /// The asset files: name, media type, text.
        const FILES: &[(&str, &str, &str)] = &[$(($name, $kind, include_str!($name))),+];
    };
}

files! {
    CSS "account.css",
    SCRIPT "account.js",
    SCRIPT "amounts.js",
    SCRIPT "announcement.js",
    SCRIPT "api.js",
    SCRIPT "code.js",
    SCRIPT "connection.js",
    SCRIPT "crowd.js",
    SCRIPT "curl.js",
    CSS "demo.css",
    SCRIPT "demo.js",
    CSS "desk.css",
    SCRIPT "desk.js",
    CSS "docs.css",
    SCRIPT "docs.js",
    SCRIPT "dom.js",
    SCRIPT "door-camera.js",
    SCRIPT "door-code.js",
    SCRIPT "door-lists.js",
    SCRIPT "door-queue.js",
    SCRIPT "door-store.js",
    SCRIPT "door-view.js",
    CSS "door.css",
    SCRIPT "door.js",
    CSS "draw.css",
    SCRIPT "draw.js",
    SCRIPT "early.js",
    SCRIPT "feed.js",
    SCRIPT "frame.js",
    SCRIPT "giving-up.js",
    SCRIPT "growing.js",
    CSS "hall.css",
    SCRIPT "hall.js",
    SCRIPT "home.js",
    CSS "journey.css",
    SCRIPT "journey.js",
    SCRIPT "language.js",
    TEXT "licences.txt",
    SCRIPT "line.js",
    CSS "lost.css",
    SCRIPT "mine.js",
    SCRIPT "office-api.js",
    SCRIPT "office-attendees.js",
    SCRIPT "office-cancel.js",
    SCRIPT "office-charge.js",
    CSS "office-chart.css",
    SCRIPT "office-chart.js",
    SCRIPT "office-codes.js",
    SCRIPT "office-concert.js",
    SCRIPT "office-concerts.js",
    SCRIPT "office-dialogs.js",
    SCRIPT "office-early.js",
    CSS "office-forms.css",
    SCRIPT "office-forms.js",
    SCRIPT "office-health.js",
    SCRIPT "office-hours.js",
    SCRIPT "office-keys.js",
    SCRIPT "office-language.js",
    SCRIPT "office-lecture.js",
    SCRIPT "office-lectures.js",
    SCRIPT "office-live.js",
    SCRIPT "office-log.js",
    SCRIPT "office-overview.js",
    CSS "office-parts.css",
    SCRIPT "office-parts.js",
    SCRIPT "office-performance.js",
    SCRIPT "office-queue.js",
    CSS "office-seats.css",
    SCRIPT "office-seats.js",
    SCRIPT "office-sections.js",
    SCRIPT "office-session.js",
    SCRIPT "office-user.js",
    SCRIPT "office-users.js",
    SCRIPT "office-words-door.js",
    SCRIPT "office-words-more.js",
    SCRIPT "office-words-sale.js",
    SCRIPT "office-words.js",
    CSS "office.css",
    SCRIPT "office.js",
    SCRIPT "operation.js",
    SCRIPT "parts.js",
    SCRIPT "payment.js",
    SCRIPT "place.js",
    SCRIPT "poster.js",
    CSS "rows.css",
    SCRIPT "rows.js",
    SCRIPT "schema.js",
    SCRIPT "seat-stream.js",
    SCRIPT "seats.js",
    SCRIPT "sections.js",
    SCRIPT "session.js",
    SCRIPT "sign-in.js",
    CSS "style.css",
    SCRIPT "tabs.js",
    SCRIPT "text.js",
    SCRIPT "ticker.js",
    CSS "ticket.css",
    SCRIPT "ticket.js",
    SCRIPT "time.js",
    CSS "try.css",
    SCRIPT "try.js",
    SCRIPT "undecided.js",
    SCRIPT "vendor-ed25519.js",
    SCRIPT "vendor-qr.js",
    SCRIPT "words.js",
    SCRIPT "writes.js",
}

/// A page or an asset. Its digest is its ETag. The first request that accepts gzip compresses it.
pub(crate) struct File {
    media_type: &'static str,
    written: Written,
}

impl File {
    /// A file with this media type and text.
    pub(super) fn new(media_type: &'static str, text: impl Into<Bytes>) -> Self {
        Self { media_type, written: Written::new(|| text.into()) }
    }

    /// Answers a request with these headers: the text, or 304 if the client has it.
    pub(super) fn answer(&self, request: &HeaderMap, kept: Kept) -> Response {
        let mut response = respond(request, &self.written, kept, None);
        let headers = response.headers_mut();
        if headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        }
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        response
    }
}

/// The styles of the shop, in the order in which they apply.
const SHOP_STYLES: &[&str] = &[
    "style.css",
    "demo.css",
    "account.css",
    "journey.css",
    "hall.css",
    "rows.css",
    "desk.css",
    "ticket.css",
    "lost.css",
    "draw.css",
];

/// The script and the styles of the shop, each as one file.
fn joined() -> Result<[(&'static str, &'static str, String); 2], String> {
    let read = |name: &str| FILES.iter().find(|(known, ..)| *known == name).map(|(.., text)| *text);
    let script = bundle::script("demo.js", &read)?;
    let styles = bundle::styles(SHOP_STYLES, &read)?;
    Ok([("shop.js", SCRIPT, script), ("shop.css", CSS, styles)])
}

/// All files of this build.
struct Assets {
    files: Vec<(&'static str, File)>,
    /// Hash over all files: a build with different files has a different version.
    version: String,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let mut files: Vec<_> = FILES.iter().map(|(name, kind, text)| (*name, File::new(kind, *text))).collect();
    match joined() {
        Ok(joined) => files.extend(joined.map(|(name, kind, text)| (name, File::new(kind, text)))),
        // A test joins them, so this is a defect of the build.
        Err(problem) => tracing::error!(%problem, "failed to join the files of the shop; its page stays empty"),
    }
    let mut hasher = DefaultHasher::new();
    for (name, file) in &files {
        hasher.write(name.as_bytes());
        hasher.write_u64(file.written.digest());
    }
    Assets { files, version: format!("{:016x}", hasher.finish()) }
});

/// The file of this name.
pub(super) fn asset(name: &str) -> Option<&'static File> {
    ASSETS.files.iter().find(|(known, _)| *known == name).map(|(_, file)| file)
}

/// The names of all files that a page needs: those in its addresses, and the scripts that these import, sorted.
pub(super) fn needed_by(page: &str) -> BTreeSet<&'static str> {
    let known = |name: &str| FILES.iter().find(|(known, ..)| *known == name);
    let named = |text: &str, before: &str| -> Vec<&'static (&str, &str, &str)> {
        text.split(before).skip(1).filter_map(|rest| known(rest.split('"').next()?)).collect()
    };
    let mut found = BTreeSet::new();
    let mut to_read = named(page, "assets/{{version}}/");
    while let Some((name, _, text)) = to_read.pop() {
        if found.insert(*name) {
            to_read.extend(named(text, "\"./"));
        }
    }
    found
}

/// The version of all files together, part of their addresses in the pages.
pub(super) fn version() -> &'static str {
    &ASSETS.version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_shop_can_be_joined() {
        let [(_, _, script), (_, _, styles)] = joined().unwrap();
        assert!(styles.contains(":root") && !styles.contains("/*"), "the styles without their comments");
        assert!(!script.contains("\nimport ") && !script.contains("\nexport "), "a line of a module was left out");
        assert!(script.contains("import.meta.url"), "addresses are those of the joined file");
    }
}
