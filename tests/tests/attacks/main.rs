//! Attacks, as a table: each is tried against a real weir, refused in the way it should be, and reaches no backend.
//!
//! A table belongs to one stage: a weir, and servers behind it that count what gets through to them. Every table has requests
//! beside its attacks that are in order and have to pass, so that none of them is refused for a reason that nobody meant.

mod arguments;
mod attack;
mod certificates;
mod credentials;
mod door;
mod elsewhere;
mod endings;
mod http2;
mod legacy;
mod names;
mod outward;
mod pretenders;
mod reach;
mod records;
mod stage;
mod strangers;
mod tokens;
mod trap;
mod uris;
