use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;

use super::{EventState, StoredEvent};

fn with_data(data: &str) -> String {
    StoredEvent {
        position: 1,
        id: EventId::new(uuid::Uuid::nil()),
        kind: "onsale.points.charged.v1".to_owned(),
        subject: r#"a"da"#.to_owned(),
        version: 1,
        at: Timestamp::from_millis(1_700_000_000_123),
        data: data.to_owned(),
        state: EventState::Pending,
        reason: None,
        trace: None,
    }
    .to_json()
}

#[test]
fn an_event_is_one_line_of_json_with_its_data_as_they_are() {
    let head = concat!(
        r#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000000","source":"/onsale","#,
        r#""type":"onsale.points.charged.v1","subject":"a\"da","time":"2023-11-14T22:13:20.123Z","#,
        r#""datacontenttype":"application/json","data":"#,
    );
    for (data, written) in [(r#"{"b":1,"a":9007199254740993}"#, r#"{"b":1,"a":9007199254740993}"#), ("{", "null")] {
        assert_eq!(with_data(data), format!("{head}{written}}}"));
    }
    let published = with_data(r#"{"b":1,"a":9007199254740993}"#);
    assert_eq!(StoredEvent::from_json(&published).map(|event| event.to_json()), Some(published), "read back");
    for other in ["", "{}", "[]", &with_data("{").replace("subject", "object")] {
        assert!(StoredEvent::from_json(other).is_none(), "{other}");
    }
}
