//! The notice: a text that an administrator shows to all users who wait or buy.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::support::room::{place, room, token};
use crate::support::stream::Stream;
use crate::support::{audit, start, until};

fn change(sale: &Sale, concert: &str, notice: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}"))).json(&json!({"notice": notice}))
}

/// A concert with a user who has a turn and one who waits.
async fn opened(sale: &Sale) -> (String, [String; 2]) {
    let concert = sale.concert(&room(1)).await;
    let tokens = [sale.active(&concert, "ada").await, token(&sale.enter(&concert, "bob").await)];
    (concert, tokens)
}

#[tokio::test]
async fn a_notice_is_shown_to_all_until_it_is_removed() {
    let sale = start(&[]).await;
    let (concert, tokens) = opened(&sale).await;
    let listed = async |wanted: &Value| {
        let ask = async || {
            let listed = sale.caller.get("/concerts").expect(200).await;
            (listed[0]["notice"] == *wanted).then_some(())
        };
        until("the list shows it", ask).await;
    };
    listed(&Value::Null).await;
    for notice in [
        json!({"ko": "결제 시간을 10분 연장했습니다.", "en": "You have 10 more minutes."}),
        json!({"ko": "잠시만 기다려 주세요"}),
        json!({"en": "\"Quotes\" & <tags> are text"}),
        json!({"ko": "가".repeat(200), "en": "x"}),
        Value::Null,
    ] {
        let changed = change(&sale, &concert, &notice).expect(200).await;
        assert_eq!((&changed["notice"], &changed["closed"]), (&notice, &json!(false)));
        for token in &tokens {
            assert_eq!(place(&sale, token).await["notice"], notice, "this instance shows it at once");
        }
        assert_eq!(sale.enter(&concert, "bob").await["notice"], notice);
        listed(&notice).await;
    }
    audit(&sale).await;
}

#[tokio::test]
async fn a_stream_sends_a_notice_at_once() {
    let sale = start(&[]).await;
    let (concert, tokens) = opened(&sale).await;
    let mut streams = Vec::new();
    for token in &tokens {
        let headers = [&*format!("Queue-Token: {token}")];
        streams.push(Stream::open(sale.instance.base(), "/queue/token/events", &headers).await);
    }
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().1["notice"], Value::Null);
    }
    for notice in [json!({"en": "one"}), json!({"en": "two", "ko": "둘"}), Value::Null] {
        change(&sale, &concert, &notice).expect(200).await;
        for stream in &mut streams {
            while stream.next().await.unwrap().1["notice"] != notice {}
        }
    }
}

#[tokio::test]
async fn a_notice_has_a_text_of_bounded_length_in_a_known_language() {
    let sale = start(&[]).await;
    let (concert, _) = opened(&sale).await;
    for (notice, field) in [
        (json!({}), "notice"),
        (json!("text"), "notice"),
        (json!([]), "notice"),
        (json!({"en": ""}), "notice.en"),
        (json!({"en": "x".repeat(201)}), "notice.en"),
        (json!({"ko": 7}), "notice.ko"),
        (json!({"ko": null}), "notice.ko"),
        (json!({"en": "two\u{0}parts"}), "notice.en"),
        (json!({"fr": "bonjour"}), "notice.fr"),
    ] {
        let refused = change(&sale, &concert, &notice).refused(422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{notice}: {refused}");
    }
    assert_eq!(sale.caller.get("/concerts").expect(200).await[0]["notice"], Value::Null);
}

#[tokio::test]
async fn a_change_of_one_field_keeps_the_other() {
    let sale = start(&[]).await;
    let body =
        json!({"title": "A concert", "venue": "A hall", "queue": room(1), "notice": {"en": "soon"}, "closed": true});
    let made = sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await;
    assert_eq!(made["notice"], json!({"en": "soon"}));
    let concert = made["concertId"].as_str().unwrap();
    let path = format!("/admin/concerts/{concert}");
    let patch = |body: Value| sale.admin(sale.caller.patch(&path)).json(&body);
    let opened = patch(json!({"closed": false})).expect(200).await;
    assert_eq!((&opened["notice"], &opened["closed"]), (&json!({"en": "soon"}), &json!(false)));
    assert_eq!(sale.enter(concert, "ada").await["notice"], json!({"en": "soon"}));
    let both = patch(json!({"notice": null, "closed": true})).expect(200).await;
    assert_eq!((&both["notice"], &both["closed"]), (&Value::Null, &json!(true)));
    let again = patch(json!({"notice": {"ko": "끝"}})).key("once").send().await;
    let replayed = patch(json!({"notice": {"ko": "끝"}})).key("once").send().await;
    assert_eq!((again.expect(200), &again.body), (replayed.expect(200), &replayed.body));
    audit(&sale).await;
}
