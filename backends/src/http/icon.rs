//! Icons from the server's own origin.

use super::Shared;
use super::client::{Media, Outgoing, Verb};
use crate::deadlines::Deadlines;
use crate::{BackendError, IconError};
use bytes::Bytes;
use std::sync::Arc;
use tokio::time::timeout;
use url::Url;
use weir_protocol::icons;

/// Largest icon, in bytes.
const LARGEST: usize = 64 << 10;

/// Fetches the icon at `url` as a `data:` URI.
pub(super) async fn fetch(shared: &Shared, url: &str) -> Result<String, IconError> {
    let path = own_path(&shared.url, url).ok_or(IconError::Elsewhere)?;
    let after = shared.timeouts.list;
    let late = |_| Err(BackendError::Timeout { what: "an icon", after }.into());
    timeout(after, get(shared, path)).await.unwrap_or_else(late)
}

/// Path and query of `url` where it is at the origin of `server`. The host of an icon is never looked up: what is sent goes
/// where the server's own requests go.
fn own_path(server: &Url, url: &str) -> Option<Arc<str>> {
    let url = Url::parse(url).ok()?;
    // The origin of some other schemes, as `blob`, is that of a URL within.
    let is_own = matches!(url.scheme(), "http" | "https") && url.origin() == server.origin();
    is_own.then(|| match url.query() {
        Some(query) => format!("{}?{query}", url.path()).into(),
        None => url.path().into(),
    })
}

async fn get(shared: &Shared, path: Arc<str>) -> Result<String, IconError> {
    let request =
        || Outgoing { path: Some(path.clone()), ..Outgoing::new(Verb::GetImage, Vec::new(), Bytes::new()) };
    let response = match shared.send(request()).await {
        // An unused connection may have been closed by the other side.
        Err(BackendError::Gone(_)) => shared.send(request()).await,
        sent => sent,
    }?;
    if response.status != 200 {
        return Err(BackendError::Refused { status: response.status }.into());
    }
    let Media::Image(media) = response.media else {
        return Err(IconError::Media);
    };
    let image = response.body.collect(LARGEST, &Deadlines::start(&shared.timeouts)).await?;
    Ok(icons::data_uri(media, &image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_own_origin_is_asked() {
        let server: Url = "https://example.com/mcp".parse().unwrap();
        for (url, path) in [
            ("https://example.com/a.png", Some("/a.png")),
            ("HTTPS://EXAMPLE.com:443/a b?q=\u{e4}#f", Some("/a%20b?q=%C3%A4")),
            ("https://example.com", Some("/")),
            ("https://name@example.com/x\r\ny: z", Some("/xy:%20z")),
            ("https://example.com@other.example/a.png", None),
            ("http://example.com/a.png", None),
            ("https://example.com:8443/a.png", None),
            ("https://www.example.com/a.png", None),
            ("https://example.com./a.png", None),
            ("//example.com/a.png", None),
            ("/a.png", None),
            ("blob:https://example.com/a.png", None),
            ("file:///etc/passwd", None),
            ("data:image/png;base64,AA==", None),
        ] {
            assert_eq!(own_path(&server, url).as_deref(), path, "{url}");
        }
    }
}
