//! How clients call: with which bearer, and from which address.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use onsale_testing::{Call, Caller};

/// Seconds for which a bearer is valid.
const VALID: i64 = 3_600;

/// Signs bearers (HS256), as the system does that logs buyers in.
#[derive(Clone)]
pub(crate) struct Issuer(Arc<Mutex<String>>);

impl Issuer {
    /// An issuer that signs with this secret.
    pub(crate) fn with(secret: &str) -> Self {
        Self(Arc::new(Mutex::new(secret.to_owned())))
    }

    /// Signs with another secret from now on.
    pub(crate) fn signs_with(&self, secret: &str) {
        secret.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A bearer of this user.
    pub(crate) fn bearer(&self, user: &str) -> String {
        let secret = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        onsale_testing::bearer(&secret, user, VALID)
    }
}

/// What the clients of a sale have in common.
#[derive(Clone, Default)]
pub(crate) struct Clients {
    /// Who signs their bearers; `None` if the instances require none.
    pub(crate) issuer: Option<Issuer>,
    /// Whether each client calls from an address of its own. Otherwise all call from 127.0.0.1.
    pub(crate) have_addresses: bool,
}

impl Clients {
    /// A caller with the address of the client of this number, one of 65,000 from 127.1.0.1 on; `None` if they have none.
    pub(crate) fn caller(&self, base: &str, number: u32) -> Option<Caller> {
        let [.., high, low] = number.to_be_bytes();
        let address = Ipv4Addr::new(127, 1, high, low.max(1));
        self.have_addresses.then(|| Caller::from_address(base, IpAddr::V4(address)))
    }

    /// Adds the bearer of this user, if the instances require one.
    pub(crate) fn call_as(&self, user: &str, call: Call) -> Call {
        match &self.issuer {
            Some(issuer) => call.bearer(&issuer.bearer(user)),
            None => call,
        }
    }
}
