//! The parameters and answers of a call, from the signature of its handler.

use axum::extract::{Extension, State};
use axum::http::HeaderMap;

use super::operation::{About, Operation};
use crate::http::App;
use crate::http::edge::{Peer, Route};
use crate::http::reply::problem::Problem;

/// An argument of a handler. It adds its parameters or its body, the credentials that it checks, and the codes with
/// which it refuses.
pub(crate) trait Input {
    fn describe(operation: &mut Operation);
}

/// What a handler returns. It adds statuses, bodies and headers.
pub(crate) trait Output {
    fn describe(operation: &mut Operation);
}

/// A handler whose arguments and return type are described. `A` is the tuple of its arguments.
pub(crate) trait Endpoint<A> {
    /// The whole description of the call.
    fn operation(&self, route: Route, about: &About) -> Operation;
}

macro_rules! endpoints {
    ($(($($argument:ident),*),)+) => {$(
        impl<F, Fut, R, $($argument,)*> Endpoint<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Fut,
            Fut: Future<Output = R>,
            R: Output,
            $($argument: Input,)*
        {
            fn operation(&self, route: Route, about: &About) -> Operation {
                let mut operation = Operation::new(route, about);
                $($argument::describe(&mut operation);)*
                R::describe(&mut operation);
                operation
            }
        }
    )+};
}

endpoints! {
    (),
    (A1),
    (A1, A2),
    (A1, A2, A3),
    (A1, A2, A3, A4),
    (A1, A2, A3, A4, A5),
    (A1, A2, A3, A4, A5, A6),
}

/// Takes nothing that a caller sends.
macro_rules! silent {
    ($($argument:ty),+ $(,)?) => {$(
        impl Input for $argument {
            fn describe(_: &mut Operation) {}
        }
    )+};
}

silent!(State<App>, Option<Extension<Peer>>, HeaderMap);

impl<R: Output> Output for Result<R, Problem> {
    fn describe(operation: &mut Operation) {
        R::describe(operation);
    }
}
