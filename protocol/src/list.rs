//! Pages of list results, written once and sent many times.

use bytes::Bytes;

/// Writes `{"KEY":[ITEM,…]`: a list result but for its closing brace, so that a cursor and the members of an era can
/// follow. The items are raw JSON.
pub fn write_page<'a>(key: &str, items: impl Iterator<Item = &'a [u8]> + Clone) -> Bytes {
    let size: usize = items.clone().map(|item| item.len() + 1).sum();
    let mut page = Vec::with_capacity(key.len() + 6 + size);
    page.extend_from_slice(b"{\"");
    page.extend_from_slice(key.as_bytes());
    page.extend_from_slice(b"\":[");
    for (at, item) in items.enumerate() {
        if at > 0 {
            page.push(b',');
        }
        page.extend_from_slice(item);
    }
    page.push(b']');
    page.into()
}
