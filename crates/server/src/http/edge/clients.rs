//! Limits by client. A request counts for its user if it has a valid bearer or session, else for the address of the client.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, Request};
use onsale_domain::ids::UserId;

use super::client_address::{ClientAddress, ClientAddresses};
use super::last_ten::LastTen;
use super::limit::Limiter;
use super::wrong_codes::Guesser;
use crate::auth::{Bearers, Checked, Refused, Staff};
use crate::http::input::callers::bearer;
use crate::http::input::session::SESSION_PATH;
use crate::http::input::staff::StaffCall;
use crate::http::input::user_session::Offered;
use crate::settings::{ChargedBy, RateLimit, Settings};

/// A limit by client: the label of its counter, and the detail of its refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Limit {
    /// Requests of an address without a valid bearer.
    AddressRate,
    /// Entries to waiting rooms by an address without a valid bearer.
    AddressEntries,
    /// Bearers of an address that were not valid.
    AddressBearers,
    /// Sign-ins of an address to the back office.
    AddressSignIns,
    /// Presale codes of an address that were wrong.
    AddressCodes,
    /// Requests of a user with a valid bearer.
    UserRate,
    /// Entries to waiting rooms by a user with a valid bearer.
    UserEntries,
    /// Presale codes of a user that were wrong.
    UserCodes,
    /// Idempotency keys of a user, or of a key of staff.
    UserKeys,
}

impl Limit {
    /// All limits, in the order of the metric's labels.
    pub(crate) const ALL: [Self; 9] = [
        Self::AddressRate,
        Self::AddressEntries,
        Self::AddressBearers,
        Self::AddressSignIns,
        Self::AddressCodes,
        Self::UserRate,
        Self::UserEntries,
        Self::UserCodes,
        Self::UserKeys,
    ];

    /// The label in the metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AddressRate => "address-rate",
            Self::AddressEntries => "address-entries",
            Self::AddressBearers => "address-bearers",
            Self::AddressSignIns => "address-sign-ins",
            Self::AddressCodes => "address-codes",
            Self::UserRate => "user-rate",
            Self::UserEntries => "user-entries",
            Self::UserCodes => "user-codes",
            Self::UserKeys => "user-keys",
        }
    }

    /// The detail of the refusal.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::AddressRate => "This address sends too many requests",
            Self::AddressEntries => "This address asks for too many places in line",
            Self::AddressBearers => "This address sends too many bearers that are not valid",
            Self::AddressSignIns => "This address has signed in ten times within a minute",
            Self::AddressCodes => "This address has sent ten wrong codes within a minute",
            Self::UserRate => "This user sends too many requests",
            Self::UserEntries => "This user asks for a place in line too often",
            Self::UserCodes => "This user has sent ten wrong codes within a minute",
            Self::UserKeys => "the caller has used as many idempotency keys as one user may within 24 hours",
        }
    }
}

/// A request that a limit refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOften {
    pub(crate) limit: Limit,
    /// Seconds until the client may try again; 1 or more.
    pub(crate) seconds: u32,
}

impl Limit {
    pub(crate) fn refuses(self) -> impl FnOnce(u32) -> TooOften {
        move |seconds| TooOften { limit: self, seconds }
    }
}

/// The part of a request that decides for whom it counts.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    headers: &'a HeaderMap,
    /// Whether a page of this server sent it, if that is known.
    is_from_own_page: bool,
    /// The user whose session counts for it.
    signed_in: Option<&'a UserId>,
}

impl<'a> Asked<'a> {
    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        let is_from_own_page = request.extensions().get::<StaffCall>().is_some_and(|call| call.is_from_own_page);
        let signed_in = request.extensions().get::<Offered>().and_then(Offered::user);
        let (method, path) = (request.method(), request.uri().path());
        Self { method, path, headers: request.headers(), is_from_own_page, signed_in }
    }
}

/// The beginnings of the paths of calls of staff.
const STAFF_PATHS: [&str; 3] = ["/admin/", "/desk/", "/check-ins"];

/// The paths of calls that may have a presale code.
const CODE_PATHS: [&str; 2] = ["/queue/tokens", "/reservations"];

/// Checks bearers and keys of staff.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) bearers: &'a Bearers,
    pub(crate) staff: &'a Staff,
}

/// The rates of each client.
pub(crate) struct ClientLimits {
    addresses: ClientAddresses,
    /// Limits requests by client address.
    requests: Limiter,
    /// Entries to waiting rooms by address.
    entries: Limiter,
    /// Bearers by address that turned out not to be valid: checking a signature costs the server more than sending one
    /// costs a client. Wrong keys of staff too, counted for themselves: bad bearers of an address do not shut out its
    /// administrator.
    bad_bearers: Limiter,
    /// Limits requests by user.
    users: Limiter,
    sign_ins: LastTen<IpAddr>,
    charged_by: ChargedBy,
}

impl ClientLimits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let addresses = ClientAddresses::new(settings.trusted_proxies.clone(), settings.client_address_header.clone());
        let limits = &settings.limits;
        let limiter_if = |is_needed: bool, limit: RateLimit| {
            Limiter::new(RateLimit { requests: if is_needed { limit.requests } else { 0 }, ..limit })
        };
        let asks_for_bearers = settings.auth.asks_for_bearers();
        Self {
            addresses,
            requests: Limiter::new(limits.by_address),
            entries: Limiter::new(limits.entries_by_address),
            bad_bearers: Limiter::new(limits.bad_bearers),
            users: limiter_if(asks_for_bearers, limits.by_user),
            sign_ins: LastTen::default(),
            charged_by: settings.charged_by,
        }
    }

    /// Whether staff make a call: those of administrators and of the back office, and charges if staff make them.
    pub(super) fn is_staffs(&self, method: &Method, path: &str) -> bool {
        let is_charge = || method == Method::PATCH && path.starts_with("/point/") && path.ends_with("/charge");
        STAFF_PATHS.iter().any(|staffs| path.starts_with(staffs))
            || (self.charged_by == ChargedBy::Staff && is_charge())
    }

    /// For whom the wrong presale codes of a request count, if it may have a code.
    pub(super) fn guesser(&self, asked: Asked<'_>, peer: IpAddr) -> Option<Guesser> {
        let Asked { method, path, headers, .. } = asked;
        if method != Method::POST || !CODE_PATHS.contains(&path) {
            return None;
        }
        let client = self.addresses.find(peer, headers);
        let is_limited = !client.is_local() || self.requests.limits_loopback();
        Some(Guesser(is_limited.then(|| client.network())))
    }

    /// Counts a request. Returns the result of the check of its bearer, if it was checked.
    ///
    /// # Errors
    /// `TooOften` with the limit that was reached and the seconds to wait.
    pub(crate) fn check(&self, asked: Asked<'_>, peer: IpAddr, keys: Keys<'_>) -> Result<Option<Checked>, TooOften> {
        let Asked { method, path, headers, is_from_own_page, signed_in } = asked;
        // A foreign page gets a refusal in any case, and must not use up the sign-ins of the address.
        let signs_in = method == Method::POST && path == SESSION_PATH && is_from_own_page;
        let limiters = [&self.requests, &self.entries, &self.users, &self.bad_bearers];
        if !signs_in && !limiters.iter().any(|limiter| limiter.is_on()) {
            return Ok(None);
        }
        let client = self.addresses.find(peer, headers);
        if client.is_local() && !self.requests.limits_loopback() {
            return Ok(None);
        }
        if signs_in {
            self.sign_ins.check(&client.network()).map_err(Limit::AddressSignIns.refuses())?;
        }
        // The bearer of an admin call is a key of staff and names no user.
        let checked = if self.is_staffs(method, path) {
            self.check_staff(client, headers, keys.staff)?;
            None
        } else if let Some(user) = signed_in {
            Some(Checked(Ok(user.clone())))
        } else {
            self.check_bearer(client, headers, keys)?
        };
        // The limit of the user replaces that of the address: a school has one address and many users.
        if let Some(Checked(Ok(user))) = &checked {
            self.users.check(user).map_err(Limit::UserRate.refuses())?;
            return Ok(checked);
        }
        let network = client.network();
        self.requests.check_shared(&network).map_err(Limit::AddressRate.refuses())?;
        let enters = method == Method::POST && path == "/queue/tokens";
        if enters {
            self.entries.check_shared(&network).map_err(Limit::AddressEntries.refuses())?;
        }
        Ok(checked)
    }

    /// Counts a guessed key of staff for the address. Beyond the limit no key of the address is compared, so guessing is
    /// useless. A text that looks like a key of the database is not counted: it cannot be guessed, and another instance may
    /// have made it just now.
    fn check_staff(&self, client: ClientAddress, headers: &HeaderMap, staff: &Staff) -> Result<(), TooOften> {
        let Ok(Some(offered)) = bearer(headers) else { return Ok(()) };
        if !staff.had_keys() {
            return Ok(());
        }
        let guesses = (client.network(), "admin");
        // Before the comparison: beyond the limit the right key gets the same answer as a wrong one.
        self.bad_bearers.would_allow(&guesses).map_err(Limit::AddressBearers.refuses())?;
        if !Staff::is_made_here(offered) && !staff.is_root(offered) {
            let _ = self.bad_bearers.check_shared(&guesses);
        }
        Ok(())
    }

    /// Checks the bearer of a request with the keys that are loaded. A bearer that was valid a moment ago is cached and
    /// costs nothing, so a flood of bad bearers from an address blocks only users that are new there.
    fn check_bearer(
        &self,
        client: ClientAddress,
        headers: &HeaderMap,
        keys: Keys<'_>,
    ) -> Result<Option<Checked>, TooOften> {
        let Bearers::Jwt(bearers) = keys.bearers else { return Ok(None) };
        let Ok(Some(token)) = bearer(headers) else { return Ok(None) };
        if let Some(user) = bearers.known(token) {
            return Ok(Some(Checked(Ok(user))));
        }
        // A member of the staff reads the data of a user.
        if keys.staff.is_known(token) {
            return Ok(None);
        }
        let network = client.network();
        self.bad_bearers.would_allow(&network).map_err(Limit::AddressBearers.refuses())?;
        // The key of the settings only within the limit: beyond it, it gets the same answer as a guess. A text that looks
        // like a key of the database is no guess.
        if keys.staff.is_root(token) || Staff::is_made_here(token) {
            return Ok(None);
        }
        let checked = bearers.check(token);
        match checked {
            // The client is not to blame if the server has no keys, or not yet the newest.
            Ok(_) | Err(Refused::KeysUnavailable | Refused::UnknownKey) => {}
            Err(_) => {
                let _ = self.bad_bearers.check_shared(&network);
            }
        }
        Ok(Some(Checked(checked)))
    }
}
