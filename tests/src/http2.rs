//! HTTP/2 frame by frame, for peers that break its rules.

use std::io::Read;

/// What a client sends first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113 section 6).
pub const DATA: u8 = 0;
/// Opens a stream, or ends it with trailers.
pub const HEADERS: u8 = 1;
/// Breaks a stream off.
pub const RST_STREAM: u8 = 3;
/// What the sender can take.
pub const SETTINGS: u8 = 4;
/// Announces a stream of the server's.
pub const PUSH_PROMISE: u8 = 5;
/// Asks for a sign of life.
pub const PING: u8 = 6;
/// Announces the end of the connection.
pub const GOAWAY: u8 = 7;
/// Allows more to be sent.
pub const WINDOW_UPDATE: u8 = 8;
/// Goes on with a list of fields.
pub const CONTINUATION: u8 = 9;

/// The flag on `SETTINGS` and `PING` that says that it answers one.
pub const ACK: u8 = 1;
/// The flag that ends a stream.
pub const END_STREAM: u8 = 1;
/// The flag that ends a list of fields.
pub const END_HEADERS: u8 = 4;

/// One frame.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Self {
        Self { kind, flags, stream, payload: payload.as_ref().to_vec() }
    }

    /// A whole list of fields.
    pub fn headers(stream: u32, fields: &[(&str, &str)], flags: u8) -> Self {
        let block: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
        Self::new(HEADERS, END_HEADERS | flags, stream, block)
    }

    /// It as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a frame is short").to_be_bytes();
        let stream = self.stream.to_be_bytes();
        [&length[1..], &[self.kind, self.flags], &stream, &self.payload].concat()
    }

    /// Reads a frame; `None` at the end of the connection.
    pub fn read(reader: &mut impl Read) -> Option<Self> {
        let mut head = [0; 9];
        reader.read_exact(&mut head).ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        reader.read_exact(&mut payload).ok()?;
        Some(Self { kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff, payload })
    }

    /// Whether it has this flag.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A field as HPACK writes it without its tables (RFC 7541 section 6.2.2).
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        write_length(&mut out, text.len());
        out.extend_from_slice(text.as_bytes());
    }
    out
}

/// A number with a prefix of seven bits (RFC 7541 section 5.1).
fn write_length(out: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        return out.push(u8::try_from(length).expect("less than a byte"));
    };
    out.push(127);
    while rest >= 128 {
        out.push(128 | u8::try_from(rest % 128).expect("less than a byte"));
        rest /= 128;
    }
    out.push(u8::try_from(rest).expect("less than a byte"));
}
