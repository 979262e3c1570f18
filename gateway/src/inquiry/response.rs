//! What a client answers, for backends of either era.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use weir_backends::Message;
use weir_protocol::{Method, Splice};

/// The client's response with the id that the backend knows.
pub(super) fn with_id(response: &Message, id: &[u8]) -> Bytes {
    let mut splice = Splice::new(&response.body);
    if let Some(span) = response.envelope.id {
        splice.replace(span, id);
    }
    splice.finish()
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorHead<'a> {
    code: i64,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// The raw result of a client's response. Modern backends take no errors: for a user who could not be asked there is an answer
/// that says so, and for all else there is none.
pub(super) fn result(response: &Message, method: Method) -> Result<Bytes, String> {
    let read: Result<Response<'_>, _> = serde_json::from_slice(&response.body);
    let (result, error) = read.map(|read| (read.result, read.error)).unwrap_or_default();
    match (result, error) {
        (Some(result), _) => Ok(Bytes::copy_from_slice(result.get().as_bytes())),
        (None, _) if method == Method::Elicit => Ok(Bytes::from_static(br#"{"action":"cancel"}"#)),
        (None, error) => {
            Err(match error.and_then(|raw| serde_json::from_str::<ErrorHead<'_>>(raw.get()).ok()) {
                Some(ErrorHead { code, message }) => format!("{message} (code {code})"),
                None => "it says nothing about it".to_owned(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(members: &str) -> Message {
        Message::parse(format!(r#"{{"jsonrpc":"2.0","id":3,{members}}}"#).into()).unwrap()
    }

    #[test]
    fn results_stay_as_they_are() {
        let answered = response(r#""result": { "n":1.0,"s":"\u00fc" }"#);
        let changed = r#"{"jsonrpc":"2.0","id":"q","result": { "n":1.0,"s":"\u00fc" }}"#;
        assert_eq!(with_id(&answered, b"\"q\""), changed);
        assert_eq!(result(&answered, Method::ListRoots).unwrap(), r#"{ "n":1.0,"s":"\u00fc" }"#);
    }

    #[test]
    fn an_error_is_a_cancelled_form_or_no_answer() {
        let refused = response(r#""error":{"code":-1,"message":"n\u006f"}"#);
        assert_eq!(result(&refused, Method::Elicit).unwrap(), r#"{"action":"cancel"}"#);
        assert_eq!(result(&refused, Method::CreateMessage), Err("no (code -1)".to_owned()));
        let odd = response(r#""error":7"#);
        assert_eq!(result(&odd, Method::ListRoots), Err("it says nothing about it".to_owned()));
    }
}
