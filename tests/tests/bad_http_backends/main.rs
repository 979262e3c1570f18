//! HTTP servers that break the rules, as a table: each fault stays with its call, and the next call of the same server works.

mod answers;
mod case;
mod framing;
mod http2;
mod requests;
mod streams;

#[test]
fn answers_that_are_wrong() {
    case::run(answers::cases());
}

#[test]
fn http_that_is_wrong() {
    case::run(framing::cases());
}

#[test]
fn event_streams_that_are_wrong() {
    case::run(streams::cases());
}

#[test]
fn http2_that_is_wrong() {
    case::run_http2(http2::cases());
}
