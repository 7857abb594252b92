//! `onsale serve`: starts the API, the pages and the background tasks, and stops them in order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use onsale_app::conditions::Conditions;
use onsale_app::store::StoreError;
use onsale_app::watch::PartWatch;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::{Failed, Outcome, block_on, demo, greeting, print, start_line, start_traces};
use crate::auth::{Auth, Bearers, SignIns, Staff};
use crate::http::{
    AnswerCaches, App, AppState, CALLBACK_PATH, ClientLimits, ConnectionLimits, CsvExports, HttpMetrics,
    LIVE_STREAMS_MAX, Limiter, Reached, Server, ServerLimits, Stopping, Streams, WrongCodes, bind,
    connections_that_fit, into_service, listen,
};
use crate::pages::Pages;
use crate::sale::{Sale, register_totals};
use crate::secret::Secret;
use crate::settings::{Settings, ShopPages};
use crate::telemetry::Traces;
use crate::ticket::TicketCodec;
use crate::token::TokenCodec;

/// The shortest admin key that logs no warning, in characters.
const ADMIN_KEY_SAFE: usize = 16;

/// The name of the queue tokens' secret in the database.
const TOKEN_SECRET: &str = "queue-token";

/// The name of the private half of the database's own key of tickets.
const TICKET_SEED: &str = "ticket-key";

/// The name of the key that signs the sessions of users.
const SESSION_KEY: &str = "user-session";

/// The time between two checks whether there are keys from the JWK Set. A check reads memory only.
const KEYS_EVERY: Duration = Duration::from_secs(1);

/// The reason of the condition `jwks` in `/readyz`.
const NO_KEYS: &str = "no fetch of ONSALE_JWKS_URL succeeded within 24 h; bearers that need its keys get 503";

/// Every IPv4 loopback address.
const LOOPBACK_V4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8);

pub(super) fn run(settings: Settings, is_demo: bool) -> Outcome {
    let _log = crate::telemetry::start_log(&settings)?;
    let admin_key = admin_key(&settings, is_demo);
    start_line::log("serve", &settings, admin_key.is_some());
    warn_of_weak_settings(&settings);
    let traces = start_traces(&settings)?;
    block_on(serve(settings, is_demo, admin_key, traces))
}

/// Logs a warning for each setting that an attacker could make use of.
fn warn_of_weak_settings(settings: &Settings) {
    let jwt = match &settings.auth {
        Auth::Jwt(jwt) => &jwt.secrets[..],
        Auth::Open => &[],
    };
    let secrets = jwt.iter().map(|secret| ("ONSALE_JWT_SECRET", secret));
    let token_secrets = [
        ("ONSALE_TOKEN_SECRET", &settings.token_secret),
        ("ONSALE_TOKEN_SECRET_PREVIOUS", &settings.token_secret_previous),
    ];
    let token_secrets = token_secrets.into_iter().filter_map(|(setting, secret)| Some((setting, secret.as_ref()?)));
    for (setting, secret) in secrets.chain(token_secrets) {
        if secret.is_weak() {
            tracing::warn!(setting, "secret is shorter than 32 bytes, so it can be guessed; use 32 random bytes");
        }
    }
    let admin_keys =
        [("ONSALE_ADMIN_KEY", &settings.admin_key), ("ONSALE_ADMIN_KEY_PREVIOUS", &settings.admin_key_previous)];
    for (setting, key) in admin_keys {
        if key.as_ref().is_some_and(|key| key.expose().len() < ADMIN_KEY_SAFE) {
            tracing::warn!(
                setting,
                "key is shorter than {ADMIN_KEY_SAFE} characters, so it can be guessed; use {ADMIN_KEY_SAFE} random characters"
            );
        }
    }
}

/// Prepares the check of bearers, fetches the JWK Set once, and starts the task that refreshes it. A failed first fetch is not
/// an error: the server starts and retries.
///
/// # Errors
/// `Failed::Error` if the HTTP client cannot be created.
async fn bearers(
    settings: &Settings,
    registry: &mut Registry,
    conditions: &Arc<Conditions>,
    stopping: &Stopping,
) -> Result<Bearers, Failed> {
    let bearers = Bearers::new(&settings.auth).map_err(Failed::Error)?;
    bearers.register(registry);
    if let Some(keys) = bearers.key_set() {
        keys.fetch().await;
        let watched = keys.clone();
        let problem = async move || (!watched.is_well()).then(|| NO_KEYS.to_owned());
        conditions.set("jwks", "keys", problem().await);
        // Never cancelled: it ends with the process, so that `/readyz` is right while the server drains.
        let stop = CancellationToken::new();
        let watch = PartWatch { conditions: conditions.clone(), part: "jwks", condition: "keys", every: KEYS_EVERY };
        tokio::spawn(watch.run(stop, problem));
        let (keys, stopping) = (keys.clone(), stopping.clone());
        tokio::spawn(keys.run(async move { stopping.closing().await }));
    }
    Ok(bearers)
}

/// Starts everything in an order in which a failed start leaves nothing behind, serves until a signal, and stops.
async fn serve(settings: Settings, is_demo: bool, admin_key: Option<Secret>, traces: Traces) -> Outcome {
    let mut registry = Registry::with_prefix("onsale");
    let cannot_listen =
        |error| Failed::Error(format!("failed to listen on {} (ONSALE_LISTEN): {error}", settings.listen));
    // Bound before the database is created: a start that fails because the port is in use leaves no file behind. Accepting
    // starts later, when everything is ready.
    let socket = bind(settings.listen).map_err(cannot_listen)?;
    let sale = Sale::open(&settings, &mut registry).await?;
    if is_demo {
        demo::seed(&sale, &settings).await?;
    }
    let (stopping, reached) = (Stopping::default(), Arc::new(Reached::default()));
    register_totals(&mut registry, &sale, &stopping);
    let metrics = HttpMetrics::register(&mut registry, sale.live.answers());
    reached.register(&mut registry);
    let bearers = bearers(&settings, &mut registry, &sale.conditions, &stopping).await?;
    sale.start_background(&settings, &mut registry);
    let app = App::new(AppState {
        desk: sale.desk.clone(),
        reader: sale.store.reader(),
        rooms: sale.rooms.clone(),
        home: sale.home.clone(),
        leave_board: sale.store.leave_board(),
        database: sale.database.clone(),
        conditions: sale.conditions.clone(),
        seat_maps: sale.seat_maps.clone(),
        seat_feeds: sale.seat_feeds.clone(),
        catalogue: sale.catalogue.clone(),
        timetable: sale.timetable.clone(),
        emptier: sale.emptier.clone(),
        user_entries: Limiter::new(settings.limits.entries_by_user),
        wrong_codes: WrongCodes::default(),
        answers: AnswerCaches::default(),
        tokens: tokens(&sale, &settings).await?,
        tickets: tickets(&sale, &settings).await?,
        bearers,
        sign_ins: sign_ins(&sale, &settings, &mut registry).await?,
        staff: Staff::new(admin_key.iter().chain(&settings.admin_key_previous), sale.staff.clone()),
        calendar: settings.calendar.clone(),
        pages: Pages::new(&settings, is_demo),
        queue_strict: settings.queue_strict,
        charged_by: settings.charged_by,
        web: settings.web.clone(),
        room: settings.room,
        metrics,
        registry,
        stopping: stopping.clone(),
        live: sale.live.clone(),
        live_streams: Arc::new(Semaphore::new(LIVE_STREAMS_MAX)),
        exports: CsvExports::new(sale.store.exports()),
        streams: Streams::new(reached.clone()),
    });
    let listener = listen(socket).map_err(cannot_listen)?;
    let address = listener.local_addr()?;
    // Before the first line is printed: a supervisor may send SIGTERM as soon as it has read that line.
    let mut signals = Signals::listen()?;
    print(&format!("onsale listening on http://{address}"))?;
    let server = Server { router: into_service(app.clone()), app, limits: server_limits(&settings), reached };
    let serving = tokio::spawn(server.run(listener));
    if is_demo {
        let fresh = admin_key.as_ref().filter(|_| settings.admin_key.is_none());
        print_greeting(&sale, &settings, address, fresh).await?;
    }
    signals.next().await;
    stop(sale, &stopping, &mut signals, settings.drain, serving).await?;
    traces.finish().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Stops everything but the traces, which all parts write until they end.
async fn stop(
    sale: Sale,
    stopping: &Stopping,
    signals: &mut Signals,
    drain_for: Duration,
    serving: JoinHandle<()>,
) -> Result<(), Failed> {
    // The order matters: `/readyz` returns 503 first, so that load balancers stop; then new connections end and requests finish;
    // then the background tasks and the desk, which those requests need.
    stopping.leave();
    drain(signals, drain_for).await;
    tracing::info!("stopping; finishing the requests that are under way");
    stopping.close();
    serving.await?;
    sale.close().await;
    Ok(())
}

/// Prints what a visitor of the demonstration can open and paste. If the concerts cannot be read, the server still serves.
async fn print_greeting(
    sale: &Sale,
    settings: &Settings,
    address: SocketAddr,
    fresh: Option<&Secret>,
) -> Result<(), Failed> {
    match greeting::text(sale, settings, address, fresh.map(Secret::expose)).await {
        Ok(text) => print(&text).map(drop),
        Err(error) => {
            tracing::warn!(%error, "failed to read the concerts on sale; the demonstration prints no commands to paste");
            Ok(())
        }
    }
}

/// The bounds on connections and clients.
fn server_limits(settings: &Settings) -> ServerLimits {
    let clients = ClientLimits::new(settings);
    ServerLimits { connections: connection_limits(settings), idle: settings.idle, clients }
}

fn connection_limits(settings: &Settings) -> ConnectionLimits {
    let connections_max = connections_that_fit(settings.connections_max);
    let per_address_max = match settings.connections_per_address {
        Some(number) => number as usize,
        None => connections_max.div_ceil(2),
    };
    let mut exempt = settings.trusted_proxies.clone();
    if !settings.limits.by_address.loopback {
        exempt.extend([IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST)), LOOPBACK_V4.into()]);
    }
    ConnectionLimits { connections_max, per_address_max, exempt }
}

/// Serves on for this time, so that load balancers notice that this instance is not ready. The next signal ends it early.
async fn drain(signals: &mut Signals, within: Duration) {
    if within.is_zero() {
        return;
    }
    tracing::info!(
        seconds = within.as_secs(),
        "draining: /readyz answers 503 and requests are still served; a second signal ends this"
    );
    tokio::select! {
        () = tokio::time::sleep(within) => {}
        () = signals.next() => tracing::info!("a second signal ended draining"),
    }
}

/// Returns the key of the settings, or a fresh one for a demonstration. `None`: only keys in the database open admin
/// calls.
fn admin_key(settings: &Settings, is_demo: bool) -> Option<Secret> {
    let fresh = || is_demo.then(|| Secret::new(format!("{:032x}", rand::random::<u128>())));
    settings.admin_key.clone().or_else(fresh)
}

/// Prepares the check of queue tokens.
async fn tokens(sale: &Sale, settings: &Settings) -> Result<TokenCodec, Failed> {
    let previous = settings.token_secret_previous.as_ref().map(|secret| secret.expose().as_bytes());
    Ok(TokenCodec::new(&token_secret(sale, settings).await?).accepting(previous))
}

/// Prepares the keys of tickets, and notes which of them signs from now on.
async fn tickets(sale: &Sale, settings: &Settings) -> Result<TicketCodec, Failed> {
    let reader = sale.store.reader();
    let seed = sale.store.secret(TICKET_SEED, &rand::random::<[u8; 32]>()).await?;
    let seed =
        seed.try_into().map_err(|_| StoreError::Unavailable("the key of tickets has not 32 bytes".to_owned()))?;
    let codec = TicketCodec::new(settings.ticket_keys.as_ref(), seed, &reader.ticket_keys().await?);
    sale.store.note_ticket_keys(&codec.public_halves(), reader.now()).await?;
    Ok(codec)
}

/// Prepares sign-ins of users, if the settings name a provider. It may be away: it is first asked when a user signs in.
async fn sign_ins(sale: &Sale, settings: &Settings, registry: &mut Registry) -> Result<Option<SignIns>, Failed> {
    // Without the shop there is no page that signs in.
    let provider = settings.auth.provider().filter(|_| settings.pages == ShopPages::Shop);
    let (ends, public_url) = (&sale.session_ends, &settings.web.public_url);
    let (Some(provider), Some(ends), Some(public_url)) = (provider, ends, public_url) else { return Ok(None) };
    let key = sale.store.secret(SESSION_KEY, &rand::random::<[u8; 32]>()).await?;
    let redirect = format!("{}{CALLBACK_PATH}", public_url.as_str());
    let sign_ins = SignIns::new(provider, redirect, &key, ends.clone()).map_err(Failed::Error)?;
    sign_ins.register(registry);
    Ok(Some(sign_ins))
}

/// Returns the secret of the settings, or else the one in the database, which the first start creates.
async fn token_secret(sale: &Sale, settings: &Settings) -> Result<Vec<u8>, Failed> {
    match &settings.token_secret {
        Some(secret) => Ok(secret.expose().as_bytes().to_vec()),
        None => Ok(sale.store.secret(TOKEN_SECRET, &rand::random::<[u8; 32]>()).await?),
    }
}
