//! What the admin log shows of each command of staff.

use super::refund_fields::of_policy;
use super::{Action, CreateKey, DeleteKey, Fields, Key, Logged, Subject, Value};
use crate::concert::{self, Concert, Extended, Notice, Performance, Sale, Seating, Section};
use crate::rows::Rows;
use crate::waiting_room::{self, Draw, Room, Settings};

impl Logged for CreateKey {
    const ACTION: Action = Action::KeyCreated;

    fn subject(&self, key: &Key) -> Subject {
        Subject::Key(key.id)
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, key: &Key) -> Fields {
        of_key(key)
    }
}

impl Logged for DeleteKey {
    const ACTION: Action = Action::KeyDeleted;

    fn subject(&self, key: &Key) -> Subject {
        Subject::Key(key.id)
    }

    fn before(&self, rows: &Rows) -> Fields {
        let live = rows.staff_keys.get(&self.key).filter(|key| key.deleted_at.is_none());
        live.map_or_else(Fields::new, of_key)
    }

    fn after(&self, _: &Key) -> Fields {
        Fields::new()
    }
}

/// The secret and its hash are in no log.
fn of_key(key: &Key) -> Fields {
    vec![("name", (&key.name).into()), ("role", key.role.as_str().into())]
}

impl Logged for concert::Create {
    const ACTION: Action = Action::ConcertCreated;

    fn subject(&self, concert: &Concert) -> Subject {
        Subject::Concert(concert.id)
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, concert: &Concert) -> Fields {
        let mut fields = of_concert(concert);
        fields.push(("queue", Value::Object(of_queue(&self.room))));
        fields
    }
}

impl Logged for concert::Change {
    const ACTION: Action = Action::ConcertChanged;

    fn subject(&self, concert: &Concert) -> Subject {
        Subject::Concert(concert.id)
    }

    fn before(&self, rows: &Rows) -> Fields {
        rows.concerts.get(&self.concert).map_or_else(Fields::new, of_concert)
    }

    fn after(&self, concert: &Concert) -> Fields {
        of_concert(concert)
    }
}

fn of_concert(concert: &Concert) -> Fields {
    let Sale { closed, opens_at, closes_at, codes_until } = concert.sale;
    vec![
        ("title", (&concert.title).into()),
        ("venue", (&concert.venue).into()),
        ("notice", concert.notice.as_deref().map(of_notice).into()),
        ("closed", closed.into()),
        ("opensAt", opens_at.into()),
        ("closesAt", closes_at.into()),
        ("codesUntil", codes_until.into()),
        ("maxSeatsPerUser", concert.seats_per_user.into()),
    ]
}

fn of_notice(notice: &Notice) -> Value {
    let texts = [("ko", &notice.ko), ("en", &notice.en)];
    let given = texts.into_iter().filter_map(|(language, text)| Some((language, text.as_ref()?.into())));
    Value::Object(given.collect())
}

impl Logged for waiting_room::Configure {
    const ACTION: Action = Action::QueueChanged;

    fn subject(&self, _: &Settings) -> Subject {
        Subject::Concert(self.concert)
    }

    fn before(&self, rows: &Rows) -> Fields {
        rows.rooms.get(&self.concert).map_or_else(Fields::new, |room| of_queue(&room.settings))
    }

    fn after(&self, settings: &Settings) -> Fields {
        of_queue(settings)
    }
}

impl Logged for waiting_room::PutBeacon {
    const ACTION: Action = Action::BeaconPublished;

    fn subject(&self, _: &(Room, Draw)) -> Subject {
        Subject::Concert(self.concert)
    }

    fn before(&self, rows: &Rows) -> Fields {
        let value = rows.draws.get(&self.concert).and_then(|draw| draw.value.as_ref());
        vec![("beacon", value.into())]
    }

    fn after(&self, _: &(Room, Draw)) -> Fields {
        vec![("beacon", (&self.value).into())]
    }
}

/// Without the hours of the sale, which are the concert's.
fn of_queue(settings: &Settings) -> Fields {
    let Settings { max_active, admit_per_second, active_seconds, claim_seconds, paused, early_from, draw_at, sale: _ } =
        *settings;
    vec![
        ("maxActive", max_active.into()),
        ("admitPerSecond", admit_per_second.into()),
        ("activeSeconds", active_seconds.into()),
        ("claimSeconds", claim_seconds.into()),
        ("paused", paused.into()),
        ("earlyFrom", early_from.into()),
        ("drawAt", draw_at.into()),
    ]
}

impl Logged for concert::Schedule {
    const ACTION: Action = Action::PerformanceCreated;

    fn subject(&self, performance: &Performance) -> Subject {
        Subject::Performance(performance.id)
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, performance: &Performance) -> Fields {
        let concert = performance.concert.to_string();
        vec![
            ("concertId", Value::Text(concert.into())),
            ("startsAt", performance.starts_at.into()),
            ("closed", performance.closed.into()),
            ("refundPolicy", of_policy(&performance.refund_policy)),
            ("seats", of_seating(&performance.seating)),
        ]
    }
}

fn of_section(section: &Section) -> Value {
    Value::Object(vec![
        ("from", section.from.into()),
        ("to", section.to.into()),
        ("grade", (&section.grade).into()),
        ("price", Value::Number(section.price)),
    ])
}

/// What changes a performance and returns it as it is afterwards.
macro_rules! changes_of_performance {
    ($($command:ty),+) => {
        $(impl Logged for $command {
            const ACTION: Action = Action::PerformanceChanged;

            fn subject(&self, performance: &Performance) -> Subject {
                Subject::Performance(performance.id)
            }

            fn before(&self, rows: &Rows) -> Fields {
                rows.performances.get(&self.performance).map_or_else(Fields::new, of_performance)
            }

            fn after(&self, performance: &Performance) -> Fields {
                of_performance(performance)
            }
        })+
    };
}

changes_of_performance!(concert::ChangePerformance, concert::AddSeats);

fn of_performance(performance: &Performance) -> Fields {
    vec![
        ("startsAt", performance.starts_at.into()),
        ("closed", performance.closed.into()),
        ("refundPolicy", of_policy(&performance.refund_policy)),
        ("seats", of_seating(&performance.seating)),
    ]
}

fn of_seating(seating: &Seating) -> Value {
    Value::List(seating.sections().iter().map(of_section).collect())
}

impl Logged for concert::Extend {
    const ACTION: Action = Action::HoldsExtended;

    fn subject(&self, _: &Extended) -> Subject {
        self.performance.map_or(Subject::Concert(self.concert), Subject::Performance)
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, extended: &Extended) -> Fields {
        // Without a live hold nothing was extended.
        if extended.holds == 0 {
            return Fields::new();
        }
        vec![
            ("at", extended.at.into()),
            ("seconds", extended.seconds.into()),
            ("holds", Value::Number(i64::try_from(extended.holds).unwrap_or(i64::MAX))),
            ("reason", (&self.reason).into()),
        ]
    }
}
