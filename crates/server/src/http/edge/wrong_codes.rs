//! The limit on presale codes that turned out to be wrong: ten a minute for a user, and for an address. Counted by each instance.

use std::net::IpAddr;

use onsale_domain::ids::UserId;

use super::clients::{Limit, TooOften};
use super::last_ten::LastTen;

/// The network for which the wrong codes of a request count, as an extension of the request; `None` for a client on this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guesser(pub(crate) Option<IpAddr>);

/// The last wrong codes of each user and of each address.
#[derive(Debug, Default)]
pub(crate) struct WrongCodes {
    users: LastTen<UserId>,
    addresses: LastTen<IpAddr>,
}

impl WrongCodes {
    /// Checks whether a further code is looked up.
    ///
    /// # Errors
    /// `TooOften` after ten wrong ones within a minute.
    pub(crate) fn check(&self, user: &UserId, Guesser(address): Guesser) -> Result<(), TooOften> {
        self.users.would_allow(user).map_err(Limit::UserCodes.refuses())?;
        let address = address.map_or(Ok(()), |address| self.addresses.would_allow(&address));
        address.map_err(Limit::AddressCodes.refuses())
    }

    /// Counts a wrong code. Requests that came at the same time may be more than ten: then those beyond learn nothing.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(crate) fn note(&self, user: &UserId, Guesser(address): Guesser) -> Result<(), TooOften> {
        let by_user = self.users.check(user).map_err(Limit::UserCodes.refuses());
        let by_address = address.map_or(Ok(()), |address| self.addresses.check(&address));
        by_user.and(by_address.map_err(Limit::AddressCodes.refuses()))
    }
}
