//! Who can reach what: rules over the listener and the endpoints together.

use super::Checker;
use crate::model::{Config, Endpoint, Listener};
use crate::report::quote;
use crate::tree::Path;

/// Reports endpoints that ask nobody who they are where others than this machine's can come, and those that ask for
/// certificates where the listener takes none.
pub(super) fn check(checker: &mut Checker<'_>, listener: &Listener, endpoints: &[Endpoint]) {
    for name in listener.exposed(endpoints) {
        let message = format!(
            "others than this machine's programs can reach this address, and the endpoint {} asks nobody who they are",
            quote(name)
        );
        let here = if listener.address.ip().is_loopback() { "public_url" } else { "address" };
        let finding = checker.at(&Path::root("listener").key(here), message);
        checker.error(finding.help(
            "name in its `auth` by which callers show who they are; or, where whoever comes may do everything, `insecure: true`",
        ));
    }
    if listener.tls.as_ref().is_none_or(|tls| tls.clients.is_none()) {
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.auth.certificates.is_some()) {
            let here = Path::root("endpoints").key(&endpoint.name).key("auth").key("certificates");
            let finding = checker.at_key(&here, "the listener asks no client for a certificate");
            checker.error(finding.help("name the authorities of clients in `listener.tls.clients`"));
        }
    }
}

impl Listener {
    /// The names of those endpoints that ask nobody who they are and do not say that this is meant, where others than this
    /// machine's programs can come.
    fn exposed<'a>(&self, endpoints: &'a [Endpoint]) -> Vec<&'a str> {
        if self.is_local() {
            return Vec::new();
        }
        let open = |endpoint: &&Endpoint| endpoint.auth.is_anonymous() && !endpoint.auth.insecure;
        endpoints.iter().filter(open).map(|endpoint| endpoint.name.as_str()).collect()
    }
}

impl Config {
    /// The names of those endpoints that anybody may use who reaches them over the network, without the configuration saying
    /// that this is meant.
    pub fn exposed(&self) -> Vec<&str> {
        self.listener.exposed(&self.endpoints)
    }
}
