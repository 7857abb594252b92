//! Live figures of a sale: rooms and performances as the database has them, and what each instance answered.
//!
//! Nothing here counts rows. A performance carries its counters, a room carries its line, and what happened in the last minute is
//! counted by each instance from its own commits. Instances publish their counts to each other in a small table.

mod answers;
mod part;
mod publisher;
mod recent;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use onsale_domain::ids::ConcertId;
use onsale_domain::time::Timestamp;
use tokio::sync::Mutex;
use uuid::Uuid;

use self::part::Part;
use self::recent::{WINDOW_SECONDS, sum};
use crate::catalogue::Catalogue;
use crate::store::{FigureBoard, PerformanceFigures, Reader, StoreError};
use crate::waiting_room::{LiveRoom, OVER_AFTER_MILLIS, Rooms};

pub use answers::{AnswerFigures, Answers, RouteFigures, RouteTimes};
pub use recent::Recent;

/// The oldest figures that a caller gets. All callers within this time share one reading.
const SHARED_FOR: Duration = Duration::from_millis(400);

/// The figures of one waiting room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomFigures {
    /// The concert of the room.
    pub concert: ConcertId,
    /// Title of the concert.
    pub title: Arc<str>,
    /// Users in line.
    pub waiting: u64,
    /// Turns that run, or ran until a moment ago.
    pub active: u32,
    /// Users admitted in the last minute.
    pub admitted: u64,
    /// When the last place in line is expected to be admitted; `None` if the line is empty or does not move.
    pub ends_at: Option<Timestamp>,
}

/// What one instance answered in the last minute.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceFigures {
    /// The instance: another id for each start of a process.
    pub id: Uuid,
    /// When it published this.
    pub seen_at: Timestamp,
    /// What it answered in its last minute.
    pub answers: AnswerFigures,
}

/// All figures, as of one instant.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The instant before the reading began.
    pub as_of: Timestamp,
    /// Rooms of concerts that are not over, by title.
    pub rooms: Vec<RoomFigures>,
    /// Performances that are not over, by start, each with the seats sold in the last minute.
    pub performances: Vec<(PerformanceFigures, u64)>,
    /// Instances that were seen in the last minute, by id.
    pub instances: Vec<InstanceFigures>,
}

/// Reads the figures, at most once in 400 ms for all callers.
pub struct Live {
    reader: Arc<dyn Reader>,
    rooms: Arc<Rooms>,
    catalogue: Arc<Catalogue>,
    /// The table of other instances; `None` if this process has the database to itself.
    board: Option<Arc<dyn FigureBoard>>,
    recent: Arc<Recent>,
    answers: Arc<Answers>,
    /// The id of this process.
    instance: Uuid,
    /// The last reading. Held during the next one, so that concurrent callers share it.
    last: Mutex<Option<(Instant, Arc<Figures>)>>,
    /// When figures were last viewed here, in milliseconds. `Relaxed`: it only rises, and stands alone.
    viewed_at: AtomicI64,
}

/// The parts that figures are read from.
pub struct Sources {
    /// Reads the figures of performances.
    pub reader: Arc<dyn Reader>,
    /// The waiting rooms of this process.
    pub rooms: Arc<Rooms>,
    /// Knows the titles of concerts.
    pub catalogue: Arc<Catalogue>,
    /// The table of other instances; `None` if this process has the database to itself.
    pub board: Option<Arc<dyn FigureBoard>>,
}

impl Live {
    /// Figures of a process that has just started.
    pub fn new(sources: Sources) -> Self {
        let Sources { reader, rooms, catalogue, board } = sources;
        let (recent, answers) = (Arc::default(), Arc::default());
        let (instance, last) = (Uuid::from_u128(rand::random()), Mutex::default());
        let viewed_at = AtomicI64::new(0);
        Self { reader, rooms, catalogue, board, recent, answers, instance, last, viewed_at }
    }

    /// The counters of the answers of this process.
    pub fn answers(&self) -> Arc<Answers> {
        self.answers.clone()
    }

    /// Counts what the commits of this process sell and admit.
    pub fn observer(&self) -> Arc<Recent> {
        self.recent.clone()
    }

    /// The figures, at most 400 ms old when they are returned.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read. It was read for this call, or for one that came a moment before.
    pub async fn read(&self) -> Result<Arc<Figures>, StoreError> {
        self.viewed_at.fetch_max(self.reader.now().as_millis(), Ordering::Relaxed);
        let mut last = self.last.lock().await;
        if let Some((began, figures)) = &*last
            && began.elapsed() < SHARED_FOR
        {
            return Ok(figures.clone());
        }
        let began = Instant::now();
        let figures = Arc::new(self.read_all().await?);
        *last = Some((began, figures.clone()));
        Ok(figures)
    }

    async fn read_all(&self) -> Result<Figures, StoreError> {
        let as_of = self.reader.now();
        let published = async {
            match &self.board {
                Some(board) => board.published(as_of.plus_millis(-WINDOW_SECONDS * 1_000)).await,
                None => Ok(Vec::new()),
            }
        };
        let over = as_of.plus_millis(-OVER_AFTER_MILLIS);
        let (performances, published, ()) =
            tokio::try_join!(self.reader.performance_figures(over), published, self.rooms.refresh())?;
        let mut counts = self.recent.counts(as_of);
        let own = InstanceFigures { id: self.instance, seen_at: as_of, answers: self.answers.figures() };
        let mut instances = vec![own];
        for other in published.into_iter().filter(|published| published.instance != self.instance) {
            let part = Part::of_text(&other.figures);
            instances.push(InstanceFigures {
                id: other.instance,
                seen_at: other.seen_at,
                answers: part.answers.clone(),
            });
            part.add_to(&mut counts);
        }
        instances.sort_by_key(|instance| instance.id);
        let mut figures = Vec::with_capacity(performances.len());
        for performance in performances {
            let sold = counts.sold.get(&performance.id).map_or(0, |seconds| sum(seconds, as_of));
            figures.push((performance, sold));
        }
        figures.sort_by_key(|(performance, _)| (performance.starts_at, performance.id));
        let rooms = self.rooms.on_sale(as_of);
        let concerts: Vec<ConcertId> = rooms.iter().map(|room| room.concert()).collect();
        self.catalogue.know(&concerts, &[]).await?;
        let admitted = |concert| counts.admitted.get(&concert).map_or(0, |seconds| sum(seconds, as_of));
        let mut rooms: Vec<_> = rooms.iter().map(|room| self.room(room, admitted(room.concert()), as_of)).collect();
        rooms.sort_by(|a, b| (&a.title, a.concert).cmp(&(&b.title, b.concert)));
        Ok(Figures { as_of, rooms, performances: figures, instances })
    }

    fn room(&self, room: &LiveRoom, admitted: u64, at: Timestamp) -> RoomFigures {
        let programme = self.catalogue.programme(room.concert());
        RoomFigures {
            concert: room.concert(),
            title: programme.map_or_else(|| "".into(), |programme| programme.concert.title.clone()),
            waiting: room.waiting(),
            active: room.snapshot().room.active,
            admitted,
            ends_at: room.line_ends_at(at),
        }
    }
}
