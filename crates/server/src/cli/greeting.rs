//! The text that `onsale serve --demo` prints: the addresses to open, and commands that buy a seat.

use std::net::SocketAddr;

use onsale_app::store::StoreError;
use onsale_domain::ids::ConcertId;

use super::health::reachable;
use crate::auth::Auth;
use crate::sale::Sale;
use crate::settings::Settings;

/// Concerts per read of the catalogue.
const PAGE: usize = 100;

/// The most seat maps that are read to find a free seat. A database with more sold-out performances gets no commands.
const MAPS_MAX: usize = 1_000;

/// Returns the text. Its commands name a concert that has free seats now.
///
/// # Errors
/// `StoreError::Unavailable` if the database does not answer.
pub(super) async fn text(
    sale: &Sale,
    settings: &Settings,
    address: SocketAddr,
    fresh_admin_key: Option<&str>,
) -> Result<String, StoreError> {
    let public_url = settings.web.public_url.as_ref();
    let base = public_url.map_or_else(|| format!("http://{}", reachable(address)), |url| url.as_str().to_owned());
    let mut text = format!("\nOpen {base}/ (demonstration) and {base}/docs (API).\n");
    if let Some(key) = fresh_admin_key {
        text.push_str(&format!("The admin key of this run: {key}\n"));
    }
    let next = match on_sale(sale).await? {
        _ if !matches!(settings.auth, Auth::Open) => NEEDS_BEARER.to_owned(),
        Some(concert) => commands(&base, concert),
        None => NOTHING_ON_SALE.to_owned(),
    };
    text.push_str(&next);
    Ok(text)
}

/// The first concert that has a free seat in a performance that has not started.
async fn on_sale(sale: &Sale) -> Result<Option<ConcertId>, StoreError> {
    let now = sale.store.reader().now();
    let (mut after, mut maps) = (None, 0);
    loop {
        let page = sale.catalogue.page(after, PAGE);
        for programme in &page {
            for showing in programme.showings.iter().filter(|showing| now < showing.starts_at) {
                if sale.seat_maps.view(showing).await?.remaining > 0 {
                    return Ok(Some(programme.concert.id));
                }
                maps += 1;
                if maps >= MAPS_MAX {
                    return Ok(None);
                }
            }
        }
        after = page.last().map(|programme| programme.concert.id);
        if after.is_none() {
            return Ok(None);
        }
    }
}

const NEEDS_BEARER: &str = "
With ONSALE_AUTH=jwt each call for a user needs a bearer, so there are no commands to paste; see docs/guide/settings.md.
";

const NOTHING_ON_SALE: &str = "
No performance in this database has a free seat and starts in the future, so there are no commands to paste.
To start over with a new file: onsale serve --demo --database-url sqlite://another.db
";

/// Commands that work each time they are pasted: they use a new buyer, the first free seat, and enough points.
fn commands(base: &str, concert: ConcertId) -> String {
    format!(
        r#"
Paste this to buy a seat (needs curl and jq); paste it again to buy the next one:

  B={base} CONCERT={concert} BUYER=guest-$(date +%s)-$RANDOM
  TOKEN=$(curl -sS $B/queue/tokens -H 'Content-Type: application/json' \
    -d "{{\"userId\":\"$BUYER\",\"concertId\":\"$CONCERT\"}}" | jq -r '.token // error(.detail)')
  for _ in $(seq 100); do
    [ "$(curl -sS $B/queue/token -H "Queue-Token: $TOKEN" | jq -r .status)" = WAITING ] && sleep 0.2 || break
  done
  curl -sS $B/concerts/$CONCERT/dates -H "Queue-Token: $TOKEN" | jq
  DATE=$(curl -sS $B/concerts/$CONCERT/dates -H "Queue-Token: $TOKEN" \
    | jq -r 'map(select(.remaining > 0))[0].date // error("every seat of this concert is taken")')
  HOLD=$(curl -sS "$B/concerts/$CONCERT/seats?date=${{DATE:?is not known}}&available=true" -H "Queue-Token: $TOKEN" \
    | jq -c '.performances | map(select(.seats != []))[0] | {{performanceId, seats: [.seats[0].seat]}}' \
    | curl -sS $B/reservations -H "Queue-Token: $TOKEN" -H 'Content-Type: application/json' -d @- \
    | jq -r '.reservationId // error(.detail)')
  curl -sS -o /dev/null -X PATCH $B/point/$BUYER/charge -H "Queue-Token: $TOKEN" \
    -H 'Content-Type: application/json' -d '{{"amount":1000000}}'
  curl -sS $B/payments -H "Queue-Token: $TOKEN" -H 'Content-Type: application/json' \
    -H "Idempotency-Key: pay-$HOLD" -d "{{\"reservationId\":\"${{HOLD:?no seat is held}}\"}}" | jq
"#
    )
}
