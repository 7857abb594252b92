//! The asset files of the pages: compressed once, and sent with an ETag.

use std::hash::{DefaultHasher, Hasher};
use std::sync::LazyLock;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;

use crate::http::{Kept, Written, respond};

/// The Content-Security-Policy: a page loads scripts, styles and images only from this server.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($kind:ident $name:literal),+ $(,)?) => {
        /// The asset files: name, media type, text.
        const FILES: &[(&str, &str, &str)] = &[$(($name, $kind, include_str!($name))),+];
    };
}

files! {
    CSS "account.css",
    SCRIPT "account.js",
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
    SCRIPT "feed.js",
    SCRIPT "giving-up.js",
    SCRIPT "growing.js",
    CSS "hall.css",
    SCRIPT "hall.js",
    SCRIPT "home.js",
    CSS "journey.css",
    SCRIPT "journey.js",
    SCRIPT "line.js",
    CSS "lost.css",
    CSS "office-chart.css",
    CSS "office-forms.css",
    CSS "office-parts.css",
    CSS "office-seats.css",
    CSS "office.css",
    SCRIPT "office-api.js",
    SCRIPT "office-attendees.js",
    SCRIPT "office-cancel.js",
    SCRIPT "office-charge.js",
    SCRIPT "office-chart.js",
    SCRIPT "office-concert.js",
    SCRIPT "office-concerts.js",
    SCRIPT "office-dialogs.js",
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
    SCRIPT "office-parts.js",
    SCRIPT "office-performance.js",
    SCRIPT "office-queue.js",
    SCRIPT "office-seats.js",
    SCRIPT "office-sections.js",
    SCRIPT "office-session.js",
    SCRIPT "office-user.js",
    SCRIPT "office-users.js",
    SCRIPT "office-words-more.js",
    SCRIPT "office-words-sale.js",
    SCRIPT "office-words.js",
    SCRIPT "office.js",
    SCRIPT "operation.js",
    SCRIPT "parts.js",
    SCRIPT "payment.js",
    SCRIPT "place.js",
    SCRIPT "poster.js",
    SCRIPT "schema.js",
    SCRIPT "seat-stream.js",
    SCRIPT "seats.js",
    SCRIPT "session.js",
    CSS "style.css",
    SCRIPT "tabs.js",
    SCRIPT "text.js",
    CSS "ticket.css",
    SCRIPT "ticket.js",
    SCRIPT "ticker.js",
    SCRIPT "time.js",
    CSS "try.css",
    SCRIPT "try.js",
    SCRIPT "undecided.js",
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

/// All files of this build.
struct Assets {
    files: Vec<(&'static str, File)>,
    /// Hash over all files: a build with different files has a different version.
    version: String,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let files: Vec<_> = FILES.iter().map(|(name, kind, text)| (*name, File::new(kind, *text))).collect();
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

/// The version of all files together, part of their addresses in the pages.
pub(super) fn version() -> &'static str {
    &ASSETS.version
}
