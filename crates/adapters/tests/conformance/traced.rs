//! An event stores the trace context of its request, and no other event gets it.

use onsale_app::trace::TraceContext;

use crate::bed::{Bed, on_each_database};
use crate::forgetting::events;
use crate::lane::{Lane, Request};
use crate::stage::{charge, user};

async fn events_store_the_trace_of_their_request(bed: Bed) {
    let store = bed.store().await;
    let mut lane = Lane::new(&*store, 1).await;
    let context = |trace: u8| TraceContext { trace: [trace; 16], span: [trace + 1; 8] };
    let requests: Vec<Request> = ["ann", "bob", "cyd", "dan"].map(|name| charge(&user(name), 1).into()).into();
    let mut unit = lane.load(&requests).await.expect("what they need");
    lane.decide(&requests, &mut unit);
    unit.traces = vec![(1, context(7)), (3, context(9))];
    lane.writer.save(&unit).await.expect("a unit of work");
    let told = events(&*store, 4).await;
    let traces: Vec<_> = told.iter().map(|event| (event.subject.as_str(), event.trace)).collect();
    let wanted = [("ann", None), ("bob", Some(context(7))), ("cyd", None), ("dan", Some(context(9)))];
    assert_eq!(traces, wanted);
    assert_eq!(onsale_app::relay::Delivery::from(&told[1]).trace, Some(context(7)));
    let json = told[1].to_json();
    assert!(!json.contains("traceparent"), "the published event is the same with and without a trace: {json}");
}

on_each_database!(events_store_the_trace_of_their_request);
