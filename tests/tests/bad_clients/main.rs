//! Clients that break the rules, as a table: each is told so, or let go, and the next request works: on the same connection
//! where that is still of use, and on another one.

mod bodies;
mod heads;
mod http2;
mod trial;

#[test]
fn bodies_that_are_wrong() {
    trial::run(bodies::cases());
}

#[test]
fn http_that_is_wrong() {
    trial::run(heads::cases());
}
