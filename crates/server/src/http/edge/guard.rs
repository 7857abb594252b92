//! Checks against requests that a foreign page makes a browser send. With `ONSALE_AUTH=open` a caller needs no bearer, so
//! such a page could act as any user: by writing across sites, or under a host name that its DNS server resolves to this
//! machine (DNS rebinding).

use axum::http::header::ORIGIN;
use axum::http::{HeaderName, HeaderValue, Request};

use super::host::{Authority, host_of};
use crate::http::reply::problem::{Code, Problem};
use crate::settings::{CorsOrigins, WebSettings};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks the host of each request, and the origin of guarded ones.
///
/// # Errors
/// `malformed-request` without one sound host. If guarded: `origin-not-allowed` for a host that is neither an address nor
/// a name of this machine, and for a write from another site.
pub(super) fn check<B>(web: &WebSettings, request: &Request<B>) -> Result<(), Problem> {
    let host = host_of(request)?;
    if !web.is_guarded {
        return Ok(());
    }
    if host.is_some_and(|host| !host.is_local_or_address() && !is_public(web, &host)) {
        return Err(refused(
            "Host is neither a name of this machine nor an address, nor the host of ONSALE_PUBLIC_URL",
        ));
    }
    if request.method().is_safe() || comes_from_here(web, request, host) {
        return Ok(());
    }
    Err(refused("a page of another site may not change anything; ONSALE_CORS_ORIGINS names those that may"))
}

fn refused(detail: &'static str) -> Problem {
    Problem::new(Code::OriginNotAllowed).detail(detail)
}

fn is_public(web: &WebSettings, host: &Authority<'_>) -> bool {
    let name = host.host.strip_suffix('.').unwrap_or(host.host);
    web.public_url.as_ref().is_some_and(|url| url.host().eq_ignore_ascii_case(name))
}

/// Whether a write comes from this server's own pages, from an allowed site, or not from a page at all.
fn comes_from_here<B>(web: &WebSettings, request: &Request<B>, host: Option<Authority<'_>>) -> bool {
    let mut origins = request.headers().get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        // Browsers leave `Origin` out of some requests, and say then at least whether they cross sites.
        (None, _) => {
            let site = request.headers().get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
            !matches!(site, Some(b"cross-site" | b"same-site"))
        }
        (Some(origin), None) => is_allowed(web, origin) || host.is_some_and(|host| is_own(origin, &host)),
        (Some(_), Some(_)) => false,
    }
}

/// Whether a page of this server sent a request: its one `Origin` is that of the public URL, or names the host of the request
/// if there is no public URL. Sites that the settings allow are not pages of this server.
pub(super) fn has_own_origin<B>(web: &WebSettings, request: &Request<B>) -> bool {
    let mut origins = request.headers().get_all(ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else { return false };
    match &web.public_url {
        Some(url) => origin.as_bytes() == url.origin().as_bytes(),
        None => host_of(request).is_ok_and(|host| host.is_some_and(|host| is_own(origin, &host))),
    }
}

/// As [`has_own_origin`]. Without an `Origin`, the browser must say once that the request is `same-origin`, which no page can make
/// it say.
pub(super) fn is_from_own_page<B>(web: &WebSettings, request: &Request<B>) -> bool {
    if request.headers().contains_key(ORIGIN) {
        return has_own_origin(web, request);
    }
    let mut sites = request.headers().get_all(SEC_FETCH_SITE).iter();
    sites.next().is_some_and(|site| site == "same-origin") && sites.next().is_none()
}

/// Whether an origin is one of those that are named in settings. `*` names none.
pub(super) fn is_allowed(web: &WebSettings, origin: &HeaderValue) -> bool {
    let is = |known: &str| known.as_bytes() == origin.as_bytes();
    let is_public = web.public_url.as_ref().is_some_and(|url| is(url.origin()));
    is_public || matches!(&web.cors, CorsOrigins::These(these) if these.iter().any(|known| is(known)))
}

/// Whether an origin is the server itself, as this request names it. A proxy may have ended TLS, so either scheme will do.
fn is_own(origin: &HeaderValue, host: &Authority<'_>) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let (default_port, authority) = match origin.split_once("://") {
        Some(("http", authority)) => (80, authority),
        Some(("https", authority)) => (443, authority),
        _ => return false,
    };
    Authority::parse(authority).is_some_and(|origin| origin.is_same(host, default_port))
}
