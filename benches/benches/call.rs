//! The `tools/call` that the benches read and change.

/// Label and bytes of the arguments of each measured call.
pub(crate) const SIZES: [(&str, usize); 4] =
    [("200 B", 200), ("1 KB", 1_000), ("100 KB", 100_000), ("1 MB", 1_000_000)];

/// One row of the arguments: text with escapes and beyond ASCII, numbers, a list, an object.
const ROW: &str = concat!(
    r#"{"id":1204,"title":"Quarterly revenue – region \"north\"","score":0.8125,"tags":["a","b"],"#,
    r#""owner":{"name":"Zoë","active":true},"note":"first line\nsecond line"}"#
);

/// A legacy client's `tools/call` with a progress token and exactly `size` bytes of arguments.
pub(crate) fn call(size: usize) -> Vec<u8> {
    let frame = r#"{"rows":[],"pad":""}"#.len();
    let rows = size.saturating_sub(frame) / (ROW.len() + 1);
    let rows = vec![ROW; rows].join(",");
    let pad = "x".repeat(size.saturating_sub(frame + rows.len()));
    format!(
        concat!(
            r#"{{"jsonrpc":"2.0","id":"c0ffee-17","method":"tools/call","params":{{"name":"files_search","#,
            r#""arguments":{{"rows":[{}],"pad":"{}"}},"_meta":{{"progressToken":"c0ffee-17"}}}}}}"#
        ),
        rows, pad
    )
    .into_bytes()
}
