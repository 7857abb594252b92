//! Reads where traces are sent.

/// The path of OTLP over HTTP for traces.
const PATH: &str = "/v1/traces";

/// The full address to which traces are posted.
#[derive(Clone, Debug)]
pub(crate) struct OtlpEndpoint(String);

impl OtlpEndpoint {
    /// Reads an `http://` or `https://` URL: a collector's base, such as `http://127.0.0.1:4318`, or the full address.
    ///
    /// # Errors
    /// What is wrong, to be read after the setting's name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(url) = url.filter(reqwest::Url::has_host) else {
            return Err("is not the URL of a collector, such as http://HOST:4318".to_owned());
        };
        let base = url.as_str().trim_end_matches('/');
        Ok(Self(if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") }))
    }

    /// The address as text.
    #[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "only a program with traces posts to it"))]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
