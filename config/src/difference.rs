//! What a running gateway can take over of another configuration, and what needs a restart.

use crate::model::Config;

impl Config {
    /// The keys that differ in `other` and that nothing but a restart can follow, as they stand in the file.
    pub fn fixed_differences(&self, other: &Self) -> Vec<&'static str> {
        let grants = ("oauth.store", self.grants != other.grants);
        let (own, other) = (&self.listener, &other.listener);
        [
            grants,
            ("listener.address", own.address != other.address),
            ("listener.tls", own.tls != other.tls),
            ("listener.http2", own.http2 != other.http2),
            ("listener.h2c", own.h2c != other.h2c),
            ("listener.workers", own.workers != other.workers),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::parse;
    use std::path::Path;

    #[test]
    fn only_the_socket_and_its_threads_stand_fast() {
        let read = |listener: &str| {
            let text = format!("listener: {listener}\nbackends: {{a: {{command: a}}}}");
            parse(&text, Path::new("weir.yaml"), &|_: &str| None).expect("the text is in order").config
        };
        let running = read("{address: '127.0.0.1:1', workers: 1}");
        assert_eq!(running.fixed_differences(&running), [""; 0]);
        let live = "{address: '127.0.0.1:1', workers: 1, allowed_hosts: [a], allowed_origins: ['https://a']}";
        assert_eq!(running.fixed_differences(&read(live)), [""; 0]);
        let fixed = "{address: '127.0.0.1:2', workers: 2, h2c: false, http2: false}";
        let keys = ["listener.address", "listener.http2", "listener.h2c", "listener.workers"];
        assert_eq!(running.fixed_differences(&read(fixed)), keys);
    }
}
