//! Staff in the rush: keys, the log of administrators, and a session of the back office.

use onsale_load_generator::Outcome;
use onsale_testing::Sale;
use serde_json::json;

use super::rush::{text, wait};

/// A key of staff that is made, used, listed and deleted, a session of the back office, and their log entries.
pub(crate) async fn all(sale: &Sale, name: &str) -> Outcome<()> {
    let body = json!({"name": name, "role": "organiser"});
    let made = sale.admin(sale.caller.post("/admin/keys").json(&body)).expect(201).await;
    let (id, key) = (text(&made["keyId"]), text(&made["key"]));
    let lecture = json!({"title": "By staff", "startsAt": "2090-01-01T10:00:00Z"});
    wait(|| async {
        let made = sale.caller.post("/admin/lectures").json(&lecture).bearer(&key).send().await;
        Ok(made.status.as_u16() == 201)
    })
    .await?;
    for query in [String::new(), format!("?actor={id}"), "?action=key.created".to_owned(), format!("?subject=key:{id}")]
    {
        sale.admin(sale.caller.get(&format!("/admin/log{query}"))).expect(200).await;
    }
    // The use of the key is saved soon after it.
    wait(|| async {
        let keys = sale.admin(sale.caller.get("/admin/keys")).expect(200).await;
        Ok(keys.as_array().is_some_and(|keys| keys.iter().any(|key| key["lastUsedAt"].is_string())))
    })
    .await?;
    let origin = sale.instance.base();
    let sign_in = sale.caller.post("/desk/session").header("origin", origin).json(&json!({"key": key}));
    let signed_in = sign_in.send().await;
    let cookie = signed_in.header("set-cookie").unwrap_or_default().to_owned();
    sale.caller.get("/desk/session").header("cookie", &cookie).expect(200).await;
    let sign_out = sale.caller.delete("/desk/session").header("origin", origin).header("cookie", &cookie);
    sign_out.expect(204).await;
    sale.admin(sale.caller.delete(&format!("/admin/keys/{id}"))).expect(204).await;
    Ok(())
}
