//! A cache of whole answers. An answer is written once for each change of its data, by the first request after it.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use axum::http::HeaderValue;
use jiff::civil::Date;
use onsale_app::seat_map::Which;
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::time::Timestamp;
use parking_lot::RwLock;

use super::Written;

/// The most answers in one cache. The next one empties the cache, which the following requests fill again.
const ANSWERS_MAX: usize = 256;

/// What the list of dates shows of a performance: its revision, its free seats, and whether it is closed and cancelled.
pub(crate) type DateStamp = ((PerformanceId, u64), u32, (bool, bool));

/// All caches of answers.
#[derive(Default)]
pub(crate) struct AnswerCaches {
    /// Lists of lectures by their query, each as of an edition and a day.
    pub(crate) lectures: AnswerCache<String, (u64, Timestamp)>,
    /// Lists of concerts by their query, each as of an edition.
    pub(crate) concerts: AnswerCache<String, u64>,
    /// Dates by concert, each as of the revisions of its performances, their free seats and whether they are closed or cancelled.
    pub(crate) dates: AnswerCache<ConcertId, Vec<DateStamp>>,
    /// Seats of dates with several performances, or of one section, each as of views of their seats.
    pub(crate) seats: AnswerCache<(ConcertId, Date, Which, Option<String>), Vec<u64>>,
}

/// An answer that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) written: Written,
    /// The `Link` to the next page.
    pub(crate) link: Option<HeaderValue>,
    /// From this instant on the answer is stale, even if its data did not change.
    pub(crate) until: Option<Timestamp>,
}

/// Answers by key. Each belongs to a state `S` of its data, such as an edition, and is stale once the state differs.
pub(crate) struct AnswerCache<K, S> {
    /// Guards the map alone. It is not held while an answer is written: that waits in the entry's own lock.
    entries: RwLock<HashMap<K, Arc<Entry<S>>>>,
}

struct Entry<S> {
    state: S,
    ready: OnceLock<Arc<Ready>>,
}

impl<S: PartialEq> Entry<S> {
    fn is_fresh(&self, state: &S, now: Timestamp) -> bool {
        let until = self.ready.get().and_then(|ready| ready.until);
        self.state == *state && until.is_none_or(|until| now < until)
    }
}

impl<K, S> Default for AnswerCache<K, S> {
    fn default() -> Self {
        Self { entries: RwLock::default() }
    }
}

impl<K: Eq + Hash, S: PartialEq> AnswerCache<K, S> {
    /// The answer as of a state: the cached one if its state is the same, else the one that `write` makes.
    pub(crate) fn get<Q>(&self, key: &Q, state: S, now: Timestamp, write: impl FnOnce() -> Ready) -> Arc<Ready>
    where
        K: Borrow<Q>,
        Q: ?Sized + Eq + Hash + ToOwned<Owned = K>,
    {
        let known = self.entries.read().get(key).cloned();
        let held = match known.filter(|held| held.is_fresh(&state, now)) {
            Some(held) => held,
            None => self.hold(key, state, now),
        };
        // Single flight: requests that arrive while the answer is written wait for it and share it.
        held.ready.get_or_init(|| Arc::new(write())).clone()
    }

    /// Adds an entry without an answer, unless another request has just added one.
    fn hold<Q>(&self, key: &Q, state: S, now: Timestamp) -> Arc<Entry<S>>
    where
        K: Borrow<Q>,
        Q: ?Sized + Eq + Hash + ToOwned<Owned = K>,
    {
        let mut all = self.entries.write();
        if let Some(held) = all.get(key).filter(|held| held.is_fresh(&state, now)) {
            return held.clone();
        }
        if all.len() >= ANSWERS_MAX {
            all.clear();
        }
        let held = Arc::new(Entry { state, ready: OnceLock::new() });
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
        for number in 0..10 * ANSWERS_MAX {
            cache.get(number.to_string().as_str(), 1, Timestamp::default(), || ready("", None));
        }
        assert!(cache.entries.read().len() <= ANSWERS_MAX);
    }
}
