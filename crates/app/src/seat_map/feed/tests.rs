use std::collections::BTreeMap;

use onsale_domain::concert::{Layout, PlannedSection, PlannedSegment};
use onsale_domain::ids::ConcertId;
use onsale_domain::time::Timestamp;
use uuid::Uuid;

use super::log::{BEAT_EVERY, Log, Start};
use super::*;
use crate::seat_map::delta::Delta;
use crate::seat_map::seats::{Known, Seats};
use crate::seat_map::{SeatStatus, SeatView, Which};
use crate::store::SeatRows;

const HISTORY: u64 = 7;
const AT: Timestamp = Timestamp::from_millis(1_000_000);

#[derive(Debug, Default)]
struct NoText;

impl ViewCache for NoText {
    fn cost_nanos(&self) -> u64 {
        0
    }
}

/// Two sections of 150 seats, so that the hall has several chunks.
fn showing(revision: u64) -> Arc<Showing> {
    let section = |name: &str, from: u32, to: u32| PlannedSection {
        name: name.into(),
        grade: "R".into(),
        price: 100,
        accessible: false,
        rows: vec![PlannedSegment { row: "1".into(), from, to }],
    };
    let (layout, seating) = Layout::plan(&[section("A", 1, 150), section("B", 151, 300)]).unwrap();
    Arc::new(Showing {
        id: PerformanceId::new(Uuid::from_u128(1)),
        concert: ConcertId::new(Uuid::from_u128(2)),
        starts_at: AT,
        date: jiff::civil::date(2030, 1, 1),
        seating,
        layout: Some(Arc::new(layout)),
        revision,
        era: 0,
    })
}

/// A hall, its log, and the time.
struct Hall {
    seats: Seats,
    version: u64,
    log: Log<NoText>,
    at: Timestamp,
    now: Instant,
}

impl Hall {
    fn new() -> Self {
        let mut seats = Seats::new(&showing(0), HISTORY, &SeatRows { version: 10, ..SeatRows::default() });
        let log = Log::new(Arc::new(seats.view(0, AT)), AT);
        Self { seats, version: 10, log, at: AT, now: Instant::now() }
    }

    /// Changes seats with a new version.
    fn change(&mut self, seats: &[u32], became: Known) {
        let (before, after) = (self.version, self.version + 1);
        let seats = seats.iter().map(|seat| (*seat, became)).collect();
        let (closed, cancelled, waited_for) = (None, false, None);
        let delta = Delta { before, after, extensions: Vec::new(), closed, cancelled, waited_for, seats };
        assert!(self.seats.apply(&delta));
        self.version = after;
    }

    fn held(&self, seconds: u32) -> Known {
        Known::Held(self.at.plus_seconds(seconds))
    }

    fn view(&mut self) -> Arc<SeatView<NoText>> {
        Arc::new(self.seats.view(self.version, self.at))
    }

    /// Compares after a quarter of a second. Returns the new frame.
    fn step(&mut self) -> Option<Arc<Frame>> {
        (self.at, self.now) = (self.at.plus_millis(250), self.now + COMPARE_EVERY);
        let (view, last) = (self.view(), self.last());
        let is_new = self.log.update(view, |version| self.seats.touched_since(version), (self.at, self.now));
        is_new.then(|| self.log.frame(last + 1).unwrap())
    }

    /// The serial of the last frame.
    fn last(&mut self) -> u64 {
        self.log.reset().serial
    }

    fn start(&mut self, version: u64) -> Option<Arc<Frame>> {
        match self.log.start(Some(Position { history: Some(HISTORY), version })) {
            Start::With(frame) => Some(frame),
            Start::Ahead => None,
        }
    }
}

fn shown(frame: &Frame) -> [Vec<(u32, u32)>; 4] {
    [SeatStatus::Available, SeatStatus::Held, SeatStatus::Sold, SeatStatus::Blocked]
        .map(|status| frame.ranges(Part::Hall, status))
}

const NONE: Vec<(u32, u32)> = Vec::new();

#[test]
fn a_frame_has_what_changed_since_the_last_one() {
    let mut hall = Hall::new();
    assert!(hall.step().is_none(), "nothing has changed");
    let held = hall.held(60);
    hall.change(&[7, 8, 9, 200], held);
    hall.change(&[1], Known::Sold);
    hall.change(&[300], Known::Blocked);
    // A seat that is held and free again within one step: a client may have read its map in between.
    let held = hall.held(60);
    hall.change(&[50], held);
    hall.change(&[50], Known::Free);
    let frame = hall.step().unwrap();
    assert_eq!((frame.version, frame.history, frame.kind), (15, HISTORY, FrameKind::Changes));
    assert_eq!(shown(&frame), [vec![(50, 50)], vec![(7, 9), (200, 200)], vec![(1, 1)], vec![(300, 300)]]);
    hall.change(&[8], Known::Free);
    hall.change(&[9], Known::Sold);
    assert_eq!(shown(&hall.step().unwrap()), [vec![(8, 8)], NONE, vec![(9, 9)], NONE]);
    assert!(hall.step().is_none());
}

#[test]
fn a_lapse_is_sent_when_it_happens_and_when_it_is_settled() {
    let mut hall = Hall::new();
    let held = hall.held(1);
    hall.change(&[4, 5], held);
    assert_eq!(hall.step().unwrap().version, 11);
    let frames: Vec<_> = (0..5).filter_map(|_| hall.step()).collect();
    assert_eq!(frames.len(), 1, "one frame for one lapse");
    assert_eq!((frames[0].version, shown(&frames[0])), (11, [vec![(4, 5)], NONE, NONE, NONE]));
    // A client that has version 11 may have it from before the lapse.
    assert_eq!(shown(&hall.start(11).unwrap())[0], [(4, 5)]);
    hall.change(&[4, 5], Known::Free);
    let settled = hall.step().unwrap();
    assert_eq!((settled.version, shown(&settled)), (12, [vec![(4, 5)], NONE, NONE, NONE]));
    assert_eq!(shown(&hall.start(11).unwrap())[0], [(4, 5)]);
    assert_eq!(shown(&hall.start(12).unwrap())[0], NONE, "version 12 is after the lapse");
}

#[test]
fn a_log_that_begins_after_a_lapse_sends_it() {
    let mut hall = Hall::new();
    let held = hall.held(1);
    hall.change(&[4], held);
    hall.at = hall.at.plus_seconds(2);
    let view = hall.view();
    hall.log = Log::new(view, hall.at);
    assert_eq!(shown(&hall.start(11).unwrap())[0], [(4, 4)]);
    assert_eq!(hall.start(10).unwrap().kind, FrameKind::Reset, "what led to version 11 is not known");
}

#[test]
fn a_start_depends_on_the_position() {
    let mut hall = Hall::new();
    for seat in 1..=3 {
        hall.change(&[seat], Known::Sold);
        hall.step().unwrap();
    }
    let kind =
        |hall: &mut Hall, history: Option<u64>, version: u64| match hall.log.start(Some(Position { history, version }))
        {
            Start::With(frame) => Some((frame.kind, shown(&frame)[2].clone())),
            Start::Ahead => None,
        };
    for history in [Some(HISTORY), None] {
        for (version, sold) in [(10, vec![(1, 3)]), (11, vec![(2, 3)]), (12, vec![(3, 3)]), (13, NONE)] {
            assert_eq!(kind(&mut hall, history, version), Some((FrameKind::Beat, sold)), "after {version}");
        }
        assert_eq!(kind(&mut hall, history, 9), Some((FrameKind::Reset, NONE)), "before the log");
        assert_eq!(kind(&mut hall, history, 14), None, "another instance is ahead");
    }
    assert_eq!(kind(&mut hall, Some(HISTORY + 1), 13), Some((FrameKind::Reset, NONE)), "another history");
    let Start::With(whole) = hall.log.start(None) else { panic!("a client without a version gets all seats") };
    assert_eq!(shown(&whole), [vec![(4, 300)], NONE, vec![(1, 3)], NONE]);
}

#[test]
fn listeners_that_start_alike_share_a_frame() {
    let mut hall = Hall::new();
    hall.change(&[1], Known::Sold);
    hall.step().unwrap();
    let (first, second) = (hall.start(10).unwrap(), hall.start(10).unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    let (first, second) = (hall.start(9).unwrap(), hall.start(8).unwrap());
    assert!(Arc::ptr_eq(&first, &second), "a reset is one for all");
    hall.change(&[2], Known::Sold);
    hall.step().unwrap();
    assert_eq!(shown(&hall.start(10).unwrap())[2], [(1, 2)], "not the frame of before");
}

#[test]
fn a_listener_that_is_too_far_behind_reads_the_map_again() {
    let mut hall = Hall::new();
    let slow = hall.last() + 1;
    for seat in 1..=64 {
        hall.change(&[seat], Known::Sold);
        hall.step().unwrap();
    }
    assert_eq!(hall.log.frame(slow).unwrap().kind, FrameKind::Changes, "64 frames are kept");
    hall.change(&[65], Known::Sold);
    hall.step().unwrap();
    let reset = hall.log.frame(slow).unwrap();
    assert_eq!((reset.kind, reset.version), (FrameKind::Reset, 75));
    assert_eq!(hall.log.frame(reset.serial + 1).map(|frame| frame.serial), None, "it continues behind the last frame");
    assert_eq!(hall.start(10).unwrap().kind, FrameKind::Reset);
    assert_eq!(
        shown(&hall.start(11).unwrap())[2],
        [(2, 65)],
        "the frame to version 11 was dropped, the others are here"
    );
}

#[test]
fn a_map_that_forgot_its_changes_sends_all_seats() {
    let mut hall = Hall::new();
    let all: Vec<u32> = (1..=300).collect();
    for _ in 0..34 {
        hall.change(&all, Known::Sold);
    }
    // 10,200 changes since the last frame; 10,000 are remembered.
    assert_eq!(hall.seats.touched_since(10), None);
    assert_eq!(hall.seats.touched_since(43), Some(all));
    assert_eq!(shown(&hall.step().unwrap()), [NONE, NONE, vec![(1, 300)], NONE]);
}

#[test]
fn other_seats_or_another_history_reset_all_listeners() {
    let mut hall = Hall::new();
    let rows = SeatRows { version: 11, ..SeatRows::default() };
    let mut later = |showing: &Arc<Showing>, history: u64, rows: &SeatRows| {
        let view = Arc::new(Seats::new(showing, history, rows).view(1, AT));
        let next = hall.last() + 1;
        let is_new = hall.log.update(view, |_| None, (AT, hall.now));
        (is_new, hall.log.frame(next).map(|frame| (frame.kind, frame.version)))
    };
    assert_eq!(
        later(&showing(0), HISTORY, &rows),
        (true, Some((FrameKind::Changes, 11))),
        "read again: all seats are sent"
    );
    assert_eq!(later(&showing(0), HISTORY, &rows), (false, None), "the same version");
    assert_eq!(later(&showing(11), HISTORY, &rows), (true, Some((FrameKind::Reset, 11))), "revised");
    assert_eq!(later(&showing(11), HISTORY + 1, &rows), (true, Some((FrameKind::Reset, 11))), "another history");
    let set_back = SeatRows { version: 5, ..SeatRows::default() };
    assert_eq!(later(&showing(11), HISTORY + 1, &set_back), (true, Some((FrameKind::Reset, 5))), "set back");
    assert_eq!(hall.log.start(Some(Position { history: None, version: 5 })).kind(), FrameKind::Beat);
}

impl Start {
    fn kind(&self) -> FrameKind {
        match self {
            Self::With(frame) => frame.kind,
            Self::Ahead => panic!("ahead"),
        }
    }
}

#[test]
fn a_quiet_hall_sends_a_beat_every_ten_seconds() {
    let mut hall = Hall::new();
    let steps = 4 * BEAT_EVERY.as_secs() - 1;
    assert_eq!((0..steps).filter_map(|_| hall.step()).count(), 0);
    // A change without a visible status still moves the version.
    hall.change(&[], Known::Free);
    let beats: Vec<_> = (0..2).filter_map(|_| hall.step()).collect();
    assert_eq!(beats.len(), 1);
    assert_eq!((beats[0].kind, beats[0].version, shown(&beats[0])), (FrameKind::Beat, 11, [NONE, NONE, NONE, NONE]));
}

#[test]
fn a_section_gets_its_changes_and_all_beats() {
    let mut hall = Hall::new();
    hall.change(&[149, 150, 151, 152], Known::Sold);
    let both = hall.step().unwrap();
    hall.change(&[300], Known::Sold);
    let second = hall.step().unwrap();
    let text = |frame: &Frame, part: Part| {
        frame.text(part, |frame| format!("{:?}", frame.ranges(part, SeatStatus::Sold)).into())
    };
    let table = [
        (Part::Hall, Some("[(149, 152)]"), Some("[(300, 300)]")),
        (Part::Section(0), Some("[(149, 150)]"), None),
        (Part::Section(1), Some("[(151, 152)]"), Some("[(300, 300)]")),
        (Part::Nothing, None, None),
    ];
    for (part, of_both, of_second) in table {
        assert_eq!(text(&both, part).as_deref(), of_both.map(str::as_bytes), "{part:?}");
        assert_eq!(text(&second, part).as_deref(), of_second.map(str::as_bytes), "{part:?}");
        assert!(
            text(&hall.start(13).map_or_else(|| hall.start(12).unwrap(), |frame| frame), part).is_some(),
            "a start"
        );
    }
    let mut written = 0;
    for _ in 0..3 {
        second.text(Part::Section(1), |_| {
            written += 1;
            "again".into()
        });
    }
    assert_eq!(written, 0, "it was written before");
}

/// Pseudorandom numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

type Client = (u64, BTreeMap<u32, SeatStatus>);

fn apply(client: &mut Client, frame: &Frame) {
    assert_ne!(frame.kind, FrameKind::Reset);
    client.1.extend(frame.changes.iter().copied());
}

/// Whatever happens between a map and its stream, the client ends with the seats as they are.
#[test]
fn a_client_that_continues_from_any_version_is_right() {
    for seed in 0..60 {
        let (mut hall, mut dice) = (Hall::new(), Dice(seed));
        let snapshot = |hall: &mut Hall| -> Client {
            let view = hall.view();
            (view.version, view.chunks.iter().flat_map(|chunk| chunk.seats(Which::All)).collect())
        };
        let mut maps: Vec<Client> = vec![snapshot(&mut hall)];
        let mut following: Vec<(u64, Client)> = Vec::new();
        for _ in 0..40 {
            for _ in 0..dice.below(4) {
                let seat = 1 + u32::try_from(dice.below(12)).unwrap() * 25;
                let became = match dice.below(5) {
                    0 => Known::Free,
                    1 => Known::Sold,
                    2 => Known::Blocked,
                    _ => hall.held(u32::try_from(1 + dice.below(3)).unwrap()),
                };
                hall.change(&[seat], became);
                // Part of a step passes.
                hall.at = hall.at.plus_millis(i64::try_from(dice.below(80)).unwrap());
                if dice.below(2) == 0 {
                    maps.push(snapshot(&mut hall));
                }
            }
            hall.step();
            // A client opens a stream with a map that it read at any time before.
            let index = usize::try_from(dice.below(maps.len() as u64)).unwrap();
            let mut client = maps[index].clone();
            if let Some(start) = hall.start(client.0) {
                apply(&mut client, &start);
                following.push((start.serial + 1, client));
            }
        }
        hall.step();
        let (_, now) = snapshot(&mut hall);
        assert!(following.len() > 20, "{} clients", following.len());
        for (mut next, mut client) in following {
            while let Some(frame) = hall.log.frame(next) {
                apply(&mut client, &frame);
                next = frame.serial + 1;
            }
            assert_eq!(client.1, now, "seed {seed}, from version {}", client.0);
        }
    }
}
