//! The back office in the rush: lectures that staff change and cancel, whole lists, a user, and live figures.

use onsale_load_generator::Outcome;
use onsale_testing::Sale;
use serde_json::json;

use super::rush::wait;

/// A lecture that is listed by another instance, changed, exported, and cancelled while users have places in it.
///
/// # Errors
/// If the other instance does not list the lecture, or the cancellation does not end, within the patience of tests.
pub(crate) async fn lectures(sale: &Sale, other: &Sale) -> Outcome<()> {
    // The other instance has the list, and then only reads the changes.
    other.caller.get("/lectures").expect(200).await;
    let lecture = sale.lecture(3).await;
    wait(|| async {
        let listed = other.caller.get("/lectures?limit=100").expect(200).await;
        Ok(listed.as_array().is_some_and(|listed| listed.iter().any(|known| known["lectureId"] == *lecture)))
    })
    .await?;
    let path = format!("/admin/lectures/{lecture}");
    let change = sale.caller.patch(&path).json(&json!({"capacity": 5, "lecturer": "Ada"}));
    sale.admin(change).expect(200).await;
    for user in ["eli", "flo", "guy"] {
        let apply = json!({"userId": user, "lectureId": lecture});
        sale.caller.post("/lectures/apply").json(&apply).expect(201).await;
    }
    waiting_list(sale).await;
    leaving(sale).await;
    for part in ["", "/applicants", "/applicants.csv"] {
        sale.admin(sale.caller.get(&format!("{path}{part}"))).expect(200).await;
    }
    sale.admin(sale.caller.get("/admin/lectures")).expect(200).await;
    sale.admin(sale.caller.delete(&format!("{path}/applications/guy"))).expect(204).await;
    let cancel = sale.caller.post(&format!("{path}/cancel")).json(&json!({"reason": "the speaker is ill"}));
    sale.admin(cancel).expect(202).await;
    wait(|| async {
        let state = sale.admin(sale.caller.get(&format!("{path}/cancellation"))).expect(200).await;
        Ok(state["state"] == "DONE")
    })
    .await
}

/// A lecture with a waiting list: users join it, leave it, and get the places that another user and staff give back.
async fn waiting_list(sale: &Sale) {
    let lecture = sale.lecture(1).await;
    for (user, status) in [("hal", 201), ("ivy", 202), ("jay", 202), ("kay", 202), ("kay", 409)] {
        let apply = json!({"userId": user, "lectureId": lecture, "waitlist": true});
        sale.caller.post("/lectures/apply").json(&apply).expect(status).await;
    }
    sale.admin(sale.caller.get(&format!("/admin/lectures/{lecture}/waitlist"))).expect(200).await;
    sale.caller.get("/users/kay/waitlists").expect(200).await;
    for user in ["ivy", "hal"] {
        sale.caller.delete(&format!("/lectures/application/{user}/{lecture}")).expect(204).await;
    }
    let change = sale.caller.patch(&format!("/admin/lectures/{lecture}")).json(&json!({"capacity": 2}));
    sale.admin(change).expect(200).await;
}

/// Two users leave with a grace. One comes back.
async fn leaving(sale: &Sale) {
    let concert = sale.concert(&json!({})).await;
    for (user, comes_back) in [("lea", true), ("max", false)] {
        let token = sale.enter(&concert, user).await["token"].clone();
        let body = json!({"token": token, "graceSeconds": 2});
        sale.caller.post("/queue/token/leave").json(&body).expect(204).await;
        if comes_back {
            sale.caller.get("/queue/token").token(token.as_str().unwrap_or_default()).expect(200).await;
        }
    }
}

/// The attendees of a performance as a page and as CSV, what a user has, and live figures.
pub(crate) async fn lists(sale: &Sale, performance: &str, user: &str) {
    let attendees = format!("/admin/performances/{performance}/attendees");
    for path in
        [attendees.clone(), format!("{attendees}.csv"), format!("/admin/users/{user}"), "/admin/live".to_owned()]
    {
        sale.admin(sale.caller.get(&path)).expect(200).await;
    }
}
