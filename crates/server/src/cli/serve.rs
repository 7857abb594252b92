//! `onsale serve`: the API, the pages and the background work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use onsale_app::conditions::Conditions;
use onsale_app::waiting_room::Rooms;
use onsale_app::watch::watch_part;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::{Failed, Outcome, block_on, demo, greeting, print, start_line};
use crate::auth::{AdminKey, Bearers, JwksUrl};
use crate::http::{
    App, AppState, ClientLimits, ConnectionLimits, HttpMetrics, Limiter, Reached, Server, ServerLimits, Shelves,
    Stopping, Streams, bind, connections_that_fit, into_service, listen,
};
use crate::pages::Pages;
use crate::sale::Sale;
use crate::settings::{Auth, Secret, Settings};
use crate::telemetry::Traces;
use crate::token::TokenCodec;

/// Shorter admin keys, in characters, are worth a warning.
const ADMIN_KEY_SAFE: usize = 16;

/// Under which name the secret of queue tokens is kept in the database.
const TOKEN_SECRET: &str = "queue-token";

/// How often it is checked whether there are keys from the JWK Set. The check reads memory only.
const KEYS_EVERY: Duration = Duration::from_secs(1);

/// Why bearers cannot be checked.
const NO_KEYS: &str = "no key of ONSALE_JWKS_URL could be fetched: bearers that need one get 503";

/// Every IPv4 loopback address.
const LOOPBACK_V4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8);

pub(super) fn run(settings: Settings, is_demo: bool) -> Outcome {
    let _log = crate::telemetry::start_log(&settings)?;
    start_line::log("serve", &settings);
    warn_of_oddities(&settings);
    let traces = Traces::start(&settings)?;
    block_on(serve(settings, is_demo, traces))
}

fn warn_of_oddities(settings: &Settings) {
    let jwt = match &settings.auth {
        Auth::Jwt(jwt) => &jwt.secrets[..],
        Auth::Open => &[],
    };
    let secrets = jwt.iter().map(|secret| ("a JWT secret", secret));
    for (name, secret) in secrets.chain(settings.token_secret.as_ref().map(|secret| ("the token secret", secret))) {
        if secret.is_weak() {
            tracing::warn!("{name} is shorter than 32 bytes and may be guessed");
        }
    }
    if settings.admin_key.as_ref().is_some_and(|key| key.expose().len() < ADMIN_KEY_SAFE) {
        tracing::warn!("ONSALE_ADMIN_KEY is shorter than {ADMIN_KEY_SAFE} characters and may be guessed");
    }
    if let Auth::Jwt(jwt) = &settings.auth
        && jwt.jwks.as_ref().is_some_and(JwksUrl::is_exposed)
    {
        tracing::warn!(
            "ONSALE_JWKS_URL is http and leaves this machine: its keys can be replaced on their way; use https"
        );
    }
}

/// What checks bearers, with the keys of a URL if they can be fetched now. If not, they are fetched later.
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
        let looked = keys.clone();
        let look = async move || (!looked.is_well()).then(|| NO_KEYS.to_owned());
        conditions.set("jwks", "keys", look().await);
        let stop = CancellationToken::new();
        tokio::spawn(watch_part(conditions.clone(), ("jwks", "keys"), KEYS_EVERY, stop, look));
        let (keys, stopping) = (keys.clone(), stopping.clone());
        tokio::spawn(keys.run(async move { stopping.closing().await }));
    }
    Ok(bearers)
}

async fn serve(settings: Settings, is_demo: bool, traces: Traces) -> Outcome {
    let mut registry = Registry::with_prefix("onsale");
    let cannot_listen = |error| Failed::Error(format!("{} cannot be listened on: {error}", settings.listen));
    // The address is taken before the database is made: a start that fails on a port in use leaves no file behind.
    let socket = bind(settings.listen).map_err(cannot_listen)?;
    let sale = Sale::open(&settings, &mut registry).await?;
    if is_demo {
        demo::seed(&sale, &settings).await?;
    }
    let admin_key = admin_key(&settings, is_demo);
    let stopping = Stopping::default();
    registry.register_collector(Box::new(RoomTotals(sale.rooms.clone())));
    let metrics = HttpMetrics::register(&mut registry);
    let reached = Arc::new(Reached::default());
    reached.register(&mut registry);
    let bearers = bearers(&settings, &mut registry, &sale.conditions, &stopping).await?;
    sale.start_background(&settings, &mut registry);
    let app = App::new(AppState {
        desk: sale.desk.clone(),
        reader: sale.store.reader(),
        rooms: sale.rooms.clone(),
        door: sale.door.clone(),
        database: sale.database.clone(),
        conditions: sale.conditions.clone(),
        seat_maps: sale.seat_maps.clone(),
        catalogue: sale.catalogue.clone(),
        timetable: sale.timetable.clone(),
        user_entries: Limiter::new(settings.limits.entries_by_user),
        shelves: Shelves::default(),
        tokens: TokenCodec::new(&token_secret(&sale, &settings).await?),
        bearers,
        admin_key: admin_key.as_ref().map(AdminKey::new),
        calendar: settings.calendar.clone(),
        pages: Pages::new(&settings.calendar),
        queue_strict: settings.queue_strict,
        web: settings.web.clone(),
        room: settings.room,
        metrics,
        registry,
        stopping: stopping.clone(),
        streams: Streams::new(reached.clone()),
    });
    let listener = listen(socket).map_err(cannot_listen)?;
    let base = format!("http://{}", listener.local_addr()?);
    // Before the first line: a supervisor may send SIGTERM as soon as it has read it.
    let mut signals = Signals::listen()?;
    print(&format!("onsale listening on {base}"))?;
    let address = listener.local_addr()?;
    let limits = server_limits(&settings, app.admin_key.is_some());
    let server = Server { router: into_service(app.clone()), app, limits, reached };
    let serving = tokio::spawn(server.run(listener));
    if is_demo {
        let fresh = admin_key.as_ref().filter(|_| settings.admin_key.is_none());
        match greeting::text(&sale, &settings, address, fresh.map(Secret::expose)).await {
            Ok(text) => drop(print(&text)?),
            Err(error) => tracing::warn!(%error, "failed to read what is on sale; no commands to paste are printed"),
        }
    }
    signals.next().await;
    stopping.leave();
    drain(&mut signals, settings.drain).await;
    tracing::info!("stopping: what is under way is finished");
    stopping.close();
    serving.await?;
    sale.close().await;
    traces.finish().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Bounds on connections and clients.
fn server_limits(settings: &Settings, has_admin: bool) -> ServerLimits {
    let clients = ClientLimits::new(settings, has_admin);
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

/// Waits until load balancers have learned that this instance is not ready, or until the next signal.
async fn drain(signals: &mut Signals, within: Duration) {
    if within.is_zero() {
        return;
    }
    tracing::info!(seconds = within.as_secs(), "draining: not ready, still serving; a second signal ends this");
    tokio::select! {
        () = tokio::time::sleep(within) => {}
        () = signals.next() => tracing::info!("draining ended by a second signal"),
    }
}

/// The key that is set; a fresh one for a demonstration; else none, and no admin calls.
fn admin_key(settings: &Settings, is_demo: bool) -> Option<Secret> {
    let fresh = || is_demo.then(|| Secret::new(format!("{:032x}", rand::random::<u128>())));
    settings.admin_key.clone().or_else(fresh)
}

/// The secret that is set, else the one that was made once and is kept in the database.
async fn token_secret(sale: &Sale, settings: &Settings) -> Result<Vec<u8>, Failed> {
    match &settings.token_secret {
        Some(secret) => Ok(secret.expose().as_bytes().to_vec()),
        None => Ok(sale.store.secret(TOKEN_SECRET, &rand::random::<[u8; 32]>()).await?),
    }
}

/// How many people wait and buy, over all rooms: read when asked for.
struct RoomTotals(Arc<Rooms>);

impl std::fmt::Debug for RoomTotals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RoomTotals")
    }
}

impl Collector for RoomTotals {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (waiting, active) = self.0.totals();
        let rooms = self.0.count() as u64;
        for (name, help, value) in [
            ("waiting_room_rooms", "Rooms in memory: those that are not retired", rooms),
            ("waiting_room_waiting", "People in line, over all rooms", waiting),
            ("waiting_room_active", "Turns that run, over all rooms", active),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}
