//! Every route, grouped by who calls it.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};

use super::App;
use super::edge::{Measured, Route, UNMATCHED};
use super::openapi::{About, Endpoint, Operation};
use super::reply::problem::{Code, Problem};
use super::routes::{
    admin, check_in, concert, desk, draw, health, leave, lecture, manifest, payment, places, refund, reservation,
    seat_events, seat_list, section, session, ticket, ticket_file, waiting_room, waiting_room_events, wallet,
};
use crate::pages;

/// Routes and the descriptions of their handlers.
pub(crate) struct Routes {
    pub(crate) router: Router<App>,
    pub(crate) operations: Vec<Operation>,
}

/// Adds a call to [`Routes`]: the handler, and what `#[operation]` read at it.
macro_rules! calls {
    ($routes:ident: $($method:ident $path:literal $($handler:ident)::+;)+) => {
        $($routes.call(MethodFilter::$method, $path, $($handler)::+, &$($handler)::+::ABOUT);)+
    };
}

/// All routes of the service.
#[rustfmt::skip]
pub(crate) fn routes() -> Routes {
    let mut routes = Routes { router: Router::new(), operations: Vec::new() };
    calls! { routes:
        // Users: points
        PATCH  "/point/{id}/charge"    wallet::charge_points;
        PATCH  "/point/{id}/use"       wallet::use_points;
        GET    "/point/{id}"           wallet::get_points;
        GET    "/point/{id}/histories" wallet::list_point_histories;

        // Users: lectures
        GET    "/lectures"                                  lecture::list_lectures;
        POST   "/lectures/apply"                            lecture::apply_for_lecture;
        GET    "/lectures/application/{userId}"             lecture::list_lecture_applications;
        DELETE "/lectures/application/{userId}/{lectureId}" lecture::cancel_lecture_application;
        GET    "/users/{userId}/waitlists" lecture::list_user_waitlists;

        // Users: the waiting room
        POST   "/queue/tokens"       waiting_room::enter_queue;
        GET    "/queue/token"        waiting_room::get_queue_place;
        DELETE "/queue/token"        waiting_room::leave_queue;
        POST   "/queue/token/leave"  leave::leave_queue_by_body;
        GET    "/users/{userId}/queue-tokens" places::list_user_queue_tokens;
        GET    "/queue/token/events" waiting_room_events::follow_queue_place;

        // Users: concerts
        GET    "/concerts"                      concert::list_concerts;
        GET    "/concerts/{concertId}/dates"    concert::list_concert_dates;
        GET    "/concerts/{concertId}/sections" section::list_concert_sections;
        GET    "/concerts/{concertId}/seats"    concert::list_concert_seats;
        GET    "/concerts/{concertId}/seats/events" seat_events::follow_concert_seats;
        GET    "/concerts/{concertId}/draw"     draw::get_draw;
        GET    "/concerts/{concertId}/draw/entries" draw::list_draw_entries;
        POST   "/reservations"                  reservation::create_reservation;
        GET    "/reservations/{reservationId}"  reservation::get_reservation;
        DELETE "/reservations/{reservationId}"  reservation::release_reservation;
        GET    "/users/{userId}/reservations"   reservation::list_user_reservations;
        POST   "/payments"                      payment::create_payment;
        GET    "/payments/{paymentId}"          payment::get_payment;
        POST   "/concerts/{concertId}/waitlist" seat_list::join_waitlist;
        GET    "/concerts/{concertId}/waitlist/{userId}" seat_list::list_waitlist_entries;
        DELETE "/concerts/{concertId}/waitlist/{userId}/{performanceId}" seat_list::leave_waitlist;
        GET    "/users/{userId}/payments"       payment::list_user_payments;
        POST   "/payments/{paymentId}/refunds"  refund::create_refund;
        GET    "/payments/{paymentId}/refunds"  refund::list_payment_refunds;

        GET    "/session"        session::get_session;
        POST   "/session/logout" session::delete_session;

        // Users: tickets
        GET    "/payments/{paymentId}/tickets"  ticket::list_payment_tickets;
        GET    "/payments/{paymentId}/tickets/{ticketId}/code.svg"  ticket_file::get_ticket_picture;
        GET    "/payments/{paymentId}/tickets/{ticketId}/print.pdf" ticket_file::get_ticket_document;
        POST   "/payments/{paymentId}/tickets/{ticketId}/reissue" ticket::reissue_ticket;
        GET    "/users/{userId}/tickets"        ticket::list_user_tickets;
        GET    "/tickets/keys"                  ticket::list_ticket_keys;
    }
    administration(&mut routes);
    calls! { routes:
        // Operators
        GET    "/healthz" health::get_health;
        GET    "/readyz"  health::get_readiness;
        GET    "/metrics" health::get_metrics;

        // Readers of this API
        GET    "/openapi.json" pages::get_openapi;
    }
    routes.pages();
    routes
}

/// The calls of staff.
#[rustfmt::skip]
fn administration(routes: &mut Routes) {
    calls! { routes:
        // Administrators
        POST   "/admin/lectures"                          admin::lecture::create_lecture;
        GET    "/admin/lectures"                          admin::lecture::list_all_lectures;
        GET    "/admin/lectures/{lectureId}"              admin::lecture::get_lecture;
        PATCH  "/admin/lectures/{lectureId}"              admin::lecture::update_lecture;
        GET    "/admin/lectures/{lectureId}/history"      admin::lecture::list_lecture_history;
        GET    "/admin/lectures/{lectureId}/applicants"   admin::applicant::list_lecture_applicants;
        GET    "/admin/lectures/{lectureId}/waitlist"     admin::applicant::list_lecture_waitlist;
        DELETE "/admin/lectures/{lectureId}/applications/{userId}" admin::applicant::remove_application;
        POST   "/admin/lectures/{lectureId}/cancel"       admin::applicant::cancel_lecture;
        GET    "/admin/lectures/{lectureId}/cancellation" admin::applicant::get_lecture_cancellation;
        POST   "/admin/concerts"                          admin::concert::create_concert;
        GET    "/admin/concerts"                          admin::concert_figures::list_admin_concerts;
        GET    "/admin/concerts/{concertId}"              admin::concert_figures::get_admin_concert;
        PATCH  "/admin/concerts/{concertId}"              admin::change::update_concert;
        POST   "/admin/concerts/{concertId}/codes"        admin::code::create_codes;
        GET    "/admin/concerts/{concertId}/codes"        admin::code::list_codes;
        DELETE "/admin/concerts/{concertId}/codes/{code}" admin::code::delete_code;
        POST   "/admin/concerts/{concertId}/holds/extend" admin::hold::extend_concert_holds;
        POST   "/admin/concerts/{concertId}/performances" admin::concert::create_performance;
        PATCH  "/admin/performances/{performanceId}"      admin::performance::update_performance;
        GET    "/admin/performances/{performanceId}"          admin::performance::get_performance;
        GET    "/admin/performances/{performanceId}/seats"    admin::seats::list_performance_seats;
        POST   "/admin/performances/{performanceId}/seats"    admin::performance::add_performance_seats;
        POST   "/admin/performances/{performanceId}/blocks"   admin::block::block_seats;
        POST   "/admin/performances/{performanceId}/unblocks" admin::block::unblock_seats;
        POST   "/admin/performances/{performanceId}/holds/extend" admin::hold::extend_performance_holds;
        POST   "/admin/performances/{performanceId}/cancel"              admin::cancellation::cancel_performance;
        GET    "/admin/performances/{performanceId}/cancellation"        admin::cancellation::get_performance_cancellation;
        GET    "/admin/performances/{performanceId}/cancellation/failed" admin::cancellation::list_failed_refunds;
        POST   "/admin/payments/{paymentId}/refunds"         admin::refund::refund_payment;
        GET    "/admin/performances/{performanceId}/refunds" admin::refund::list_performance_refunds;
        GET    "/admin/performances/{performanceId}/attendees"     admin::attendees::list_attendees;
        GET    "/admin/performances/{performanceId}/attendees.csv" admin::attendees::export_attendees;
        GET    "/admin/lectures/{lectureId}/applicants.csv"        admin::attendees::export_applicants;
        POST   "/admin/point/{userId}/adjustments"           admin::adjustment::adjust_points;
        GET    "/admin/users/{userId}"                       admin::user::get_user;
        GET    "/admin/concerts/{concertId}/queue"        admin::waiting_room::get_queue_settings;
        PATCH  "/admin/concerts/{concertId}/queue"        admin::waiting_room::update_queue_settings;
        PUT    "/admin/concerts/{concertId}/draw/beacon"  draw::put_beacon;

        // Administrators: the sale as of now
        GET    "/admin/live" admin::live::get_live_figures;

        // Administrators: staff
        POST   "/admin/keys"         admin::key::create_staff_key;
        GET    "/admin/keys"         admin::key::list_staff_keys;
        DELETE "/admin/keys/{keyId}" admin::key::delete_staff_key;
        GET    "/admin/log"          admin::log::list_admin_log;

        // Staff: the door
        POST   "/check-ins"             check_in::create_check_in;
        POST   "/check-ins/batch"       check_in::create_check_ins;
        DELETE "/check-ins/{checkInId}" check_in::undo_check_in;
        GET    "/check-ins/manifest"    manifest::get_manifest;
        GET    "/admin/performances/{performanceId}/check-ins" admin::check_in::list_check_ins;

        // Staff: the back office
        POST   "/desk/session" desk::create_desk_session;
        GET    "/desk/session" desk::get_desk_session;
        DELETE "/desk/session" desk::delete_desk_session;
    }
}

impl Routes {
    /// Adds a call and its description.
    fn call<H, T, A>(&mut self, method: MethodFilter, path: &'static str, handler: H, about: &About)
    where
        H: Handler<T, App> + Endpoint<A> + Sync,
        T: 'static,
    {
        let name = match method {
            MethodFilter::POST => "POST",
            MethodFilter::PATCH => "PATCH",
            MethodFilter::PUT => "PUT",
            MethodFilter::DELETE => "DELETE",
            _ => "GET",
        };
        let route = Route { method: name, path };
        self.operations.push(handler.operation(route, about));
        self.add(method, route, handler);
    }

    /// Adds the pages for people and the schemas of events.
    #[rustfmt::skip]
    fn pages(&mut self) {
        self.page("/events/schemas",        pages::list_event_schemas);
        self.page("/events/schemas/{type}", pages::get_event_schema);
        self.page("/session/login",       session::begin_sign_in);
        self.page(session::CALLBACK_PATH, session::finish_sign_in);
        self.page("/",              pages::get_shop);
        self.page("/desk",          pages::get_desk);
        self.page("/check-in",      pages::get_door);
        self.page("/check-in-worker.js", pages::get_door_worker);
        self.page("/docs",          pages::get_docs);
        self.page("/assets/{name}", pages::get_asset);
        self.page("/assets/{version}/{name}", pages::get_versioned_asset);
    }

    /// Adds a page for people, which the OpenAPI document leaves out.
    fn page<H, T>(&mut self, path: &'static str, handler: H)
    where
        H: Handler<T, App> + Sync,
        T: 'static,
    {
        self.add(MethodFilter::GET, Route { method: "GET", path }, handler);
    }

    fn add<H, T>(&mut self, method: MethodFilter, route: Route, handler: H)
    where
        H: Handler<T, App> + Sync,
        T: 'static,
    {
        let router = std::mem::take(&mut self.router);
        self.router = router.route(route.path, on(method, Measured::new(route, handler)));
    }
}

/// The service, with the answers to requests that no route takes.
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
