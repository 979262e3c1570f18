//! Event streams: however a stream is cut, the events are those that a plain reader finds, and none exceeds the bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_fuzz::{Dice, stream};
use weir_protocol::sse::{Decoder, Event, EventTooLarge, write_message};

fuzz_target!(|data: &[u8]| {
    let expected = stream::events(data);
    let mut dice = Dice::of(data);
    let cuts = [vec![data], data.chunks(1).collect(), dice.cut(data, 9), dice.cut(data, 99)];
    for pieces in cuts {
        assert_eq!(decode(&pieces, data.len() + 1).expect("nothing exceeds the whole"), expected);
    }
    let limit = dice.roll(64);
    if let Ok(events) = decode(&dice.cut(data, 9), limit) {
        assert_eq!(events, expected);
        assert!(events.iter().all(|event| event.data.len() <= limit));
    }
    let mut written = Vec::new();
    write_message(&mut written, data);
    let read = decode(&[&written], written.len()).expect("it is as long as it is");
    let line: Vec<u8> = data.iter().map(|byte| if b"\r\n".contains(byte) { b' ' } else { *byte }).collect();
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].name.as_str(), &read[0].data[..]), ("message", &line[..]));
});

fn decode(pieces: &[&[u8]], limit: usize) -> Result<Vec<Event>, EventTooLarge> {
    let mut decoder = Decoder::new(limit);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        while let Some(event) = decoder.next_event()? {
            events.push(event);
        }
    }
    Ok(events)
}
