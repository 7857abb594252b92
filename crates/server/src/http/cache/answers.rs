//! Answers kept while they are right: written once for each change of what they show, by the first who asks.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use axum::http::HeaderValue;
use jiff::civil::Date;
use onsale_app::seat_map::Which;
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::time::Timestamp;

use super::Written;

/// How many answers a cache holds. One more, and it is emptied: what is asked for again is soon back.
const HELD_MAX: usize = 256;

/// All caches of answers.
#[derive(Default)]
pub(crate) struct AnswerCaches {
    /// Lists of lectures by their query, each as of an edition and a day.
    pub(crate) lectures: AnswerCache<String, (u64, Timestamp)>,
    /// Lists of concerts by their query, each as of an edition.
    pub(crate) concerts: AnswerCache<String, u64>,
    /// Dates by concert, each with what was left.
    pub(crate) dates: AnswerCache<ConcertId, Vec<(PerformanceId, u32)>>,
    /// Seats of dates with several performances, each as of views of their seats.
    pub(crate) seats: AnswerCache<(ConcertId, Date, Which), Vec<u64>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) written: Written,
    /// The way to the next page.
    pub(crate) link: Option<HeaderValue>,
    /// From this instant on it is no longer right.
    pub(crate) until: Option<Timestamp>,
}

/// Answers by what was asked, each as of a state of what it shows.
pub(crate) struct AnswerCache<K, S> {
    held: RwLock<HashMap<K, Arc<Held<S>>>>,
}

struct Held<S> {
    state: S,
    ready: OnceLock<Arc<Ready>>,
}

impl<S: PartialEq> Held<S> {
    fn is_right(&self, state: &S, now: Timestamp) -> bool {
        let until = self.ready.get().and_then(|ready| ready.until);
        self.state == *state && until.is_none_or(|until| now < until)
    }
}

impl<K, S> Default for AnswerCache<K, S> {
    fn default() -> Self {
        Self { held: RwLock::default() }
    }
}

impl<K: Eq + Hash, S: PartialEq> AnswerCache<K, S> {
    /// The answer as of a state: the one that was written before, or another.
    pub(crate) fn get<Q>(&self, key: &Q, state: S, now: Timestamp, write: impl FnOnce() -> Ready) -> Arc<Ready>
    where
        K: Borrow<Q>,
        Q: ?Sized + Eq + Hash + ToOwned<Owned = K>,
    {
        let known = self.held.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        let held = match known.filter(|held| held.is_right(&state, now)) {
            Some(held) => held,
            None => self.hold(key, state, now),
        };
        // Whoever comes while it is written waits for that.
        held.ready.get_or_init(|| Arc::new(write())).clone()
    }

    /// Makes room for an answer, unless somebody else has just done so.
    fn hold<Q>(&self, key: &Q, state: S, now: Timestamp) -> Arc<Held<S>>
    where
        K: Borrow<Q>,
        Q: ?Sized + Eq + Hash + ToOwned<Owned = K>,
    {
        let mut all = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = all.get(key).filter(|held| held.is_right(&state, now)) {
            return held.clone();
        }
        if all.len() >= HELD_MAX {
            all.clear();
        }
        let held = Arc::new(Held { state, ready: OnceLock::new() });
        all.insert(key.to_owned(), held.clone());
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(text: &str, until: Option<i64>) -> Ready {
        let written = Written::new(|| text.to_owned().into());
        Ready { written, link: None, until: until.map(Timestamp::from_millis) }
    }

    #[test]
    fn an_answer_is_written_once_for_each_state() {
        let cache: AnswerCache<String, u64> = AnswerCache::default();
        let ask = |state, now, text: &str, until| {
            let ready = cache.get("key", state, Timestamp::from_millis(now), || ready(text, until));
            String::from_utf8_lossy(ready.written.text()).into_owned()
        };
        assert_eq!(ask(1, 0, "first", Some(10)), "first");
        assert_eq!(ask(1, 9, "unwanted", None), "first");
        assert_eq!(ask(1, 10, "later", None), "later", "from its end on it is written anew");
        assert_eq!(ask(2, 10, "second", None), "second");
        assert_eq!(ask(2, 99, "unwanted", None), "second");
    }

    #[test]
    fn a_cache_stays_small() {
        let cache: AnswerCache<String, u64> = AnswerCache::default();
        for number in 0..10 * HELD_MAX {
            cache.get(number.to_string().as_str(), 1, Timestamp::default(), || ready("", None));
        }
        assert!(cache.held.read().unwrap_or_else(PoisonError::into_inner).len() <= HELD_MAX);
    }
}
