-- `onsale events replay` finds the first event since an instant. Events lie in the order in which they came, so the least and
-- the greatest instant of each range of pages are enough, and cost an insert next to nothing.
CREATE INDEX events_by_time ON events USING brin (at) WITH (pages_per_range = 64, autosummarize = on);
