//! Reads back what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::books::{compare_payments, compare_reservations, compare_wallet, explains};
use super::deed::{Deed, What};
use super::person::Person;
use super::{HOT, Workload};
use crate::caller::{Call, Reply};
use crate::sale::Sale;

/// Number of kept answers of each person to request again.
const REPLAYED: usize = 3;

impl Workload {
    /// Reads everything back: acknowledged requests took effect, refused ones did not, nothing took effect twice or
    /// without a request. Call it when all is settled and no person acts.
    ///
    /// # Panics
    /// If that does not hold.
    pub async fn check(&self, sale: &Sale) {
        self.check_wallets(sale).await;
        self.check_lectures(sale).await;
        self.check_seats(sale).await;
        self.check_line(sale).await;
        self.check_order(sale).await;
    }

    /// Repeats a few requests under their keys: the answers are the same byte for byte.
    ///
    /// # Panics
    /// If an answer differs.
    pub async fn check_replays(&self, sale: &Sale) {
        for person in &self.people {
            let kept = person.deeds.iter().rev().filter_map(|deed| Some((deed, deed.kept()?)));
            for (deed, first) in kept.take(REPLAYED) {
                let again = deed.call(&sale.caller).send().await;
                assert_eq!((again.status, &again.body), (first.status, &first.body), "{deed:?}");
                assert_eq!(again.header("idempotency-replayed"), Some("true"), "{deed:?}");
            }
        }
    }

    fn deeds(&self) -> impl Iterator<Item = &Deed> {
        self.people.iter().flat_map(|person| &person.deeds)
    }

    async fn check_wallets(&self, sale: &Sale) {
        let all: Vec<&Deed> = self.deeds().collect();
        let shared = compare_wallet(HOT, &history(sale, HOT).await, &all);
        assert!(shared.is_empty(), "no payment is from the shared wallet");
        for person in &self.people {
            let own: Vec<&Deed> = person.deeds.iter().collect();
            let debits = compare_wallet(&person.name, &history(sale, &person.name).await, &own);
            let payments = walk(sale, &format!("/users/{}/payments?limit=200", person.name)).await;
            compare_payments(&person.deeds, &payments, debits);
        }
    }

    async fn check_lectures(&self, sale: &Sale) {
        for lecture in &self.stage.lectures {
            let path = format!("/admin/lectures/{lecture}/history?limit=200");
            let lines = walk_as(&path, |path| sale.admin(sale.caller.get(path))).await;
            let mut taken = BTreeSet::new();
            for line in &lines {
                let free = match line["type"].as_str() {
                    Some("APPLIED") => taken.insert(line["seatNumber"].as_u64()),
                    _ => taken.remove(&line["seatNumber"].as_u64()),
                };
                assert!(free, "a place is given twice: {line}");
            }
            for person in &self.people {
                let own: Vec<&Value> = lines.iter().filter(|line| line["userId"] == *person.name).collect();
                let deeds: Vec<&Deed> = person.deeds.iter().filter(|deed| is_about(deed, lecture)).collect();
                assert!(explains(&deeds, &own), "{}: {own:?} is not what was done: {deeds:?}", person.name);
            }
            let people = self.people.iter().map(|person| person.name.as_str());
            let strangers = lines.iter().find(|line| !people.clone().any(|name| line["userId"] == *name));
            assert_eq!(strangers, None, "no request explains this");
        }
        for person in &self.people {
            check_places(sale, person).await;
        }
    }

    async fn check_seats(&self, sale: &Sale) {
        let mut taken: BTreeMap<(String, u64), &str> = BTreeMap::new();
        for person in &self.people {
            let rows = walk(sale, &format!("/users/{}/reservations?limit=200", person.name)).await;
            compare_reservations(&person.deeds, &rows);
            for row in rows {
                let status = match row["status"].as_str() {
                    Some("PAID") => "SOLD",
                    Some("HELD") => "HELD",
                    _ => continue,
                };
                for seat in row["seats"].as_array().unwrap() {
                    let seat = (row["performanceId"].as_str().unwrap().to_owned(), seat.as_u64().unwrap());
                    let other = taken.insert(seat.clone(), status);
                    assert_eq!(other, None, "{seat:?} has two owners, one of them {}", person.name);
                }
            }
        }
        assert_eq!(self.seat_map(sale).await, taken, "the seat map is what the reservations say");
    }

    /// The seats that are not available, as any user with a turn sees them.
    async fn seat_map(&self, sale: &Sale) -> BTreeMap<(String, u64), &'static str> {
        let concert = &self.stage.concert;
        let token = sale.active(concert, "an-onlooker").await;
        let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(&token).expect(200).await;
        let mut taken = BTreeMap::new();
        for date in dates.as_array().unwrap() {
            let path = format!("/concerts/{concert}/seats?date={}", date["date"].as_str().unwrap());
            let shown = sale.caller.get(&path).token(&token).expect(200).await;
            let performance = &shown["performances"][0];
            for seat in performance["seats"].as_array().unwrap() {
                let status = match seat["status"].as_str() {
                    Some("SOLD") => "SOLD",
                    Some("HELD") => "HELD",
                    _ => continue,
                };
                let id = performance["performanceId"].as_str().unwrap().to_owned();
                taken.insert((id, seat["seat"].as_u64().unwrap()), status);
            }
        }
        taken
    }

    /// If no user leaves, every user has the position that the answers said, and entering again changes nothing.
    async fn check_line(&self, sale: &Sale) {
        let mut positions = BTreeSet::new();
        let entered = self.deeds().filter_map(|deed| entered(deed, &self.stage.line));
        for (number, (_, user, place)) in entered.enumerate() {
            let now = sale.caller.get("/queue/token").token(place["token"].as_str().unwrap()).expect(200).await;
            for member in ["tokenId", "userId", "concertId", "status", "position", "issuedAt"] {
                assert_eq!(now[member], place[member], "{member} of {user}");
            }
            assert!(positions.insert(now["position"].as_u64()), "a place is given twice: {now}");
            if number % 8 == 0 {
                let again = sale.enter(&self.stage.line, user).await;
                assert_eq!((&again["token"], &again["position"]), (&place["token"], &place["position"]));
            }
        }
        let path = format!("/admin/concerts/{}/queue", self.stage.line);
        let room = sale.admin(sale.caller.get(&path)).expect(200).await;
        assert_eq!((&room["waiting"], &room["issued"]), (&positions.len().into(), &positions.len().into()));
    }

    /// If some users leave, the others keep their order: a user who had a place before another entered is ahead.
    async fn check_order(&self, sale: &Sale) {
        let mut gone = BTreeSet::new();
        for deed in self.deeds() {
            if let (What::Leave { token }, Some(_)) = (&deed.what, deed.done()) {
                gone.insert(token.as_str());
            }
        }
        let mut line: BTreeMap<u64, &Deed> = BTreeMap::new();
        for (deed, user, place) in self.deeds().filter_map(|deed| entered(deed, &self.stage.exits)) {
            let token = place["token"].as_str().unwrap();
            let now = sale.caller.get("/queue/token").token(token).expect(200).await;
            if gone.contains(token) {
                assert_eq!(now["status"], "EXPIRED", "{user} has left");
                continue;
            }
            assert_eq!((&now["status"], &now["tokenId"]), (&"WAITING".into(), &place["tokenId"]), "{user}");
            let other = line.insert(now["position"].as_u64().unwrap(), deed);
            assert!(other.is_none(), "two at one position: {now}");
        }
        assert!(line.keys().copied().eq(1..=line.len() as u64), "the positions are 1 and on: {:?}", line.keys());
        let mut latest_sent = 0;
        for deed in line.values() {
            assert!(latest_sent < deed.answered, "{} was overtaken by one who came later", deed.user);
            latest_sent = latest_sent.max(deed.sent);
        }
    }
}

fn entered<'a>(deed: &'a Deed, concert: &str) -> Option<(&'a Deed, &'a str, Value)> {
    match &deed.what {
        What::Enter { user, concert: known } if known == concert => Some((deed, user, deed.done()?)),
        _ => None,
    }
}

fn is_about(deed: &Deed, lecture: &str) -> bool {
    matches!(&deed.what, What::Apply { lecture: known } | What::Cancel { lecture: known } if known == lecture)
}

async fn check_places(sale: &Sale, person: &Person) {
    let path = format!("/lectures/application/{}", person.name);
    let shown = sale.caller.get(&path).expect(200).await;
    let shown = shown["applications"].as_array().unwrap().iter();
    let shown: BTreeSet<String> = shown.map(|row| row["lectureId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(shown, person.applied, "{} has the places that were acknowledged", person.name);
}

/// A wallet's history, oldest first. Its last balance is the balance that the server shows.
async fn history(sale: &Sale, wallet: &str) -> Vec<Value> {
    let mut rows = walk(sale, &format!("/point/{wallet}/histories?limit=200")).await;
    let shown = sale.caller.get(&format!("/point/{wallet}")).expect(200).await;
    let newest =
        rows.first().map_or((0.into(), Value::Null), |row| (row["balanceAfter"].clone(), row["createdAt"].clone()));
    assert_eq!((&shown["balance"], &shown["updatedAt"]), (&newest.0, &newest.1), "{wallet}");
    rows.reverse();
    rows
}

async fn walk(sale: &Sale, first: &str) -> Vec<Value> {
    walk_as(first, |path| sale.caller.get(path)).await
}

/// All rows of a list, page by page.
async fn walk_as(first: &str, call: impl Fn(&str) -> Call) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut path = Some(first.to_owned());
    while let Some(page) = path {
        let reply = call(&page).send().await;
        rows.extend(reply.expect(200).as_array().unwrap().iter().cloned());
        path = next(&reply);
    }
    rows
}

fn next(reply: &Reply) -> Option<String> {
    let link = reply.header("link")?.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
    Some(link[link.find('/')?..].to_owned())
}
