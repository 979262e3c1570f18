//! The head of an answer.

use super::chunked::Chunked;
use crate::BackendError;
use crate::http::client::{Media, is_challenge, media};
use ::http::HeaderValue;
use bytes::{Buf, BytesMut};
use weir_protocol::headers;

/// Largest head, in bytes.
const LARGEST: usize = 64 << 10;
/// Most headers.
const HEADERS: usize = 100;
/// Most interim answers before the final one.
pub(super) const INTERIM: usize = 16;

/// Where a body ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes more.
    Length(u64),
    /// With its last chunk.
    Chunked(Chunked),
    /// With the connection.
    Close,
}

/// The parts of a head that MCP and the connection need.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) media: Media,
    pub(super) session: Option<HeaderValue>,
    /// `WWW-Authenticate`, where it refuses who asks.
    pub(super) challenges: Vec<HeaderValue>,
    pub(super) framing: Framing,
    /// The connection may serve another request.
    pub(super) reusable: bool,
}

impl Head {
    /// Takes a head off the front of `read`; `None` where it is not there whole.
    pub(super) fn parse(read: &mut BytesMut) -> Result<Option<Self>, BackendError> {
        let protocol = |text: &str| BackendError::Protocol(text.to_owned());
        let mut slots = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut slots);
        let length = match response.parse(read) {
            Ok(httparse::Status::Complete(length)) if length <= LARGEST => length,
            Ok(httparse::Status::Partial) if read.len() <= LARGEST => return Ok(None),
            Ok(_) => return Err(protocol("the head of its answer is too large")),
            Err(error) => return Err(BackendError::Protocol(format!("its answer is not HTTP: {error}"))),
        };
        let status = response.code.unwrap_or_default();
        let mut reusable = response.version == Some(1);
        let (mut content_type, mut session, mut told, mut chunked) = (None, None, None, false);
        let mut challenges = Vec::new();
        for header in response.headers.iter() {
            let name = header.name;
            if name.eq_ignore_ascii_case("content-length") {
                let value = std::str::from_utf8(header.value).ok().map(str::trim);
                // RFC 9112 section 6.3: only digits, and all of them the same.
                let value = value.filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
                let value: u64 = value
                    .and_then(|value| value.parse().ok())
                    .ok_or_else(|| protocol("its answer has no valid content-length"))?;
                if told.is_some_and(|told| told != value) {
                    return Err(protocol("its answer has two lengths"));
                }
                told = Some(value);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                if !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") || chunked {
                    return Err(protocol("its answer has a transfer coding other than chunked"));
                }
                chunked = true;
            } else if name.eq_ignore_ascii_case("content-type") {
                content_type = Some(header.value);
            } else if name.eq_ignore_ascii_case(headers::SESSION_ID) {
                let value = HeaderValue::from_bytes(header.value);
                session = Some(value.map_err(|_| protocol("its session id is not a header value"))?);
            } else if name.eq_ignore_ascii_case("content-encoding") {
                if !header.value.trim_ascii().eq_ignore_ascii_case(b"identity") {
                    return Err(protocol("its answer is compressed, which was not asked for"));
                }
            } else if is_challenge(status) && name.eq_ignore_ascii_case("www-authenticate") {
                challenges.extend(HeaderValue::from_bytes(header.value).ok());
            } else if name.eq_ignore_ascii_case("connection") {
                reusable &= !header.value.to_ascii_lowercase().windows(5).any(|part| part == b"close");
            }
        }
        let framing = match (status, chunked, told) {
            (100..=199 | 204 | 304, ..) => Framing::Length(0),
            (_, true, told) => {
                // Both at once may be an attempt to smuggle an answer; the connection is not used again.
                reusable &= told.is_none();
                Framing::Chunked(Chunked::default())
            }
            (_, false, Some(length)) => Framing::Length(length),
            (_, false, None) => Framing::Close,
        };
        reusable &= framing != Framing::Close && status != 101;
        let head = Self { status, media: media(content_type), session, challenges, framing, reusable };
        if status == 101 {
            return Err(protocol("it switched to a protocol that nobody asked for"));
        }
        read.advance(length);
        Ok(Some(head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Option<Head>, BackendError> {
        Head::parse(&mut BytesMut::from(text))
    }

    #[test]
    fn heads_are_read() {
        let head = parse(
            "HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\nContent-Length: 5\r\nMcp-Session-Id: s\r\n\r\nhello",
        );
        let head = head.unwrap().unwrap();
        assert_eq!((head.status, head.media, head.reusable), (200, Media::Json, true));
        assert_eq!(head.framing, Framing::Length(5));
        assert_eq!(head.session.unwrap(), "s");
        let table = [
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                Framing::Chunked(Chunked::default()),
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
                Framing::Chunked(Chunked::default()),
                false,
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", Framing::Close, false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", Framing::Length(3), false),
            ("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 3\r\n\r\n", Framing::Length(3), false),
            ("HTTP/1.1 204 No Content\r\n\r\n", Framing::Length(0), true),
        ];
        for (text, framing, reusable) in table {
            let head = parse(text).unwrap().unwrap();
            assert_eq!((head.framing, head.reusable), (framing, reusable), "{text}");
        }
        assert!(parse("HTTP/1.1 200 OK\r\nContent-").unwrap().is_none());
    }

    #[test]
    fn ambiguous_heads_are_refused() {
        for text in [
            "garbage\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        for end in ["", "\r\n\r\n"] {
            assert!(parse(&format!("HTTP/1.1 200 OK\r\nx: {}{end}", "y".repeat(70_000))).is_err());
        }
    }

    /// What is told of an answer that arrives in these pieces, and what stands behind its head.
    fn arrived(pieces: &[&[u8]]) -> Result<Option<String>, ()> {
        let mut read = BytesMut::new();
        let mut head = None;
        for piece in pieces {
            read.extend_from_slice(piece);
            if head.is_none() {
                head = Head::parse(&mut read).map_err(|_| ())?;
            }
        }
        Ok(head.map(|head| format!("{head:?} {read:?}")))
    }

    proptest! {
        #[test]
        fn nothing_depends_on_how_it_arrives(
            line in prop_oneof![
                8 => Just("HTTP/1.1 200 OK"),
                1 => Just("HTTP/1.0 404 Not"),
                1 => Just("HTTP/1.1 100 C"),
                1 => Just("HTTP/2 200"),
            ],
            headers in prop::collection::vec(
                "(content-length: [0-9]{1,3}|Content-Length:7|transfer-encoding: chunked|Transfer-Encoding: x|connection: close|mcp-session-id: [ -~]{0,5}|content-type: [a-z/]{0,9}|x: [a-z\u{e9}]{0,3}|[ -~]{0,6})",
                0..5,
            ),
            body in "[ -~]{0,9}",
            piece in 1usize..20,
        ) {
            let text = format!("{line}\r\n{}\r\n\r\n{body}", headers.join("\r\n"));
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(piece).collect();
            prop_assert_eq!(arrived(&pieces), arrived(&[text.as_bytes()]), "{}", text);
            let lengths: Vec<&String> =
                headers.iter().filter(|header| header.to_ascii_lowercase().starts_with("content-length:")).collect();
            let chunked = headers.iter().any(|header| header.starts_with("transfer-encoding: chunked"));
            if let Ok(Some(head)) = parse(&text)
                && chunked && !lengths.is_empty() && head.status == 200
            {
                prop_assert!(!head.reusable, "two framings at once: {}", text);
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::parse(&mut BytesMut::from(&bytes[..]));
            let _ = Head::parse(&mut BytesMut::from(&[b"HTTP/1.1 200 OK\r\n", &bytes[..], b"\r\n\r\n"].concat()[..]));
        }
    }
}
