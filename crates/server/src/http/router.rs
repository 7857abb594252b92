//! Every route, grouped by who calls it.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};

use super::App;
use super::edge::{Measured, Route, UNMATCHED};
use super::openapi::{self as docs, Operation};
use super::reply::problem::{Code, Problem};
use super::routes::{
    admin, concert, health, lecture, payment, reservation, waiting_room, waiting_room_events as stream, wallet,
};
use crate::pages;

/// Routes together with what is said of them.
pub(crate) struct Routes {
    pub(crate) router: Router<App>,
    pub(crate) operations: Vec<Operation>,
}

/// The whole service.
#[rustfmt::skip]
pub(crate) fn routes() -> Routes {
    use MethodFilter as M;
    let routes = Routes { router: Router::new(), operations: Vec::new() };
    routes
        // Users: points
        .on(M::PATCH,  "/point/{id}/charge",    wallet::charge_points,        docs::wallet::charge_points)
        .on(M::PATCH,  "/point/{id}/use",       wallet::use_points,           docs::wallet::use_points)
        .on(M::GET,    "/point/{id}",           wallet::get_points,           docs::wallet::get_points)
        .on(M::GET,    "/point/{id}/histories", wallet::list_point_histories, docs::wallet::list_point_histories)

        // Users: lectures
        .on(M::GET,    "/lectures",                                  lecture::list_lectures,              docs::lecture::list_lectures)
        .on(M::POST,   "/lectures/apply",                            lecture::apply_for_lecture,          docs::lecture::apply_for_lecture)
        .on(M::GET,    "/lectures/application/{userId}",             lecture::list_lecture_applications,  docs::lecture::list_lecture_applications)
        .on(M::DELETE, "/lectures/application/{userId}/{lectureId}", lecture::cancel_lecture_application, docs::lecture::cancel_lecture_application)

        // Users: the waiting room
        .on(M::POST,   "/queue/tokens",       waiting_room::enter_queue,     docs::waiting_room::enter_queue)
        .on(M::GET,    "/queue/token",        waiting_room::get_queue_place, docs::waiting_room::get_queue_place)
        .on(M::DELETE, "/queue/token",        waiting_room::leave_queue,     docs::waiting_room::leave_queue)
        .on(M::GET,    "/queue/token/events", stream::follow_queue_place,    docs::waiting_room::follow_queue_place)

        // Users: concerts
        .on(M::GET,    "/concerts",                      concert::list_concerts,              docs::concert::list_concerts)
        .on(M::GET,    "/concerts/{concertId}/dates",    concert::list_concert_dates,         docs::concert::list_concert_dates)
        .on(M::GET,    "/concerts/{concertId}/seats",    concert::list_concert_seats,         docs::concert::list_concert_seats)
        .on(M::POST,   "/reservations",                  reservation::create_reservation,     docs::reservation::create_reservation)
        .on(M::GET,    "/reservations/{reservationId}",  reservation::get_reservation,        docs::reservation::get_reservation)
        .on(M::DELETE, "/reservations/{reservationId}",  reservation::release_reservation,    docs::reservation::release_reservation)
        .on(M::GET,    "/users/{userId}/reservations",   reservation::list_user_reservations, docs::reservation::list_user_reservations)
        .on(M::POST,   "/payments",                      payment::create_payment,             docs::payment::create_payment)
        .on(M::GET,    "/payments/{paymentId}",          payment::get_payment,                docs::payment::get_payment)
        .on(M::GET,    "/users/{userId}/payments",       payment::list_user_payments,         docs::payment::list_user_payments)

        // Administrators
        .on(M::POST,   "/admin/lectures",                          admin::create_lecture,        docs::admin::create_lecture)
        .on(M::GET,    "/admin/lectures/{lectureId}/history",      admin::list_lecture_history,  docs::admin::list_lecture_history)
        .on(M::POST,   "/admin/concerts",                          admin::create_concert,        docs::admin::create_concert)
        .on(M::POST,   "/admin/concerts/{concertId}/performances", admin::create_performance,    docs::admin::create_performance)
        .on(M::GET,    "/admin/concerts/{concertId}/queue",        admin::get_queue_settings,    docs::admin::get_queue_settings)
        .on(M::PATCH,  "/admin/concerts/{concertId}/queue",        admin::update_queue_settings, docs::admin::update_queue_settings)

        // Operators
        .on(M::GET,    "/healthz", health::get_health,    docs::health::get_health)
        .on(M::GET,    "/readyz",  health::get_readiness, docs::health::get_readiness)
        .on(M::GET,    "/metrics", health::get_metrics,   docs::health::get_metrics)

        // Readers of this API
        .on(M::GET,    "/openapi.json", pages::get_openapi, docs::health::get_openapi)
        .page("/events/schemas",        pages::list_event_schemas)
        .page("/events/schemas/{type}", pages::get_event_schema)
        .page("/",              pages::get_demo)
        .page("/docs",          pages::get_docs)
        .page("/assets/{name}", pages::get_asset)
        .page("/assets/{version}/{name}", pages::get_versioned_asset)
}

impl Routes {
    /// Adds an operation and what is said of it.
    fn on<H, T>(
        mut self,
        method: MethodFilter,
        path: &'static str,
        handler: H,
        describe: fn(Operation) -> Operation,
    ) -> Self
    where
        H: Handler<T, App> + Sync,
        T: 'static,
    {
        let name = match method {
            MethodFilter::POST => "POST",
            MethodFilter::PATCH => "PATCH",
            MethodFilter::DELETE => "DELETE",
            _ => "GET",
        };
        let route = Route { method: name, path };
        self.router = self.router.route(path, on(method, Measured::new(route, handler)));
        self.operations.push(describe(Operation::new(route)));
        self
    }

    /// Adds a page for people.
    fn page<H, T>(mut self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App> + Sync,
        T: 'static,
    {
        let route = Route { method: "GET", path };
        self.router = self.router.route(path, on(MethodFilter::GET, Measured::new(route, handler)));
        self
    }
}

/// The service, with what is said where no route fits.
pub(crate) fn into_service(app: App) -> Router {
    routes()
        .router
        .fallback(Measured::new(UNMATCHED, async || not_found()))
        .method_not_allowed_fallback(Measured::new(UNMATCHED, async || method_not_allowed()))
        .with_state(app)
}

pub(crate) fn not_found() -> Problem {
    Problem::new(Code::NotFound)
}

fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed)
}
