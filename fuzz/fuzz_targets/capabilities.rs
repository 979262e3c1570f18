//! What a client can be asked: nothing that it did not declare, whatever it wrote and whatever a server wants.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use weir_protocol::{ClientCapabilities, Envelope, Revision};

/// Where what a client declared ends, and what a server asks begins.
const BETWEEN: u8 = b'\n';

fuzz_target!(|body: &[u8]| {
    let mut parts = body.splitn(2, |byte| *byte == BETWEEN);
    let (declared, request) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    // It is always a part of a message that was read whole before, and that is text.
    if std::str::from_utf8(declared).is_err() {
        return;
    }
    let envelope = Envelope::parse(request).ok();
    for revision in Revision::ALL {
        let set = ClientCapabilities::parse(declared, revision);
        let written = set.write();
        assert_eq!(ClientCapabilities::parse(written.as_bytes(), Revision::LATEST), set, "{written}");
        let is_object =
            serde_json::from_slice::<&RawValue>(declared).is_ok_and(|raw| raw.get().starts_with('{'));
        assert!(is_object || set == ClientCapabilities::NONE, "what is no object declares nothing");
        if let Some(envelope) = &envelope
            && set.allows(request, envelope)
        {
            assert!(set.can_be_asked());
            assert!(ClientCapabilities::ASKS.allows(request, envelope), "more is allowed to who can do more");
            assert!(!ClientCapabilities::NONE.allows(request, envelope));
        }
    }
});
