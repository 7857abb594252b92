//! Many people behind one address: a school, an office, a mobile carrier. All of them get in.

use std::time::{Duration, Instant};

use jsonwebtoken::{EncodingKey, Header};
use onsale_testing::{Call, Sale, now_millis};
use serde_json::json;

use crate::exhaust;
use crate::support::{at_once, start};

const SECRET: &str = "a-secret-for-tests-only-of-32-bytes-and-more";

/// The address of all clients of this crowd.
const SCHOOL: &str = "203.0.113.7";

fn bearer_by(secret: &str, user: &str) -> String {
    let claims = json!({"sub": user, "exp": now_millis() / 1000 + 3_600});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn bearer(user: &str) -> String {
    bearer_by(SECRET, user)
}

async fn start_with_bearers(limits: &[(&str, &str)]) -> Sale {
    let settings = [("ONSALE_AUTH", "jwt"), ("ONSALE_JWT_SECRET", SECRET), ("ONSALE_TRUSTED_PROXIES", "127.0.0.1")];
    start(&[&settings[..], limits].concat()).await
}

fn enter(sale: &Sale, concert: &str, user: &str) -> Call {
    let body = json!({"userId": user, "concertId": concert});
    sale.caller.post("/queue/tokens").header("x-forwarded-for", SCHOOL).json(&body)
}

async fn limited(sale: &Sale, reason: &str) -> u64 {
    let metrics = sale.caller.get("/metrics").send().await.body;
    let name = format!("onsale_http_server_requests_limited_total{{reason=\"{reason}\"}} ");
    let metrics = String::from_utf8_lossy(&metrics).into_owned();
    metrics.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn users_with_a_bearer_are_limited_by_user_and_not_by_address() {
    let limits = [("ONSALE_RATE_LIMIT_PER_SECOND", "5"), ("ONSALE_ENTRIES_PER_MINUTE", "6")];
    let sale = start_with_bearers(&limits).await;
    let concert = sale.concert(&json!({})).await;
    let users: Vec<String> = (0..600).map(|number| format!("pupil-{number}")).collect();
    for class in users.chunks(100) {
        let calls = class.iter().map(|user| enter(&sale, &concert, user).bearer(&bearer(user)));
        for reply in at_once(calls).await {
            reply.expect(201);
        }
    }
    for reason in ["address-rate", "address-entries", "user-rate"] {
        assert_eq!(limited(&sale, reason).await, 0, "{reason}");
    }
    // One of them alone is limited, the next pupil is not.
    let often = |user: &str| sale.caller.get("/point/bob").header("x-forwarded-for", SCHOOL).bearer(&bearer(user));
    exhaust(|| often("bob")).await;
    assert!(limited(&sale, "user-rate").await >= 1);
    sale.caller.get("/point/eve").header("x-forwarded-for", SCHOOL).bearer(&bearer("eve")).expect(200).await;
    // Without a bearer, the address pays.
    exhaust(|| sale.caller.get("/concerts").header("x-forwarded-for", SCHOOL)).await;
    assert!(limited(&sale, "address-rate").await >= 1);
}

#[tokio::test]
async fn bad_bearers_are_paid_for_by_their_address_and_do_not_shut_out_known_users() {
    let limits = [("ONSALE_RATE_LIMIT_PER_SECOND", "20"), ("ONSALE_RATE_LIMIT_PER_USER_PER_SECOND", "100")];
    let sale = start_with_bearers(&limits).await;
    let own = || sale.caller.get("/point/ada").header("x-forwarded-for", SCHOOL).bearer(&bearer("ada"));
    let ada = bearer("ada");
    let known = || sale.caller.get("/point/ada").header("x-forwarded-for", SCHOOL).bearer(&ada);
    own().expect(200).await;
    known().expect(200).await;
    let forged = bearer_by("another-secret-of-32-bytes-and-more-for-tests", "ada");
    let flood =
        || at_once((0..100).map(|_| sale.caller.get("/point/ada").header("x-forwarded-for", SCHOOL).bearer(&forged)));
    let mut refused = 0;
    for _ in 0..5 {
        for reply in flood().await {
            assert!([401, 429].contains(&reply.status.as_u16()), "{reply:?}");
            refused += usize::from(reply.status == 429);
        }
        known().expect(200).await;
    }
    assert!(refused > 100, "the flood is limited: {refused} of 500");
    assert!(limited(&sale, "address-bearers").await + limited(&sale, "address-rate").await >= 100);
    let elsewhere = sale.caller.get("/point/eve").header("x-forwarded-for", "203.0.113.8").bearer(&bearer("eve"));
    elsewhere.expect(200).await;
}

#[tokio::test]
async fn clients_of_one_address_that_obey_retry_after_are_refused_about_once() {
    const PEOPLE: usize = 200;
    let settings = [
        ("ONSALE_TRUSTED_PROXIES", "127.0.0.1"),
        // A burst of 50, then 25 a second.
        ("ONSALE_RATE_LIMIT_PER_SECOND", "25"),
    ];
    let sale = std::sync::Arc::new(start(&settings).await);
    let began = Instant::now();
    let people: Vec<_> = (0..PEOPLE)
        .map(|number| {
            let sale = sale.clone();
            tokio::spawn(async move {
                let (mut refusals, mut first_answer) = (0, None);
                loop {
                    let call = sale.caller.get("/concerts").header("x-forwarded-for", SCHOOL);
                    let reply = call.header("x-request-id", &format!("person-{number}")).send().await;
                    let answered = *first_answer.get_or_insert_with(|| began.elapsed());
                    if reply.status == 200 {
                        return (refusals, answered);
                    }
                    reply.refused(429, "too-many-requests");
                    refusals += 1;
                    let seconds = reply.header("retry-after").unwrap().parse().unwrap();
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for person in people {
        all.push(person.await.unwrap());
    }
    let worst = all.iter().map(|(refusals, _)| *refusals).max().unwrap();
    let total: usize = all.iter().map(|(refusals, _)| *refusals).sum();
    assert!(worst <= 2, "no client is refused again and again: {worst}");
    assert!(total <= PEOPLE + PEOPLE / 10, "{total} refusals for {PEOPLE} people");
    // The slower the machine sends the first requests, the more of them the rate allows.
    let within = all.iter().map(|(_, answered)| *answered).max().unwrap();
    let passed = all.iter().filter(|(refusals, _)| *refusals == 0).count();
    let allowed = 50 + 25 * (usize::try_from(within.as_secs()).unwrap() + 1);
    assert!(passed <= allowed, "{passed} passed at once within {within:?}, of {PEOPLE}");
}
